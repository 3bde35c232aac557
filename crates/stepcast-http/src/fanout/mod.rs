//! Fan-out.
mod frame;
