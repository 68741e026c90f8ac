//! What is said of each call.

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::super::binding::Binding;
use super::super::control::Purged;
use super::super::endpoint::Call;
use super::super::export::Document;
use super::super::health::Health;
use super::super::migrations::{Migrations, Wish};
use super::super::wire::{Management, Module, Refusal, Status};
use super::parameter::{Kind, Parameter, header, query};

pub struct Operation {
    pub tag: &'static str,
    pub summary: &'static str,
    pub description: &'static str,
    pub parameters: Vec<Parameter>,
    pub body: Option<Body>,
    /// Those that every call may come to are not among them.
    pub answers: Vec<Described>,
}

/// What is sent.
pub enum Body {
    Json { what: &'static str },
    Callback,
    Migration,
    Module,
}

/// An answer.
pub struct Described {
    pub status: u16,
    description: &'static str,
    content: Content,
    headers: &'static [(&'static str, &'static str)],
}

enum Content {
    Nothing,
    Json(fn(&mut SchemaGenerator) -> Schema),
    Other(&'static str),
}

/// In the order in which people meet them.
pub const TAGS: [(&str, &str); 6] = [
    (INSTANCES, "Orchestrators are started, and their instances looked at"),
    (EVENTS, "What instances wait for"),
    (CONTROL, "What an operator asks of instances"),
    (MODULES, "The code of orchestrators"),
    (HOST, "The host itself"),
    (ENTITIES, "Durable Functions have them, this host has not"),
];

const INSTANCES: &str = "instances";
const EVENTS: &str = "events";
const CONTROL: &str = "control";
const MODULES: &str = "modules";
const HOST: &str = "host";
const ENTITIES: &str = "entities";

const LOCATION: (&str, &str) = ("Location", "Where to look how the instance gets on.");
const RETRY_AFTER: (&str, &str) = ("Retry-After", "After how many seconds to look.");
const TOKEN: (&str, &str) = ("x-ms-continuation-token", "Where there is another page: what to send to get it.");
const SEQUENCE: (&str, &str) = ("Fermata-Sequence", "The event's place in the order of arrival.");
const TAKEN: (&str, &str) = ("Fermata-Taken", "With wait: whether the turn that took the event is on disk.");

const PAGE: Content = Content::Other("text/html");

/// An hour: what `query::wait` takes.
const WAIT: Kind = Kind::Seconds(3_600.0);
const SKIP: Kind = Kind::Seconds(315_576_000.0);

impl Body {
    pub fn description(&self) -> &'static str {
        match self {
            Body::Json { what } => what,
            Body::Callback => "The payload; an empty body is null. As application/json, or as a form that holds it.",
            Body::Migration => "Which instances go to which module.",
            Body::Module => {
                "A WebAssembly component, or a core module with an embedded component type, as `fermata build` makes it."
            }
        }
    }
}

impl Described {
    fn new(status: u16, description: &'static str, content: Content) -> Described {
        Described { status, description, content, headers: &[] }
    }

    fn json<T: JsonSchema>(status: u16, description: &'static str) -> Described {
        Described::new(status, description, Content::Json(|schemas| schemas.subschema_for::<T>()))
    }

    fn empty(status: u16, description: &'static str) -> Described {
        Described::new(status, description, Content::Nothing)
    }

    fn refusal(status: u16, description: &'static str) -> Described {
        Described::json::<Refusal>(status, description)
    }

    fn headers(self, headers: &'static [(&'static str, &'static str)]) -> Described {
        Described { headers, ..self }
    }

    pub fn described(&self, schemas: &mut SchemaGenerator) -> Value {
        let mut described = json!({ "description": self.description });
        let header = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
        for (name, description) in self.headers {
            described["headers"][*name] = header(description);
        }
        match self.content {
            Content::Nothing => {}
            Content::Json(schema) => {
                described["content"] = json!({ "application/json": { "schema": schema(schemas) } });
            }
            Content::Other(media_type) => {
                described["content"] = json!({ media_type: { "schema": { "type": "string" } } })
            }
        }
        described
    }
}

/// The schema of what a migration is asked with: one orchestrator, or one instance.
pub fn migration_schema() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_deserialize().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<Wish>().to_value();
    schema["oneOf"] = json!([
        { "required": ["orchestrator"], "properties": { "orchestrator": { "type": "string" } } },
        { "required": ["instance"], "properties": { "instance": { "type": "string" } } },
    ]);
    schema
}

impl Operation {
    fn new(tag: &'static str, summary: &'static str, description: &'static str) -> Operation {
        Operation { tag, summary, description, parameters: Vec::new(), body: None, answers: Vec::new() }
    }

    fn parameters(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Operation {
        self.parameters.extend(parameters);
        self
    }

    fn body(self, body: Body) -> Operation {
        Operation { body: Some(body), ..self }
    }

    fn answer(mut self, answer: Described) -> Operation {
        self.answers.push(answer);
        self
    }

    /// A request that changes an instance's course: 202, or why it can not be done.
    fn control(summary: &'static str, description: &'static str) -> Operation {
        Operation::new(CONTROL, summary, description)
            .parameters([
                query("reason", Kind::Text, "Why: it is kept in the history."),
                query("cascade", Kind::Flag, "Its children, too."),
            ])
            .answer(Described::empty(202, "It is on disk."))
            .answer(Described::refusal(409, "The instance is in no state for that."))
            .answer(Described::refusal(410, "The instance has ended."))
    }

    pub fn of(call: Call) -> Operation {
        match call {
            Call::Start | Call::Status | Call::List | Call::Watch | Call::Export | Call::Entities => Operation::of_instances(call),
            Call::Raise => raise(),
            Call::CallbackPage => callback_page(),
            Call::AnswerCallback => answer_callback(),
            Call::Terminate => Operation::control("Terminate an instance", "It ends at once, and its output is the reason."),
            Call::Suspend => Operation::control("Suspend an instance", "It reads nothing until it is resumed. What it is sent is kept."),
            Call::Resume => Operation::control("Resume an instance", "It reads what it was sent meanwhile, in order."),
            Call::Rewind => Operation::control(
                "Rewind an instance that has failed",
                "It goes on before the step that failed it: the task whose failure did it is tried again.",
            ),
            Call::Unpark => Operation::control("Unpark an instance", "A parked instance tries again, with the same module; a stalled one tries now."),
            Call::Restart => restart(),
            Call::Purge => Operation::new(CONTROL, "Purge an instance", "Removes one that has ended, with all it has.")
                .parameters([query("force", Kind::Flag, "Although it has not ended.")])
                .answer(Described::json::<Purged>(200, "It is gone."))
                .answer(Described::refusal(409, "It has not ended.")),
            Call::PurgeMany => Operation::new(
                CONTROL,
                "Purge instances",
                "Removes those that have ended among the instances that the query names. `createdTimeFrom` must be there.",
            )
            .parameters(filters_of_purge())
            .answer(Described::json::<Purged>(200, "How many are gone."))
            .answer(Described::refusal(404, "None of them has ended.")),
            Call::Deploy | Call::Modules | Call::DeleteModule | Call::Migrate => Operation::of_modules(call),
            Call::SkipClock | Call::Health | Call::Ready | Call::Metrics | Call::Binding | Call::OpenApi | Call::Page | Call::PageFile => Operation::of_host(call),
        }
    }

    fn of_instances(call: Call) -> Operation {
        match call {
            Call::Start => start(),
            Call::List => Operation::new(INSTANCES, "List instances", "In the order of their creation, a page at a time.")
                .parameters(filters())
                .parameters([
                    query("waitingFor", Kind::Text, "Those that wait for this event, in any case."),
                    query("top", Kind::Count, "How many on a page: 100 where it is not said, at most 1,000. A page may have fewer, or none."),
                    query("showInput", Kind::Flag, "With their inputs: true where it is not said."),
                    header("x-ms-continuation-token", Kind::Pattern("^[0-9a-f]{1,16}$"), "What the page before came with."),
                ])
                .answer(Described::json::<Vec<Status>>(200, "A page.").headers(&[TOKEN])),
            Call::Watch => Operation::new(
                INSTANCES,
                "Watch an instance",
                "Server-sent events: `status` whenever its status changes, `history` for each entry of its history, from the beginning or \
                 from behind `Last-Event-ID`. The stream ends with the instance; who has seen that end is answered 204.",
            )
            .parameters([
                query("showHistory", Kind::Flag, "Entries of the history, too: true where it is not said."),
                query("showHistoryOutput", Kind::Flag, "Results in them."),
                query("showInput", Kind::Flag, "Inputs: true where it is not said."),
                header("Last-Event-ID", Kind::Text, "The id of the last event that was seen."),
            ])
            .answer(Described::new(200, "The stream.", Content::Other("text/event-stream")))
            .answer(Described::empty(204, "The end was seen.")),
            Call::Export => Operation::new(INSTANCES, "Export a history", "What `fermata replay` takes.")
                .answer(Described::json::<Document>(200, "The instance with every step.")),
            Call::Entities => Operation::new(ENTITIES, "Entities", "There are none here.")
                .answer(Described::refusal(501, "This host has no entities.")),
            _ => Operation::new(INSTANCES, "Look at an instance", "202 while it goes on, 200 when it has ended.")
                .parameters([
                    query("wait", WAIT, "Answer when the instance has ended, or after so many seconds."),
                    query("showInput", Kind::Flag, "With its input: true where it is not said."),
                    query("showHistory", Kind::Flag, "With its history, and what it waits for."),
                    query("showHistoryOutput", Kind::Flag, "Results in the history."),
                    query("returnInternalServerErrorOnFailure", Kind::Flag, "500 in the place of 200 where it has failed."),
                    key_in_links(),
                ])
                .answer(Described::json::<Status>(200, "It has ended."))
                .answer(Described::json::<Status>(202, "It goes on.").headers(&[LOCATION, RETRY_AFTER]))
                .answer(Described::json::<Value>(500, "It has failed, and that was to be an error; or a bug of the host.")),
        }
    }

    fn of_modules(call: Call) -> Operation {
        match call {
            Call::Deploy => Operation::new(
                MODULES,
                "Deploy a module",
                "It is active for the names it holds from now on. Instances that run keep the module that they began with.",
            )
            .body(Body::Module)
            .answer(Described::json::<Module>(200, "It was known."))
            .answer(Described::json::<Module>(201, "It is new."))
            .answer(Described::refusal(422, "It has too much in it, or takes too long or too much memory to compile.")),
            Call::Modules => Operation::new(MODULES, "List modules", "The latest deployed first.")
                .answer(Described::json::<Vec<Module>>(200, "All there are.")),
            Call::DeleteModule => Operation::new(MODULES, "Delete a module", "One that no instance needs.")
                .answer(Described::empty(204, "It is gone."))
                .answer(Described::refusal(409, "It is needed, or the newest one for a name.")),
            _ => Operation::new(MODULES, "Migrate instances", "Tries each, and moves those whose history the module fits.")
                .body(Body::Migration)
                .answer(Described::json::<Migrations>(200, "What became of each."))
                .answer(Described::refusal(409, "The module does not hold the orchestrator.")),
        }
    }

    fn of_host(call: Call) -> Operation {
        match call {
            Call::SkipClock => Operation::new(HOST, "Skip time", "On a host that was started with --skippable-clock.")
                .parameters([query("seconds", SKIP, "How far.").required()])
                .answer(Described::empty(204, "The clock is ahead."))
                .answer(Described::refusal(409, "The host goes by the machine's clock.")),
            Call::Metrics => Operation::new(HOST, "Metrics", "What was counted since the host began, for Prometheus.")
                .answer(Described::new(200, "The counters and gauges.", Content::Other(crate::metrics::MEDIA_TYPE))),
            Call::Health | Call::Ready => Operation::new(HOST, "Health", "Whether the host can do its work.")
                .answer(Described::json::<Health>(200, "It can.")),
            Call::Binding => Operation::new(
                HOST,
                "The binding for Durable Functions' clients",
                "What their unmodified clients take to find this host, with the key that it was asked with.",
            )
            .parameters([query("client", Kind::OneOf(&["js", "python"]), "Which client: js where it is not said.")])
            .answer(Described::json::<Binding>(200, "The binding.")),
            Call::OpenApi => Operation::new(HOST, "This document", "OpenAPI 3.1.")
                .answer(Described::json::<Value>(200, "The document.")),
            _ => Operation::new(HOST, "This document, for people", "A page.")
                .answer(Described::new(200, "A page, or a file of it.", Content::Other("text/html")))
                .answer(Described::empty(308, "The page lies one step further."))
                .answer(Described::refusal(404, "There is no such file.")),
        }
    }
}

fn start() -> Operation {
    Operation::new(
        INSTANCES,
        "Start an orchestrator",
        "It is on disk when this is answered. An id may be used again when its instance has ended.",
    )
    .parameters([
        query(
            "timeout",
            WAIT,
            "Answer with the output when the instance has completed, at most after so many seconds.",
        ),
        query("pollingInterval", WAIT, "Taken for the sake of Durable Functions' clients: nothing is polled."),
        query(
            "returnInternalServerErrorOnFailure",
            Kind::Flag,
            "With timeout: 500 in the place of 200 where it fails.",
        ),
        idempotency_key(),
        key_in_links(),
    ])
    .body(Body::Json { what: "The input, whatever its media type; none is null." })
    .answer(Described::json::<Value>(
        200,
        "With timeout: the bare output, or the status of an instance that did not complete.",
    ))
    .answer(Described::json::<Management>(202, "Where to go with the instance.").headers(&[LOCATION, RETRY_AFTER]))
    .answer(Described::refusal(409, "An instance with this id exists and has not ended."))
    .answer(Described::refusal(422, "The Idempotency-Key was sent with another request."))
    .answer(Described::json::<Value>(500, "It has failed, and that was to be an error; or a bug of the host."))
}

fn restart() -> Operation {
    Operation::new(CONTROL, "Restart an instance", "Starts its orchestrator anew, with the same input.")
        .parameters([
            query("restartWithNewInstanceId", Kind::Flag, "Under a new id: true where it is not said."),
            query("timeout", WAIT, "As with a start."),
            query("pollingInterval", WAIT, "As with a start."),
            query("returnInternalServerErrorOnFailure", Kind::Flag, "As with a start."),
            key_in_links(),
        ])
        .answer(Described::json::<Value>(
            200,
            "With timeout: the bare output, or the status of an instance that did not complete.",
        ))
        .answer(
            Described::json::<Management>(202, "Where to go with the new instance.").headers(&[LOCATION, RETRY_AFTER]),
        )
        .answer(Described::refusal(409, "The instance has not ended, and the id was to be the same."))
        .answer(Described::json::<Value>(500, "It has failed, and that was to be an error; or a bug of the host."))
}

fn raise() -> Operation {
    Operation::new(
        EVENTS,
        "Raise an event",
        "It is on disk when this is answered, and reaches the orchestrator once. What nobody waits for yet is kept.",
    )
    .parameters([
        query(
            "wait",
            WAIT,
            "Answer with the status when the turn that took the event is on disk, or after so many seconds.",
        ),
        idempotency_key(),
    ])
    .body(Body::Json { what: "The payload, as application/json; none is null." })
    .answer(Described::json::<Status>(200, "With wait: the instance has ended.").headers(&[SEQUENCE, TAKEN]))
    .answer(Described::json::<Value>(202, "The event is on disk. With wait: the status.").headers(&[SEQUENCE, TAKEN]))
    .answer(Described::refusal(410, "The instance has ended."))
    .answer(Described::refusal(422, "The Idempotency-Key was sent with another request."))
}

fn callback_page() -> Operation {
    let about = "Where a callback URL leads that is opened in a browser. It raises nothing. Refusals are pages, too.";
    Operation::new(EVENTS, "Ask somebody for an event", about)
        .parameters(signed())
        .answer(Described::new(200, "A page with forms, whose answers raise the event.", PAGE))
        .answer(not_signed())
        .answer(Described::new(410, "The instance has ended.", PAGE))
}

fn answer_callback() -> Operation {
    let about = "Raises the event that a callback URL is for: for the one instance that asked for the URL, and no other that has its id \
                 later. A form is answered with a page, refusals too.";
    Operation::new(EVENTS, "Answer by a callback URL", about)
        .parameters(signed())
        .body(Body::Callback)
        .answer(
            Described::new(202, "The event is on disk. To a form, a page; else no body.", PAGE).headers(&[SEQUENCE]),
        )
        .answer(not_signed())
        .answer(Described::refusal(409, "It was answered before, in another way."))
        .answer(Described::refusal(410, "The instance has ended."))
}

/// What a callback URL holds besides the instance and the event.
fn signed() -> [Parameter; 4] {
    [
        query("run", Kind::Text, "Tells the instance from others with its id.").required(),
        query("nonce", Kind::Text, "Tells the URL from others that are good for the same.").required(),
        query("expires", Kind::Count, "Until when the URL is good, in seconds since 1970-01-01T00:00:00Z.").required(),
        query("signature", Kind::Text, "The host's signature for all the rest.").required(),
    ]
}

fn not_signed() -> Described {
    Described::refusal(403, "The signature is not one for this, was revoked, or has expired.")
}

/// From when on must be said: what is not said is not guessed where data is lost.
fn filters_of_purge() -> impl Iterator<Item = Parameter> {
    let is_from = |filter: &Parameter| filter.name == "createdTimeFrom";
    filters().into_iter().map(move |filter| if is_from(&filter) { filter.required() } else { filter })
}

fn filters() -> [Parameter; 5] {
    [
        query("instanceIdPrefix", Kind::Text, "Those whose ids begin so."),
        query("name", Kind::Text, "Those of this orchestrator."),
        query("runtimeStatus", Kind::Statuses, "Those with one of these statuses. May be repeated."),
        query("createdTimeFrom", Kind::Instant, "Those that were created then or later."),
        query("createdTimeTo", Kind::Instant, "Those that were created then or before."),
    ]
}

fn key_in_links() -> Parameter {
    query("keyInLinks", Kind::Flag, "The key of this request in the links of the answer: false where it is not said.")
}

fn idempotency_key() -> Parameter {
    header(
        "Idempotency-Key",
        Kind::Pattern("^[!-~]{1,256}$"),
        "However often the same request is sent with it, it takes effect once; remembered for a day.",
    )
}
