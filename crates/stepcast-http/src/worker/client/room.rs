//! Room for the answers to errands: how many bytes of them are in memory at once.
//!
//! Each answer has its first bytes for itself. What is longer takes of what all share, as it grows. Were that all, those who have some of it and
//! need more could wait for each other for good: so there is room apart for one whole answer, which goes to one of those who wait.

use std::sync::Arc;

use bytes::Bytes;
use stepcast_protocol::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit of what is shared.
const KIB: usize = 1024;
/// What is left of [`limits::ERRAND_ANSWERS_BYTES`] for all, in KiB: without the first bytes of each answer, and the room apart.
const SHARED: usize = (limits::ERRAND_ANSWERS_BYTES
    - limits::ERRANDS * limits::ERRAND_FIRST_BYTES
    - limits::MEMO_BYTES)
    / KIB;

const _: () = assert!(
    SHARED * KIB >= limits::MEMO_BYTES,
    "the longest answer has room in what is shared"
);

/// Room for all answers. A cheap handle.
#[derive(Clone)]
pub(super) struct Room {
    shared: Arc<Semaphore>,
    apart: Arc<Semaphore>,
}

/// The body of an answer as it grows. What it is at last keeps its room until the last of its bytes is dropped.
pub(super) struct Growing {
    bytes: Vec<u8>,
    /// For how many bytes there is room.
    room: usize,
    shared: Option<OwnedSemaphorePermit>,
    apart: Option<OwnedSemaphorePermit>,
    all: Room,
}

impl Room {
    pub(super) fn new() -> Self {
        Self::sharing(SHARED)
    }

    fn sharing(kib: usize) -> Self {
        Self {
            shared: Arc::new(Semaphore::new(kib)),
            apart: Arc::new(Semaphore::new(1)),
        }
    }

    /// Nothing yet of an answer's body.
    pub(super) fn body(&self) -> Growing {
        Growing {
            bytes: Vec::new(),
            room: limits::ERRAND_FIRST_BYTES,
            shared: None,
            apart: None,
            all: self.clone(),
        }
    }

    /// Takes everything that there is, so that whoever needs some has to wait.
    #[cfg(test)]
    pub(super) fn take_all(&self) -> [OwnedSemaphorePermit; 2] {
        let shared = u32::try_from(self.shared.available_permits()).unwrap();
        [(&self.shared, shared), (&self.apart, 1)].map(|(of, permits)| {
            let taken = Arc::clone(of).try_acquire_many_owned(permits);
            taken.unwrap()
        })
    }
}

impl Growing {
    /// Whether the result of a step may have so many more bytes.
    pub(super) fn may_grow(&self, more: usize) -> bool {
        self.bytes.len() + more <= limits::MEMO_BYTES
    }

    /// Waits until there is room for so many more bytes, which have to be no more than it may grow by.
    pub(super) async fn make_room(&mut self, more: usize) {
        let needed = self.bytes.len() + more;
        if needed <= self.room {
            return;
        }
        let room = needed.next_power_of_two().min(limits::MEMO_BYTES);
        self.take((room - self.room).div_ceil(KIB)).await;
        self.room = room;
        self.bytes.reserve_exact(room - self.bytes.len());
    }

    async fn take(&mut self, kib: usize) {
        if self.apart.is_some() {
            return;
        }
        let kib = u32::try_from(kib).expect("an answer has no more KiB than that");
        let shared = Arc::clone(&self.all.shared).acquire_many_owned(kib);
        let apart = Arc::clone(&self.all.apart).acquire_owned();
        tokio::select! {
            biased;
            taken = shared => {
                let mut taken = taken.expect("nobody closes it");
                if let Some(before) = self.shared.take() {
                    taken.merge(before);
                }
                self.shared = Some(taken);
            }
            taken = apart => {
                self.apart = Some(taken.expect("nobody closes it"));
                // It has room for the whole answer.
                self.shared = None;
            }
        }
    }

    /// Adds bytes for which there is room.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Growing {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const FIRST: usize = limits::ERRAND_FIRST_BYTES;

    /// Whether there is room at once.
    fn grow(body: &mut Growing, more: usize) -> bool {
        let has_room = body.make_room(more).now_or_never().is_some();
        if has_room {
            body.push(&vec![b'x'; more]);
        }
        has_room
    }

    #[test]
    fn what_is_short_always_has_room() {
        let room = Room::sharing(0);
        let _taken = room.take_all();
        let mut body = room.body();
        assert!(grow(&mut body, FIRST));
        assert!(!grow(&mut body, 1));
        assert_eq!(body.into_bytes().len(), FIRST);
    }

    #[test]
    fn room_is_held_until_the_last_of_an_answer_is_dropped() {
        let room = Room::sharing(FIRST / KIB);
        let mut body = room.body();
        assert!(grow(&mut body, 2 * FIRST));
        assert_eq!(room.shared.available_permits(), 0);
        let bytes = body.into_bytes();
        let part = bytes.slice(1..2);
        drop(bytes);
        assert_eq!(room.shared.available_permits(), 0);
        drop(part);
        assert_eq!(room.shared.available_permits(), FIRST / KIB);
    }

    #[test]
    fn those_who_need_more_never_all_wait_for_each_other() {
        let room = Room::sharing(2 * FIRST / KIB);
        let [mut a, mut b, mut c] = [room.body(), room.body(), room.body()];
        assert!(grow(&mut a, 2 * FIRST));
        assert!(grow(&mut b, 2 * FIRST));
        assert_eq!(room.shared.available_permits(), 0);
        assert!(grow(&mut a, FIRST), "it has the room apart now");
        assert!(grow(&mut a, limits::MEMO_BYTES - 3 * FIRST));
        assert!(!a.may_grow(1));
        assert_eq!(room.shared.available_permits(), FIRST / KIB);
        assert!(grow(&mut c, 2 * FIRST));
        assert!(!grow(&mut b, FIRST), "nothing is left");
        drop(a.into_bytes());
        assert!(grow(&mut b, FIRST));
    }
}
