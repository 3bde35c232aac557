//! Frames of the native protocol: one JSON object each, told apart by `kind`.
//!
//! - [`client`]: what a client says.
//! - [`control`]: answers of the server and what it says of the connection.
//! - [`server`]: every frame of the server as a client reads it.
//! - [`notice`]: what readers are told beside messages. Connections of npm `inngest` never get these.

pub mod client;
pub mod control;
pub mod notice;
pub mod server;

pub use self::{
    client::{ClientFrame, Ref},
    control::ControlFrame,
    notice::{Gap, GapReason, Snapshot, rollback_to_wire},
    server::{
        DataFrame, FrameError, GapFrame, PieceFrame, RollbackFrame, ServerFrame, SnapshotFrame,
    },
};

/// The version of the native protocol, as `v` in the query of a connection asks for it.
pub const VERSION: u32 = 1;
