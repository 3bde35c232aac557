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
    /// Until the first message comes, the number it has at most: bounds may have taken those before.
    at_latest: Option<u64>,
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
    /// Numbers that bounds had taken before the reader came, who begins with what is left and is told nothing.
    pub(super) trimmed: u64,
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
            trimmed,
        } = other;
        self.delivered += delivered;
        self.lost += lost;
        self.duplicated += duplicated;
        self.out_of_order += out_of_order;
        self.gaps += gaps;
        self.told_lost += told_lost;
        self.trimmed += trimmed;
    }
}

impl Tally {
    /// For a reader that gets this number first.
    pub(super) fn new(first: u64) -> Self {
        Self {
            next: first,
            holes: BTreeSet::new(),
            told: false,
            at_latest: None,
            seen: Seen::default(),
        }
    }

    /// For a reader that begins with what is left, which is everything from this number on and may be more.
    pub(super) fn at_latest(first: u64) -> Self {
        Self {
            at_latest: Some(first),
            ..Self::new(1)
        }
    }

    /// A message has come; whether it has not come before.
    pub(super) fn on_message(&mut self, number: u64) -> bool {
        self.seen.delivered += 1;
        self.begin(number);
        if self.told {
            self.told = false;
            self.seen.told_lost += number.saturating_sub(self.next);
            self.next = number + 1;
            return true;
        }
        if number < self.next {
            let is_late = self.holes.remove(&number);
            if is_late {
                self.seen.out_of_order += 1;
                self.seen.lost -= 1;
            } else {
                self.seen.duplicated += 1;
            }
            return is_late;
        }
        self.seen.lost += number - self.next;
        let room = HOLES.saturating_sub(self.holes.len());
        self.holes.extend((self.next..number).take(room));
        self.next = number + 1;
        true
    }

    /// Bounds have taken what is before this number, but no more than they may; a gap that is told accounts for the rest by itself.
    fn begin(&mut self, number: u64) {
        let Some(at_latest) = self.at_latest.take().filter(|_| !self.told) else {
            return;
        };
        let first = number.min(at_latest).max(self.next);
        self.seen.trimmed += first - self.next;
        self.next = first;
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
        self.begin(last + 1);
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
                number => {
                    tally.on_message(*number);
                }
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
        // What counts no more comes again.
        check(&[1, 2, 3, 0, 2, 3, 4, 5], told(7, 0));
    }

    #[test]
    fn bounds_take_no_more_than_they_may() {
        // 1 to 10 were published and 5 are kept at least.
        let check = |numbers: &[u64], expected: Seen| {
            let mut tally = Tally::at_latest(6);
            for number in numbers {
                match number {
                    0 => tally.on_gap(),
                    number => {
                        tally.on_message(*number);
                    }
                }
            }
            assert_eq!(tally.end(10), expected, "{numbers:?}");
        };
        let seen = |delivered, trimmed, lost| Seen {
            delivered,
            trimmed,
            lost,
            ..Seen::default()
        };
        check(&[6, 7, 8, 9, 10], seen(5, 5, 0));
        check(&[4, 5, 6, 7, 8, 9, 10], seen(7, 3, 0));
        check(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], seen(10, 0, 0));
        check(&[9, 10], seen(2, 5, 3));
        check(&[], seen(0, 5, 5));
        check(&[4, 6, 7, 8, 9, 10], seen(6, 3, 1));
        let told = Seen {
            gaps: 1,
            told_lost: 8,
            ..seen(2, 0, 0)
        };
        check(&[0, 9, 10], told);
        // Where everything is kept, everything has to come.
        let mut whole = Tally::at_latest(1);
        whole.on_message(3);
        assert_eq!(whole.end(3), seen(1, 0, 2));
    }

    #[test]
    fn a_second_copy_is_nothing_new() {
        let mut tally = Tally::new(1);
        let new = [1, 1, 3, 2, 2, 3, 4].map(|number| tally.on_message(number));
        assert_eq!(new, [true, false, true, true, false, false, true]);
    }
}
