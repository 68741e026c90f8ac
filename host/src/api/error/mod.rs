//! Every refusal: its status, and a body that says what is wrong and what to do about it. [`from`]: those of the dispatcher and the store.

mod from;

use std::borrow::Cow;
use std::time::Duration;

use fermata_replay::Timestamp;
use hyper::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};

use super::answer::{Answer, JSON, whole};
use super::time::Seconds;
use super::wire::Refusal;
use crate::keys::{Key, Scope};
use crate::limits::{Limit, Rate};

/// An answer that is a refusal.
#[derive(Debug, PartialEq)]
pub struct ApiError {
    pub status: StatusCode,
    /// Names the kind of error, for programs. Never changes.
    pub code: &'static str,
    pub message: String,
    pub hint: Cow<'static, str>,
    /// Seconds after which the same request may succeed.
    pub retry_after: Option<u32>,
    /// Clients of Durable Functions read `ExceptionMessage` where a start is refused with 400.
    pub of_start: bool,
}

impl ApiError {
    fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Self {
        ApiError { status, code, message: message.into(), hint: hint.into(), retry_after: None, of_start: false }
    }

    fn retry_after(self, seconds: u32) -> ApiError {
        ApiError { retry_after: Some(seconds), ..self }
    }

    /// Marks a refusal of a start.
    pub fn of_start(self) -> ApiError {
        ApiError { of_start: true, ..self }
    }

    pub fn into_answer(self) -> Answer {
        let mut answer = whole(self.status, JSON, self.body());
        if self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }

    /// What is wrong, as JSON.
    pub fn body(&self) -> Vec<u8> {
        let exception_message = self.of_start.then_some(&*self.message);
        let body = Refusal { message: &self.message, exception_message, code: self.code, hint: &self.hint };
        serde_json::to_vec(&body).expect("wire types have string keys and no failing parts")
    }

    pub fn unknown_route(method: &Method, path: &str) -> ApiError {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown-route",
            format!("there is nothing at {method} {path}"),
            "instances are at /runtime/webhooks/durabletask/instances, modules at /modules",
        )
    }

    pub fn no_entities() -> ApiError {
        ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "no-entities",
            "this host has no entities",
            "keep the state in an orchestrator that continues as new, and send it events",
        )
    }

    pub fn no_key() -> ApiError {
        ApiError::new(
            StatusCode::UNAUTHORIZED,
            "no-key",
            "this host needs a key, and the request has none",
            "send it as the header x-functions-key, as a bearer token, or as code= in the query; `fermata key create` makes one",
        )
    }

    pub fn wrong_key() -> ApiError {
        ApiError::new(
            StatusCode::UNAUTHORIZED,
            "wrong-key",
            "the key of this request is none of this host's, or has expired",
            "`fermata key list` shows the keys there are, `fermata key create` makes one",
        )
    }

    pub fn wrong_scope(key: &Key, scope: Scope) -> ApiError {
        let scopes = key.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(", ");
        ApiError::new(
            StatusCode::FORBIDDEN,
            "key-not-for-this",
            format!("this needs a key with the scope {scope}; the key {:?} has {scopes}", key.name),
            "`fermata key create --scope` makes a key for it",
        )
    }

    pub fn bound_key(key: &Key) -> ApiError {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "key-bound",
            format!("this concerns all orchestrators, and the key {:?} is for some of them", key.name),
            "use a key that was made without --orchestrator",
        )
    }

    pub fn orchestrator_not_covered(name: &str) -> ApiError {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "key-not-for-this",
            format!("this key is not for the orchestrator {name:?}"),
            "use a key whose --orchestrator patterns cover it",
        )
    }

    pub fn callback_invalid() -> ApiError {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "callback-invalid",
            "this host has not signed a URL for this, or has revoked it",
            "use the URL as the orchestrator gave it, whole and unchanged",
        )
    }

    pub fn callback_used() -> ApiError {
        ApiError::new(
            StatusCode::CONFLICT,
            "callback-used",
            "this was answered before, in another way",
            "the first answer counts; ask for another link where that was wrong",
        )
    }

    pub fn callback_expired(expired: Timestamp) -> ApiError {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "callback-expired",
            format!("this URL was good until {}", Seconds(expired)),
            "only the orchestrator can ask for another one",
        )
    }

    pub fn bad_host(host: &str) -> ApiError {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad-host",
            format!("{host:?} is no name of a host"),
            "send the header Host: NAME:PORT",
        )
    }

    pub fn foreign_host(host: &str) -> ApiError {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "foreign-host",
            format!("without keys this host answers only to names of this machine, and {host:?} is none"),
            "use localhost, or name the host with `fermata serve --allow-host`, or make a key with `fermata key create`",
        )
    }

    pub fn foreign_origin(origin: &str) -> ApiError {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            format!("without keys this host answers no page of another site, and this one is of {origin:?}"),
            "make a key with `fermata key create`, and have the site's own server ask",
        )
    }

    pub fn too_many_watches() -> ApiError {
        ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-watches",
            "as many instances are watched as this host lets be watched at a time",
            "watch again after the time in Retry-After, or ask for the status with wait=SECONDS",
        )
        .retry_after(5)
    }

    /// The bound of HTTP that was passed, if it is one that the metrics count; what is full behind it is counted there.
    pub fn limit(&self) -> Option<Limit> {
        Some(match self.code {
            "too-many-wrong-keys" => Limit::WrongKeys,
            "key-asks-too-much" => Limit::KeyRate,
            "address-asks-too-much" => Limit::AddressRate,
            "too-many-bodies" => Limit::Bodies,
            _ => return None,
        })
    }

    pub fn is_wrong_key(&self) -> bool {
        self.code == "wrong-key"
    }

    pub fn too_many_wrong_keys(wait: Duration) -> ApiError {
        ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-wrong-keys",
            "too many keys that are none of this host's came from this address, so for a while none is looked at",
            "see that every program there has a key of `fermata key list`, and send again after the time in Retry-After",
        )
        .retry_after(whole_seconds(wait))
    }

    pub fn key_asks_too_much(key: &Key, rate: Rate, wait: Duration) -> ApiError {
        ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "key-asks-too-much",
            format!("the key {:?} is good for {} requests a second, and there were more", key.name, rate.per_second),
            "send again after the time in Retry-After; `fermata key create --rate` makes a key that is good for more",
        )
        .retry_after(whole_seconds(wait))
    }

    pub fn address_asks_too_much(rate: Rate, wait: Duration) -> ApiError {
        ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "address-asks-too-much",
            format!("without a key an address may send {} requests a second, and there were more", rate.per_second),
            "send again after the time in Retry-After; a request with a key that it needs is counted for the key alone",
        )
        .retry_after(whole_seconds(wait))
    }

    pub fn too_many_connections(most: usize) -> ApiError {
        ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-connections",
            format!("this address has {most} connections, and may have no more"),
            "close some, or send one request after the other over those there are",
        )
        .retry_after(1)
    }

    pub fn two_forwardings() -> ApiError {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "two-forwardings",
            "a proxy was to say who sends this request, and Forwarded and X-Forwarded-For say different things",
            "the proxy must write one of the two, and take the other out of what it was sent",
        )
    }

    pub fn no_room_for_body() -> ApiError {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-many-bodies",
            "the requests under way have as many bytes as the host can hold",
            "nothing was kept; send it again after the time in Retry-After",
        )
        .retry_after(1)
    }

    pub fn bad_idempotency_key(longest: usize) -> ApiError {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad-idempotency-key",
            format!("an Idempotency-Key has 1 to {longest} printable ASCII characters"),
            "send something that no other request has, such as a UUID",
        )
    }

    pub fn not_one_host() -> ApiError {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "not-one-host",
            "a request of HTTP/1.1 has one Host header, no more and no fewer",
            "send the header Host: NAME:PORT",
        )
    }

    pub fn bad_path(segment: &str) -> ApiError {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad-path",
            format!("the path segment {segment:?} is not UTF-8 once its percent signs are decoded"),
            "percent-encode names and ids as UTF-8",
        )
    }

    pub fn bad_query(name: &str, value: &str, hint: &'static str) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "bad-query", format!("{name} can not be {value:?}"), hint)
    }

    pub fn no_created_time_from() -> ApiError {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad-query",
            "a purge of more than one instance needs createdTimeFrom",
            "send createdTimeFrom=1970-01-01T00:00:00Z for all there are",
        )
    }

    pub fn bad_migration(why: Cow<'_, str>) -> ApiError {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad-migration",
            format!("this is no migration: {why}"),
            "send {\"to\": \"DIGEST\", \"orchestrator\": \"NAME\"}, or \"instance\": \"ID\" in its place, and \"dryRun\": true to try",
        )
    }

    pub fn bad_event_name(longest: usize) -> ApiError {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad-event-name",
            format!("the event's name is longer than {longest} bytes"),
            "no orchestrator can wait for such a name",
        )
    }

    pub fn bad_media_type(found: Option<&str>) -> ApiError {
        let found = found.map_or_else(|| "there is none".to_owned(), |found| format!("it is {found:?}"));
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad-media-type",
            format!("the Content-Type of an event must be application/json, and {found}"),
            "send the header Content-Type: application/json",
        )
    }

    pub fn bad_utf8() -> ApiError {
        let message = "the body is not UTF-8, so it is not JSON";
        ApiError::new(StatusCode::BAD_REQUEST, "bad-json", message, "send JSON text in UTF-8")
    }

    pub fn body_too_large(limit: usize) -> ApiError {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            format!("the body is larger than {limit} bytes"),
            "keep large data elsewhere and send where it is",
        )
    }

    pub fn body_too_slow(time: Duration) -> ApiError {
        ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-too-slow",
            format!("the body did not arrive within {} s", time.as_secs_f32()),
            "send the body right after the head",
        )
    }

    pub fn body_broken(error: &hyper::Error) -> ApiError {
        let message = format!("the body can not be read: {error}");
        ApiError::new(StatusCode::BAD_REQUEST, "bad-body", message, "send the body that the head announces")
    }

    /// A handler panicked: a bug of the host.
    pub fn internal() -> ApiError {
        let message = "the host failed to answer this request";
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            message,
            "the log of the host says where; please report it",
        )
    }

    pub fn unknown_instance(id: &str) -> ApiError {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown-instance",
            format!("there is no instance with the id {id:?}"),
            "GET /runtime/webhooks/durabletask/instances lists what there is; ids are case-sensitive",
        )
    }

    pub fn instance_ended(id: &str) -> ApiError {
        ApiError::new(
            StatusCode::GONE,
            "instance-ended",
            format!("the instance {id:?} has ended"),
            "nothing can receive the event any more, and it was not kept",
        )
    }

    pub fn nothing_to_purge() -> ApiError {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "nothing-to-purge",
            "no instance that has ended is as the query says",
            "instances that have not ended are never purged this way",
        )
    }

    pub fn unknown_module(digest: &str) -> ApiError {
        let message = format!("there is no module {digest:?}");
        ApiError::new(StatusCode::NOT_FOUND, "unknown-module", message, "GET /modules lists what there is")
    }

    pub fn ambiguous_module(digest: &str) -> ApiError {
        let message = format!("more than one module begins with {digest:?}");
        ApiError::new(StatusCode::NOT_FOUND, "ambiguous-module", message, "send more digits of its digest")
    }

    pub fn module_needed(digest: &str, instances: u64) -> ApiError {
        ApiError::new(
            StatusCode::CONFLICT,
            "module-needed",
            format!("the module {digest} is needed still; instances that run it or may be rewound: {instances}"),
            "migrate or terminate those that run, purge those that have failed",
        )
    }

    pub fn module_active(digest: &str, names: &[String]) -> ApiError {
        ApiError::new(
            StatusCode::CONFLICT,
            "module-active",
            format!("the module {digest} is the newest one for {}", names.join(", ")),
            "deploy another module that holds these names first",
        )
    }

    pub fn clock_stands_fast() -> ApiError {
        ApiError::new(
            StatusCode::CONFLICT,
            "clock-stands-fast",
            "this host goes by the machine's clock, which it does not move",
            "start a host for trying things out with `fermata serve --skippable-clock`",
        )
    }
}

/// A time as `Retry-After` has it: not too early, and never at once.
fn whole_seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}
