//! Functions that an app serves, through a real engine: the app answers from a script and keeps what it was asked.

mod app;
mod checkpoints;
mod errands;
mod hostile;
mod lab;
mod left;
mod lives;
mod parallel;
mod retries;
mod steps;
mod waits;
