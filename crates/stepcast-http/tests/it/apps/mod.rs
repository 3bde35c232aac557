//! Apps that serve functions over HTTP, and those that only look like one.

mod client;
mod errands;
mod known;
mod registering;
pub(crate) mod scripted;
mod watching;
