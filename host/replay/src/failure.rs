use serde::{Deserialize, Serialize};

/// The kinds of failure. A guest makes the first two.
pub mod kind {
    /// The guest's code returned an error.
    pub const APPLICATION: &str = "application";
    /// JSON that does not fit what was expected.
    pub const PAYLOAD: &str = "payload";
    /// The guest crashed.
    pub const TRAP: &str = "trap";
    /// No such orchestrator or activity.
    pub const NOT_FOUND: &str = "not-found";
    /// A bound of the host was passed.
    pub const LIMIT: &str = "limit";
    /// It took longer than it might.
    pub const TIMEOUT: &str = "timeout";
    /// The child was terminated.
    pub const TERMINATED: &str = "terminated";
    /// The child's id belongs to an instance that has not ended.
    pub const CONFLICT: &str = "conflict";
    /// What serves the activity could not be reached, or answered with an error of its own.
    pub const UNAVAILABLE: &str = "unavailable";
}

/// Why a task, an orchestrator or an activity did not succeed; mirrors `failure` of the guest contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error_type: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub non_retryable: bool,
}

impl Failure {
    pub fn new(kind: &str, message: impl Into<String>) -> Failure {
        Failure {
            kind: kind.into(),
            message: message.into(),
            error_type: String::new(),
            details: String::new(),
            non_retryable: false,
        }
    }

    /// Says that trying again can not help.
    pub fn non_retryable(self) -> Failure {
        Failure { non_retryable: true, ..self }
    }
}
