//! The order in which the ops of one answer take effect.

use super::{Op, Opcode};

/// Waits come first, so that nothing that the others set off can happen before them; the end of the run comes last. Otherwise
/// ops keep their order.
#[must_use]
pub fn in_order(mut ops: Vec<Op>) -> Vec<Op> {
    ops.sort_by_key(rank);
    ops
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Wait,
    Other,
    End,
}

fn rank(op: &Op) -> Rank {
    let Some(opcode) = op.opcode() else {
        return Rank::Other;
    };
    match opcode {
        Opcode::WaitForEvent | Opcode::WaitForSignal | Opcode::DeferAdd | Opcode::DeferAbort => {
            Rank::Wait
        }
        Opcode::RunComplete | Opcode::SyncRunComplete => Rank::End,
        Opcode::StepPlanned
        | Opcode::StepRun
        | Opcode::Step
        | Opcode::StepError
        | Opcode::StepFailed
        | Opcode::Sleep
        | Opcode::InvokeFunction
        | Opcode::AiGateway
        | Opcode::Gateway
        | Opcode::DiscoveryRequest
        | Opcode::None => Rank::Other,
    }
}
