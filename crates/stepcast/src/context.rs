//! What a function is given.

use std::sync::Arc;

use stepcast_engine::hub::Draft;
use stepcast_protocol::{ErrorCode, Origin, RunId, StepId};

use crate::{
    channel::{Channel, ChannelAt},
    error::Error,
    execution::{AttemptScope, Execution},
    step::Step,
};

/// One execution of a function: its event, and the verbs whose results are remembered.
///
/// Between steps a function may run again from its beginning, after a restart for instance; steps that have ended then give their
/// recorded results. So await nothing but the context between steps (and combinations such as `tokio::join!` of its futures): other
/// waiting, and everything with an effect, belongs into a step.
#[derive(Debug)]
pub struct Ctx<E> {
    /// What started the run.
    pub event: E,
    execution: Arc<Execution>,
}

impl<E> Ctx<E> {
    pub(crate) fn new(event: E, execution: Arc<Execution>) -> Self {
        Self { event, execution }
    }

    /// The run's id.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.execution.run
    }

    /// Which attempt of the function this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.execution.attempt
    }

    /// A step: a piece of work whose result is recorded. The id is used once per execution; in a loop, number it: `format!("fetch-{i}")`.
    pub fn step(&self, id: impl AsRef<str>) -> Step {
        Step::new(Arc::clone(&self.execution), id.as_ref())
    }

    /// Publishes a message that is not durable: readers see it at once, and a crash may lose the last few milliseconds of them.
    ///
    /// Inside a step the message belongs to the step's attempt: when that fails, its messages are taken back, and those of the next
    /// attempt stand in their place. Outside a step it belongs to the function: a replay that comes to the same message on the same topic
    /// again takes it as published, up to [`BODY_MESSAGES_PER_RUN`](stepcast_protocol::limits::BODY_MESSAGES_PER_RUN) of them. So a
    /// message with a time or a random value in it belongs into a step.
    ///
    /// # Errors
    /// `bad_channel`, `schema_violation`, `too_large`, `too_many_body_publishes`, `no_space`, and `lease_lost` when another execution of the run has taken over.
    pub async fn publish<C: Channel>(
        &self,
        channel: &ChannelAt<C>,
        message: C,
    ) -> Result<(), Error> {
        let _held = self.execution.hold_results();
        publish(&self.execution, channel, &message, self.execution.origin()).await
    }

    /// A handle that publishes from spawned tasks and threads. Taken inside a step it is bound to the attempt, and refuses once that is over.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        let attempt = self.execution.current_attempt();
        Publisher {
            origin: self.execution.origin(),
            execution: Arc::clone(&self.execution),
            attempt,
        }
    }
}

/// Publishes for a run from wherever it is sent to.
#[derive(Debug, Clone)]
pub struct Publisher {
    execution: Arc<Execution>,
    origin: Arc<Origin>,
    attempt: Option<Arc<AttemptScope>>,
}

impl Publisher {
    /// Publishes as [`Ctx::publish`] does.
    ///
    /// # Errors
    /// Those of [`Ctx::publish`], and `attempt_over` when the attempt or the run it was taken in has ended.
    pub async fn publish<C: Channel>(
        &self,
        channel: &ChannelAt<C>,
        message: C,
    ) -> Result<(), Error> {
        if self.execution.is_closed()
            || self
                .attempt
                .as_ref()
                .is_some_and(|attempt| attempt.is_over())
        {
            return Err(self.over());
        }
        publish(&self.execution, channel, &message, Arc::clone(&self.origin)).await
    }

    fn over(&self) -> Error {
        let step = self.origin.step.as_ref().map_or("", StepId::as_str);
        let text = if step.is_empty() {
            format!(
                "run {} is not executing here any more; nothing can be published for it",
                self.origin.run
            )
        } else {
            format!(
                "attempt {} of step `{step}` is over; publish before the step's future ends",
                self.origin.attempt
            )
        };
        Error::coded(ErrorCode::AttemptOver, text)
    }
}

async fn publish<C: Channel>(
    execution: &Execution,
    channel: &ChannelAt<C>,
    message: &C,
    origin: Arc<Origin>,
) -> Result<(), Error> {
    let name = channel.name()?;
    let encoded = execution.channels.encode(name, message)?;
    if origin.step.is_none() && execution.take_settled(name, &encoded) {
        return Ok(());
    }
    let draft = Draft::new(encoded.topic, encoded.keep, encoded.payload, Some(origin));
    let published = execution.lease.publish(name, draft).await;
    published.map(|_| ()).map_err(Error::engine)
}
