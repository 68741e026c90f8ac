//! What an operator asks of instances. Durable on return, like everything else.

use hyper::StatusCode;
use hyper::http::request::Parts;
use serde::Serialize;

use super::error::ApiError;
use super::query;
use super::route::Verb;
use super::{Api, Handled, empty, json};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Purged {
    instances_deleted: u64,
}

impl Api {
    /// Terminate, suspend, resume, rewind, unpark: 202 without a body.
    pub async fn control(&self, head: &Parts, id: &str, verb: Verb) -> Handled {
        let control = query::control(asked(head))?;
        match verb {
            Verb::Terminate => self.dispatcher.terminate(id, control).await,
            Verb::Suspend => self.dispatcher.suspend(id, control).await,
            Verb::Resume => self.dispatcher.resume(id, control).await,
            Verb::Rewind => self.dispatcher.rewind(id, control).await,
            Verb::Unpark => self.dispatcher.unpark(id).await,
        }?;
        Ok(empty(StatusCode::ACCEPTED))
    }

    /// Starts the instance's orchestrator anew with the same input, by default under a new id.
    pub async fn restart(&self, head: &Parts, id: &str) -> Handled {
        let new_id = query::flag(asked(head), "restartWithNewInstanceId", true)?;
        let started = self.dispatcher.restart(id, new_id).await?;
        Ok(self.started(head, &started))
    }

    /// Removes an instance that has ended; any with `force=true`.
    pub async fn purge(&self, head: &Parts, id: &str) -> Handled {
        let force = query::flag(asked(head), "force", false)?;
        self.dispatcher.purge(id, force).await?;
        Ok(json(StatusCode::OK, &Purged { instances_deleted: 1 }))
    }

    /// Removes those that have ended among the instances that the query names. None is not found.
    pub async fn purge_all(&self, head: &Parts) -> Handled {
        let filter = query::purge_filter(asked(head))?;
        match self.dispatcher.purge_all(filter).await? {
            0 => Err(ApiError::nothing_to_purge()),
            instances_deleted => Ok(json(StatusCode::OK, &Purged { instances_deleted })),
        }
    }
}

fn asked(head: &Parts) -> &str {
    head.uri.query().unwrap_or_default()
}
