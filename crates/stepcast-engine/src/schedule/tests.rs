mod zones;

use std::time::{Duration, Instant};

use serde_json::json;
use stepcast_protocol::Timestamp;

use super::{Jitter, Schedule, ScheduleError};

fn parse(text: &str) -> Schedule {
    Schedule::parse(text).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse::<jiff::Timestamp>().unwrap().into()
}

/// The first times after one, in UTC.
#[track_caller]
fn check(schedule: &str, after: &str, expected: &[&str]) {
    let schedule = parse(schedule);
    let mut after = time(after);
    for expected in expected {
        let next = schedule.next_after(after).unwrap();
        assert_eq!(next, time(expected), "{schedule}: {next} after {after}");
        after = next;
    }
}

#[track_caller]
fn refused(text: &str, problem: &str) {
    let expected = ScheduleError::Unreadable {
        text: text.to_owned(),
        problem: problem.to_owned(),
    };
    assert_eq!(Schedule::parse(text), Err(expected), "{text}");
}

#[test]
fn fields_take_values_ranges_lists_steps_and_names() {
    check(
        "*/20 * * * *",
        "2026-01-01T00:00:00Z",
        &[
            "2026-01-01T00:20:00Z",
            "2026-01-01T00:40:00Z",
            "2026-01-01T01:00:00Z",
        ],
    );
    check(
        "* * * * *",
        "2026-01-01T00:00:59.999Z",
        &["2026-01-01T00:01:00Z"],
    );
    check(
        "* * * * *",
        "2026-01-01T00:00:00.001Z",
        &["2026-01-01T00:01:00Z"],
    );
    check(
        "* * * * *",
        "1969-12-31T23:58:30Z",
        &["1969-12-31T23:59:00Z", "1970-01-01T00:00:00Z"],
    );
    check(
        "0 0 1,15 */6 *",
        "2026-01-02T00:00:00Z",
        &["2026-01-15T00:00:00Z", "2026-07-01T00:00:00Z"],
    );
    check(
        "40/5 23 * * ?",
        "2026-01-01T23:50:00Z",
        &["2026-01-01T23:55:00Z", "2026-01-02T23:40:00Z"],
    );
    check(
        "0 9 * jan-mar mon-Fri",
        "2026-03-31T09:00:00Z",
        &["2027-01-01T09:00:00Z", "2027-01-04T09:00:00Z"],
    );
    check(
        "0 0 * * 7",
        "2026-01-01T00:00:00Z",
        &["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"],
    );
    check(
        "0 0 * * fri-sun",
        "2026-01-01T00:00:00Z",
        &[
            "2026-01-02T00:00:00Z",
            "2026-01-03T00:00:00Z",
            "2026-01-04T00:00:00Z",
            "2026-01-09T00:00:00Z",
        ],
    );
    check("@weekly", "2026-01-01T00:00:00Z", &["2026-01-04T00:00:00Z"]);
    check(
        "CRON_TZ=asia/kathmandu @Daily",
        "2026-01-01T00:00:00Z",
        &["2026-01-01T18:15:00Z"],
    );
}

#[test]
fn one_of_two_day_fields_is_enough() {
    check(
        "0 0 13 * 5",
        "2026-03-01T00:00:00Z",
        &[
            "2026-03-06T00:00:00Z",
            "2026-03-13T00:00:00Z",
            "2026-03-20T00:00:00Z",
        ],
    );
    check(
        "0 0 * * 5",
        "2026-03-01T00:00:00Z",
        &["2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z"],
    );
    check(
        "0 0 13 * *",
        "2026-03-01T00:00:00Z",
        &["2026-03-13T00:00:00Z", "2026-04-13T00:00:00Z"],
    );
}

#[test]
fn leap_days_come_and_impossible_ones_do_not() {
    check(
        "0 0 29 2 *",
        "2026-01-01T00:00:00Z",
        &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"],
    );
    check(
        "0 0 29 2 *",
        "2096-02-29T00:00:00Z",
        &["2104-02-29T00:00:00Z"],
    );
    check(
        "0 * 29 2 *",
        "2096-02-29T23:00:00Z",
        &["2104-02-29T00:00:00Z"],
    );
    let begun = Instant::now();
    for text in [
        "0 0 30 2 *",
        "0 * 30 2 *",
        "TZ=Europe/Berlin * * 31 4,6,9,11 *",
        "TZ=Europe/Berlin 0 0 31 2 *",
    ] {
        assert_eq!(
            parse(text).next_after(time("2026-01-01T00:00:00Z")),
            None,
            "{text}"
        );
    }
    let schedule = parse("TZ=Europe/Berlin 0 2 * * *");
    for millis in [i64::MIN, i64::MAX, time("9999-12-30T22:00:00Z").as_millis()] {
        assert_eq!(schedule.next_after(Timestamp::from_millis(millis)), None);
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_schedule_is_shown_and_stored_as_its_text() {
    let text = " TZ=Europe/Berlin  0 9 * * MON-FRI";
    let schedule = parse(text);
    assert_eq!(schedule.to_string(), text);
    let stored = serde_json::to_value(&schedule).unwrap();
    assert_eq!(stored, json!(text));
    assert_eq!(
        serde_json::from_value::<Schedule>(stored).unwrap(),
        schedule
    );
    assert!(serde_json::from_value::<Schedule>(json!("0 9")).is_err());
}

#[test]
fn what_cannot_be_read_is_named() {
    refused(
        "0 9 * *",
        "4 fields instead of 5: minute, hour, day of month, month, day of week, as in `0 9 * * MON-FRI`",
    );
    refused(
        "60 * * * *",
        "the minute `60` is not 0 to 59; ranges are written 1-5, lists 1,5, steps */5",
    );
    refused(
        "0 0 * * mo",
        "the day of week `mo` is not 0 to 7 or sun to sat; ranges are written 1-5, lists 1,5, steps */5",
    );
    refused(
        "0 5-3 * * *",
        "the hour `5-3` goes backwards; write two ranges with a comma between them",
    );
    refused(
        "*/0 * * * *",
        "the step `0` of the minute is no number above 0; write it as in `*/5`",
    );
    for text in [
        "",
        "a * * * *",
        "1,, * * * *",
        "-1 * * * *",
        "1--2 * * * *",
        "1/ * * * *",
        "+1 * * * *",
        "0 0 0 * *",
        "0 0 L * *",
    ] {
        assert!(
            matches!(Schedule::parse(text), Err(ScheduleError::Unreadable { .. })),
            "{text}"
        );
    }
    refused(
        "@every 5m",
        "`@every 5m` has no meaning; use @hourly, @daily, @weekly, @monthly or @yearly, or fields such as `*/5 * * * *`",
    );
    let unknown = |text: &str| Schedule::parse(text).unwrap_err().to_string();
    assert_eq!(
        unknown("TZ=Mars/Base 0 9 * * *"),
        "schedule `TZ=Mars/Base 0 9 * * *`: there is no time zone `Mars/Base`; use a name such as Europe/Berlin, as in `TZ=Europe/Berlin 0 9 * * *`"
    );
    for text in [
        "TZ= 0 9 * * *",
        "TZ=Local 0 9 * * *",
        "TZ=Etc/Unknown 0 9 * * *",
        "TZ=../etc/passwd 0 9 * * *",
    ] {
        assert!(
            matches!(
                Schedule::parse(text),
                Err(ScheduleError::UnknownZone { .. })
            ),
            "{text}"
        );
    }
    assert_eq!(
        Schedule::parse(&"1,".repeat(300)),
        Err(ScheduleError::TooLong { bytes: 600 })
    );
}

#[test]
fn a_jitter_spreads_over_all_of_it() {
    let jitter = Jitter::new(Duration::from_secs(300)).unwrap();
    assert_eq!(jitter.delay(0.0), Duration::ZERO);
    assert!(jitter.delay(0.999_999) < jitter.longest());
    for longest in [Duration::from_millis(999), Duration::from_secs(301)] {
        let error = Jitter::new(longest).unwrap_err();
        assert_eq!(error, ScheduleError::Jitter { longest });
    }
    let error = Jitter::new(Duration::ZERO).unwrap_err();
    assert_eq!(
        error.to_string(),
        "jitter of 0ns is not between 1s and 300s; use one such as 30s"
    );
}
