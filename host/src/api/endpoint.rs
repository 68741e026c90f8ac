//! Every endpoint there is: where it lies, and what a key must be good for to use it. Routing, the document of the API and the tests of
//! access all go by this table.

use crate::keys::Scope;

/// Something that can be asked for at one place.
pub struct Endpoint {
    pub call: Call,
    pub method: &'static str,
    pub below: Below,
    /// Segments, those in braces stand for any; without a slash in front.
    pub path: &'static str,
    pub needs: Needs,
}

/// What a path is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Below {
    /// Each of the places where the API of Durable Functions lies.
    Mount,
    /// The host itself: what is ours alone.
    Root,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Everybody.
    Nothing,
    /// Whoever has a URL with a signature for just what is asked. No key is looked at: the call looks at the signature.
    Signature,
    /// Whoever has a key, whatever it is good for.
    AnyKey,
    /// A key with this scope.
    Key(Scope),
    /// A key with this scope that is good for every orchestrator: what is asked for concerns all of them.
    UnboundKey(Scope),
}

impl Needs {
    /// Whether a key is looked at.
    pub fn a_key(self) -> bool {
        !matches!(self, Needs::Nothing | Needs::Signature)
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Start,
    Status,
    Watch,
    List,
    Raise,
    Terminate,
    Suspend,
    Resume,
    Rewind,
    Restart,
    Purge,
    PurgeMany,
    Unpark,
    Export,
    Entities,
    CallbackPage,
    AnswerCallback,
    Deploy,
    Modules,
    DeleteModule,
    Migrate,
    SkipClock,
    Health,
    Ready,
    Metrics,
    Binding,
    OpenApi,
    Page,
    PageFile,
}

const START: Needs = Needs::Key(Scope::Start);
const RAISE: Needs = Needs::Key(Scope::Raise);
const READ: Needs = Needs::Key(Scope::Read);
const CONTROL: Needs = Needs::Key(Scope::Control);

pub const ENDPOINTS: &[Endpoint] = &[
    mounted(Call::Raise, "POST", "instances/{instanceId}/raiseEvent/{eventName}", RAISE),
    mounted(Call::Status, "GET", "instances/{instanceId}", READ),
    mounted(Call::Watch, "GET", "instances/{instanceId}/watch", READ),
    mounted(Call::Start, "POST", "orchestrators/{name}", START),
    mounted(Call::Start, "POST", "orchestrators/{name}/{instanceId}", START),
    mounted(Call::List, "GET", "instances", READ),
    mounted(Call::Terminate, "POST", "instances/{instanceId}/terminate", CONTROL),
    mounted(Call::Suspend, "POST", "instances/{instanceId}/suspend", CONTROL),
    mounted(Call::Resume, "POST", "instances/{instanceId}/resume", CONTROL),
    mounted(Call::Rewind, "POST", "instances/{instanceId}/rewind", CONTROL),
    mounted(Call::Restart, "POST", "instances/{instanceId}/restart", CONTROL),
    mounted(Call::Purge, "DELETE", "instances/{instanceId}", CONTROL),
    mounted(Call::PurgeMany, "DELETE", "instances", CONTROL),
    mounted(Call::Unpark, "POST", "instances/{instanceId}/unpark", CONTROL),
    mounted(Call::Export, "GET", "instances/{instanceId}/history", READ),
    mounted(Call::Entities, "GET", "entities", READ),
    mounted(Call::Entities, "GET", "entities/{name}", READ),
    mounted(Call::Entities, "GET", "entities/{name}/{key}", READ),
    mounted(Call::Entities, "POST", "entities/{name}/{key}", RAISE),
    mounted(Call::Entities, "DELETE", "entities/{name}/{key}", CONTROL),
    of_host(Call::CallbackPage, "GET", "callbacks/{instanceId}/{eventName}", Needs::Signature),
    of_host(Call::AnswerCallback, "POST", "callbacks/{instanceId}/{eventName}", Needs::Signature),
    of_host(Call::Modules, "GET", "modules", READ),
    of_host(Call::Deploy, "PUT", "modules", Needs::UnboundKey(Scope::Deploy)),
    of_host(Call::DeleteModule, "DELETE", "modules/{digest}", Needs::UnboundKey(Scope::Deploy)),
    of_host(Call::Migrate, "POST", "migrations", CONTROL),
    of_host(Call::SkipClock, "POST", "clock/skip", Needs::UnboundKey(Scope::Control)),
    of_host(Call::Binding, "GET", "clients/durable-binding", Needs::AnyKey),
    of_host(Call::OpenApi, "GET", "openapi.json", Needs::Nothing),
    of_host(Call::Page, "GET", "docs", Needs::Nothing),
    of_host(Call::PageFile, "GET", "docs/{file}", Needs::Nothing),
    of_host(Call::Health, "GET", "healthz", Needs::Nothing),
    of_host(Call::Ready, "GET", "readyz", Needs::Nothing),
    of_host(Call::Metrics, "GET", "metrics", Needs::UnboundKey(Scope::Read)),
];

const fn mounted(call: Call, method: &'static str, path: &'static str, needs: Needs) -> Endpoint {
    Endpoint { call, method, below: Below::Mount, path, needs }
}

const fn of_host(call: Call, method: &'static str, path: &'static str, needs: Needs) -> Endpoint {
    Endpoint { call, method, below: Below::Root, path, needs }
}
