//! The document of the API, OpenAPI 3.1 (<https://spec.openapis.org/oas/v3.1.0>): made from the table of endpoints, from what is said of
//! each call, and from the types that answers are made of. `docs/openapi.json` is this document; a test fails where it is not.
//!
//! - [`operation`]: what is said of each call; [`parameter`]: what may be sent along
//! - [`page`]: the document for people

mod operation;
mod page;
mod parameter;

use hyper::StatusCode;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::Api;
use super::answer::{Handled, JSON, whole};
use super::endpoint::{Below, ENDPOINTS, Endpoint, Needs};
use super::mount::BASE;
use super::wire::Refusal;
use operation::{Body, Operation};
use parameter::Parameter;

const DESCRIPTION: &str = "\
A durable orchestrator with the HTTP API of Azure Durable Functions. The endpoints of instances and orchestrators lie at \
`/runtime/webhooks/durabletask`, and in the same way at `/admin/extensions/DurableTaskExtension`, at `/durabletask` (for the clients of \
Durable Functions) and at `/durabletask-py` (for Python's, which encodes payloads twice). Literal segments of a path match in any case, \
names of parameters too. Payloads are JSON and come out as they went in, byte for byte. What is acknowledged is on disk.";

/// The whole document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let methods = paths.entry(endpoint.whole_path()).or_insert_with(|| json!({}));
        methods[endpoint.method.to_lowercase()] = endpoint.described(&mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Fermata",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{}, { "functionsKey": [] }, { "bearer": [] }, { "code": [] }],
        "tags": operation::TAGS.map(|(name, description)| json!({ "name": name, "description": description })),
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "functionsKey": { "type": "apiKey", "in": "header", "name": "x-functions-key" },
                "bearer": { "type": "http", "scheme": "bearer" },
                "code": { "type": "apiKey", "in": "query", "name": "code" },
                "signature": { "type": "apiKey", "in": "query", "name": "signature" },
            },
        },
    })
}

impl Endpoint {
    fn whole_path(&self) -> String {
        match self.below {
            Below::Mount => format!("{BASE}/{}", self.path),
            Below::Root => format!("/{}", self.path),
        }
    }

    fn described(&self, schemas: &mut SchemaGenerator) -> Value {
        let operation = Operation::of(self.call);
        let parameters: Vec<Value> =
            self.path_parameters().chain(operation.parameters.iter().map(Parameter::described)).collect();
        let mut described = json!({
            "operationId": self.id(),
            "tags": [operation.tag],
            "summary": operation.summary,
            "description": operation.description,
            "parameters": parameters,
            "responses": self.answers(&operation, schemas),
        });
        if let Some(body) = &operation.body {
            described["requestBody"] = body.described();
        }
        match self.needs {
            Needs::Nothing => described["security"] = json!([]),
            Needs::Signature => described["security"] = json!([{ "signature": [] }]),
            Needs::AnyKey => described["x-fermata-scope"] = json!("any"),
            Needs::Key(scope) => described["x-fermata-scope"] = json!(scope),
            Needs::UnboundKey(scope) => {
                described["x-fermata-scope"] = json!(scope);
                described["x-fermata-all-orchestrators"] = json!(true);
            }
        }
        described
    }

    /// The call, and the parts of the path: a call may lie at more paths than one.
    fn id(&self) -> String {
        let call = format!("{:?}", self.call);
        let parts = self.path.split('/').filter(|segment| segment.starts_with('{')).count();
        let lies_at_more = ENDPOINTS.iter().filter(|other| other.call == self.call).count() > 1;
        let suffix = if lies_at_more { format!("{}{parts}", self.method) } else { String::new() };
        format!("{}{}{suffix}", call[..1].to_lowercase(), &call[1..])
    }

    fn path_parameters(&self) -> impl Iterator<Item = Value> {
        let names = self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        names.map(|name| {
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "schema": { "type": "string", "minLength": 1 },
                "description": parameter::of_path(name),
            })
        })
    }

    fn answers(&self, operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
        let mut answers = Map::new();
        for answer in &operation.answers {
            answers.insert(answer.status.to_string(), answer.described(schemas));
        }
        let reads_a_body = operation.body.is_some();
        let permitted = self.needs != Needs::Nothing;
        let keyed = permitted && self.needs != Needs::Signature;
        for (status, why, may_be) in [
            (400, "What was sent is wrong; the body says what.", true),
            (401, "The host needs a key, and there is none, or a wrong one.", keyed),
            (
                403,
                "The key is not good for this; or, where the host needs none, the request is from another site's page.",
                true,
            ),
            (404, "There is no such thing.", permitted),
            (408, "The body came too slowly.", reads_a_body),
            (413, "The body is too large.", reads_a_body),
            (429, "The host has more to do than it can hold.", permitted),
            (500, "A bug of the host, or damaged data.", permitted),
            (503, "Nothing was kept, or it is not known whether something was: the body says which.", true),
        ] {
            if may_be && !answers.contains_key(&status.to_string()) {
                let refusal = json!({ "schema": schemas.subschema_for::<Refusal>() });
                let content = json!({ "application/json": refusal });
                answers.insert(status.to_string(), json!({ "description": why, "content": content }));
            }
        }
        if self.needs == Needs::Signature {
            // People are refused by a page, programs as everywhere.
            for (_, refusal) in answers.iter_mut().filter(|(status, _)| status.starts_with(['4', '5'])) {
                refusal["content"]["text/html"] = json!({ "schema": { "type": "string" } });
                refusal["content"]["application/json"] = json!({ "schema": schemas.subschema_for::<Refusal>() });
            }
        }
        Value::Object(answers)
    }
}

impl Body {
    fn described(&self) -> Value {
        let content = match self {
            Body::Json { .. } => json!({ "application/json": { "schema": {} } }),
            Body::Callback => json!({
                "application/json": { "schema": {} },
                "application/x-www-form-urlencoded": { "schema": {
                    "type": "object",
                    "properties": { "payload": { "type": "string", "description": "JSON." } },
                    "required": ["payload"],
                } },
            }),
            Body::Migration => json!({ "application/json": { "schema": operation::migration_schema() } }),
            Body::Module => {
                json!({ "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } })
            }
        };
        let required = !matches!(self, Body::Json { .. } | Body::Callback);
        json!({ "description": self.description(), "required": required, "content": content })
    }
}

impl Api {
    pub(super) fn openapi(&self) -> Handled {
        let text = serde_json::to_vec(&document()).expect("a JSON value is JSON");
        Ok(whole(StatusCode::OK, JSON, text))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_document_in_the_tree_is_the_one_that_is_served() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let text = format!("{:#}\n", document());
        let in_tree = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            in_tree == text,
            "docs/openapi.json is not up to date: `cargo run -p fermata -- openapi > docs/openapi.json`"
        );
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let ids: Vec<String> = ENDPOINTS.iter().map(Endpoint::id).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{ids:?}");
    }
}
