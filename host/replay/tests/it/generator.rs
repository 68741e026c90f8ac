//! Random orchestrators, random messages, random hosts.

use std::hash::{BuildHasher, RandomState};

use fermata_replay::{Control, Failure, Message, MessageBody, Outcome, RetryPolicy, Span, TaskEnded, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::guest::json;
use crate::history::{EXECUTION, application, started};
use crate::play::Pace;
use crate::program::Stmt;

const NAMES: [&str; 3] = ["A", "b", "Ä"];

/// Milliseconds: messages come within these, or about.
pub const SPAN: i64 = 40;

/// A program, and the messages it gets.
pub fn instance() -> impl Strategy<Value = (Vec<Stmt>, Vec<Message>)> {
    prop_oneof![3 => (program(), messages(24, 8)), 2 => (working(), messages(2, 4))]
}

fn program() -> impl Strategy<Value = Vec<Stmt>> {
    let task = || 0..12_usize;
    let tasks = || vec(0..12_usize, 1..4);
    let due = || -5..SPAN + 10;
    let id = || option::of(select(&["one", "two"][..]));
    let creating = prop_oneof![
        6 => select(&NAMES[..]).prop_map(Stmt::Wait),
        4 => Just(Stmt::Call("p", "1")),
        5 => policy().prop_map(|policy| Stmt::Retried("q", policy)),
        3 => (id(), option::of(policy())).prop_map(|(id, policy)| Stmt::Child("c", id, policy)),
        3 => due().prop_map(Stmt::Timer),
    ]
    .boxed();
    let waiting = prop_oneof![
        4 => task().prop_map(Stmt::Await),
        3 => task().prop_map(Stmt::Get),
        4 => vec(task(), 1..5).prop_map(Stmt::Join),
        3 => tasks().prop_map(Stmt::Any),
        3 => vec(task(), 0..4).prop_map(Stmt::All),
        3 => (1..4_usize).prop_map(Stmt::Next),
    ];
    let other = prop_oneof![
        5 => (task(), due(), option::of(Just("\"late\"")))
            .prop_map(|(task, due, default)| Stmt::Timeout { task, due, default }),
        4 => task().prop_map(Stmt::Cancel),
        2 => task().prop_map(Stmt::Peek),
        1 => id().prop_map(|id| Stmt::Start("d", id)),
        1 => Just(Stmt::Raise("other", "A")),
        1 => (select(&NAMES[..]), due()).prop_map(|(event, expires)| Stmt::Url(event, expires)),
        1 => select(&["1", "2"][..]).prop_map(Stmt::Status),
        1 => select(&["3", "\"done\""][..]).prop_map(Stmt::Return),
        1 => select(&["no", "not"][..]).prop_map(Stmt::Fail),
        1 => Just(Stmt::Continue),
    ];
    let leaf = prop_oneof![8 => creating.clone(), 10 => waiting, 7 => other];
    let stmt = leaf.prop_recursive(2, 16, 4, move |inner| {
        let branch = || vec(inner.clone(), 0..4);
        (tasks(), branch(), branch()).prop_map(|(tasks, first, other)| Stmt::Race { tasks, first, other })
    });
    (vec(creating, 0..6), vec(stmt, 1..8)).prop_map(|(first, then)| [first, then].concat())
}

/// One that waits for work alone: it fails, and is rewound, at many a place.
fn working() -> impl Strategy<Value = Vec<Stmt>> {
    let work = prop_oneof![
        2 => Just(Stmt::Call("p", "1")),
        4 => policy().prop_map(|policy| Stmt::Retried("q", policy)),
        2 => option::of(policy()).prop_map(|policy| Stmt::Child("c", None, policy)),
    ];
    let waiting = prop_oneof![
        3 => vec(0..4_usize, 1..5).prop_map(Stmt::Join),
        2 => (0..4_usize).prop_map(Stmt::Get),
        1 => (0..4_usize).prop_map(Stmt::Await),
        1 => Just(Stmt::Next(1)),
        1 => Just(Stmt::Fail("no")),
        1 => Just(Stmt::Continue),
    ];
    (vec(work, 1..4), vec(waiting, 1..4)).prop_map(|(first, then)| [first, then].concat())
}

fn policy() -> impl Strategy<Value = RetryPolicy> {
    let span = |millis: u64| Span::from_millis(millis);
    let times = (1..5_u32, 0..5_u64, 1..4_u32);
    let limits = (option::of(3..9_u64), option::of(2..30_u64), option::of(1..9_u64));
    (times, limits).prop_map(move |((max_attempts, first, coefficient), (max, timeout, attempt_timeout))| RetryPolicy {
        max_attempts,
        first_interval: span(first),
        backoff_coefficient: coefficient.into(),
        max_interval: max.map(span),
        timeout: timeout.map(span),
        attempt_timeout: attempt_timeout.map(span),
        non_retryable: vec!["Fatal".into()],
    })
}

/// Events of a few names in any spelling, some that nobody waits for; results of activities and children, some twice, some for
/// tasks that are none, of other attempts or executions; and what operators ask for. An event's payload is its number. Now and then
/// the clock goes back.
fn messages(events: u32, tasks: u32) -> impl Strategy<Value = Vec<Message>> {
    let event = select(&["A", "a", "B", "b", "ä", "Ä", "other"][..])
        .prop_map(|name| MessageBody::EventRaised { name: name.into(), input: json("null") });
    let message = prop_oneof![
        events => event,
        40 => ended(tasks).prop_map(MessageBody::ActivityEnded),
        14 => ended(tasks).prop_map(MessageBody::ChildEnded),
        1 => control().prop_map(MessageBody::Suspended),
        4 => control().prop_map(MessageBody::Resumed),
        2 => control().prop_map(MessageBody::Rewound),
        1 => select(&["m1", "m2"][..]).prop_map(|module| MessageBody::Migrated { module: module.into() }),
    ];
    let message = prop_oneof![200 => message, 1 => control().prop_map(MessageBody::Terminated)];
    let rewound = vec((0..SPAN, control()), 0..4);
    (vec((message, -3..5_i64, 1..4_u64), 0..50), rewound).prop_map(|(bodies, rewound)| {
        let mut messages = started().messages;
        let (mut seq, mut latest) = (1, 0);
        let rewound = rewound.into_iter().map(|(at, control)| (MessageBody::Rewound(control), at / 8, 1));
        messages[0].at = Timestamp(0);
        for (mut body, later, gap) in bodies.into_iter().chain(rewound) {
            seq += gap;
            if let MessageBody::EventRaised { input, .. } = &mut body {
                *input = json(&seq.to_string());
            }
            let at = (latest + later).max(0);
            latest = latest.max(at);
            messages.push(Message { seq, at: Timestamp::from_millis(at), body });
        }
        messages
    })
}

fn ended(tasks: u32) -> impl Strategy<Value = TaskEnded> {
    let attempt = prop_oneof![3 => Just(1_u32), 2 => Just(2), 1 => Just(3), 1 => Just(4)];
    let execution = prop_oneof![
        4 => Just(EXECUTION.to_owned()),
        4 => (0..3_usize).prop_map(|generation| format!("{EXECUTION}{}", "+".repeat(generation))),
        6 => Just(String::new()),
        1 => Just("another".to_owned()),
    ];
    let failure = (select(&["no", "not"][..]), 0..10_u8).prop_map(|(message, which)| {
        Outcome::Failed(Failure {
            error_type: if which == 0 { "Fatal".into() } else { String::new() },
            non_retryable: which == 1,
            ..application(message)
        })
    });
    let outcome = prop_oneof![2 => Just(Outcome::Succeeded(json("\"done\""))), 3 => failure];
    (0..tasks, attempt, outcome, execution).prop_map(|(task, attempt, outcome, execution)| TaskEnded {
        task,
        outcome,
        execution,
        attempt,
    })
}

fn control() -> impl Strategy<Value = Control> {
    let by = prop_oneof![5 => Just(None), 1 => Just(Some("another".to_owned()))];
    (by, any::<bool>()).prop_map(|(by, cascade)| Control { by, cascade, reason: None })
}

pub fn paces() -> impl Strategy<Value = Vec<Pace>> {
    vec((1..5_usize, any::<bool>(), any::<bool>()).prop_map(|(batch, evict, tick)| Pace { batch, evict, tick }), 1..5)
}

/// Tries so many values, unless `PROPTEST_CASES` says how many. A failure prints the smallest one found, and how `command` repeats it.
/// No file is kept: turn what was found into a named history.
pub fn hold_for_all<S: Strategy>(cases: u32, values: &S, command: &str, holds: impl Fn(S::Value)) {
    let given = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| RandomState::new().hash_one(0));
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { cases };
    let config = Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    let tried = TestRunner::new(config).run(values, |value| {
        holds(value);
        Ok(())
    });
    if let Err(error) = tried {
        panic!("to repeat it: PROPTEST_CASES={cases} PROPTEST_RNG_SEED={seed} {command}\n{error}");
    }
}
