//! Instances: start, status, list.

use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::http::request::Parts;

use super::body::{payload, read};
use super::error::ApiError;
use super::query::{self, Show};
use super::wire::{Management, Status, instance_url};
use super::{Answer, Api, Handled, json};
use crate::dispatcher::Started;

const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation-token");

impl Api {
    /// Durable on return. The media type is not looked at: clients send JSON under many names.
    pub async fn start(&self, head: &Parts, body: Incoming, name: &str, id: Option<&str>) -> Handled {
        let body = read(head, body, self.limits.body_bytes, self.limits.body_time).await?;
        let input = payload(&body).map_err(ApiError::of_start)?;
        let started = self.dispatcher.start(name, id, input).await?;
        Ok(self.started(head, &started))
    }

    /// Where to go with an instance that was started.
    pub fn started(&self, head: &Parts, started: &Started) -> Answer {
        let url = instance_url(&self.authority(head), &started.id);
        let mut answer = json(StatusCode::ACCEPTED, &Management::new(&started.id, &url));
        look_at(&mut answer, &url, 10);
        answer
    }

    /// 202 while the instance goes on, 200 when it has ended.
    pub async fn status(&self, head: &Parts, id: &str) -> Handled {
        let show = Show::parse(head.uri.query().unwrap_or_default())?;
        let Some(view) = self.dispatcher.view(id, show.history).await? else {
            return Err(ApiError::unknown_instance(id));
        };
        if view.status.is_final() {
            return Ok(json(StatusCode::OK, &Status::new(&view, show)));
        }
        let mut answer = json(StatusCode::ACCEPTED, &Status::new(&view, show));
        let asked = head.uri.path_and_query().map_or("/", |asked| asked.as_str());
        look_at(&mut answer, &format!("http://{}{asked}", self.authority(head)), 5);
        Ok(answer)
    }

    /// A page of instances in the order of creation.
    pub async fn list(&self, head: &Parts) -> Handled {
        let query = head.uri.query().unwrap_or_default();
        let show = Show { history: false, ..Show::parse(query)? };
        let token = head.headers.get(CONTINUATION).map(|token| token.to_str().unwrap_or("?"));
        let page = self.dispatcher.list(query::filter(query, token)?).await?;
        let mut views = Vec::with_capacity(page.instances.len());
        for instance in &page.instances {
            // One that is gone meanwhile is left out.
            views.extend(self.dispatcher.view(&instance.id, false).await?);
        }
        let list: Vec<Status> = views.iter().map(|view| Status::new(view, show)).collect();
        let mut answer = json(StatusCode::OK, &list);
        // Clients ask on as long as there is a token.
        if let Some(last) = page.next {
            let token = HeaderValue::try_from(query::token(last)).expect("hexadecimal digits make a header");
            answer.headers_mut().insert(CONTINUATION, token);
        }
        Ok(answer)
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
