//! Apps that serve functions over HTTP, and those that only look like one.

mod client;
mod known;
mod registering;
mod scripted;
mod watching;
