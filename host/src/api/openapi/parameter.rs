//! What may be sent along with a request.

use serde_json::{Value, json};

/// A parameter of a query, or a header.
pub struct Parameter {
    pub name: &'static str,
    pub place: Place,
    pub kind: Kind,
    pub is_required: bool,
    pub description: &'static str,
}

#[derive(Clone, Copy)]
pub enum Place {
    Query,
    Header,
}

#[derive(Clone, Copy)]
pub enum Kind {
    Text,
    Flag,
    /// Seconds, and how many there may be.
    Seconds(f64),
    /// A number from 1 on.
    Count,
    Instant,
    /// Statuses, with commas between them.
    Statuses,
    OneOf(&'static [&'static str]),
    /// An ECMA 262 regular expression.
    Pattern(&'static str),
}

pub const fn query(name: &'static str, kind: Kind, description: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, kind, is_required: false, description }
}

pub const fn header(name: &'static str, kind: Kind, description: &'static str) -> Parameter {
    Parameter { name, place: Place::Header, kind, is_required: false, description }
}

impl Parameter {
    pub fn required(self) -> Parameter {
        Parameter { is_required: true, ..self }
    }

    pub fn described(&self) -> Value {
        let place = match self.place {
            Place::Query => "query",
            Place::Header => "header",
        };
        json!({ "name": self.name, "in": place, "required": self.is_required, "schema": self.kind.schema(), "description": self.description })
    }
}

impl Kind {
    fn schema(self) -> Value {
        match self {
            Kind::Text => json!({ "type": "string" }),
            Kind::Flag => json!({ "type": "boolean" }),
            Kind::Seconds(most) => json!({ "type": "number", "minimum": 0, "maximum": most }),
            Kind::Count => json!({ "type": "integer", "minimum": 1 }),
            Kind::Instant => json!({ "type": "string", "format": "date-time" }),
            Kind::Statuses => json!({ "type": "string", "examples": ["Running,Pending"] }),
            Kind::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
            Kind::OneOf(values) => json!({ "type": "string", "enum": values }),
        }
    }
}

/// A part of a path.
pub fn of_path(name: &str) -> &'static str {
    match name {
        "instanceId" => {
            "The instance's id: 1 to 256 bytes, none of / \\ # ? or control characters, not beginning with @. Case matters."
        }
        "eventName" => {
            "The event's name; case does not matter. `Approval&code=KEY` is understood as the name and a key."
        }
        "name" => "The orchestrator's name.",
        "digest" => "The module's SHA-256 in hexadecimal digits, or as much of its beginning as no other has.",
        "file" => "A file of the page.",
        "key" => "The entity's key.",
        _ => "",
    }
}
