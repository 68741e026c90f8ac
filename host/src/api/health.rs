//! Whether the host can do its work, and how much it does.

use hyper::StatusCode;
use hyper::header::HeaderValue;
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::answer::{Answer, Handled, json, whole};
use crate::metrics;
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

    /// What was counted since the host began. Nothing of it is read from the store.
    pub(super) fn metrics(&self) -> Answer {
        whole(StatusCode::OK, HeaderValue::from_static(metrics::MEDIA_TYPE), self.dispatcher.metrics_text())
    }
}
