//! What a function is called with.

mod body;

use std::collections::BTreeMap;

use crate::{
    ids::RunId,
    limits,
    sdk::{
        canonical::CanonicalError, config::StepUrl, event::SdkEvent, headers, memo::Memo,
        step::StepHash, version::ProtocolVersion,
    },
};

/// One call of a function, which finds out what it does next or runs one step that was planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The run.
    pub run: RunId,
    /// What the function is to do.
    pub target: Target,
    /// Which attempt this is, from 0.
    pub attempt: u32,
    /// How many attempts there are, the first one included.
    pub max_attempts: u32,
    /// The events that started the run; the first one is the function's `event`.
    pub events: Vec<SdkEvent>,
    /// What is remembered of its steps.
    pub steps: BTreeMap<StepHash, Memo>,
    /// The steps in the order in which they were remembered, so that races end as they did.
    pub stack: Vec<StepHash>,
    /// Whether the SDK may run a step in the call that finds it.
    pub immediate: Immediate,
    /// Who asks, and whether steps are reported before the answer.
    pub dispatch: Dispatch,
    /// The version in which the run goes on.
    pub version: ProtocolVersion,
}

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Finding out what the function does next.
    Function,
    /// Running one step that was planned.
    Step(StepHash),
}

/// Whether an SDK may run a step in the call that finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Immediate {
    /// It runs the step.
    Allowed,
    /// It plans the step. So it is inside a parallel group.
    Planned,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// The id of this one request.
    pub request: String,
    /// The item that is worked on; it stays the same when it is tried again.
    pub job: String,
    /// How often the item was given out, from 1.
    pub generation: u64,
    /// Whether steps are reported before the answer.
    pub checkpoints: Checkpoints,
}

/// Whether an SDK reports steps before its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkpoints {
    /// It answers after each step.
    Off,
    /// It goes on, and reports each step with these two. They say nothing to it.
    On {
        /// The function.
        function: String,
        /// The item in the queue.
        queue_item: String,
    },
}

/// The body of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallBody {
    /// Canonical JSON, so that the SDK signs the same bytes.
    pub json: String,
    /// Whether it holds the run's state.
    pub state: State,
}

/// Where the steps and events of a call are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// In its body.
    Inline,
    /// The body would be too large; the SDK fetches them.
    Fetched,
}

impl Call {
    /// Writes the body. Steps and events are left out if it had more than [`limits::CALL_BYTES`].
    ///
    /// # Errors
    /// [`CanonicalError`] when a value in it is nested too deeply or has a number that is too large.
    pub fn body(&self) -> Result<CallBody, CanonicalError> {
        let inline = CallBody {
            json: body::write(self, State::Inline)?,
            state: State::Inline,
        };
        if inline.json.len() <= limits::CALL_BYTES {
            return Ok(inline);
        }
        Ok(CallBody {
            json: body::write(self, State::Fetched)?,
            state: State::Fetched,
        })
    }

    /// Where it goes, for a function that is called at this URL.
    #[must_use]
    pub fn url(&self, function: &StepUrl) -> String {
        match self.target {
            Target::Function => function.to_string(),
            Target::Step(step) => function.for_step(step),
        }
    }

    /// The headers that go with the body, except for its signature.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let Dispatch {
            request,
            job,
            generation,
            checkpoints: _,
        } = &self.dispatch;
        let step = match self.target {
            Target::Function => body::STEP.to_owned(),
            Target::Step(step) => step.to_string(),
        };
        vec![
            ("content-type", "application/json".to_owned()),
            (headers::RUN_ID, self.run.to_string()),
            (headers::REQUEST_ID, request.clone()),
            (headers::JOB_ID, job.clone()),
            (headers::GENERATION_ID, generation.to_string()),
            (headers::STEP_ID, step),
            (headers::REQUEST_VERSION, self.version.number().to_string()),
        ]
    }
}

#[cfg(test)]
mod tests;
