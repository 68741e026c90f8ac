//! External events.

use fermata_replay::Payload;
use hyper::StatusCode;
use hyper::body::Incoming;

use super::answer::{Handled, empty};
use super::body::{check_media_type, payload, read};
use super::error::ApiError;
use super::{Api, Asked};
use crate::limits::EVENT_NAME_BYTES;

impl Api {
    /// Durable on return. Refusals come in the order of Durable Functions: no such instance, it has ended, then what is wrong with the
    /// event.
    pub(super) async fn raise(&self, asked: &Asked<'_>, body: Incoming) -> Handled {
        let (id, event) = (asked.route.part("instanceId"), asked.route.part("eventName"));
        let body = read(asked.head, body, self.limits.body_bytes, self.limits.body_time).await?;
        match input(asked, &body, event) {
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

fn input(asked: &Asked<'_>, body: &[u8], event: &str) -> Result<Payload, ApiError> {
    if event.len() > EVENT_NAME_BYTES {
        return Err(ApiError::bad_event_name(EVENT_NAME_BYTES));
    }
    // An empty body needs no media type.
    if !body.is_empty() {
        check_media_type(asked.head)?;
    }
    payload(body, asked.route.mount)
}
