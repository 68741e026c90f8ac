use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant: microseconds since 1970-01-01T00:00:00Z, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A length of time: microseconds, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub u64);

impl Timestamp {
    /// Milliseconds since the epoch, as the guest contract has them.
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    pub fn from_millis(millis: i64) -> Self {
        Timestamp(millis.saturating_mul(1_000))
    }

    /// The instant that the guest contract gives in milliseconds; none where that is no number. What lies beyond the range ends
    /// at its border.
    pub fn from_millis_f64(millis: f64) -> Option<Self> {
        // A cast from f64 saturates.
        (!millis.is_nan()).then(|| Timestamp((millis * 1_000.0).round() as i64))
    }
}

impl Span {
    pub fn from_millis(millis: u64) -> Self {
        Span(millis.saturating_mul(1_000))
    }

    /// The length that the guest contract gives in milliseconds; none where that is negative, or no number.
    pub fn from_millis_f64(millis: f64) -> Option<Self> {
        (millis >= 0.0).then(|| Span((millis * 1_000.0).round() as u64))
    }
}

/// One that is too long ends at the border of the range.
impl From<Duration> for Span {
    fn from(duration: Duration) -> Span {
        Span(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;

    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add_unsigned(span.0))
    }
}

/// How long after the other; nothing where it is not after.
impl Sub for Timestamp {
    type Output = Span;

    fn sub(self, earlier: Timestamp) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}
