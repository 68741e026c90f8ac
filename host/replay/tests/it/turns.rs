//! Executions seen from their owner's side.

use std::task::Poll;

use fermata_replay::{Execution, Message, Outcome, RuntimeStatus, State, TURN_BYTES, Turn};

use crate::guest::{Life, guest, json};
use crate::history::{event, second, started};
use crate::play::replay;

#[test]
fn an_instance_is_pending_until_it_starts() {
    let mut execution = Execution::new(Vec::new());
    assert_eq!(execution.begin(), None);
    assert_eq!(execution.state().runtime_status(), RuntimeStatus::Pending);
    assert!(!execution.has_turn() && !execution.state().is_runnable());
    execution.push(started().messages.remove(0));
    assert_eq!(execution.begin().expect("it has started").name, "Orchestrator");
    assert_eq!(execution.state().runtime_status(), RuntimeStatus::Running);
}

#[test]
fn a_guest_is_replaying_until_it_goes_beyond_its_history() {
    let history = started().wait("A").block(0).event("A", "1").wait("A").block(1).event("A", "2");
    let guest = guest(async |ctx| {
        let mut replaying = vec![ctx.is_replaying()];
        for _ in 0..2 {
            ctx.event("A").await?;
            replaying.push(ctx.is_replaying());
        }
        Ok(json(&format!("{replaying:?}")))
    });
    let mut life = Life::new(&guest, history.steps[..2].to_vec());
    life.resume(history.messages[2..].iter().cloned()).expect("the guest fits");
    life.execution(|execution| {
        assert_eq!(execution.state().outcome(), Some(&Outcome::Succeeded(json("[true, true, false]"))));
        assert_eq!(execution.steps_begun(), 3);
    });
}

/// A host may apply a message before it resumes the guest, to see whether it has to.
#[test]
fn what_was_absorbed_first_is_not_lost_on_the_guest() {
    let history = started().wait("A").block(0).event("B", "1").event("A", "2");
    let mut execution = Execution::new(history.steps[..1].to_vec());
    execution.begin();
    let wait = execution.wait_external_event("A").expect("it is in the history");
    assert!(execution.poll_task(wait).is_pending());
    for (message, wakes) in [(1, false), (2, true)] {
        execution.push(history.messages[message].clone());
        assert_eq!(execution.absorb(), Ok(wakes));
    }
    assert_eq!(execution.poll_task(wait), Poll::Ready(Ok(Outcome::Succeeded(json("2")))));
    execution.end(Outcome::Succeeded(json("null"))).expect("a live step");
    assert_eq!(execution.take_turn().steps, history.completed("null").steps[1..]);
}

/// An owner learns whether a guest is needed from history alone.
#[test]
fn a_state_without_guest_knows_whether_the_guest_can_go_on() {
    let history = started().wait("A").wait("B").call("p", "1").block_all(&[2, 0]).event("B", "1").event("A", "1");
    assert!(!State::of(&history.steps).is_runnable());
    assert!(State::of(&history.failure(2, "no").steps).is_runnable(), "one failure is enough");
}

/// Others can write before the rest.
#[test]
fn a_turn_ends_before_deadlines_have_made_it_large() {
    let guest = guest(async |ctx| {
        for _ in 0..5_000 {
            let timer = ctx.timer_at(ctx.now())?;
            ctx.get(timer).await?;
        }
        ctx.event("A").await
    });
    let bytes = |turn: &Turn| turn.history.bytes - turn.history_before.bytes;
    let mut life = Life::new(&guest, Vec::new());
    life.execution(|execution| execution.tick(second(100)));
    let full = life.resume(started().messages).expect("a guest that fits");
    assert!(full.is_full() && (TURN_BYTES..TURN_BYTES + 1_000).contains(&bytes(&full)), "{}", bytes(&full));
    assert!(full.due.is_some_and(|due| due <= second(100)), "what is left has passed");

    // Before a message all deadlines pass that did so before it was accepted.
    let last = life.resume([Message { seq: 2, at: second(50), body: event("A", "1") }]).expect("a guest that fits");
    assert_eq!(full.steps.len() + last.steps.len(), 5_002);
    assert_eq!(life.execution(|execution| execution.state().outcome().cloned()), Some(Outcome::Succeeded(json("1"))));
    replay(&guest, &[full.steps, last.steps].concat()).expect("where a turn ended makes no difference");
}
