use super::*;

#[test]
fn durations() {
    const DAY: u64 = 24 * 60 * 60;
    for (text, expected) in [
        ("1s", Duration::from_secs(1)),
        ("0s", Duration::ZERO),
        ("1m", Duration::from_secs(60)),
        ("2h30m10s", Duration::from_secs(2 * 3600 + 30 * 60 + 10)),
        (
            "1w2d3h4m5s",
            Duration::from_secs(9 * DAY + 3 * 3600 + 4 * 60 + 5),
        ),
        ("1.5h", Duration::from_secs(5400)),
        ("250ms", Duration::from_millis(250)),
        ("7us", Duration::from_micros(7)),
        ("7µs", Duration::from_micros(7)),
        ("7ns", Duration::from_nanos(7)),
        ("1m1ms", Duration::from_millis(60_001)),
        ("366d", limits::WAIT),
    ] {
        assert_eq!(duration(text), Ok(expected), "{text}");
        assert_eq!(Until::parse(text), Ok(Until::After(expected)), "{text}");
    }
}

#[test]
fn times() {
    for (text, millis) in [
        ("2026-11-23T19:40:59.018Z", 1_795_462_859_018),
        ("2026-11-23T20:40:59.018+01:00", 1_795_462_859_018),
        (
            "2026-11-23T20:40:59.018+01:00[Europe/Berlin]",
            1_795_462_859_018,
        ),
        ("1970-01-01T00:00:00Z", 0),
    ] {
        let at = Timestamp::from_millis(millis);
        assert_eq!(Until::parse(text), Ok(Until::At(at)), "{text}");
        assert!(duration(text).is_err());
    }
}

#[test]
fn neither_is_named() {
    for text in [
        "",
        " ",
        "1",
        "s",
        "1x",
        "-1s",
        "1s2",
        "1..5s",
        ".s",
        "1 s",
        "tomorrow",
        "2026-11-23",
        "NaNs",
        "infs",
    ] {
        let error = Until::parse(text).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("`{text}` is neither")),
            "{error}"
        );
        let error = duration(text).unwrap_err().to_string();
        assert_eq!(error, format!("`{text}` is not a duration like `1h30m`"));
    }
}

#[test]
fn nothing_is_further_away_than_the_limit() {
    let message = |text: &str| {
        format!("`{text}` is more than 366 days away, which is the longest that a run may wait")
    };
    for text in ["367d", "366d1s", "53w", "99999999999999999999999999w"] {
        assert_eq!(Until::parse(text).unwrap_err().to_string(), message(text));
    }
    let now = Timestamp::from_millis(1_795_462_859_018);
    assert_eq!(Until::LONGEST.due(now), Ok(now + limits::WAIT));
    let past = Until::At(Timestamp::from_millis(5));
    assert_eq!(past.due(now), Ok(Timestamp::from_millis(5)));
    let far = Until::parse("2027-11-25T00:00:00Z").unwrap();
    assert_eq!(
        far.due(now).unwrap_err().to_string(),
        message("2027-11-25T00:00:00.000Z")
    );
}
