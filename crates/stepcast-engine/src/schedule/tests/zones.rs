//! Schedules where clocks are changed, against a walk over every minute.

use std::collections::BTreeSet;

use jiff::{
    SignedDuration, ToSpan,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};
use proptest::prelude::*;

use super::{check, parse};

#[test]
fn times_that_are_skipped_run_once_at_the_next_minute() {
    check(
        "TZ=Europe/Berlin 30 2 * * *",
        "2026-03-28T12:00:00Z",
        &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
    );
    check(
        "TZ=Europe/Berlin */20 2,3 * * *",
        "2026-03-28T12:00:00Z",
        &["2026-03-29T01:00:00Z", "2026-03-29T01:20:00Z"],
    );
    // Samoa had no 30th of December.
    check(
        "TZ=Pacific/Apia 0 9 * * *",
        "2011-12-29T00:00:00Z",
        &[
            "2011-12-29T19:00:00Z",
            "2011-12-30T10:00:00Z",
            "2011-12-30T19:00:00Z",
        ],
    );
}

#[test]
fn times_that_come_twice_run_once() {
    check(
        "TZ=Europe/Berlin 30 2 * * *",
        "2026-10-24T12:00:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
    );
    check(
        "TZ=Europe/Berlin */30 1-3 * * *",
        "2026-10-25T00:20:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"],
    );
    check(
        "TZ=Europe/Berlin 30 2 * * *",
        "2026-10-25T01:10:00Z",
        &["2026-10-26T01:30:00Z"],
    );
}

#[test]
fn what_runs_every_hour_neither_pauses_nor_runs_out_of_turn() {
    check(
        "TZ=Europe/Berlin */30 * * * *",
        "2026-10-25T00:20:00Z",
        &[
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:00:00Z",
        ],
    );
    check(
        "TZ=Europe/Berlin 30 * * * *",
        "2026-03-29T00:00:00Z",
        &["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"],
    );
    check(
        "TZ=Australia/Lord_Howe 0 * * * *",
        "2026-04-04T14:10:00Z",
        &["2026-04-04T15:30:00Z", "2026-04-04T16:30:00Z"],
    );
}

const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Africa/Cairo",
    "America/Santiago",
    "UTC",
];

/// A field as it is written, and whether it takes a value.
#[derive(Debug, Clone)]
struct Field {
    text: String,
    values: BTreeSet<i8>,
}

fn field(least: i8, most: i8) -> impl Strategy<Value = Field> {
    let all: BTreeSet<i8> = (least..=most).collect();
    let star = Field {
        text: "*".to_owned(),
        values: all.clone(),
    };
    let step = (2..most).prop_map(move |step| Field {
        text: format!("*/{step}"),
        values: all
            .iter()
            .copied()
            .filter(|value| (value - least) % step == 0)
            .collect(),
    });
    let range = (least..=most, 0..4_i8).prop_map(move |(first, more)| {
        let last = most.min(first + more);
        Field {
            text: format!("{first}-{last}"),
            values: (first..=last).collect(),
        }
    });
    let list = prop::collection::btree_set(least..=most, 1..4).prop_map(|values| {
        let texts: Vec<_> = values.iter().map(i8::to_string).collect();
        Field {
            text: texts.join(","),
            values,
        }
    });
    prop_oneof![2 => Just(star), 1 => step, 1 => range, 2 => list]
}

#[derive(Debug, Clone)]
struct Fields {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Fields {
    fn text(&self) -> String {
        let Self {
            minute,
            hour,
            day,
            month,
            weekday,
        } = self;
        [minute, hour, day, month, weekday]
            .map(|field| field.text.as_str())
            .join(" ")
    }

    fn fits(&self, local: DateTime) -> bool {
        let day = self.day.values.contains(&local.day());
        let weekday = local.weekday().to_sunday_zero_offset();
        let weekday = self.weekday.values.contains(&weekday);
        let date = if self.day.text == "*" || self.weekday.text == "*" {
            day && weekday
        } else {
            day || weekday
        };
        date && self.minute.values.contains(&local.minute())
            && self.hour.values.contains(&local.hour())
            && self.month.values.contains(&local.month())
    }
}

fn fields() -> impl Strategy<Value = Fields> {
    let hour = prop_oneof![1 => field(0, 23), 2 => field(0, 3)];
    let rarely = |field: BoxedStrategy<Field>, least, most| {
        let star = Field {
            text: "*".to_owned(),
            values: (least..=most).collect(),
        };
        prop_oneof![3 => Just(star), 1 => field]
    };
    (
        field(0, 59),
        hour,
        rarely(field(1, 31).boxed(), 1, 31),
        rarely(field(1, 12).boxed(), 1, 12),
        rarely(field(0, 6).boxed(), 0, 6),
    )
        .prop_map(|(minute, mut hour, day, month, weekday)| {
            if hour.text == "*" {
                hour.values = (0..24).collect();
            } else if let Some(step) = hour.text.strip_prefix("*/") {
                let step: i8 = step.parse().unwrap();
                hour.values = (0..24).filter(|hour| hour % step == 0).collect();
            }
            Fields {
                minute,
                hour,
                day,
                month,
                weekday,
            }
        })
}

/// All times within some days, found minute by minute.
fn walked(
    fields: &Fields,
    zone: &TimeZone,
    begin: jiff::Timestamp,
    end: jiff::Timestamp,
) -> Vec<i64> {
    let mut found = BTreeSet::new();
    if fields.hour.values.len() == 24 {
        let mut at = begin;
        while at < end {
            if fields.fits(zone.to_datetime(at)) {
                found.insert(at);
            }
            at += SignedDuration::from_mins(1);
        }
    } else {
        let mut local = zone.to_datetime(begin - SignedDuration::from_hours(2));
        let last = zone.to_datetime(end + SignedDuration::from_hours(2));
        while local <= last {
            if fields.fits(local) {
                found.insert(first_instant(zone, local));
            }
            local += 1.minute();
        }
    }
    found
        .into_iter()
        .filter(|at| begin < *at && *at < end)
        .map(jiff::Timestamp::as_millisecond)
        .collect()
}

fn first_instant(zone: &TimeZone, mut local: DateTime) -> jiff::Timestamp {
    loop {
        let ambiguous = zone.to_ambiguous_timestamp(local);
        if !matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
            return ambiguous.earlier().unwrap();
        }
        local += 1.minute();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_next_time_is_the_one_that_a_walk_finds(
        fields in fields(), zone in prop::sample::select(ZONES.to_vec()), year in 1990_i16..2100, change in 0..3_usize, day in 0..366_i64,
        hours in 20..60_i64,
    ) {
        let schedule = parse(&format!("TZ={zone} {}", fields.text()));
        let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
        let new_year = jiff::civil::date(year, 1, 1).to_datetime(jiff::civil::Time::midnight());
        let new_year = TimeZone::UTC.to_timestamp(new_year).unwrap();
        // Around a change of the clocks, when there is one.
        let near = zone.following(new_year).nth(change).map(|change| change.timestamp());
        let near = near.filter(|_| change < 2).unwrap_or(new_year + SignedDuration::from_hours(24 * day));
        let begin = near - SignedDuration::from_hours(hours - 10);
        let end = near + SignedDuration::from_hours(hours);
        let mut found = Vec::new();
        let mut after = begin.into();
        while let Some(next) = schedule.next_after(after) && next < end.into() {
            prop_assert!(next > after);
            found.push(next.as_millis());
            after = next;
        }
        prop_assert_eq!(found, walked(&fields, &zone, begin, end), "{}", schedule);
    }

    /// Wherever one asks from, the answer is the same as on the way through all of them.
    #[test]
    fn the_next_time_does_not_depend_on_the_one_before(
        fields in fields(), zone in prop::sample::select(ZONES.to_vec()), minutes in 0..(20 * 366 * 24 * 60_i64), seconds in 0..60_i64,
    ) {
        let schedule = parse(&format!("TZ={zone} {}", fields.text()));
        let start = "2020-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap();
        let at = start + SignedDuration::from_secs(minutes * 60 + seconds);
        if let Some(next) = schedule.next_after(at.into()) {
            prop_assert!(next > at.into());
            let just_before = stepcast_protocol::Timestamp::from_millis(next.as_millis() - 1);
            prop_assert_eq!(schedule.next_after(just_before), Some(next));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9a-zA-Z*/,?@= -]{0,24}") {
        drop(super::Schedule::parse(&text));
    }
}
