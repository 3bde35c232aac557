//! The end of a run, as pages of npm `inngest` take it: they take in messages with a delay and close for good at an end, so it comes in a
//! write of its own, some time after the last message.

use std::{sync::Arc, time::Duration};

use stepcast_engine::hub::Posted;
use stepcast_protocol::{Cursor, Kind};

/// Between the last message and the end, on one connection.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

pub(super) fn is_end(posted: &Posted) -> bool {
    matches!(posted.message().kind, Kind::Ended { .. })
}

/// The part of a slice that may be written at once, and where it ends: messages up to an end, or the ends that come first.
pub(super) fn apart(messages: &mut Vec<Arc<Posted>>, next: Cursor) -> Cursor {
    let Some(first) = messages.iter().position(|posted| is_end(posted)) else {
        return next;
    };
    let count = match first {
        0 => messages.iter().take_while(|posted| is_end(posted)).count(),
        messages => messages,
    };
    if count == messages.len() {
        return next;
    }
    messages.truncate(count);
    messages.last().map_or(next, |last| last.message().cursor)
}
