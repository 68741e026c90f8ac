//! What an operator asks of instances. Durable on return, like everything else.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Handled, empty, json};
use super::endpoint::Call;
use super::error::ApiError;
use super::{Api, Asked, query};
use crate::store::Filter;

/// How many instances were removed.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Purged {
    instances_deleted: u64,
}

impl Api {
    /// Terminate, suspend, resume, rewind, unpark: 202 without a body.
    pub(super) async fn control(&self, asked: &Asked<'_>) -> Handled {
        let (id, control) = (asked.route.part("instanceId"), query::control(asked.query())?);
        match asked.route.call {
            Call::Suspend => self.dispatcher.suspend(id, control).await,
            Call::Resume => self.dispatcher.resume(id, control).await,
            Call::Rewind => self.dispatcher.rewind(id, control).await,
            Call::Unpark => self.dispatcher.unpark(id).await,
            _ => self.dispatcher.terminate(id, control).await,
        }?;
        Ok(empty(StatusCode::ACCEPTED))
    }

    /// Starts the instance's orchestrator anew with the same input, by default under a new id.
    pub(super) async fn restart(&self, asked: &Asked<'_>) -> Handled {
        let new_id = query::flag(asked.query(), "restartWithNewInstanceId", true)?;
        let (wait, manner) = (self.wait_of_start(asked)?, self.manner(asked)?);
        let started = self.dispatcher.restart(asked.route.part("instanceId"), new_id).await?;
        self.started(&started, wait, &manner).await
    }

    /// Removes an instance that has ended; any with `force=true`.
    pub(super) async fn purge(&self, asked: &Asked<'_>) -> Handled {
        let force = query::flag(asked.query(), "force", false)?;
        self.dispatcher.purge(asked.route.part("instanceId"), force).await?;
        Ok(json(StatusCode::OK, &Purged { instances_deleted: 1 }))
    }

    /// Removes those that have ended among the instances that the query names. None is not found.
    pub(super) async fn purge_many(&self, asked: &Asked<'_>) -> Handled {
        let filter = query::purge_filter(asked.query())?;
        let allowed = asked.caller.orchestrators().to_vec();
        match self.dispatcher.purge_all(Filter { allowed, ..filter }).await? {
            0 => Err(ApiError::nothing_to_purge()),
            instances_deleted => Ok(json(StatusCode::OK, &Purged { instances_deleted })),
        }
    }
}
