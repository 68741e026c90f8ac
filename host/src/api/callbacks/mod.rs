//! Callback URLs, where people and programs answer an orchestrator: a page that asks, and what takes the answer. No key is needed: the
//! signature says what may be raised, and for which instance.
//!
//! - [`page`]: what people see

mod page;

use fermata_replay::{OpenKind, Payload, fold_name};
use hyper::StatusCode;
use hyper::body::Incoming;

use super::answer::{Answer, Handled, empty};
use super::body::is_form;
use super::error::ApiError;
use super::events::{accepted, input};
use super::{Api, Asked, query};
use crate::callback::{Callback, Expiry};
use crate::dispatcher::{InstanceView, RaiseError, RequestKey};
use page::Question;

impl Api {
    /// The page. It raises nothing: programs that guard mail open every link in it.
    pub(super) async fn callback_page(&self, asked: &Asked<'_>) -> Handled {
        let question = async || {
            let callback = self.callback(asked)?;
            if self.dispatcher.was_raised(callback.instance, &request(&callback)).await? {
                return Ok(page::is_answered(&callback));
            }
            Ok(page::asks(&Question::new(&callback, &self.receiver(&callback, true).await?)))
        };
        Ok(question().await.unwrap_or_else(|refusal: ApiError| page::refuses(&refusal)))
    }

    /// Raises the event. A form is answered with a page, everything else as any other raise.
    pub(super) async fn answer_callback(&self, asked: &Asked<'_>, body: Incoming) -> Handled {
        if is_form(asked.head) {
            let answered = self.answer_by_form(asked, body).await;
            return Ok(answered.unwrap_or_else(|refusal| page::refuses(&refusal)));
        }
        let callback = self.callback(asked)?;
        let body = self.body(asked, body).await?;
        let seq = match input(asked, &body, callback.event) {
            Ok(payload) => self.raise_by(&callback, payload).await?,
            Err(bad_event) => return Err(self.receiver(&callback, false).await.err().unwrap_or(bad_event)),
        };
        Ok(accepted(empty(StatusCode::ACCEPTED), seq))
    }

    async fn answer_by_form(&self, asked: &Asked<'_>, body: Incoming) -> Result<Answer, ApiError> {
        let callback = self.callback(asked)?;
        let body = self.body(asked, body).await?;
        let form = std::str::from_utf8(&body).map_err(|_| ApiError::bad_utf8())?;
        let typed = query::text(form, "payload").unwrap_or_default();
        match Payload::parse(&typed) {
            Ok(payload) => {
                let seq = self.raise_by(&callback, payload).await?;
                Ok(accepted(page::thanks(&callback, &typed), seq))
            }
            Err(bad_json) => {
                let receiver = self.receiver(&callback, true).await?;
                let question = Question::new(&callback, &receiver);
                Ok(page::asks_again(&question, &typed, &bad_json))
            }
        }
    }

    /// What the URL of a request is good for, if it is good for anything. No instance is looked at.
    fn callback<'a>(&self, asked: &'a Asked<'_>) -> Result<Callback<'a>, ApiError> {
        let parameter = |name| query::text(asked.query(), name);
        let number = |name| parameter(name).and_then(|digits| u64::from_str_radix(&digits, 16).ok());
        let expires = parameter("expires").and_then(|expires| expires.parse().ok()).map(Expiry);
        let (Some(run), Some(nonce), Some(expires), Some(signature)) =
            (number("run"), number("nonce"), expires, parameter("signature"))
        else {
            return Err(ApiError::callback_invalid());
        };
        let (instance, event) = (asked.route.part("instanceId"), asked.route.part("eventName"));
        let callback = Callback { instance, run, event, nonce, expires };
        if !self.callbacks.has_signed(&callback, &signature) {
            return Err(ApiError::callback_invalid());
        }
        if expires.has_passed(self.dispatcher.now()) {
            return Err(ApiError::callback_expired(expires.instant()));
        }
        Ok(callback)
    }

    /// Raises the event of a callback URL: once, for it is good for one answer. Durable on return.
    async fn raise_by(&self, callback: &Callback<'_>, payload: Payload) -> Result<u64, ApiError> {
        let Callback { instance, run, event, .. } = *callback;
        match self.dispatcher.raise_once(instance, event, payload, request(callback), Some(run)).await {
            Ok(raised) => Ok(raised.seq),
            Err(RaiseError::Reused(_)) => Err(ApiError::callback_used()),
            Err(refused) => Err(refused.into()),
        }
    }

    /// The instance that a callback is for, if it can receive an event still.
    async fn receiver(&self, callback: &Callback<'_>, history: bool) -> Result<InstanceView, ApiError> {
        let id = callback.instance;
        match self.dispatcher.view(id, history).await? {
            None => Err(ApiError::unknown_instance(id)),
            Some(view) if view.key != callback.run || view.status.is_final() => Err(ApiError::instance_ended(id)),
            Some(view) => Ok(view),
        }
    }
}

/// What makes an answer take effect once. No client can send such an Idempotency-Key.
fn request(callback: &Callback<'_>) -> RequestKey {
    let Callback { run, nonce, expires, .. } = callback;
    RequestKey { key: format!("\u{1}callback {run:x} {nonce:x}"), until: Some(expires.instant()) }
}

impl<'a> Question<'a> {
    fn new(callback: &Callback<'a>, receiver: &'a InstanceView) -> Question<'a> {
        let Callback { instance, event, expires, .. } = *callback;
        let open = receiver.history.iter().flat_map(|history| &history.open_tasks);
        let is_for_it =
            |kind: &OpenKind| matches!(kind, OpenKind::Event { name } if fold_name(name) == fold_name(event));
        let is_awaited = open.map(|task| &task.kind).any(is_for_it);
        Question { instance, event, orchestrator: &receiver.name, expires: expires.instant(), is_awaited }
    }
}
