//! Each `tests/ui/<case>.rs` is refused as `tests/ui/<case>.stderr` says: `line:column: sentence`.
//!
//! `BLESS=1 cargo test -p stepcast-macros` writes what is said now.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use proc_macro2::TokenStream;

use crate::{channel, event};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    cases.sort();
    cases
}

fn refusal(case: &Path) -> String {
    let input: TokenStream = fs::read_to_string(case).unwrap().parse().unwrap();
    let is_event = case
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .starts_with("event_");
    let answer = if is_event {
        event::derive(input)
    } else {
        channel::derive(input)
    };
    match answer {
        Ok(_) => "accepted\n".to_owned(),
        Err(errors) => errors
            .into_iter()
            .map(|error| {
                let start = error.span().start();
                format!("{}:{}: {error}\n", start.line, start.column + 1)
            })
            .collect(),
    }
}

#[test]
fn misuses_are_refused_as_recorded() {
    let bless = env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let expected = case.with_extension("stderr");
        let refusal = refusal(&case);
        if bless {
            fs::write(&expected, &refusal).unwrap();
        } else if fs::read_to_string(&expected).ok().as_deref() != Some(refusal.as_str()) {
            wrong.push(format!("{}: {refusal}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[test]
fn each_error_is_one_sentence() {
    for case in cases() {
        let refusal = refusal(&case);
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
        assert!(!refusal.trim_end().ends_with('.'), "{refusal}");
        assert_ne!(refusal, "accepted\n", "{}", case.display());
    }
}
