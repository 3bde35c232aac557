//! What one reader has seen of a numbered sequence. Pure.

use std::collections::BTreeSet;

/// How many numbers one reader's holes are told apart for; further ones count as lost even if they come late.
const HOLES: usize = 100_000;

/// The numbers of one channel as one reader gets them, which ought to be each once and in order.
#[derive(Debug)]
pub(super) struct Tally {
    next: u64,
    /// Numbers that were skipped without a word and may still come.
    holes: BTreeSet<u64>,
    /// A gap was told, and what comes next begins anew.
    told: bool,
    seen: Seen,
}

/// Sums over numbers, of one reader or of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) duplicated: u64,
    pub(super) out_of_order: u64,
    /// Gaps that the server has told.
    pub(super) gaps: u64,
    /// Numbers that never came and for which a gap was told.
    pub(super) told_lost: u64,
}

impl Seen {
    pub(super) fn add(&mut self, other: Self) {
        let Self {
            delivered,
            lost,
            duplicated,
            out_of_order,
            gaps,
            told_lost,
        } = other;
        self.delivered += delivered;
        self.lost += lost;
        self.duplicated += duplicated;
        self.out_of_order += out_of_order;
        self.gaps += gaps;
        self.told_lost += told_lost;
    }
}

impl Tally {
    /// For a reader that gets this number first.
    pub(super) fn new(first: u64) -> Self {
        Self {
            next: first,
            holes: BTreeSet::new(),
            told: false,
            seen: Seen::default(),
        }
    }

    /// For a reader that gets whatever is left of the beginning.
    pub(super) fn anywhere() -> Self {
        Self {
            told: true,
            ..Self::new(1)
        }
    }

    /// A message has come.
    pub(super) fn on_message(&mut self, number: u64) {
        self.seen.delivered += 1;
        if self.told {
            self.told = false;
            self.seen.told_lost += number.saturating_sub(self.next);
            self.next = number + 1;
            return;
        }
        if number < self.next {
            if self.holes.remove(&number) {
                self.seen.out_of_order += 1;
                self.seen.lost -= 1;
            } else {
                self.seen.duplicated += 1;
            }
            return;
        }
        self.seen.lost += number - self.next;
        let room = HOLES.saturating_sub(self.holes.len());
        self.holes.extend((self.next..number).take(room));
        self.next = number + 1;
    }

    /// The server says that something is gone. What is left of it may come again.
    pub(super) fn on_gap(&mut self) {
        self.seen.gaps += 1;
        self.told = true;
    }

    /// Whether everything up to this number has come, or was skipped.
    pub(super) fn has_reached(&self, last: u64) -> bool {
        self.next > last
    }

    /// What was seen of the numbers up to the last one that was published.
    pub(super) fn end(mut self, last: u64) -> Seen {
        let missing = (last + 1).saturating_sub(self.next);
        if self.told {
            self.seen.told_lost += missing;
        } else {
            self.seen.lost += missing;
        }
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader of 1 to 5 that gets these; 0 stands for a gap that is told.
    fn check(numbers: &[u64], expected: Seen) {
        let mut tally = Tally::new(1);
        for number in numbers {
            match number {
                0 => tally.on_gap(),
                number => tally.on_message(*number),
            }
        }
        assert_eq!(tally.end(5), expected, "{numbers:?}");
    }

    #[test]
    fn each_number_once_and_in_order_is_nothing_to_report() {
        let delivered = |delivered| Seen {
            delivered,
            ..Seen::default()
        };
        check(&[1, 2, 3, 4, 5], delivered(5));
        check(
            &[],
            Seen {
                lost: 5,
                ..delivered(0)
            },
        );
        check(
            &[1, 2, 5],
            Seen {
                lost: 2,
                ..delivered(3)
            },
        );
        check(
            &[1, 2, 3],
            Seen {
                lost: 2,
                ..delivered(3)
            },
        );
        check(
            &[1, 2, 2, 3, 4, 5],
            Seen {
                duplicated: 1,
                ..delivered(6)
            },
        );
        check(
            &[1, 3, 2, 4, 5],
            Seen {
                out_of_order: 1,
                ..delivered(5)
            },
        );
        check(
            &[1, 3, 2, 2, 4, 5],
            Seen {
                out_of_order: 1,
                duplicated: 1,
                ..delivered(6)
            },
        );
    }

    #[test]
    fn what_a_gap_announces_is_counted_apart() {
        let told = |delivered, told_lost| Seen {
            delivered,
            told_lost,
            gaps: 1,
            ..Seen::default()
        };
        check(&[1, 0, 4, 5], told(3, 2));
        check(&[1, 2, 0], told(2, 3));
        let mut late = Tally::anywhere();
        late.on_message(4);
        let expected = Seen {
            gaps: 0,
            lost: 1,
            ..told(1, 3)
        };
        assert_eq!(late.end(5), expected);
        // What counts no more comes again.
        check(&[1, 2, 3, 0, 2, 3, 4, 5], told(7, 0));
    }
}
