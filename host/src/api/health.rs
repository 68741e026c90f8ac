//! Whether the host can do its work.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::answer::{Handled, json};
use crate::store::StoreError;

/// That of a host that can do its work.
#[derive(Serialize, JsonSchema)]
pub struct Health {
    status: &'static str,
}

impl Api {
    /// 503 with the reason from the moment that storage can not be trusted.
    pub(super) fn health(&self) -> Handled {
        match self.dispatcher.poisoned() {
            None => Ok(json(StatusCode::OK, &Health { status: "ok" })),
            Some(reason) => Err(StoreError::Poisoned(reason).into()),
        }
    }
}
