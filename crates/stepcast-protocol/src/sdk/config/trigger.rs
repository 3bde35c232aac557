//! What starts a function.

use std::{fmt, time::Duration};

use serde_json::Value;

use super::{error::ConfigError, options::Options};
use crate::{limits, pattern::EventPattern};

/// One thing that starts a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// An event.
    Event {
        /// Its name.
        event: EventPattern,
        /// What must hold of it.
        expression: Option<String>,
    },
    /// A time.
    Cron(Cron),
}

/// Times that come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    /// The five fields: minute, hour, day of month, month, day of week. Their values are not checked here.
    pub fields: [String; 5],
    /// The time zone, e.g. `Europe/Berlin`; UTC when there is none.
    pub timezone: Option<String>,
    /// Up to so much later, by chance.
    pub jitter: Option<Duration>,
}

impl Cron {
    /// Reads five fields, with or without a time zone before them; nothing for any other text.
    fn parse(text: &str, jitter: Option<Duration>) -> Option<Self> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let timezone = words.first().and_then(|word| {
            let zone = word.strip_prefix("CRON_TZ=");
            zone.or_else(|| word.strip_prefix("TZ="))
        });
        if timezone.is_some() {
            words.remove(0);
        }
        let allowed = |char: char| char.is_ascii_alphanumeric() || "*/,-?#".contains(char);
        let words: [&str; 5] = words.try_into().ok()?;
        if timezone.is_some_and(str::is_empty)
            || !words.iter().all(|word| word.chars().all(allowed))
        {
            return None;
        }
        Some(Self {
            fields: words.map(str::to_owned),
            timezone: timezone.map(str::to_owned),
            jitter,
        })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(timezone) = &self.timezone {
            write!(f, "TZ={timezone} ")?;
        }
        f.write_str(&self.fields.join(" "))
    }
}

pub(super) fn read(options: &Options<'_>) -> Result<Vec<Trigger>, ConfigError> {
    let triggers = options.objects("triggers", limits::TRIGGERS_PER_FUNCTION)?;
    triggers.iter().map(trigger).collect()
}

fn trigger(options: &Options<'_>) -> Result<Trigger, ConfigError> {
    match (options.text("event")?, options.text("cron")?) {
        (Some(_), None) => Ok(Trigger::Event {
            event: pattern(options)?,
            expression: options.expression("expression")?,
        }),
        (None, Some(text)) => cron(options, text),
        (Some(_), Some(text)) => Err(options.wrong(
            "cron",
            &Value::from(text),
            "a trigger of its own, without `event`",
        )),
        (None, None) => Err(options.missing("event", "an event's name, or `cron`")),
    }
}

/// The event that an object names.
pub(super) fn pattern(options: &Options<'_>) -> Result<EventPattern, ConfigError> {
    let name = options
        .event("event")?
        .ok_or_else(|| options.missing("event", "an event's name"))?;
    EventPattern::parse(&name).map_err(|_| {
        options.wrong(
            "event",
            &Value::from(&*name),
            "a name with `*` at most at its end",
        )
    })
}

fn cron(options: &Options<'_>, text: &str) -> Result<Trigger, ConfigError> {
    let jitter = options.duration("jitter")?;
    let allowed = limits::JITTER_MIN..=limits::JITTER_MAX;
    if let Some(jitter) = jitter
        && !allowed.contains(&jitter)
    {
        let value = Value::from(format!("{jitter:?}"));
        return Err(options.wrong("jitter", &value, "1s to 5m"));
    }
    let cron = Cron::parse(text, jitter).ok_or_else(|| {
        let expected = "five fields, with or without `TZ=Area/City ` before them";
        options.wrong("cron", &Value::from(text), expected)
    })?;
    Ok(Trigger::Cron(cron))
}
