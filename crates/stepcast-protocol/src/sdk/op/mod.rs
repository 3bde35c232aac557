//! What an SDK reports in the answer to a call or in a checkpoint: ops.
//!
//! - [`Op`]: one report; most are about one step ([`StepOp`]), whose [`Action`] says what became of it or what it wants.
//! - [`Opcode`]: their names.
//! - [`read_ops`]: from JSON, keeping users' values as they are and ignoring what does not belong here.
//! - [`in_order`]: the order in which the ops of one answer take effect.

mod opcode;
mod order;
mod read;

use std::time::Duration;

pub use opcode::Opcode;
pub use order::in_order;
pub use read::{OpError, read_ops};

use crate::{
    names::StepId,
    sdk::{
        failure::{Failure, Verdict},
        json::Json,
        step::StepHash,
        until::Until,
    },
    timestamp::Timestamp,
};

/// One report.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Something about one step.
    Step(StepOp),
    /// The function returned.
    RunComplete {
        /// What it returned.
        data: Json,
    },
    /// An endpoint that is a run answered its request.
    SyncRunComplete {
        /// Its answer.
        data: Json,
    },
    /// The function wants to be called again.
    DiscoveryRequest,
    /// Nothing.
    None,
    /// A report that we do not know.
    Unknown {
        /// What it calls itself.
        opcode: String,
    },
}

/// A report about one step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOp {
    /// The step.
    pub hash: StepHash,
    /// The step as its user knows it; its hash when the SDK does not tell.
    pub step: StepId,
    /// What its user calls it.
    pub display_name: Option<String>,
    /// What it is, if it is no plain step: `step.sendEvent`, `step.realtime.publish`, ….
    pub flavour: Option<String>,
    /// Whether the function is called again after each step of its group.
    pub parallel: Parallel,
    /// When it ran.
    pub timing: Option<Timing>,
    /// What became of it, or what it wants.
    pub action: Action,
}

/// After which steps of a parallel group the function is called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parallel {
    /// After those that the version of the protocol says.
    #[default]
    Joined,
    /// After each.
    Race,
}

/// When a step ran, by the SDK's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Its beginning.
    pub began_at: Timestamp,
    /// Until its end.
    pub took: Duration,
}

/// What became of a step, or what it wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// It has not run; call the function for it.
    Planned {
        /// Its arguments, if it has some: one JSON array.
        input: Option<Json>,
    },
    /// It returned.
    Ran {
        /// What it returned.
        data: Json,
    },
    /// It threw.
    Failed {
        /// What it threw.
        failure: Failure,
        /// Whether it may be tried again.
        verdict: Verdict,
    },
    /// Continue later.
    Sleep {
        /// When.
        until: Until,
    },
    /// Continue with an event.
    WaitForEvent {
        /// The name of the event.
        event: String,
        /// What must hold of the run's own event (`event`) and the other one (`async`).
        expression: Option<String>,
        /// When to continue without.
        timeout: Until,
    },
    /// Continue with a signal.
    WaitForSignal {
        /// The name of the signal.
        signal: String,
        /// What to do when another run waits for it.
        conflict: Conflict,
        /// When to continue without.
        timeout: Until,
    },
    /// Continue with what another function returns.
    Invoke {
        /// The function, as `<app>-<function>`.
        function: String,
        /// The data of its event: one JSON object.
        data: Json,
        /// When to continue without.
        timeout: Until,
    },
    /// Continue with the answer to an HTTP request.
    Gateway {
        /// The request: one JSON object.
        request: Json,
    },
    /// Continue with the answer of a model.
    AiGateway {
        /// The request: one JSON object.
        request: Json,
    },
    /// Start a run when this one has ended.
    DeferAdd {
        /// Which: one JSON object.
        options: Json,
    },
    /// Do not start such a run.
    DeferAbort {
        /// Which: one JSON object.
        options: Json,
    },
}

/// What becomes of a wait for a signal that another run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conflict {
    /// The run that comes later fails.
    #[default]
    Fail,
    /// The run that came first does not get the signal.
    Replace,
}

impl Op {
    /// Its opcode; nothing when we do not know it.
    #[must_use]
    pub fn opcode(&self) -> Option<Opcode> {
        Some(match self {
            Self::Step(step) => step.action.opcode(),
            Self::RunComplete { .. } => Opcode::RunComplete,
            Self::SyncRunComplete { .. } => Opcode::SyncRunComplete,
            Self::DiscoveryRequest => Opcode::DiscoveryRequest,
            Self::None => Opcode::None,
            Self::Unknown { .. } => return None,
        })
    }

    /// Whether it only records something, so that it does not make its answer a parallel group.
    #[must_use]
    pub fn is_lazy(&self) -> bool {
        matches!(
            self.opcode(),
            Some(Opcode::DeferAdd | Opcode::DeferAbort | Opcode::None)
        )
    }
}

impl Action {
    /// The opcode it came with, or would come with today.
    #[must_use]
    pub fn opcode(&self) -> Opcode {
        match self {
            Self::Planned { .. } => Opcode::StepPlanned,
            Self::Ran { .. } => Opcode::StepRun,
            Self::Failed { verdict, .. } => match verdict {
                Verdict::TryAgain => Opcode::StepError,
                Verdict::Final => Opcode::StepFailed,
            },
            Self::Sleep { .. } => Opcode::Sleep,
            Self::WaitForEvent { .. } => Opcode::WaitForEvent,
            Self::WaitForSignal { .. } => Opcode::WaitForSignal,
            Self::Invoke { .. } => Opcode::InvokeFunction,
            Self::Gateway { .. } => Opcode::Gateway,
            Self::AiGateway { .. } => Opcode::AiGateway,
            Self::DeferAdd { .. } => Opcode::DeferAdd,
            Self::DeferAbort { .. } => Opcode::DeferAbort,
        }
    }
}

#[cfg(test)]
mod tests;
