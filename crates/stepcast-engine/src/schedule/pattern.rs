//! The five fields of a schedule, and the local times that fit them.

use jiff::{
    ToSpan,
    civil::{Date, DateTime, Time},
};

/// Years after which a date that has not come never comes: at most eight lie between two 29ths of February.
const YEARS: i16 = 9;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What must be true of a local time, a bit for each value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pattern {
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field {
    bits: u64,
    /// It begins with `*` and takes every value.
    is_any: bool,
}

impl Field {
    const fn has(self, value: i8) -> bool {
        self.bits >> value & 1 == 1
    }
}

/// What a field is called, and which values it takes.
struct Kind {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const KINDS: [Kind; 5] = [
    Kind {
        name: "minute",
        least: 0,
        most: 59,
        names: &[],
    },
    Kind {
        name: "hour",
        least: 0,
        most: 23,
        names: &[],
    },
    Kind {
        name: "day of month",
        least: 1,
        most: 31,
        names: &[],
    },
    Kind {
        name: "month",
        least: 1,
        most: 12,
        names: &MONTHS,
    },
    // 7 is Sunday as well.
    Kind {
        name: "day of week",
        least: 0,
        most: 7,
        names: &WEEKDAYS,
    },
];

impl Pattern {
    /// Reads the fields, or says what is wrong with them.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = match text.trim() {
            nickname if nickname.starts_with('@') => long_form(nickname)?.split(' ').collect(),
            fields => fields.split_whitespace().collect(),
        };
        let &[minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!(
                "{} fields instead of 5: minute, hour, day of month, month, day of week, as in `0 9 * * MON-FRI`",
                fields.len()
            ));
        };
        let [minute, hour, day, month, weekday] = &KINDS;
        let mut weekdays = weekday.parse(weekdays)?;
        weekdays.bits |= weekdays.bits >> 7 & 1;
        Ok(Self {
            minutes: minute.parse(minutes)?,
            hours: hour.parse(hours)?,
            days: day.parse(days)?,
            months: month.parse(months)?,
            weekdays,
        })
    }

    /// Whether no hour is left out.
    pub(super) const fn is_every_hour(&self) -> bool {
        self.hours.bits == (1 << 24) - 1
    }

    /// Whether this is one of its times.
    pub(super) fn is_at(&self, local: DateTime) -> bool {
        local.second() == 0
            && local.subsec_nanosecond() == 0
            && self.fits(local.date())
            && self.hours.has(local.hour())
            && self.minutes.has(local.minute())
    }

    /// The first of its times after this one, on a clock that is never changed.
    pub(super) fn next_after(&self, local: DateTime) -> Option<DateTime> {
        let today = local.date();
        if self.fits(today)
            && let Some(time) = self.time_after(local.time())
        {
            return Some(today.to_datetime(time));
        }
        let first = self.time_from(0, 0)?;
        let mut date = today.tomorrow().ok()?;
        while date.year() - today.year() <= YEARS {
            if self.fits(date) {
                return Some(date.to_datetime(first));
            }
            date = if self.months.has(date.month()) {
                date.tomorrow().ok()?
            } else {
                date.first_of_month().checked_add(1.month()).ok()?
            };
        }
        None
    }

    /// When both day fields leave days out, one of them is enough, as everywhere with cron.
    fn fits(&self, date: Date) -> bool {
        let day = self.days.has(date.day());
        let weekday = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        let fits = if self.days.is_any || self.weekdays.is_any {
            day && weekday
        } else {
            day || weekday
        };
        fits && self.months.has(date.month())
    }

    fn time_after(&self, time: Time) -> Option<Time> {
        self.time_from(time.hour(), time.minute() + 1)
    }

    fn time_from(&self, hour: i8, minute: i8) -> Option<Time> {
        if self.hours.has(hour)
            && let Some(minute) = (minute..60).find(|&minute| self.minutes.has(minute))
        {
            return Some(Time::constant(hour, minute, 0, 0));
        }
        let hour = (hour + 1..24).find(|&hour| self.hours.has(hour))?;
        let minute = (0..60).find(|&minute| self.minutes.has(minute))?;
        Some(Time::constant(hour, minute, 0, 0))
    }
}

fn long_form(nickname: &str) -> Result<&'static str, String> {
    Ok(match nickname.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            return Err(format!(
                "`{nickname}` has no meaning; use @hourly, @daily, @weekly, @monthly or @yearly, or fields such as `*/5 * * * *`"
            ));
        }
    })
}

impl Kind {
    fn parse(&self, text: &str) -> Result<Field, String> {
        let mut field = Field {
            bits: 0,
            is_any: false,
        };
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(self.step(step)?)),
                None => (part, None),
            };
            let is_star = matches!(range, "*" | "?");
            let (first, last) = if is_star {
                (self.least, self.last_of_star())
            } else if let Some((first, last)) = range.split_once('-') {
                self.range(range, first, last)?
            } else {
                let only = self.value(range)?;
                let last = if step.is_some() {
                    self.last_of_star()
                } else {
                    only
                };
                (only, last.max(only))
            };
            let step = step.unwrap_or(1);
            field.is_any |= is_star && step == 1;
            for value in (first..=last).step_by(step) {
                field.bits |= 1 << value;
            }
        }
        Ok(field)
    }

    /// The largest value that `*` stands for; it counts Sundays once.
    fn last_of_star(&self) -> u32 {
        if self.most == 7 { 6 } else { self.most }
    }

    fn range(&self, range: &str, first: &str, last: &str) -> Result<(u32, u32), String> {
        let (first, mut last) = (self.value(first)?, self.value(last)?);
        if last == 0 && self.most == 7 && first > 0 {
            last = 7;
        }
        if first > last {
            return Err(format!(
                "the {} `{range}` goes backwards; write two ranges with a comma between them",
                self.name
            ));
        }
        Ok((first, last))
    }

    fn step(&self, step: &str) -> Result<usize, String> {
        let parsed = digits(step).and_then(|step| usize::try_from(step).ok());
        parsed.filter(|&step| step > 0).ok_or_else(|| {
            format!(
                "the step `{step}` of the {} is no number above 0; write it as in `*/5`",
                self.name
            )
        })
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().zip(self.least..);
        let by_name = named
            .filter(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, value)| value)
            .next();
        let value = by_name.or_else(|| digits(text));
        let allowed = self.least..=self.most;
        value.filter(|value| allowed.contains(value)).ok_or_else(|| {
            let names = match self.names {
                [first, .., last] => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            format!(
                "the {} `{text}` is not {} to {}{names}; ranges are written 1-5, lists 1,5, steps */5",
                self.name, self.least, self.most
            )
        })
    }
}

/// A number without a sign.
fn digits(text: &str) -> Option<u32> {
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}
