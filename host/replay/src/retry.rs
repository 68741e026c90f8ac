use serde::{Deserialize, Serialize};

use crate::{Failure, Span, Timestamp};

/// How often, and how soon, an activity or a child that failed is tried again. The arithmetic is that of Durable Functions
/// (`RetryOptions`), but for the timer that those wait for after the last failure.
///
/// Persisted: append new fields with a default, never reinterpret one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included; 0 is as good as 1.
    pub max_attempts: u32,
    /// Between the first attempt's failure and the second attempt.
    pub first_interval: Span,
    /// Each interval is the one before times this; what is less than 1 counts as 1.
    pub backoff_coefficient: f64,
    /// The longest interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_interval: Option<Span>,
    /// After this time from the first attempt on none begins, and none goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How long one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_timeout: Option<Span>,
    /// Failures whose error type is one of these are not tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub non_retryable: Vec<String>,
}

impl RetryPolicy {
    /// When the attempt after number `attempt`, which failed at `now`, begins; none where it is not to be.
    ///
    /// `first`: when the first attempt began.
    pub fn next_attempt(&self, attempt: u32, failure: &Failure, first: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let hopeless = failure.non_retryable || self.non_retryable.contains(&failure.error_type);
        if attempt >= self.max_attempts || hopeless {
            return None;
        }
        let at = now + self.interval(attempt);
        let in_time = self.timeout.is_none_or(|timeout| at < first + timeout);
        in_time.then_some(at)
    }

    /// How long the attempt that begins at `now` may take; none: as long as the host lets it.
    pub fn time_for_attempt(&self, first: Timestamp, now: Timestamp) -> Option<Span> {
        let left = self.timeout.map(|timeout| (first + timeout) - now);
        match (self.attempt_timeout, left) {
            (Some(attempt), Some(left)) => Some(attempt.min(left)),
            (attempt, left) => attempt.or(left),
        }
    }

    /// Between the failure of attempt number `attempt`, from 1, and the next attempt. Multiplied out one by one: `powi` need not give
    /// the same on every machine.
    fn interval(&self, attempt: u32) -> Span {
        let longest = self.max_interval.unwrap_or(Span(u64::MAX));
        let coefficient = if self.backoff_coefficient > 1.0 { self.backoff_coefficient } else { 1.0 };
        let mut micros = self.first_interval.0 as f64;
        for _ in 1..attempt {
            micros *= coefficient;
            if coefficient == 1.0 || micros >= longest.0 as f64 {
                break;
            }
        }
        Span(micros as u64).min(longest)
    }
}
