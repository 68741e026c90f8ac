//! External events.

use std::sync::Arc;
use std::time::Duration;

use fermata_replay::Payload;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};

use super::answer::{Answer, Handled, empty};
use super::body::{check_media_type, payload};
use super::error::ApiError;
use super::instances::Manner;
use super::query;
use super::{Api, Asked};
use crate::dispatcher::{Raised, Taken};
use crate::keys::Scope;
use crate::limits::EVENT_NAME_BYTES;

/// The place of an event in the order of arrival.
const SEQUENCE: HeaderName = HeaderName::from_static("fermata-sequence");

/// Whether the turn that took the event is durable.
const TAKEN: HeaderName = HeaderName::from_static("fermata-taken");

impl Api {
    /// Durable on return. Refusals come in the order of Durable Functions: no such instance, it has ended, then what is wrong with the
    /// event.
    pub(super) async fn raise(&self, asked: &Asked<'_>, body: Incoming) -> Handled {
        let (id, event) = (asked.route.part("instanceId"), asked.route.part("eventName"));
        let request = asked.request_key()?;
        let wait = query::wait(asked.query(), "wait")?;
        let wait = wait.map(|wait| self.shows_status(asked).map(|manner| (wait, manner))).transpose()?;
        // The body is let go here: who waits is not to hold it.
        let input = match input(asked, &self.body(asked, body).await?, event) {
            Ok(input) => input,
            Err(bad_event) => return Err(self.refuse(id, bad_event).await?),
        };
        let raised = match (request, &wait) {
            (Some(request), _) => self.dispatcher.raise_once(id, event, input, request, None).await?,
            (None, Some(_)) => self.dispatcher.raise_and_wait(id, event, input).await?,
            (None, None) => Raised { seq: self.dispatcher.raise(id, event, input).await?, taking: None },
        };
        let seq = raised.seq;
        let answer = match wait {
            Some((wait, manner)) => self.when_taken(id, raised, wait, &manner).await?,
            None => empty(StatusCode::ACCEPTED),
        };
        Ok(accepted(answer, seq))
    }

    /// Who waits is shown the status, and must be one who may read it.
    fn shows_status(&self, asked: &Asked<'_>) -> Result<Manner, ApiError> {
        asked.caller.check(Scope::Read)?;
        self.manner(asked)
    }

    /// The status when the turn that took the event is durable, or as it is after this time.
    async fn when_taken(&self, id: &str, raised: Raised, wait: Duration, manner: &Manner) -> Handled {
        let taken = async {
            match raised.taking {
                Some(mut taking) => Ok::<_, ApiError>(taking.taken().await),
                None => Ok(self.dispatcher.read(id, raised.seq).await?.then(Taken::default)),
            }
        };
        let taken = tokio::time::timeout(wait, taken).await.unwrap_or(Ok(None))?;
        let is_taken = HeaderValue::from_static(if taken.is_some() { "true" } else { "false" });
        let view = match taken.and_then(|taken| taken.shown) {
            Some(view) => Some(view),
            None => self.dispatcher.view(id, false).await?.map(Arc::new),
        };
        // It may be gone by now, and the event was accepted all the same.
        let mut answer = view.map_or_else(|| empty(StatusCode::ACCEPTED), |view| manner.shown(&view));
        answer.headers_mut().insert(TAKEN, is_taken);
        Ok(answer)
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

pub(super) fn accepted(mut answer: Answer, seq: u64) -> Answer {
    answer.headers_mut().insert(SEQUENCE, HeaderValue::from(seq));
    answer
}

pub(super) fn input(asked: &Asked<'_>, body: &[u8], event: &str) -> Result<Payload, ApiError> {
    if event.len() > EVENT_NAME_BYTES {
        return Err(ApiError::bad_event_name(EVENT_NAME_BYTES));
    }
    // An empty body needs no media type.
    if !body.is_empty() {
        check_media_type(asked.head)?;
    }
    payload(body, asked.route.mount)
}
