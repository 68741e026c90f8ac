//! External events.

use fermata_replay::Payload;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::http::request::Parts;

use super::body::{check_media_type, payload, read};
use super::error::ApiError;
use super::{Api, Handled, empty};
use crate::limits::EVENT_NAME_BYTES;

impl Api {
    /// Durable on return. Refusals come in the order of Durable Functions: no such instance, it has ended, then what is wrong with the
    /// event.
    pub async fn raise(&self, head: &Parts, body: Incoming, id: &str, event: &str) -> Handled {
        let body = read(head, body, self.limits.body_bytes, self.limits.body_time).await?;
        match input(head, &body, event) {
            Ok(input) => {
                self.dispatcher.raise(id, event, input).await?;
                Ok(empty(StatusCode::ACCEPTED))
            }
            Err(bad_event) => Err(self.refuse(id, bad_event).await?),
        }
    }

    /// The dispatcher looks at the instance of a good event; that of a bad one is looked at here, for nothing is to be stored.
    async fn refuse(&self, id: &str, bad_event: ApiError) -> Result<ApiError, ApiError> {
        Ok(match self.dispatcher.view(id, false).await? {
            None => ApiError::unknown_instance(id),
            Some(view) if view.status.is_final() => ApiError::instance_ended(id),
            Some(_) => bad_event,
        })
    }
}

fn input(head: &Parts, body: &[u8], event: &str) -> Result<Payload, ApiError> {
    if event.len() > EVENT_NAME_BYTES {
        return Err(ApiError::bad_event_name(EVENT_NAME_BYTES));
    }
    // An empty body needs no media type.
    if !body.is_empty() {
        check_media_type(head)?;
    }
    payload(body)
}
