//! What a program does with Stepcast from outside a function, whether the engine is in its process or behind a server.
//!
//! [`backend`] is what carries the verbs out; each of the others is one verb, or the handle it gives. None of them knows which backend
//! it has.

pub(crate) mod backend;
mod json_channel;
mod list_runs;
mod publish;
mod run;
mod send;
mod subscribe;
mod token;
mod topics;
mod watch;

pub(crate) use self::{
    backend::{Accepted, Answer, Backend, Grant, Publication, Reader, Reading, RunsPage},
    subscribe::Item,
};
pub use self::{
    json_channel::JsonChannel,
    list_runs::ListRuns,
    publish::Publish,
    run::Run,
    send::{Send, Sent},
    subscribe::{Gap, Message, Messages, Rollback, Snapshot, Subscription, Update},
    token::MintToken,
    watch::{RunUpdate, WatchRun},
};
