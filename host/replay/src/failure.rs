use serde::{Deserialize, Serialize};

/// The kinds of failure that the host itself makes; a guest makes `application` and `payload`.
pub mod kind {
    /// The guest's code returned an error.
    pub const APPLICATION: &str = "application";
    /// The guest crashed.
    pub const TRAP: &str = "trap";
    /// No such orchestrator or activity.
    pub const NOT_FOUND: &str = "not-found";
    /// A bound of the host was passed.
    pub const LIMIT: &str = "limit";
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
}
