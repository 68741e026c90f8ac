//! HTTP in and out, as Durable Functions have it. Never runs guest code: everything goes to the dispatcher.
//!
//! - [`serve`]: connections, and the way to a stop that loses nothing
//! - [`route`]: from method and path to what is asked for; [`query`]: the parameters
//! - [`instances`], [`events`], [`control`], [`export`], [`modules`], [`migrations`], [`health`], [`skip`]: the handlers
//! - [`body`]: reads what a client sends, within bounds
//! - [`wire`], [`tasks`], [`history`], [`time`]: what answers look like
//! - [`error`]: every refusal and its status
//!
//! Paths, bodies and statuses are those of the HTTP API reference of Durable Functions
//! (<https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-http-api>). Literal segments match in any case, which
//! axum's router cannot do: routing is one function here, and hyper does the rest.

mod body;
mod control;
mod error;
mod events;
mod export;
mod health;
mod history;
mod instances;
mod migrations;
mod modules;
mod query;
mod route;
mod serve;
mod skip;
mod tasks;
mod time;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use serde::Serialize;

pub use serve::serve;

use crate::dispatcher::Dispatcher;
use crate::limits::HttpLimits;
use crate::store::StoreError;
use error::ApiError;
use route::Route;

type Answer = Response<Full<Bytes>>;
type Handled = Result<Answer, ApiError>;

/// What the handlers share.
struct Api {
    dispatcher: Arc<Dispatcher>,
    limits: HttpLimits,
    /// Where the host listens; links lead there when a request does not say which host it meant.
    address: SocketAddr,
}

impl Api {
    /// Answers a request. Every refusal is an answer too.
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let answer = self.handle(&head, body).await.unwrap_or_else(ApiError::into_answer);
        tracing::debug!(method = %head.method, path = head.uri.path(), status = answer.status().as_u16(), "request");
        answer
    }

    async fn handle(&self, head: &Parts, body: Incoming) -> Handled {
        let route = Route::find(&head.method, head.uri.path())?;
        // What is in memory may rest on a write that is lost: only the health is told any more.
        if let Some(reason) = self.dispatcher.poisoned().filter(|_| !matches!(route, Route::Health)) {
            return Err(StoreError::Poisoned(reason).into());
        }
        match route {
            Route::Raise { id, event } => self.raise(head, body, &id, &event).await,
            Route::Status { id } => self.status(head, &id).await,
            Route::Start { name, id } => self.start(head, body, &name, id.as_deref()).await,
            Route::List => self.list(head).await,
            Route::Control { id, verb } => self.control(head, &id, verb).await,
            Route::Restart { id } => self.restart(head, &id).await,
            Route::Purge { id } => self.purge(head, &id).await,
            Route::PurgeAll => self.purge_all(head).await,
            Route::Export { id } => self.export(&id).await,
            Route::Deploy => self.deploy(head, body).await,
            Route::Modules => Ok(self.modules()),
            Route::DeleteModule { digest } => self.delete_module(digest).await,
            Route::Migrate => self.migrate(head, body).await,
            Route::SkipClock => self.skip_clock(head),
            Route::Health => self.health(),
            Route::NotYet(what) => Err(ApiError::not_yet(what)),
        }
    }

    /// The host and port that links lead to: the ones the client used.
    fn authority(&self, head: &Parts) -> String {
        let target = head.uri.authority().map(|authority| authority.as_str());
        let host = || head.headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| !host.is_empty());
        target.or_else(host).map_or_else(|| self.address.to_string(), str::to_owned)
    }
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(body).expect("wire types have string keys and no failing parts");
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    answer
}
