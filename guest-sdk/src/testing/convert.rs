//! From the values of the core to those of this crate, and back.

use std::time::Duration;

use fermata_replay as core;

use super::world::payload;
use crate::host::Outcome;
use crate::{Failure, RetryPolicy, Timestamp};

pub(super) fn instant(at: core::Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis_f64())
}

pub(super) fn due(at: Timestamp) -> core::Timestamp {
    core::Timestamp::from_millis_f64(at.as_millis()).expect("the moment at which something is due is a number")
}

pub(super) fn span(duration: Duration) -> core::Span {
    core::Span(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

pub(super) fn duration(span: core::Span) -> Duration {
    Duration::from_micros(span.0)
}

pub(super) fn outcome(outcome: core::Outcome) -> Outcome {
    match outcome {
        core::Outcome::Succeeded(payload) => Ok(payload.as_str().to_owned()),
        core::Outcome::Failed(failure) => Err(Box::new(failure.into())),
    }
}

pub(super) fn result(result: &Outcome) -> core::Outcome {
    match result {
        Ok(json) => core::Outcome::Succeeded(payload(json)),
        Err(failure) => core::Outcome::Failed((**failure).clone().into()),
    }
}

impl From<core::Failure> for Failure {
    fn from(failure: core::Failure) -> Self {
        let core::Failure { kind, message, error_type, details, non_retryable } = failure;
        Self { kind, message, error_type, details, non_retryable }
    }
}

impl From<Failure> for core::Failure {
    fn from(failure: Failure) -> Self {
        let Failure { kind, message, error_type, details, non_retryable } = failure;
        Self { kind, message, error_type, details, non_retryable }
    }
}

impl From<&RetryPolicy> for core::RetryPolicy {
    fn from(policy: &RetryPolicy) -> Self {
        Self {
            max_attempts: policy.max_attempts,
            first_interval: span(policy.first_interval),
            backoff_coefficient: policy.backoff_coefficient,
            max_interval: policy.max_interval.map(span),
            timeout: policy.timeout.map(span),
            attempt_timeout: policy.attempt_timeout.map(span),
            non_retryable: policy.non_retryable.clone(),
        }
    }
}
