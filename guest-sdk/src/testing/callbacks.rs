//! Callback URLs, and who follows them.

use fermata_replay::{Decision, Timestamp as Instant};
use serde::Serialize;

use super::{Run, json};

impl Run {
    /// The callback URLs that the orchestrator has asked for, in order: the event, and the URL; those of all generations.
    pub fn callback_urls(&self) -> Vec<(String, String)> {
        self.made_urls().map(|(event, _, url)| (event.to_owned(), url.to_owned())).collect()
    }

    /// Raises the event that a callback URL is for, as somebody does who has it. Nothing happens where the orchestrator has ended.
    ///
    /// # Panics
    /// Where the orchestrator has not asked for this URL, or it has expired: a host refuses it then.
    pub fn answer(&mut self, url: &str, payload: impl Serialize) {
        let made = self.made_urls().find(|(.., made)| *made == url);
        let Some((event, expires, _)) = made else { panic!("the orchestrator has asked for no URL {url}") };
        assert!(self.instance.now < expires, "the URL {url} has expired");
        let event = event.to_owned();
        self.raise_json(&event, &json(&payload));
    }

    fn made_urls(&self) -> impl Iterator<Item = (&str, Instant, &str)> {
        let past = self.instance.past.iter().flat_map(|played| &played.history);
        let decisions = past.chain(&self.instance.history).flat_map(|step| &step.decisions);
        decisions.filter_map(|decision| match decision {
            Decision::CallbackUrlMade { event, expires, url } => Some((&**event, *expires, &**url)),
            _ => None,
        })
    }
}
