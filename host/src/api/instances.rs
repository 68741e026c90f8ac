//! Instances: start, status, list.

use std::time::Duration;

use fermata_replay::RuntimeStatus;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use serde_json::value::to_raw_value;

use super::answer::{Answer, Handled, JSON, json, whole};
use super::body::payload;
use super::endpoint::Call;
use super::error::ApiError;
use super::links::Links;
use super::query::{self, Show};
use super::wire::{Management, Status};
use super::{Api, Asked};
use crate::dispatcher::{InstanceView, Output, Started};
use crate::keys::Scope;
use crate::limits;
use crate::store::Filter;

const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation-token");

/// How an instance is shown: all that a request says about that. It is read before anything is done, so that nothing is half done where
/// it is wrong.
pub struct Manner {
    show: Show,
    links: Links,
    failed_is_an_error: bool,
    /// What a link to the same status has as its query.
    query: String,
}

impl Api {
    pub(super) fn manner(&self, asked: &Asked<'_>) -> Result<Manner, ApiError> {
        let is_status = asked.route.call == Call::Status;
        Ok(Manner {
            show: if is_status { Show::parse(asked.query())? } else { Show::default() },
            links: self.links(asked)?,
            failed_is_an_error: query::flag(asked.query(), "returnInternalServerErrorOnFailure", false)?,
            query: if is_status { query::without_key(asked.query()) } else { String::new() },
        })
    }

    /// Durable on return. The media type is not looked at: clients send JSON under many names.
    pub(super) async fn start(&self, asked: &Asked<'_>, body: Incoming) -> Handled {
        let wait = self.wait_of_start(asked).map_err(ApiError::of_start)?;
        let manner = self.manner(asked).map_err(ApiError::of_start)?;
        let request = asked.request_key().map_err(ApiError::of_start)?;
        // The body is let go here: who waits is not to hold it.
        let input = payload(&self.body(asked, body).await?, asked.route.mount).map_err(ApiError::of_start)?;
        let (name, id) = (asked.route.part("name"), asked.route.instance());
        let started = match request {
            Some(request) => self.dispatcher.start_once(name, id, input, request).await?,
            None => self.dispatcher.start(name, id, input).await?,
        };
        self.started(&started, wait, &manner).await
    }

    /// Who waits for an output must be one who may read it.
    pub(super) fn wait_of_start(&self, asked: &Asked<'_>) -> Result<Option<Duration>, ApiError> {
        let wait = query::wait_of_start(asked.query())?;
        wait.map_or(Ok(()), |_| asked.caller.check(Scope::Read))?;
        Ok(wait)
    }

    /// Where to go with an instance that was started; or how it ended, where that is waited for and comes in time.
    pub(super) async fn started(&self, started: &Started, wait: Option<Duration>, manner: &Manner) -> Handled {
        if let Some(wait) = wait
            && let Some(ended) = self.when_ended(&started.id, wait).await?.filter(|view| view.status.is_final())
        {
            return Ok(match &ended.output {
                Some(Output::Result(output)) => whole(StatusCode::OK, JSON, output.as_str().to_owned()),
                _ => manner.shown(&ended),
            });
        }
        let url = manner.links.instance(&started.id);
        let mut answer = json(StatusCode::ACCEPTED, &Management::new(&started.id, &url, &manner.links));
        look_at(&mut answer, &format!("{url}{}", manner.links.key_after(false)), 10);
        Ok(answer)
    }

    /// At once, or with `wait` when the instance has ended.
    pub(super) async fn status(&self, asked: &Asked<'_>) -> Handled {
        let (id, manner) = (asked.route.part("instanceId"), self.manner(asked)?);
        let history = manner.show.history;
        let waited = match query::wait(asked.query(), "wait")? {
            Some(wait) => self.when_ended(id, wait).await?.filter(|_| !history),
            None => None,
        };
        let view = match waited {
            Some(view) => Some(view),
            None => self.dispatcher.view(id, history).await?,
        };
        Ok(manner.shown(&view.ok_or_else(|| ApiError::unknown_instance(id))?))
    }

    /// A page of instances in the order of creation. It ends early where it would become too large.
    pub(super) async fn list(&self, asked: &Asked<'_>) -> Handled {
        let show = Show { history: false, ..Show::parse(asked.query())? };
        let token = asked.head.headers.get(CONTINUATION).map(|token| token.to_str().unwrap_or("?"));
        let filter = query::filter(asked.query(), token)?;
        let allowed = asked.caller.orchestrators().to_vec();
        let page = self.dispatcher.list(Filter { allowed, ..filter }).await?;
        let (mut list, mut bytes, mut next) = (Vec::with_capacity(page.instances.len()), 0, page.next);
        for (place, instance) in (1..).zip(&page.instances) {
            // One that is gone meanwhile is left out.
            let Some(view) = self.dispatcher.view(&instance.id, false).await? else { continue };
            let status =
                to_raw_value(&Status::new(&view, show)).expect("wire types have string keys and no failing parts");
            bytes += status.get().len();
            list.push(status);
            if bytes >= limits::LIST_BYTES && place < page.instances.len() {
                next = Some(instance.key);
                break;
            }
        }
        let mut answer = json(StatusCode::OK, &list);
        // Clients ask on as long as there is a token.
        if let Some(last) = next {
            let token = HeaderValue::try_from(query::token(last)).expect("hexadecimal digits make a header");
            answer.headers_mut().insert(CONTINUATION, token);
        }
        Ok(answer)
    }
}

impl Manner {
    /// 202 while the instance goes on, 200 when it has ended.
    pub fn shown(&self, view: &InstanceView) -> Answer {
        if view.status.is_final() {
            let is_error = self.failed_is_an_error && view.status == RuntimeStatus::Failed;
            let status = if is_error { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
            return json(status, &Status::new(view, self.show));
        }
        let mut answer = json(StatusCode::ACCEPTED, &Status::new(view, self.show));
        let joint = if self.query.is_empty() { "" } else { "?" };
        let key = self.links.key_after(!self.query.is_empty());
        look_at(&mut answer, &format!("{}{joint}{}{key}", self.links.instance(&view.id), self.query), 5);
        answer
    }
}

/// Says where and when to look how the instance gets on.
fn look_at(answer: &mut Answer, url: &str, seconds: u32) {
    let headers = answer.headers_mut();
    // A request's host may hold bytes that a header can not: then the link is in the body alone.
    if let Ok(url) = HeaderValue::try_from(url) {
        headers.insert(LOCATION, url);
    }
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
}
