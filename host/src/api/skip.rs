//! The clock of a host that is tried out.

use hyper::StatusCode;

use super::answer::{Handled, empty};
use super::error::ApiError;
use super::{Api, Asked, query};

impl Api {
    /// Moves the host's clock forward, so that what takes days can be tried in a minute.
    pub(super) fn skip_clock(&self, asked: &Asked<'_>) -> Handled {
        let span = query::seconds(asked.query())?;
        if self.dispatcher.skip(span) { Ok(empty(StatusCode::NO_CONTENT)) } else { Err(ApiError::clock_stands_fast()) }
    }
}
