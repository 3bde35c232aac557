//! The JSON of a call.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Call, Checkpoints, Immediate, State};
use crate::{
    ids::RunId,
    sdk::{
        canonical::{CanonicalError, canonical},
        event::SdkEvent,
        json::Json,
        memo::Memo,
        step::StepHash,
        version::ProtocolVersion,
    },
};

/// The one node of the function's graph.
pub(super) const STEP: &str = "step";

pub(super) fn write(call: &Call, state: State) -> Result<String, CanonicalError> {
    canonical(Json::of(&Body::new(call, state)).get())
}

#[derive(Serialize)]
struct Body<'a> {
    ctx: Context<'a>,
    defers: Nothing,
    event: Option<&'a SdkEvent>,
    events: &'a [SdkEvent],
    steps: Steps<'a>,
    use_api: bool,
    version: ProtocolVersion,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Steps<'a> {
    Inline(&'a BTreeMap<StepHash, Memo>),
    Fetched(Nothing),
}

#[derive(Serialize)]
struct Context<'a> {
    attempt: u32,
    disable_immediate_execution: bool,
    env: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fn_id: Option<&'a str>,
    generation_id: u64,
    job_id: &'a str,
    max_attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    qi_id: Option<&'a str>,
    request_id: &'a str,
    run_id: RunId,
    stack: Stack<'a>,
    step_id: &'static str,
    use_api: bool,
}

#[derive(Serialize)]
struct Stack<'a> {
    current: usize,
    stack: &'a [StepHash],
}

#[derive(Serialize)]
struct Nothing {}

impl<'a> Body<'a> {
    fn new(call: &'a Call, state: State) -> Self {
        let use_api = state == State::Fetched;
        Self {
            ctx: Context::new(call, use_api),
            defers: Nothing {},
            event: call.events.first(),
            events: match state {
                State::Inline => &call.events,
                State::Fetched => &[],
            },
            steps: match state {
                State::Inline => Steps::Inline(&call.steps),
                State::Fetched => Steps::Fetched(Nothing {}),
            },
            use_api,
            version: call.version,
        }
    }
}

impl<'a> Context<'a> {
    fn new(call: &'a Call, use_api: bool) -> Self {
        let dispatch = &call.dispatch;
        let (fn_id, qi_id) = match &dispatch.checkpoints {
            Checkpoints::Off => (None, None),
            Checkpoints::On {
                function,
                queue_item,
            } => (Some(&**function), Some(&**queue_item)),
        };
        Self {
            attempt: call.attempt,
            disable_immediate_execution: call.immediate == Immediate::Planned,
            env: "",
            fn_id,
            generation_id: dispatch.generation,
            job_id: &dispatch.job,
            max_attempts: call.max_attempts,
            qi_id,
            request_id: &dispatch.request,
            run_id: call.run,
            stack: Stack {
                current: call.stack.len(),
                stack: &call.stack,
            },
            step_id: STEP,
            use_api,
        }
    }
}
