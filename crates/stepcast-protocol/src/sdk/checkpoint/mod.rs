//! What an SDK reports before it answers a call: `POST /v1/checkpoint/{run}/async`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    error::ErrorCode,
    ids::RunId,
    sdk::op::{Op, OpError, read_ops},
};

/// Steps that are over while the call goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The run.
    pub run: RunId,
    /// What the call gave as its function.
    pub function: String,
    /// What the call gave as its item in the queue.
    pub queue_item: String,
    /// The request that it belongs to, so that one which is no longer current can be told.
    pub request: Option<String>,
    /// How often the item had been given out.
    pub generation: Option<u64>,
    /// What is reported, in the order in which it takes place.
    pub ops: Vec<Op>,
}

/// Why a checkpoint is refused.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It cannot be read.
    #[error("the checkpoint cannot be read: {0}")]
    NotACheckpoint(#[from] serde_json::Error),
    /// Its ops cannot be read.
    #[error(transparent)]
    Ops(#[from] OpError),
    /// It is sent to another run than it names.
    #[error("the checkpoint is of run `{run}`, but was sent to run `{sent_to}`")]
    AnotherRun {
        /// The run in the body.
        run: RunId,
        /// The run in the path.
        sent_to: RunId,
    },
    /// An op that belongs in an answer.
    #[error("`{opcode}` cannot be in a checkpoint, only in the answer to a call")]
    Opcode {
        /// Its name.
        opcode: String,
    },
}

impl CheckpointError {
    /// The code this error has on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Ops(OpError::TooLarge { .. }) => ErrorCode::TooLarge,
            Self::NotACheckpoint(_) => ErrorCode::BadJson,
            Self::Ops(_) | Self::AnotherRun { .. } | Self::Opcode { .. } => ErrorCode::BadRequest,
        }
    }
}

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(rename = "run_id")]
    run: RunId,
    #[serde(rename = "fn_id")]
    function: String,
    #[serde(rename = "qi_id")]
    queue_item: String,
    #[serde(default, rename = "request_id")]
    request: Option<String>,
    #[serde(default, rename = "generation_id")]
    generation: Option<u64>,
    #[serde(borrow)]
    steps: &'a RawValue,
}

impl Checkpoint {
    /// Reads the body of a checkpoint that was sent to a run.
    ///
    /// # Errors
    /// [`CheckpointError`] names what cannot be. None of the ops takes place then.
    pub fn read(sent_to: RunId, body: &[u8]) -> Result<Self, CheckpointError> {
        let Written {
            run,
            function,
            queue_item,
            request,
            generation,
            steps,
        } = serde_json::from_slice(body)?;
        if run != sent_to {
            return Err(CheckpointError::AnotherRun { run, sent_to });
        }
        let ops = read_ops(steps.get().as_bytes())?;
        if let Some(opcode) = ops.iter().find_map(refused) {
            return Err(CheckpointError::Opcode { opcode });
        }
        Ok(Self {
            run,
            function,
            queue_item,
            request,
            generation,
            ops,
        })
    }
}

/// The name of an op that a checkpoint may not contain.
fn refused(op: &Op) -> Option<String> {
    match (op, op.opcode()) {
        (Op::Unknown { opcode }, _) => Some(opcode.clone()),
        (_, Some(opcode)) if !opcode.may_be_checkpointed() => Some(opcode.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
