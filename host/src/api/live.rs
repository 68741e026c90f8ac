//! Answers that wait: for an instance's end, for an event to be taken; and a stream of all that happens to one instance. Who waits is
//! woken by what has become durable.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::unfold;
use http_body_util::{Either, StreamBody};
use hyper::body::Frame;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::answer::{Answer, Handled, empty};
use super::error::ApiError;
use super::query::{self, Show};
use super::wire::Status;
use super::{Api, Asked, history};
use crate::dispatcher::{InstanceView, Watch};
use crate::store::StoreError;

/// The place in a stream that a client has come to; browsers send it when they connect again.
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// What stands at the end of a stream, in the place of a number.
const END: &str = "end";

/// So often a stream without news says that it is there, so that those on the way keep it open and a client that is gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Changes that follow each other quickly are told together: each costs a look at the whole history.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

pub type Events = StreamBody<Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>>;

impl Api {
    /// The instance when it has ended, or as it is after `time`, or when the host stops.
    pub(super) async fn when_ended(&self, id: &str, time: Duration) -> Result<Option<InstanceView>, StoreError> {
        let mut watch = self.dispatcher.watch(id);
        let end = tokio::time::sleep(time);
        tokio::pin!(end);
        loop {
            let view = self.dispatcher.view(id, false).await?;
            if view.as_ref().is_none_or(|view| view.status.is_final()) {
                return Ok(view);
            }
            let goes_on = tokio::select! {
                changed = watch.changed() => changed,
                () = &mut end => false,
            };
            if !goes_on {
                return self.dispatcher.view(id, false).await;
            }
        }
    }

    /// A stream of server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>): `status` whenever the status
    /// changes, `history` for each entry of the history. It ends with the instance.
    pub(super) async fn watch(&self, asked: &Asked<'_>) -> Handled {
        let id = asked.route.part("instanceId");
        let show = Show { history: query::flag(asked.query(), "showHistory", true)?, ..Show::parse(asked.query())? };
        let last = asked.head.headers.get(LAST_EVENT).and_then(|last| last.to_str().ok()).unwrap_or_default();
        if self.dispatcher.watches() >= self.limits.watches {
            return Err(ApiError::too_many_watches());
        }
        let watch = self.dispatcher.watch(id);
        let Some(view) = self.dispatcher.view(id, show.history).await? else {
            return Err(ApiError::unknown_instance(id));
        };
        let mut follower = Follower { watch, show, place: Place::parse(last), status: Vec::new(), ended: false };
        if follower.has_seen_the_end(&view) {
            // What tells a browser to stop asking.
            return Ok(empty(StatusCode::NO_CONTENT));
        }
        let first = follower.tell(&view);
        let events = unfold((follower, Some(first)), |(mut follower, first)| async move {
            let text = match first {
                Some(first) => first,
                None => follower.next().await?,
            };
            Some((Ok(Frame::data(Bytes::from(text))), (follower, None)))
        });
        Ok(stream(StreamBody::new(Box::pin(events))))
    }
}

fn stream(events: Events) -> Answer {
    let mut answer = Response::new(Either::Right(events));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would keep events back until it has a buffer full of them.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer
}

/// One client of a stream, and how far it has come.
struct Follower {
    watch: Watch,
    show: Show,
    place: Place,
    /// The status that was told last.
    status: Vec<u8>,
    ended: bool,
}

/// So many entries of this execution's history were told.
#[derive(Debug, Default, PartialEq)]
struct Place {
    execution: String,
    entries: usize,
    end: bool,
}

impl Place {
    /// From the id of an event; a text that is none is the beginning.
    fn parse(text: &str) -> Place {
        let Some((execution, place)) = text.rsplit_once('/') else { return Place::default() };
        let (entries, end) = if place == END { (0, true) } else { (place.parse().unwrap_or(0), false) };
        Place { execution: execution.to_owned(), entries, end }
    }
}

impl Follower {
    fn has_seen_the_end(&self, view: &InstanceView) -> bool {
        self.place.end && view.status.is_final() && self.place.execution == view.execution
    }

    /// The next piece of the stream; none at its end.
    async fn next(&mut self) -> Option<String> {
        if self.ended {
            return None;
        }
        loop {
            match tokio::time::timeout(HEARTBEAT, self.watch.changed()).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(_) => return Some(": nothing new\n\n".into()),
            }
            if self.show.history {
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
            // A stream that breaks off is taken up again by its client, which is then told what is wrong.
            let view = self.watch.view(self.show.history).await.ok()??;
            let text = self.tell(&view);
            if !text.is_empty() {
                return Some(text);
            }
        }
    }

    /// What is new in this view.
    fn tell(&mut self, view: &InstanceView) -> String {
        let mut text = String::new();
        if self.place.execution != view.execution || self.place.end {
            self.place = Place { execution: view.execution.clone(), ..Place::default() };
        }
        if let Some(history) = &view.history {
            let entries = history::as_it_grows(&history.steps, self.show);
            for entry in entries.iter().skip(self.place.entries) {
                self.place.entries += 1;
                let id = format!("{}/{}", self.place.execution, self.place.entries);
                event(&mut text, "history", Some(&id), &as_json(entry));
            }
        }
        self.ended = view.status.is_final();
        let status = as_json(&Status::new(view, Show { history: false, ..self.show }));
        if self.ended {
            let id = format!("{}/{END}", view.execution);
            event(&mut text, "status", Some(&id), &status);
        } else if status != self.status {
            event(&mut text, "status", None, &status);
        }
        self.status = status;
        text
    }
}

fn as_json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("wire types have string keys and no failing parts")
}

/// A payload may hold line breaks between its tokens, which end a field here: each line is a field of its own.
fn event(text: &mut String, name: &str, id: Option<&str>, data: &[u8]) {
    text.push_str("event: ");
    text.push_str(name);
    if let Some(id) = id {
        text.push_str("\nid: ");
        text.push_str(id);
    }
    for line in String::from_utf8_lossy(data).split(['\n', '\r']) {
        text.push_str("\ndata: ");
        text.push_str(line);
    }
    text.push_str("\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_told() {
        let place = |execution: &str, entries, end| Place { execution: execution.into(), entries, end };
        assert_eq!(Place::parse("e1/12"), place("e1", 12, false));
        assert_eq!(Place::parse("e1/end"), place("e1", 0, true));
        for unknown in ["", "12", "é"] {
            assert_eq!(Place::parse(unknown), Place::default(), "{unknown}");
        }
    }

    #[test]
    fn line_breaks_of_a_payload_stay_within_the_event() {
        let mut text = String::new();
        event(&mut text, "status", None, b"{\n\"a\":\r\n1}");
        assert_eq!(text, "event: status\ndata: {\ndata: \"a\":\ndata: \ndata: 1}\n\n");
    }
}
