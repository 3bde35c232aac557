//! Executes the functions that apps serve over HTTP.
//!
//! - [`served`]: what the worker needs of others.

pub mod served;

pub use self::served::{Answered, CallError, CallRequest, Caller, Served, ServedFunction};
