//! Measured times, kept to three digits in bounded memory.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Digits of a time that count.
const DIGITS: u8 = 3;

/// Of nanoseconds; it grows with the longest.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new(DIGITS).expect("three digits are allowed")
}

pub(super) fn record(histogram: &mut Histogram<u64>, time: Duration) {
    record_nanos(
        histogram,
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
    );
}

pub(super) fn record_nanos(histogram: &mut Histogram<u64>, nanos: u64) {
    // 10 minutes are longer than any load lasts.
    histogram
        .record(nanos.min(600_000_000_000))
        .expect("a histogram that grows takes ten minutes");
}

pub(super) fn add(histogram: &mut Histogram<u64>, other: &Histogram<u64>) {
    histogram
        .add(other)
        .expect("a histogram that grows takes all of another one");
}

/// What people look at of many times, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Quantiles {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Quantiles {
    /// Nothing when nothing was measured.
    pub(super) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "times are far below 2^52 ns")]
        let micros = |nanos: u64| nanos as f64 / 1e3;
        (!histogram.is_empty()).then(|| Self {
            p50: micros(histogram.value_at_quantile(0.5)),
            p99: micros(histogram.value_at_quantile(0.99)),
            max: micros(histogram.max()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_to_three_digits() {
        let mut histogram = histogram();
        assert_eq!(Quantiles::of(&histogram), None);
        for micros in 1..=1_000 {
            record(&mut histogram, Duration::from_micros(micros));
        }
        record(&mut histogram, Duration::MAX);
        let Quantiles { p50, p99, max } = Quantiles::of(&histogram).unwrap();
        assert!((p50 - 500.0).abs() < 2.0, "{p50}");
        assert!((p99 - 990.0).abs() < 2.0, "{p99}");
        assert!((max - 6e8).abs() < 1e6, "{max}");
    }
}
