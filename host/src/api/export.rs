//! An instance with its whole history as a document, to be kept, sent to somebody, or replayed elsewhere.

use fermata_replay::{RuntimeStatus, Step};
use hyper::StatusCode;
use hyper::header::{CONTENT_DISPOSITION, HeaderValue};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Handled, JSON, whole};
use super::error::ApiError;
use super::time::Micros;
use super::wire::runtime_status;
use super::{Api, Asked};
use crate::callback::without_signatures;
use crate::dispatcher::InstanceView;

/// What `fermata replay` reads. Steps are as they are stored, but for the signatures of callback URLs; fields may be added.
#[derive(Serialize, JsonSchema)]
pub struct Document<'a> {
    format: &'static str,
    version: u32,
    instance: Instance<'a>,
    #[schemars(with = "Vec<Value>")]
    steps: &'a [Step],
}

#[derive(Serialize, JsonSchema)]
struct Instance<'a> {
    id: &'a str,
    name: &'a str,
    #[schemars(schema_with = "runtime_status")]
    status: RuntimeStatus,
    created: Micros,
    module: &'a str,
    execution: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a str>,
    generation: u64,
}

impl Api {
    pub(super) async fn export(&self, asked: &Asked<'_>) -> Handled {
        let id = asked.route.part("instanceId");
        let view = self.dispatcher.view(id, true).await?.ok_or_else(|| ApiError::unknown_instance(id))?;
        let text = serde_json::to_string(&document(&view)).expect("wire types have string keys and no failing parts");
        // It is made to be handed on, or kept among the tests of a module, where nobody may find links that work.
        let mut answer = whole(StatusCode::OK, JSON, without_signatures(text));
        let attachment = format!("attachment; filename=\"{}.history.json\"", file_name(id));
        let attachment = HeaderValue::try_from(attachment).expect("letters and digits make a header");
        answer.headers_mut().insert(CONTENT_DISPOSITION, attachment);
        Ok(answer)
    }
}

fn document(view: &InstanceView) -> Document<'_> {
    let instance = Instance {
        id: &view.id,
        name: &view.name,
        status: view.status,
        created: Micros(view.created),
        module: &view.module,
        execution: &view.execution,
        parent: view.parent.as_deref(),
        generation: view.generation,
    };
    let steps = view.history.as_ref().map_or(&[][..], |history| &history.steps);
    Document { format: "fermata-history", version: 1, instance, steps }
}

/// An id may hold what no file system takes.
fn file_name(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_harmless() {
        assert_eq!(file_name("order-1.a_b"), "order-1.a_b");
        assert_eq!(file_name("a \"b\"\r\né:7"), "a__b_____7");
    }
}
