//! The gateway over a real engine, a real store and real sockets.

mod apps;
mod at_random;
mod channels;
mod clients;
mod conformance;
mod connect;
mod lag;
mod metrics;
mod model;
mod native;
mod operator;
mod page;
mod poll;
mod publish;
mod ready;
mod rest;
mod runs;
mod schemas;
mod script;
mod server;
mod slow;
mod sse;
mod worker;
