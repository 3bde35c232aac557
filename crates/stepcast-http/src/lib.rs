//! The HTTP and WebSocket surface of Stepcast.

mod fanout;
mod tokens;
