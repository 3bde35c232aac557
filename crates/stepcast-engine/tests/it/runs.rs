//! Runs over a real store: what is committed, what survives a death, who may write, and who executes.

mod cancel;
mod commits;
mod crashes;
mod crons;
mod endings;
mod events;
mod frames;
mod guards;
mod leases;
mod parking;
mod places;
mod rerun;
mod retention;
mod script;
mod signals;
mod space;
mod spoken;
mod timers;
mod unknown;
