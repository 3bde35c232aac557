use super::*;

#[test]
fn hashes_of_ids() {
    for (id, hash) in [
        ("a", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
        ("b", "e9d71f5ee7c92d6dc9e92ffdad17b8bd49418f98"),
        ("stream-output", "6930bc15a6fcf200c608b434798ad0b2ed9276c1"),
        ("complete", "0737c22d3bfae812339732d14d8c7dbd6dc4e09c"),
    ] {
        assert_eq!(StepHash::of(id).to_string(), hash);
        assert_eq!(hash.parse(), Ok(StepHash::of(id)));
    }
}

#[test]
fn a_readable_id_leads_back_to_its_hash() {
    const HASH: &str = "(its hash)";
    let long = "x".repeat(300);
    let hash_like = StepHash::of("a").to_string();
    for (id, candidates, shown) in [
        ("a", vec!["a"], "a"),
        ("a:1", vec!["a", "a:1"], "a:1"),
        ("a", vec!["b"], HASH),
        ("", vec![""], HASH),
        ("a\nb", vec!["a\nb"], HASH),
        (&long, vec![&*long], HASH),
        (&hash_like, vec![&*hash_like], HASH),
    ] {
        let hash = StepHash::of(id);
        let step = hash.step_id(candidates);
        assert_eq!(StepHash::of_step(&step), hash, "{id}");
        let shown = if shown == HASH {
            &*hash.to_string()
        } else {
            shown
        };
        assert_eq!(step, shown);
    }
}

#[test]
fn what_is_no_hash_is_named() {
    for text in [
        "",
        "step",
        "86f7e437faa5a7fce15d1ddcb9eaeaea377667b",
        "86F7E437FAA5A7FCE15D1DDCB9EAEAEA377667B8",
        "zzf7e437faa5a7fce15d1ddcb9eaeaea377667b8",
        "äääääääääääääääääääääääääääääääääääääääää",
    ] {
        let error = text.parse::<StepHash>().unwrap_err().to_string();
        assert!(error.contains(&format!("`{text}`")), "{error}");
    }
}
