//! [`Timestamp`]: the time that an orchestrator sees.

use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
///
/// As JSON it is that number.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(f64);

impl Timestamp {
    /// The moment that lies so many milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: f64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> f64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero where that lies later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from_secs_f64((self.0 - earlier.0) / 1e3).unwrap_or_default()
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration.as_secs_f64() * 1e3)
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0 - duration.as_secs_f64() * 1e3)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        let distance = Duration::from_secs_f64(timestamp.0.abs() / 1e3);
        if timestamp.0 < 0.0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_move_a_timestamp_and_separate_two() {
        let start = Timestamp::from_millis(1_500.0);
        let end = start + Duration::from_secs(60);
        assert_eq!(end.since(start), Duration::from_secs(60));
        assert_eq!(start.since(end), Duration::ZERO);
        assert_eq!(end - Duration::from_secs(60), start);
        assert_eq!(SystemTime::from(start), SystemTime::UNIX_EPOCH + Duration::from_millis(1_500));
    }
}
