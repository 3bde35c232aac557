//! Reading and writing a server's channels with [`stepcast::Client`].

mod conformance;
mod differential;
mod holder;
mod json;
mod lives;
mod mock;
mod troubles;
mod verbs;
