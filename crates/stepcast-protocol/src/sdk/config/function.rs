//! One function.

use serde_json::{Map, Value};

use super::{
    error::ConfigError,
    limit::{self, Cancel, Concurrency, Timeouts},
    options::Options,
    trigger::{self, Trigger},
    url::StepUrl,
};
use crate::{limits, names::FunctionId};

/// What an app says of one of its functions.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionConfig {
    /// Its id, which begins with the app's: `<app>-<function>`.
    pub id: FunctionId,
    /// What its developers call it; its id when they say nothing.
    pub name: String,
    /// What starts it. Nothing does when only other functions call it.
    pub triggers: Vec<Trigger>,
    /// Where it is called.
    pub url: StepUrl,
    /// How often a step is tried again; nothing when the server decides.
    pub retries: Option<u32>,
    /// How many of its steps may execute at once.
    pub concurrency: Vec<Concurrency>,
    /// Events for which this gives the same value start it once a day.
    pub idempotency: Option<String>,
    /// Events that cancel its runs.
    pub cancel: Vec<Cancel>,
    /// How long its runs may wait and run.
    pub timeouts: Timeouts,
    /// What it asks for and would not get.
    pub unsupported: Vec<Unsupported>,
}

macro_rules! unsupported {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// An option that Stepcast does not follow.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Unsupported {
            $($(#[$doc])* $name,)*
        }

        impl Unsupported {
            /// Every such option.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in a function's configuration.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

unsupported! {
    /// Starts too many in a period are dropped.
    RateLimit = "rateLimit";
    /// Starts too many in a period wait.
    Throttle = "throttle";
    /// Starts wait for silence.
    Debounce = "debounce";
    /// Runs overtake others.
    Priority = "priority";
    /// One run at a time.
    Singleton = "singleton";
    /// Several events start one run.
    BatchEvents = "batchEvents";
}

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FunctionConfig {
    /// Reads the function that is the `number`th of its app, from 1.
    pub(super) fn read(number: usize, value: &Value) -> Result<Self, ConfigError> {
        let empty = Map::new();
        let object = value.as_object().unwrap_or(&empty);
        let id = object.get("id").and_then(Value::as_str).unwrap_or_default();
        let id = FunctionId::parse(id).map_err(|source| ConfigError::Id { number, source })?;
        let options = Options::of_function(&id, object);
        let step = step(&options)?;
        Ok(Self {
            name: options.text("name")?.unwrap_or(&id).to_owned(),
            triggers: trigger::read(&options)?,
            url: url(&step)?,
            retries: retries(&step)?,
            concurrency: limit::concurrency(&options)?,
            idempotency: options.expression("idempotency")?,
            cancel: limit::cancel(&options)?,
            timeouts: limit::timeouts(&options)?,
            unsupported: unsupported(&options),
            id: id.clone(),
        })
    }
}

/// The one node of the function's graph.
fn step<'a>(options: &Options<'a>) -> Result<Options<'a>, ConfigError> {
    let steps = options.object("steps")?;
    let step = steps.map(|steps| steps.object("step")).transpose()?;
    step.flatten()
        .ok_or_else(|| options.missing("steps.step", "an object with `runtime`"))
}

fn url(step: &Options<'_>) -> Result<StepUrl, ConfigError> {
    const EXPECTED: &str = "an absolute http or https URL";
    let runtime = step
        .object("runtime")?
        .ok_or_else(|| step.missing("runtime", "an object with `type` and `url`"))?;
    let kind = runtime.text("type")?.unwrap_or("http");
    if kind != "http" {
        let expected = "`http`: serve the app over HTTP; workers that connect are not supported";
        return Err(runtime.wrong("type", &Value::from(kind), expected));
    }
    let text = runtime
        .text("url")?
        .ok_or_else(|| runtime.missing("url", EXPECTED))?;
    StepUrl::parse(text).ok_or_else(|| runtime.wrong("url", &Value::from(text), EXPECTED))
}

fn retries(step: &Options<'_>) -> Result<Option<u32>, ConfigError> {
    let Some(retries) = step.object("retries")? else {
        return Ok(None);
    };
    retries.number("attempts", limits::RETRIES, "a whole number from 0 to 20")
}

fn unsupported(options: &Options<'_>) -> Vec<Unsupported> {
    let asked = |option: &&Unsupported| options.value(option.as_str()).is_some();
    Unsupported::ALL.iter().filter(asked).copied().collect()
}
