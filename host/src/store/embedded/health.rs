use std::sync::{Arc, OnceLock};

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// Whether this store may still be believed. Once poisoned, it answers nothing else any more.
#[derive(Default)]
pub(super) struct Health {
    reason: OnceLock<Arc<str>>,
}

impl Health {
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.reason.get() {
            None => Ok(()),
            Some(reason) => Err(StoreError::Poisoned(reason.clone())),
        }
    }

    /// The first reason stays.
    pub(super) fn poison(&self, reason: &str) -> StoreError {
        let reason = self.reason.get_or_init(|| {
            tracing::error!(reason, "storage can no longer be trusted");
            reason.into()
        });
        StoreError::Poisoned(reason.clone())
    }

    pub(super) fn reason(&self) -> Option<Arc<str>> {
        self.reason.get().cloned()
    }
}

/// Why a piece of work inside a transaction stopped. Either way the transaction is rolled back.
#[derive(Debug)]
pub(super) enum Failure {
    /// The store said no to this work, and is well.
    Refused(StoreError),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sql(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Refused(error)
    }
}

/// How far an SQLite error reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Only the statement that failed.
    Statement,
    /// The transaction: there is no room for it.
    Full,
    /// What is on disk is unknown.
    Unknown,
}

pub(super) fn reach(error: &rusqlite::Error) -> Reach {
    use ErrorCode::*;
    if is_spoilt_page(error) {
        return Reach::Statement;
    }
    match error.sqlite_error_code() {
        Some(DiskFull) => Reach::Full,
        None
        | Some(ConstraintViolation | TooBig | TypeMismatch | DatabaseBusy | DatabaseLocked | ParameterOutOfRange) => {
            Reach::Statement
        }
        Some(_) => Reach::Unknown,
    }
}

/// The same as [`read_error`], of work that can also be refused.
pub(super) fn failed_read(failure: Failure) -> StoreError {
    match failure {
        Failure::Refused(error) => error,
        Failure::Sql(error) => read_error(error),
    }
}

/// Whether a page was not what its checksum says, see `pages`. Who wants another page is not concerned.
fn is_spoilt_page(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_DATA)
}

/// What a failed read means to who asked. Reading changes nothing, so it never poisons.
pub(super) fn read_error(error: rusqlite::Error) -> StoreError {
    if is_spoilt_page(&error) {
        return StoreError::Damaged("a page of the database is not what was written: its checksum differs".to_owned());
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => StoreError::Damaged(error.to_string()),
        Some(_) => StoreError::Io(error.to_string().into()),
    }
}
