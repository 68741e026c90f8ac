//! [`Error`]: what a task may fail with, and what `?` turns every other error into.

use std::any::Any;
use std::fmt::{self, Debug, Display};

use crate::Failure;
use crate::payload::{PayloadMismatch, short_type_name};

/// The result of most of what an orchestrator or an activity does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a task failed, or why an orchestrator or activity gives up.
///
/// `?` turns any [`std::error::Error`] into one: its text becomes the message, its causes the details and the name of its type the
/// [`error_type`](Self::error_type). A [`Failure`] says all of these itself. (As with `anyhow::Error`, this is why `Error` is not
/// a `std::error::Error`.) A function may as well return a `Result` with an error type of its own that is `Display + Debug`.
#[derive(Clone)]
pub enum Error {
    /// The task failed, or the guest's code did.
    Failure(Box<Failure>),
    /// The JSON that arrived does not fit the type that was asked for.
    Payload(Box<PayloadMismatch>),
}

impl Error {
    /// An error with nothing but a sentence for a person.
    pub fn new(message: impl Into<String>) -> Self {
        Failure::new("", message).into()
    }

    /// What went wrong, of an open set: see [`Failure::kind`].
    pub fn kind(&self) -> &str {
        match self {
            Self::Failure(failure) => &failure.kind,
            Self::Payload(_) => Failure::PAYLOAD,
        }
    }

    /// Whether the task took longer than it might: see [`Task::timeout`](crate::Task::timeout). A timeout inside an activity or a
    /// sub-orchestration that fails of it is none: it is that one's failure.
    pub fn is_timeout(&self) -> bool {
        self.kind() == Failure::TIMEOUT
    }

    /// The author's own name for the error, such as `OutOfStock`; empty where there is none.
    pub fn error_type(&self) -> &str {
        match self {
            Self::Failure(failure) => &failure.error_type,
            Self::Payload(_) => PayloadMismatch::ERROR_TYPE,
        }
    }

    /// The failure that this error is, or becomes where it leaves the guest.
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Failure(failure) => *failure,
            Self::Payload(mismatch) => Failure {
                kind: Failure::PAYLOAD.to_owned(),
                ..Failure::new(PayloadMismatch::ERROR_TYPE, mismatch.to_string())
            },
        }
    }

    /// The failure with which an orchestrator or activity of this module ends. What is neither of the guest's own kinds came from a
    /// task (an activity that trapped, say), and is the application's failure from here on; the details tell what it was.
    pub(crate) fn into_outgoing(self) -> Failure {
        let mut failure = self.into_failure();
        if failure.kind != Failure::PAYLOAD && failure.kind != Failure::APPLICATION {
            let kind = std::mem::replace(&mut failure.kind, Failure::APPLICATION.to_owned());
            failure.add_detail(&format!("kind: {kind}"));
        }
        failure
    }

    /// Any error type that a function of the guest returns.
    pub(crate) fn of_guest<E: Display + Debug + 'static>(error: E) -> Self {
        let details = |error: &E| format!("{error:?}");
        Self::from_foreign(error, details)
    }

    /// Keeps what is one of our own; describes the rest.
    fn from_foreign<E: Display + 'static>(error: E, details: impl FnOnce(&E) -> String) -> Self {
        let mut slot = Some(error);
        let any: &mut dyn Any = &mut slot;
        if let Some(own) = any.downcast_mut::<Option<Self>>().and_then(Option::take) {
            return own;
        }
        if let Some(failure) = any.downcast_mut::<Option<Failure>>().and_then(Option::take) {
            return Self::Failure(Box::new(failure));
        }
        if let Some(mismatch) = any.downcast_mut::<Option<PayloadMismatch>>().and_then(Option::take) {
            return Self::Payload(Box::new(mismatch));
        }
        let error = slot.expect("only one of our own errors is taken out");
        let failure = Failure::new(error_type_of::<E>(), error.to_string()).details(details(&error));
        Self::Failure(Box::new(failure))
    }
}

/// The name of the type, where it tells anything: not that of `io::Error`, `anyhow::Error` or a `String`.
fn error_type_of<E>() -> String {
    let name = short_type_name::<E>();
    match name.as_str() {
        "Error" | "String" | "&str" => String::new(),
        _ => name,
    }
}

impl<E: std::error::Error + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self::from_foreign(error, |error| {
            let causes = std::iter::successors(error.source(), |cause| cause.source());
            causes.map(|cause| format!("caused by: {cause}")).collect::<Vec<_>>().join("\n")
        })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        error.into_failure()
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(failure) => Display::fmt(failure, f),
            Self::Payload(mismatch) => Display::fmt(mismatch, f),
        }
    }
}

impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(failure) => Debug::fmt(failure, f),
            Self::Payload(mismatch) => Debug::fmt(mismatch, f),
        }
    }
}
