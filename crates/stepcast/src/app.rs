//! What a program brings: its functions and its channels.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use stepcast_engine::runs::{FunctionConfig, Retry};
use stepcast_protocol::{
    ErrorCode, Event as StoredEvent, EventName, FunctionId, Manifest, NameError, limits,
};

use crate::{
    channel::Channel,
    channels::Channels,
    context::Ctx,
    error::Error,
    event::Event,
    execution::{Body, Execution, StepDefaults},
};

/// The functions and channels of a program.
///
/// ```
/// # use stepcast::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Event, Serialize, Deserialize)] #[event("app/greet")] struct Greet { name: String }
/// async fn greet(ctx: Ctx<Greet>) -> Result<String, Error> {
///     Ok(format!("Hello {}", ctx.event.name))
/// }
///
/// let app = App::new("greeter").function(function("greet", greet).retries(2));
/// ```
#[derive(Debug)]
pub struct App {
    name: String,
    pub(crate) functions: Vec<Function>,
    pub(crate) channels: Channels,
    pub(crate) problem: Option<Error>,
}

impl App {
    /// An app without functions. The name appears in logs.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            functions: Vec::new(),
            channels: Channels::default(),
            problem: None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a function.
    #[must_use]
    pub fn function(mut self, function: Function) -> Self {
        self.functions.push(function);
        self
    }

    /// Declares a channel type, so that messages published over HTTP are checked against it from the start, and so that two channels which
    /// can have the same name are found when the app is opened. A channel that is not declared is known from its first use on.
    #[must_use]
    pub fn channel<C: Channel>(mut self) -> Self {
        if let Err(error) = self.channels.declare::<C>() {
            self.problem.get_or_insert(error);
        }
        self
    }

    /// The channels that are declared with [`App::channel`], for code generators; what it prints is JSON. No engine is opened.
    ///
    /// ```
    /// # use schemars::JsonSchema;
    /// # use serde::{Deserialize, Serialize};
    /// # use stepcast::prelude::*;
    /// # #[derive(Channel, Serialize, Deserialize, JsonSchema)] #[channel("chat:{room}")] enum Chat { Said { text: String } }
    /// let app = App::new("chat").channel::<Chat>();
    /// if std::env::args().nth(1).as_deref() == Some("manifest") {
    ///     println!("{}", app.manifest()?);
    /// }
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// `bad_channel` when two of them can have the same name.
    pub fn manifest(&self) -> Result<Manifest, Error> {
        match &self.problem {
            Some(problem) => Err(problem.again()),
            None => Ok(self.channels.manifest()),
        }
    }
}

/// A function with its settings. Made by [`function`].
pub struct Function {
    id: String,
    trigger: &'static str,
    concurrency: usize,
    exposes_result: bool,
    pub(crate) retry: Retry,
    pub(crate) defaults: StepDefaults,
    pub(crate) handler: Arc<dyn Handler>,
}

/// Makes a function of an async fn: `id` is its name for ever (runs are stored under it), the event type of its [`Ctx`] is its trigger.
///
/// A failed attempt of the body, or of a step, is tried again 4 times unless [`Function::retries`] says otherwise.
#[must_use]
pub fn function<E, T, F, Fut>(id: impl Into<String>, handler: F) -> Function
where
    E: Event,
    T: Serialize + Send + 'static,
    F: Fn(Ctx<E>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, Error>> + Send + 'static,
{
    let call = move |event: E, execution: Arc<Execution>| -> Body {
        let future = handler(Ctx::new(event, execution));
        Box::pin(async move { encode(&future.await?) })
    };
    Function {
        id: id.into(),
        trigger: E::NAME,
        concurrency: limits::CONCURRENCY_PER_FUNCTION,
        exposes_result: false,
        retry: Retry::default(),
        defaults: StepDefaults {
            retry: Retry::default(),
            timeout: limits::STEP_TIMEOUT,
        },
        handler: Arc::new(Typed {
            call,
            event: std::marker::PhantomData::<fn(E)>,
        }),
    }
}

impl Function {
    /// So many retries after a failure, of the body as of each step. Pauses start at 1 s, double, and reach at most 5 min.
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        self.retry(Retry::times(retries))
    }

    /// How failures are tried again, of the body as of each step.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self.defaults.retry = retry;
        self
    }

    /// How long one attempt of a step may take (2 h), unless the step says otherwise.
    #[must_use]
    pub fn step_timeout(mut self, timeout: Duration) -> Self {
        self.defaults.timeout = timeout;
        self
    }

    /// How many of its runs execute at once (64).
    #[must_use]
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self {
            concurrency,
            ..self
        }
    }

    /// Shows what the function returned to every page of npm `inngest` that is told of the end of a run. Without it, only those who may read
    /// the topic `$run` see it.
    #[must_use]
    pub fn expose_result(self) -> Self {
        Self {
            exposes_result: true,
            ..self
        }
    }

    pub(crate) fn config(&self) -> Result<FunctionConfig, NameError> {
        let config = FunctionConfig::new(
            FunctionId::parse(&self.id)?,
            vec![EventName::parse(self.trigger)?],
        );
        Ok(FunctionConfig {
            concurrency: self.concurrency.max(1),
            exposes_result: self.exposes_result,
            ..config
        })
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("id", &self.id)
            .field("trigger", &self.trigger)
            .finish_non_exhaustive()
    }
}

/// A function without its types.
pub(crate) trait Handler: Send + Sync {
    fn call(&self, event: &StoredEvent, execution: Arc<Execution>) -> Body;
}

struct Typed<E, F> {
    call: F,
    event: std::marker::PhantomData<fn(E)>,
}

impl<E, F> Handler for Typed<E, F>
where
    E: Event,
    F: Fn(E, Arc<Execution>) -> Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send>>
        + Send
        + Sync,
{
    fn call(&self, event: &StoredEvent, execution: Arc<Execution>) -> Body {
        match serde_json::from_slice(&event.data) {
            Ok(data) => (self.call)(data, execution),
            Err(error) => {
                let text = format!(
                    "data of event `{}` does not fit its type: {error}",
                    event.name
                );
                Box::pin(std::future::ready(Err(Error::coded(
                    ErrorCode::BadEvent,
                    text,
                )
                .terminal())))
            }
        }
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Bytes, Error> {
    let json = serde_json::to_vec(value).map_err(|error| {
        Error::coded(
            ErrorCode::BadResult,
            format!("the function's result cannot be written as JSON: {error}"),
        )
        .terminal()
    })?;
    if json.len() > limits::MEMO_BYTES {
        let text = format!(
            "the function's result has {} bytes, at most {} are allowed; keep large values elsewhere and return a reference",
            json.len(),
            limits::MEMO_BYTES
        );
        return Err(Error::coded(ErrorCode::TooLarge, text).terminal());
    }
    Ok(json.into())
}
