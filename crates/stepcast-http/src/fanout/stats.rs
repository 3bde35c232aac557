//! What the sockets hold and have been given.
//!
//! A shard counts in cells of its own thread and answers when it is asked, so that a delivery pays an addition and nothing else.

use std::{cell::Cell, ops::AddAssign};

/// What the sockets hold at the moment, and have been given since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Open WebSocket connections.
    pub connections: usize,
    /// Those among them of npm `inngest`.
    pub plain: usize,
    /// Those among them that were told to end and have not yet.
    pub closing: usize,
    /// Those among them that are not where their channels are.
    pub behind: usize,
    /// Those among them whose socket takes nothing more at the moment.
    pub full: usize,
    /// Bytes kept for sockets that are full; what several of them share counts once.
    pub unsent_bytes: usize,
    /// What connections of npm `inngest` have lost since the start, as they cannot be told: one for each gap on a topic.
    pub plain_gaps: u64,
    /// What native connections were given.
    pub native_sent: Sent,
    /// What connections of npm `inngest` were given.
    pub plain_sent: Sent,
}

/// What readers were given since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Messages, once for each reader.
    pub deliveries: u64,
    /// Bytes, with everything that is not a message.
    pub bytes: u64,
    /// Gaps that readers were told.
    pub gaps: u64,
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        let Self {
            connections,
            plain,
            closing,
            behind,
            full,
            unsent_bytes,
            plain_gaps,
            native_sent,
            plain_sent,
        } = other;
        self.connections += connections;
        self.plain += plain;
        self.closing += closing;
        self.behind += behind;
        self.full += full;
        self.unsent_bytes += unsent_bytes;
        self.plain_gaps += plain_gaps;
        self.native_sent += native_sent;
        self.plain_sent += plain_sent;
    }
}

impl AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        let Self {
            deliveries,
            bytes,
            gaps,
        } = other;
        self.deliveries += deliveries;
        self.bytes += bytes;
        self.gaps += gaps;
    }
}

/// What the connections of one dialect were given by one shard. They share it.
#[derive(Debug, Default)]
pub(super) struct Sending {
    deliveries: Cell<u64>,
    bytes: Cell<u64>,
    gaps: Cell<u64>,
}

impl Sending {
    pub(super) fn on_delivered(&self, messages: usize) {
        add(&self.deliveries, messages);
    }

    pub(super) fn on_bytes(&self, bytes: usize) {
        add(&self.bytes, bytes);
    }

    pub(super) fn on_gaps(&self, gaps: usize) {
        add(&self.gaps, gaps);
    }

    pub(super) fn read(&self) -> Sent {
        Sent {
            deliveries: self.deliveries.get(),
            bytes: self.bytes.get(),
            gaps: self.gaps.get(),
        }
    }
}

fn add(cell: &Cell<u64>, more: usize) {
    cell.set(cell.get().wrapping_add(more as u64));
}
