//! Whatever reads a text that somebody has written: payloads, ids, patterns, settings.

use std::str::FromStr as _;

use fastrand::Rng;
use fermata::callback::without_signatures;
use fermata::dispatcher::{Residency, Services};
use fermata::limits::check_instance_id;
use fermata::name_pattern::NamePattern;
use fermata_replay::{Payload, RetryPolicy};

use crate::bytes::mutated;
use crate::harness::{Target, fuzz};

struct Texts;

#[test]
fn texts() {
    fuzz(Texts);
}

impl Target for Texts {
    const NAME: &'static str = "texts";

    fn make(&self, random: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
        mutated(random, corpus)
    }

    fn take(&mut self, input: &[u8]) -> Result<(), String> {
        let text = &*String::from_utf8_lossy(input);
        payload(text)?;
        let _ = (check_instance_id(text), Residency::from_str(text));
        let _ = (Services::default().serve(text), Services::default().limit(text));
        let _ = serde_json::from_str::<RetryPolicy>(text);
        pattern(text)?;
        let blank = without_signatures(text.to_owned());
        if without_signatures(blank.clone()) != blank { Err("what is blank already changes".into()) } else { Ok(()) }
    }
}

/// What is a payload is one again, and means what it meant.
fn payload(text: &str) -> Result<(), String> {
    let Ok(payload) = Payload::parse(text) else { return Ok(()) };
    let again = Payload::parse(payload.as_str())
        .map_err(|error| format!("{} is no payload any more: {error}", payload.as_str()))?;
    if !again.means_the_same(&payload) {
        return Err(format!("{} and {} differ", again.as_str(), payload.as_str()));
    }
    let kept = serde_json::to_string(&payload).map_err(|error| error.to_string())?;
    let read: Payload = serde_json::from_str(&kept).map_err(|error| format!("{kept} is not read back: {error}"))?;
    if read.means_the_same(&payload) { Ok(()) } else { Err(format!("{kept} is read back as {}", read.as_str())) }
}

/// A pattern without its stars matches what it says.
fn pattern(text: &str) -> Result<(), String> {
    let Ok(pattern) = NamePattern::from_str(text);
    let (head, tail) = text.split_at(text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at));
    let _ = (pattern.matches(head), pattern.matches(tail));
    if pattern.matches(&text.replace('*', "")) { Ok(()) } else { Err(format!("{text:?} does not match itself")) }
}
