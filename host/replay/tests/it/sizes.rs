//! A history that is too large ends the execution, and its guest is not asked.

use fermata_replay::{
    Decision, Execution, ExecutionLimits, HistorySize, Message, Outcome, RuntimeStatus, Start, State, kind,
};

use crate::guest::{guest, json};
use crate::history::{History, start, started_with};
use crate::play::replay;

fn within(history_events: u64, history_bytes: u64) -> Start {
    Start { limits: ExecutionLimits { history_events, history_bytes, ..ExecutionLimits::default() }, ..start() }
}

/// A guest that waits for A, which never comes, while Bs come.
fn waits(start: Start, events: usize) -> (Execution, Vec<Message>) {
    let history = (0..events).fold(started_with(start), |history: History, _| history.event("B", "1"));
    let mut messages = history.messages;
    let mut execution = Execution::new(Vec::new());
    execution.push(messages.remove(0));
    execution.begin();
    let task = execution.wait_external_event("A").expect("a live step");
    assert!(execution.poll_task(task).is_pending());
    (execution, messages)
}

fn failure(state: &State) -> Option<String> {
    match state.outcome() {
        Some(Outcome::Failed(failure)) => {
            assert_eq!((&*failure.kind, &*failure.error_type), (kind::LIMIT, "history"));
            Some(failure.message.clone())
        }
        _ => None,
    }
}

#[test]
fn too_many_events_end_it_and_that_is_replayed() {
    // The start, the wait and three events are five.
    let (mut execution, messages) = waits(within(5, 1 << 20), 4);
    let mut steps = execution.take_turn().steps;
    for (number, message) in messages.into_iter().enumerate() {
        execution.push(message);
        assert_eq!(execution.absorb(), Ok(false));
        let turn = execution.take_turn();
        assert_eq!(turn.history.events, turn.history_before.events + 1 + u64::from(number == 3));
        steps.extend(turn.steps);
        let told = failure(execution.state());
        assert_eq!(told.is_some(), number == 3, "{number}: {told:?}");
        assert!(told.is_none_or(|told| told.contains("5 events") && told.contains("continue-as-new")));
    }
    assert_eq!(execution.state().runtime_status(), RuntimeStatus::Failed);
    assert_eq!(State::of(&steps).history(), execution.state().history(), "it can be seen from the history");
    let module = guest(async |ctx| ctx.event("A").await);
    replay(&module, &steps).expect("it did all this");
    let other = guest(async |ctx| ctx.event("C").await);
    replay(&other, &steps).expect_err("it did something else before");
}

#[test]
fn so_do_too_many_bytes_and_an_event_that_was_bound_is_given_back() {
    let (mut execution, mut messages) = waits(within(100, 400), 1);
    let mut large = messages.remove(0);
    large.body =
        fermata_replay::MessageBody::EventRaised { name: "A".into(), input: json(&format!("{:?}", "x".repeat(400))) };
    execution.take_turn();
    execution.push(large);
    assert_eq!(execution.absorb(), Ok(false));
    assert!(failure(execution.state()).is_some_and(|told| told.contains("400 bytes")));
    assert_eq!(execution.state().buffered_events().len(), 1);
    let step = &execution.take_turn().steps[0];
    assert!(matches!(step.decisions[..], [Decision::TaskCancelled { .. }, Decision::Failed { .. }]), "{step:?}");
}

#[test]
fn limits_are_recorded_where_they_differ_and_are_the_first_ones_where_not() {
    let text = |start: &Start| serde_json::to_string(start).expect("a start is JSON");
    assert!(!text(&start()).contains("limits"));
    let narrow = within(5, 7);
    assert!(text(&narrow).contains(r#""history_events":5,"history_bytes":7"#), "{}", text(&narrow));
    for start in [start(), narrow] {
        assert_eq!(serde_json::from_str::<Start>(&text(&start)).expect("a start"), start);
    }
}

#[test]
fn a_custom_status_counts_once_for_each_step() {
    let history = started_with(start()).wait("A").block(0).event("B", "1");
    let size = |status: Option<&str>| {
        let mut steps = history.steps.clone();
        steps[0].custom_status = status.map(json);
        State::of(&steps).history()
    };
    let HistorySize { events, bytes } = size(None);
    assert_eq!(size(Some("12345")), HistorySize { events, bytes: bytes + 5 });
}
