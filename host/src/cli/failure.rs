//! Why a command failed, for people and for scripts.

use std::fmt;
use std::process::ExitCode;

use hyper::StatusCode;
use serde::Deserialize;

/// What the exit code says. Never changes: scripts depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Failed = 1,
    /// The command line is wrong; clap says so itself in most cases.
    Usage = 2,
    /// The module does not fit the history.
    Diverges = 3,
    NotFound = 4,
    /// The host needs a key, or another one.
    Forbidden = 5,
    /// The id is taken, the instance has ended, or it is not in a state for what was asked.
    Conflict = 6,
    /// No host answers, or it can not now.
    Unavailable = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// A failure with its exit code.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    cause: anyhow::Error,
    hint: Option<String>,
}

/// The body of a refusal.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "Message")]
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, cause: impl Into<anyhow::Error>) -> Failure {
        Failure { exit, cause: cause.into(), hint: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> Failure {
        Failure { hint: Some(hint.into()), ..self }
    }

    /// What a host's refusal comes to.
    pub fn of_refusal(status: StatusCode, body: &[u8]) -> Failure {
        let exit = match status {
            StatusCode::NOT_FOUND => Exit::NotFound,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Forbidden,
            StatusCode::CONFLICT | StatusCode::GONE => Exit::Conflict,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => {
                Exit::Unavailable
            }
            _ => Exit::Failed,
        };
        match serde_json::from_slice(body) {
            Ok(Refusal { message, hint }) => Failure { exit, cause: anyhow::Error::msg(message), hint },
            Err(_) => Failure::new(exit, anyhow::anyhow!("the host answered {status}")),
        }
    }

    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl From<anyhow::Error> for Failure {
    fn from(cause: anyhow::Error) -> Failure {
        Failure::new(Exit::Failed, cause)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.cause)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_words_and_gets_an_exit_code() {
        let refusal =
            Failure::of_refusal(StatusCode::GONE, br#"{"Message":"it has ended","code":"x","hint":"do this"}"#);
        assert_eq!(refusal.to_string(), "it has ended\nhint: do this");
        assert_eq!(refusal.exit(), Exit::Conflict);
        assert_eq!(Failure::of_refusal(StatusCode::NOT_FOUND, b"").exit(), Exit::NotFound);
        assert_eq!(Failure::of_refusal(StatusCode::SERVICE_UNAVAILABLE, b"").exit(), Exit::Unavailable);
        assert_eq!(Failure::of_refusal(StatusCode::BAD_REQUEST, b"").exit(), Exit::Failed);
    }
}
