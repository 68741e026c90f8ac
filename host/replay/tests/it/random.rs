//! Whatever the orchestrator, the messages and the host: what must hold holds, and the model agrees.

use std::collections::{BTreeMap, BTreeSet};

use fermata_replay::{
    Control, End, Failure, Message, MessageBody, OpenKind, OpenTask, Outcome, Payload, RetryPolicy, RuntimeStatus,
    Span, State, TaskEnded, Timestamp,
};

use crate::generator::{SPAN, hold_for_all, instance, paces};
use crate::guest::load;
use crate::history::{application, ended, event, failed, started, succeeded};
use crate::model::{self, Fate, Open, foretell};
use crate::play::{Pace, Played, assert_absorbs, assert_replays, play};
use crate::program::Stmt;

fn holds(program: &[Stmt], messages: &[Message], paces: &[Pace]) {
    let until = Timestamp::from_millis(SPAN);
    let until = messages.iter().map(|message| message.at).max().max(Some(until)).expect("it was started");
    let (guest, taken) = load(program);
    let played = play(&guest, messages, paces, Some(until));
    let steady = play(&guest, messages, &[Pace { batch: 1, evict: false, tick: false }], Some(until));
    assert_eq!(played, steady, "batches, evictions and ticks change nothing");
    let taken = taken.borrow().clone();
    assert_each_event_is_somewhere_once(&played, messages, &taken);
    assert_eq!(fate(&played, taken), foretell(program, messages, until), "the model says something else");
    assert_replays(&guest, &played);
    assert_absorbs(&played);
}

/// An event was taken by one task, or is buffered, or was not read; while the guest runs, and where it was terminated, it may be bound to a
/// wait that was not asked.
fn assert_each_event_is_somewhere_once(
    played: &Played,
    messages: &[Message],
    taken: &BTreeMap<u64, Vec<(u32, Payload)>>,
) {
    let events = |messages: &[Message]| -> Vec<String> {
        let is_event = |message: &&Message| matches!(message.body, MessageBody::EventRaised { .. });
        messages.iter().filter(is_event).map(|message| message.seq.to_string()).collect()
    };
    let state = State::of(&played.history);
    let accepted: BTreeSet<String> = events(messages).into_iter().collect();
    let by_task: BTreeSet<(u64, u32, &str)> = taken
        .iter()
        .flat_map(|(generation, taken)| taken.iter().map(|(task, payload)| (*generation, *task, payload.as_str())))
        .filter(|(.., payload)| payload.parse::<u64>().is_ok())
        .collect();
    let mut found: Vec<String> = by_task.into_iter().map(|(.., payload)| payload.to_owned()).collect();
    found.extend(state.buffered_events().iter().map(|event| event.input.as_str().to_owned()));
    found.extend(events(&played.unread));
    let once: BTreeSet<String> = found.iter().cloned().collect();
    assert_eq!(once.len(), found.len(), "an event is in two places: {found:?}");
    assert!(once.is_subset(&accepted));
    if matches!(state.runtime_status(), RuntimeStatus::Completed | RuntimeStatus::Failed) {
        assert_eq!(once, accepted, "an event is lost");
    }
}

fn fate(played: &Played, taken: BTreeMap<u64, Vec<(u32, Payload)>>) -> Fate {
    let state = State::of(&played.history);
    Fate {
        end: match state.end() {
            None => model::End::None,
            Some(End::Returned(Outcome::Succeeded(output))) => model::End::Returned(output.clone()),
            Some(End::Returned(Outcome::Failed(failure))) => model::End::Failed(failure.clone()),
            Some(End::Terminated(_)) => model::End::Terminated,
            Some(End::ContinuedAsNew { .. }) => panic!("another generation follows"),
        },
        generation: played.past.len() as u64,
        now: state.now(),
        suspended: state.is_suspended(),
        // Where a rewind took back what was shown, null says that nothing is.
        status: state.custom_status().filter(|status| status.as_str() != "null").cloned(),
        module: state.module().to_owned(),
        taken,
        buffered: state.buffered_events(),
        open: state.open_tasks().into_iter().map(open).collect(),
    }
}

fn open(task: OpenTask) -> Open {
    let (attempt, retry) = match task.kind {
        OpenKind::Activity { attempt, retry, .. } | OpenKind::Child { attempt, retry, .. } => (Some(attempt), retry),
        OpenKind::Event { .. } | OpenKind::Timer { .. } => (None, None),
    };
    (task.task, attempt, retry, task.timeout)
}

/// How many programs a run tries.
const CASES: u32 = 20_000;

#[test]
fn whatever_the_orchestrator_the_messages_and_the_host() {
    let command = "cargo test -p fermata-replay whatever";
    hold_for_all(CASES, &(instance(), paces()), command, |((program, messages), paces)| {
        holds(&program, &messages, &paces);
    });
}

/// Results that a rewind gives back are of the attempt that is under way after it: that of the next generation takes none of them, though
/// they say of no execution whose they are.
#[test]
fn a_result_that_a_rewind_gave_back_is_of_its_generation() {
    let twice = RetryPolicy {
        max_attempts: 2,
        first_interval: Span::from_millis(0),
        backoff_coefficient: 1.0,
        max_interval: None,
        timeout: None,
        attempt_timeout: None,
        non_retryable: Vec::new(),
    };
    let program = [
        Stmt::Retried("q", twice),
        Stmt::Wait("A"),
        Stmt::Call("p", "1"),
        Stmt::Race {
            tasks: vec![2, 1],
            first: vec![Stmt::Join(vec![0, 2])],
            other: vec![Stmt::Continue, Stmt::Await(0)],
        },
    ];
    let of_any = |ended: TaskEnded| MessageBody::ActivityEnded(TaskEnded { execution: String::new(), ..ended });
    let fatal = Outcome::Failed(Failure { error_type: "Fatal".into(), ..application("no") });
    let bodies = [
        of_any(ended(2, 1, fatal)),
        of_any(ended(0, 1, failed("no"))),
        event("A", "4"),
        of_any(ended(0, 2, succeeded("5"))),
        MessageBody::Rewound(Control { by: None, cascade: false, reason: None }),
    ];
    let mut messages = started().messages;
    messages[0].at = Timestamp(0);
    messages.extend((2..).zip(bodies).map(|(seq, body)| Message { seq, at: Timestamp(0), body }));
    holds(&program, &messages, &[Pace { batch: 1, evict: false, tick: false }]);
}
