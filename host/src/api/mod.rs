//! HTTP in and out, as Durable Functions have it. Never runs guest code: everything goes to the dispatcher.
//!
//! - [`serve`]: connections, and the way to a stop that loses nothing
//! - [`endpoint`], [`mount`]: every endpoint there is, and the places where they lie; [`route`]: from method and path to one of these
//! - [`access`], [`sites`]: who may ask; [`links`]: where links lead
//! - [`traffic`], [`rate`], [`clients`]: how much each may ask
//! - [`query`]: the parameters; [`body`]: what a client sends, within bounds
//! - [`instances`], [`events`], [`control`], [`export`], [`modules`], [`migrations`], [`binding`], [`health`], [`skip`]: the handlers
//! - [`callbacks`]: where people answer an orchestrator
//! - [`live`]: answers that wait, and streams
//! - [`answer`], [`wire`], [`tasks`], [`history`], [`time`]: what answers look like
//! - [`openapi`]: the document of all this
//! - [`error`]: every refusal and its status
//!
//! Paths, bodies and statuses are those of the HTTP API reference of Durable Functions
//! (<https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-http-api>). Literal segments match in any case, which
//! axum's router cannot do: routing is one function here, and hyper does the rest.

mod access;
mod answer;
mod binding;
mod body;
mod callbacks;
mod clients;
mod control;
mod endpoint;
mod error;
mod events;
mod export;
mod health;
mod history;
mod instances;
mod links;
mod live;
mod migrations;
mod modules;
mod mount;
mod openapi;
mod query;
mod rate;
mod route;
mod serve;
mod sites;
mod skip;
mod tasks;
mod time;
mod traffic;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;

pub use access::Door;
pub use links::Outside;
pub use openapi::document;
pub use serve::serve;
pub use sites::Sites;
pub use traffic::Traffic;

use crate::budget::Budget;
use crate::callback::Callbacks;
use crate::dispatcher::{Dispatcher, RequestKey};
use crate::limits::{HttpLimits, IDEMPOTENCY_KEY_BYTES};
use crate::store::StoreError;
use access::Caller;
use answer::{Answer, Handled};
use body::Body;
use clients::{Client, is_in};
use endpoint::Call;
use error::ApiError;
use links::Links;
use route::Route;

/// What the handlers share: one for each address that the host listens on.
pub struct Api {
    pub dispatcher: Arc<Dispatcher>,
    pub callbacks: Arc<Callbacks>,
    pub limits: HttpLimits,
    /// A module that is uploaded, bytes.
    pub module_bytes: usize,
    /// The bodies of requests under way.
    pub bodies: Budget,
    /// Those of uploads, which are held until they are compiled.
    pub uploads: Budget,
    pub traffic: Arc<Traffic>,
    pub door: Door,
    pub outside: Outside,
    pub listening: SocketAddr,
}

/// A request whose sender was let in.
struct Asked<'a> {
    head: &'a Parts,
    route: Route<'a>,
    caller: Caller,
    peer: IpAddr,
}

/// However often a request is sent with the same one, it takes effect once
/// (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

impl Asked<'_> {
    fn query(&self) -> &str {
        self.head.uri.query().unwrap_or_default()
    }

    fn request_key(&self) -> Result<Option<RequestKey>, ApiError> {
        let Some(value) = self.head.headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = value.to_str().ok().filter(|key| (1..=IDEMPOTENCY_KEY_BYTES).contains(&key.len()));
        let key = key.ok_or_else(|| ApiError::bad_idempotency_key(IDEMPOTENCY_KEY_BYTES))?;
        Ok(Some(RequestKey { key: key.to_owned(), until: None }))
    }
}

impl Api {
    /// Answers a request. Every refusal is an answer too.
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Answer {
        let (head, body) = request.into_parts();
        let mut answer = self.handle(&head, body, peer).await.unwrap_or_else(|refusal| self.refusal(refusal));
        self.dispatcher.metrics().answered(answer.status().as_u16());
        // It may have had a length besides, of which hyper says nothing, and by which a proxy may go (RFC 9112, section 6.1).
        if head.headers.contains_key(TRANSFER_ENCODING) {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let path = route::without_key(head.uri.path());
        tracing::debug!(method = %head.method, %path, status = answer.status().as_u16(), "request");
        answer
    }

    fn refusal(&self, refusal: ApiError) -> Answer {
        if let Some(limit) = refusal.limit() {
            self.dispatcher.metrics().hit(limit);
        }
        refusal.into_answer()
    }

    async fn handle(&self, head: &Parts, body: Incoming, peer: IpAddr) -> Handled {
        let (route, caller) = match body::check_host(head).and_then(|()| self.admit(head, peer)) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                // Were it left unread, the connection would have to end.
                if body::is_small(&body) {
                    body::throw_away(head, body).await;
                }
                return Err(refusal);
            }
        };
        // What is in memory may rest on a write that is lost: only the health, and what was counted, is told any more.
        if let Some(reason) =
            self.dispatcher.poisoned().filter(|_| !matches!(route.call, Call::Health | Call::Ready | Call::Metrics))
        {
            body::throw_away(head, body).await;
            return Err(StoreError::Poisoned(reason).into());
        }
        let asked = Asked { head, route, caller, peer };
        self.check_covered(&asked).await?;
        self.call(&asked, body).await
    }

    /// Finds what is asked for, and lets its sender in, who must not ask too often.
    fn admit<'a>(&self, head: &'a Parts, peer: IpAddr) -> Result<(Route<'a>, Caller), ApiError> {
        let client = self.outside.client(&head.headers, peer)?;
        let client = client.filter(|address| !is_in(&self.limits.uncounted, *address)).map(Client::of);
        let now = Instant::now();
        let admitted = Route::find(&head.method, head.uri.path()).and_then(|route| {
            if route.needs.a_key() {
                self.traffic.may_send_key(client, now)?;
            }
            let caller = self.door.admit(head, &route, self.dispatcher.now())?;
            Ok((route, caller))
        });
        self.traffic.count(client, admitted.as_ref().map(|(_, caller)| caller), now)?;
        admitted
    }

    /// What a client sends, within the bounds of most requests.
    async fn body(&self, asked: &Asked<'_>, body: Incoming) -> Result<Body, ApiError> {
        body::read(asked.head, body, self.limits.body_bytes, self.limits.body_time, &self.bodies).await
    }

    async fn upload(&self, asked: &Asked<'_>, body: Incoming) -> Result<Body, ApiError> {
        body::read(asked.head, body, self.module_bytes, self.limits.body_time, &self.uploads).await
    }

    async fn call(&self, asked: &Asked<'_>, body: Incoming) -> Handled {
        match asked.route.call {
            Call::Raise => self.raise(asked, body).await,
            Call::Status => self.status(asked).await,
            Call::Watch => self.watch(asked).await,
            Call::Start => self.start(asked, body).await,
            Call::List => self.list(asked).await,
            Call::Terminate | Call::Suspend | Call::Resume | Call::Rewind | Call::Unpark => self.control(asked).await,
            Call::Restart => self.restart(asked).await,
            Call::Purge => self.purge(asked).await,
            Call::PurgeMany => self.purge_many(asked).await,
            Call::Export => self.export(asked).await,
            Call::Entities => Err(ApiError::no_entities()),
            Call::CallbackPage => self.callback_page(asked).await,
            Call::AnswerCallback => self.answer_callback(asked, body).await,
            Call::Deploy => self.deploy(asked, body).await,
            Call::Modules => Ok(self.modules()),
            Call::DeleteModule => self.delete_module(asked.route.part("digest")).await,
            Call::Migrate => self.migrate(asked, body).await,
            Call::SkipClock => self.skip_clock(asked),
            Call::Binding => self.binding(asked),
            Call::Health | Call::Ready => self.health(),
            Call::Metrics => Ok(self.metrics()),
            Call::OpenApi => self.openapi(),
            Call::Page => self.page(asked),
            Call::PageFile => self.page_file(asked, asked.route.part("file")),
        }
    }

    /// A key that is bound to some orchestrators sees only these, and their instances.
    async fn check_covered(&self, asked: &Asked<'_>) -> Result<(), ApiError> {
        if let Some(name) = asked.route.orchestrator() {
            return if asked.caller.covers(name) { Ok(()) } else { Err(ApiError::orchestrator_not_covered(name)) };
        }
        match asked.route.instance() {
            Some(id) if !asked.caller.orchestrators().is_empty() => self.check_instance(&asked.caller, id).await,
            _ => Ok(()),
        }
    }

    async fn check_instance(&self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        let name = self.dispatcher.orchestrator_of(id).await?.filter(|name| caller.covers(name));
        name.map(drop).ok_or_else(|| ApiError::unknown_instance(id))
    }

    /// Where the links of the answer are to lead.
    fn links(&self, asked: &Asked<'_>) -> Result<Links, ApiError> {
        let origin = self.outside.origin(asked.head, asked.peer, self.listening)?;
        let with_key = query::flag(asked.query(), "keyInLinks", false)?;
        Ok(Links { origin, key: asked.caller.secret().filter(|_| with_key).map(str::to_owned) })
    }
}
