//! Random orchestrators, random messages, random hosts.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use fermata_replay::{Message, MessageBody, Outcome, Payload, State, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::guest::json;
use crate::history::{application, started};
use crate::play::{Pace, assert_absorbs, assert_replays, play};
use crate::program::{Stmt, load};

const NAMES: [&str; 3] = ["A", "b", "Ä"];

fn program() -> impl Strategy<Value = Vec<Stmt>> {
    let task = || 0..12_usize;
    let tasks = || vec(0..12_usize, 1..4);
    let leaf = prop_oneof![
        6 => proptest::sample::select(&NAMES[..]).prop_map(Stmt::Wait),
        4 => Just(Stmt::Call("p", "1")),
        4 => task().prop_map(Stmt::Await),
        3 => tasks().prop_map(Stmt::Any),
        3 => vec(task(), 0..4).prop_map(Stmt::All),
        3 => (1..4_usize).prop_map(Stmt::Next),
        2 => task().prop_map(Stmt::Peek),
        5 => task().prop_map(Stmt::Cancel),
        1 => proptest::sample::select(&["1", "2"][..]).prop_map(Stmt::Status),
    ];
    let stmt = leaf.prop_recursive(2, 16, 4, move |inner| {
        let branch = || vec(inner.clone(), 0..4);
        (tasks(), branch(), branch()).prop_map(|(tasks, first, other)| Stmt::Race { tasks, first, other })
    });
    vec(stmt, 1..14)
}

/// Events of a few names in any spelling, some that nobody waits for, and results of activities: some twice, some for tasks
/// that are none. An event's payload is its number.
fn messages() -> impl Strategy<Value = Vec<Message>> {
    let event =
        proptest::sample::select(&["A", "a", "B", "b", "ä", "Ä", "other"][..]).prop_map(|name| (Some(name), 0, true));
    let ended = (0..14_u32, any::<bool>()).prop_map(|(task, succeeds)| (None, task, succeeds));
    vec((prop_oneof![event, ended], 0..20_i64, 1..4_u64), 0..30).prop_map(|bodies| {
        let mut messages = started().messages;
        let mut seq = 1;
        for ((event, task, succeeds), at, gap) in bodies {
            seq += gap;
            let body = match event {
                Some(name) => MessageBody::EventRaised { name: name.into(), input: json(&seq.to_string()) },
                None if succeeds => MessageBody::ActivityEnded { task, outcome: Outcome::Succeeded(json("\"done\"")) },
                None => MessageBody::ActivityEnded { task, outcome: Outcome::Failed(application(&task.to_string())) },
            };
            messages.push(Message { seq, at: Timestamp::from_millis(at), body });
        }
        messages
    })
}

fn paces() -> impl Strategy<Value = Vec<Pace>> {
    vec((1..5_usize, any::<bool>()).prop_map(|(batch, evict)| Pace { batch, evict }), 1..5)
}

fn holds(program: &[Stmt], messages: &[Message], paces: &[Pace]) {
    let (guest, taken) = load(program);
    let played = play(&guest, messages, paces);
    let steady = play(&guest, messages, &[Pace { batch: 1, evict: false }]);
    assert_eq!(played, steady, "batches and evictions change nothing");
    assert_each_event_is_somewhere_once(&State::of(&played.history), messages, &taken.borrow());
    assert_replays(&guest, &played);
    assert_absorbs(&played.history);
}

/// An event was taken by one task or is buffered; while the guest runs, it may be bound to a wait that was not asked yet.
fn assert_each_event_is_somewhere_once(state: &State, messages: &[Message], taken: &[(u32, Payload)]) {
    let is_event = |message: &&Message| matches!(message.body, MessageBody::EventRaised { .. });
    let accepted: BTreeSet<String> = messages.iter().filter(is_event).map(|message| message.seq.to_string()).collect();
    let by_task: BTreeSet<(u32, String)> = taken
        .iter()
        .map(|(task, payload)| (*task, payload.as_str().to_owned()))
        .filter(|(_, payload)| payload != "\"done\"")
        .collect();
    let mut found: Vec<String> = by_task.into_iter().map(|(_, payload)| payload).collect();
    found.extend(state.buffered_events().iter().map(|event| event.input.as_str().to_owned()));
    let once: BTreeSet<String> = found.iter().cloned().collect();
    assert_eq!(once.len(), found.len(), "an event is in two places: {found:?}");
    assert!(once.is_subset(&accepted));
    if state.outcome().is_some() {
        assert_eq!(once, accepted, "an event is lost");
    }
}

/// A failure prints the smallest program found, and a command that repeats it. `PROPTEST_CASES` asks for more cases;
/// no file is kept: turn what was found into a named history.
#[test]
fn whatever_the_orchestrator_the_messages_and_the_host() {
    let given = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| RandomState::new().hash_one(0));
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { 2_000 };
    let config = Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    let tried = TestRunner::new(config).run(&(program(), messages(), paces()), |(program, messages, paces)| {
        holds(&program, &messages, &paces);
        Ok(())
    });
    if let Err(error) = tried {
        panic!(
            "{error}\nto repeat it: PROPTEST_CASES={cases} PROPTEST_RNG_SEED={seed} cargo test -p fermata-replay whatever"
        );
    }
}
