//! The engine of Stepcast: what is true ([`store`]), who hears of it, and what runs next.
//!
//! Knows no HTTP and no sockets. Read in this order:
//!
//! - [`store`]: rows and batches on disk; the only truth.

pub mod store;
