//! What the clients of Durable Functions take as their binding, so that nobody has to make one up.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Handled, json};
use super::error::ApiError;
use super::links::Links;
use super::mount::{BASE, Mount};
use super::wire::Management;
use super::{Api, Asked, query};

/// What stands for an instance's id in the links: clients put the id in its place.
const PLACEHOLDER: &str = "INSTANCEID";

/// Where a host is, in the words of Durable Functions.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Binding<'a> {
    task_hub_name: &'static str,
    creation_urls: CreationUrls,
    management_urls: Management<'a>,
    base_url: String,
    required_query_string_parameters: String,
    /// Where the clients send everything, by mere concatenation: hence the slash at the end, and the key in the path.
    rpc_base_url: String,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CreationUrls {
    create_new_instance_post_uri: String,
    create_and_wait_on_new_instance_post_uri: String,
}

impl Api {
    /// With the key that it was asked with: whoever reads it has that one already.
    pub(super) fn binding(&self, asked: &Asked<'_>) -> Handled {
        let key = asked.caller.secret().map(str::to_owned);
        let in_path = key.as_deref().map(|key| format!("code={key}/")).unwrap_or_default();
        // JavaScript's client puts what it asks for at the end of a link's query: there must be one, if only a blank key.
        let links = Links { key: Some(key.unwrap_or_default()), ..self.links(asked)? };
        let mount = mount(asked.query())?;
        let instance = links.instance(PLACEHOLDER);
        let start = format!("{}{BASE}/orchestrators/{{functionName}}[/{{instanceId}}]", links.origin);
        let binding = Binding {
            task_hub_name: "Fermata",
            creation_urls: CreationUrls {
                create_new_instance_post_uri: format!("{start}{}", links.key_after(false)),
                create_and_wait_on_new_instance_post_uri: format!(
                    "{start}?timeout={{timeoutInSeconds}}&pollingInterval={{intervalInSeconds}}{}",
                    links.key_after(true)
                ),
            },
            management_urls: Management::new(PLACEHOLDER, &instance, &links),
            base_url: format!("{}{BASE}", links.origin),
            rpc_base_url: format!("{}{}/{in_path}", links.origin, mount.path()),
            required_query_string_parameters: links.key_after(false).trim_start_matches('?').to_owned(),
        };
        Ok(json(StatusCode::OK, &binding))
    }
}

/// The mount for a client.
fn mount(query: &str) -> Result<Mount, ApiError> {
    match query::text(query, "client").as_deref() {
        None | Some("js") => Ok(Mount::Local),
        Some("python") => Ok(Mount::Python),
        Some(other) => Err(ApiError::bad_query("client", other, "send js or python")),
    }
}
