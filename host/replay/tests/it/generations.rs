//! Continue-as-new: an instance in generations.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use fermata_replay::{
    Decision, Execution, Message, MessageBody, Outcome, OutgoingBody, RuntimeStatus, Start, State, Step, Timestamp,
};

use crate::guest::{Halt, Life, guest, json, list, seconds};
use crate::history::{
    History, application, because, buffered, ended, event, start, start_of_child, started, started_with, succeeded,
};
use crate::owner::Owner;
use crate::play::{Pace, play, play_in_every_way};

const LATER: Option<Timestamp> = Some(Timestamp(100_000_000));

fn carried(history: &[Step]) -> Vec<(u64, String)> {
    let MessageBody::Started(start) = &history[0].message else { panic!("it begins with its start") };
    start.carried.iter().map(|event| (event.seq, event.name.clone())).collect()
}

#[test]
fn events_that_nobody_took_are_carried_over_in_order() {
    let first = started()
        .wait("A")
        .wait("Go")
        .block(1)
        .event("a", "1")
        .event("B", "2")
        .event("A", "3")
        .event("Go", "4")
        .cancel_returning(0, 2)
        .continued("[5]");
    let guest = guest(async |ctx| {
        if ctx.started().generation == 0 {
            ctx.wait("A")?;
            ctx.event("Go").await?;
            return Err(Halt::Continued(json("[5]")));
        }
        Ok(list(&[ctx.event("A").await?, ctx.event("A").await?, ctx.event("B").await?]))
    });
    let played = play_in_every_way(&guest, &first.messages, None);
    assert_eq!(played.past[0].0, first.steps);
    assert_eq!(carried(&played.history), [(2, "a".into()), (3, "B".into()), (4, "A".into())]);
    let state = State::of(&played.history);
    assert_eq!(state.outcome(), Some(&Outcome::Succeeded(json("[1,3,2]"))));
    assert_eq!(state.start().expect("it has started").input, json("[5]"));
    assert_eq!(State::of(&first.steps).runtime_status(), RuntimeStatus::Running);
}

/// The failure that has hurt this kind of host most.
#[test]
fn each_of_many_events_is_taken_by_just_one_generation() {
    const EVENTS: u64 = 40;
    let taken: Rc<RefCell<BTreeMap<u64, String>>> = Rc::default();
    let given = taken.clone();
    let guest = guest(async move |ctx| {
        let generation = ctx.started().generation;
        let (wait, timer) = (ctx.wait("A")?, ctx.timer(100.0)?);
        ctx.any(&[timer, wait]).await?;
        let event = ctx.get(wait).await?;
        given.borrow_mut().insert(generation, event.as_str().to_owned());
        match generation + 1 < EVENTS {
            true => Err(Halt::Continued(json("null"))),
            false => Ok(json("null")),
        }
    });
    let messages = (0..EVENTS).fold(started(), |history, number| history.event("A", &number.to_string())).messages;
    for batch in [1, 2, 3, 7, usize::MAX] {
        for (evict, tick) in [(false, false), (true, true)] {
            let played = play(&guest, &messages, &[Pace { batch, evict, tick }], None);
            let in_order = (0..EVENTS).map(|number| (number, number.to_string())).collect();
            assert_eq!(*taken.borrow(), in_order, "{batch} messages a turn");
            assert_eq!(State::of(&played.history).runtime_status(), RuntimeStatus::Completed);
            assert_eq!(State::of(&played.history).buffered_events(), []);
        }
    }
}

#[test]
fn messages_that_were_not_read_are_for_the_next_generation() {
    let first = started().wait("A").block(0).event("A", "1").continued("null").event("A", "2").event("B", "3");
    let guest = guest(async |ctx| match ctx.started().generation {
        0 => {
            ctx.event("A").await?;
            Err(Halt::Continued(json("null")))
        }
        _ => Ok(list(&[ctx.event("A").await?, ctx.event("B").await?])),
    });
    let played = play_in_every_way(&guest, &first.messages, None);
    assert_eq!(played.past[0].0, first.steps[..2]);
    assert_eq!(carried(&played.history), []);
    assert_eq!(State::of(&played.history).outcome(), Some(&Outcome::Succeeded(json("[2,3]"))));
}

#[test]
fn open_tasks_are_given_up_and_their_results_change_nothing() {
    let messages = started()
        .event("Go", "null")
        .step(MessageBody::ActivityEnded(ended(0, 1, succeeded("\"old\""))))
        .step(MessageBody::ChildEnded(ended(1, 1, succeeded("\"old\""))))
        .messages;
    let guest = guest(async |ctx| {
        let tasks = [ctx.call("p", "1")?, ctx.child("c", None, "1")?, ctx.timer(50.0)?, ctx.wait("A")?];
        match ctx.started().generation {
            0 => {
                ctx.event("Go").await?;
                Err(Halt::Continued(json("null")))
            }
            _ => Ok(json(&ctx.any(&tasks[..2]).await?.to_string())),
        }
    });
    let played = play_in_every_way(&guest, &messages, Some(seconds(40.0)));
    let state = State::of(&played.history);
    assert_eq!(state.runtime_status(), RuntimeStatus::Running, "it awaits results of its own");
    assert_eq!(state.next_due(), Some(seconds(50.0)));
    let ids: Vec<&str> = played.outgoing.iter().map(|outgoing| outgoing.to.as_str()).collect();
    assert_eq!(ids, ["0192:1", "0192+:1"], "another execution has other children");
}

#[test]
fn the_custom_status_of_a_generation_is_its_own() {
    let guest = guest(async |ctx| match ctx.started().generation {
        0 => {
            ctx.status("\"first\"");
            Err(Halt::Continued(json("null")))
        }
        _ => ctx.event("A").await,
    });
    let played = play_in_every_way(&guest, &started().messages, None);
    assert_eq!(State::of(&played.past[0].0).custom_status(), Some(&json("\"first\"")));
    assert_eq!(State::of(&played.history).custom_status(), None);
}

#[test]
fn an_instance_that_continues_for_ever_can_be_terminated() {
    let guest = guest(async |ctx| {
        let count = ctx.started().generation;
        assert!(count < 100, "it would go on for ever");
        Err(Halt::Continued(json(&count.to_string())))
    });
    let messages = started().terminated("enough").messages;
    // It came together with the start.
    let mut owner = Owner::new(&guest);
    owner.deliver(messages.clone());
    assert_eq!(owner.state().runtime_status(), RuntimeStatus::Terminated);
    // It came while a generation ran, and the next one finds it.
    let mut life = Life::new(&guest, Vec::new());
    life.resume([messages[0].clone()]).expect("it continues as new");
    life.execution(|execution| execution.push(messages[1].clone()));
    assert!(life.resume([]).expect("nothing is read").consumed.is_empty());
    let left = life.execution(|execution| execution.take_inbox());
    assert_eq!(left, messages[1..]);
}

#[test]
fn a_parent_hears_of_the_last_generation_alone() {
    let messages = started_with(start_of_child()).event("A", "1").event("A", "2").messages;
    let guest = guest(async |ctx| {
        let event = ctx.event("A").await?;
        match ctx.started().generation {
            0 => Err(Halt::Continued(json("null"))),
            _ => Ok(event),
        }
    });
    let played = play_in_every_way(&guest, &messages, LATER);
    let [told] = &played.outgoing[..] else { panic!("one message: {:?}", played.outgoing) };
    let OutgoingBody::Message(MessageBody::ChildEnded(told)) = &told.body else { panic!("a result: {told:?}") };
    assert_eq!((told.execution.as_str(), &told.outcome), ("parent's", &succeeded("2")));
}

#[test]
fn a_generation_may_be_told_to_keep_its_module() {
    let step = |same_module| Decision::ContinuedAsNew { input: json("1"), same_module };
    let text = |decision: &Decision| serde_json::to_string(decision).expect("a decision is JSON");
    assert_eq!(text(&step(false)), r#"{"ContinuedAsNew":{"input":1}}"#);
    assert_eq!(text(&step(true)), r#"{"ContinuedAsNew":{"input":1,"same_module":true}}"#);
    let read: Decision = serde_json::from_str(r#"{"ContinuedAsNew":{"input":1}}"#).expect("a decision");
    assert_eq!(read, step(false));
}

/// Carried events may be bound at once, and given back to be carried on.
#[test]
fn events_are_carried_over_generations_that_leave_them() {
    let carried_over = Start { carried: vec![buffered(3, "A", "1"), buffered(5, "a", "2")], generation: 4, ..start() };
    let history = || started_with(carried_over.clone());
    let left: History = history().wait("A").wait("a").cancel_returning(0, 3).cancel_returning(1, 5).continued("null");
    let mut execution = Execution::new(Vec::new());
    execution.push(history().messages.remove(0));
    execution.begin().expect("it has started");
    execution.wait_external_event("A").expect("a live step");
    execution.wait_external_event("a").expect("a live step");
    execution.push(Message { seq: 9, at: Timestamp(0), body: event("A", "3") });
    execution.continue_as_new(json("null"), false).expect("a live step");
    let turn = execution.take_turn();
    assert_eq!(turn.steps, left.steps);
    assert_eq!(turn.next.expect("another generation").carried, carried_over.carried);
    assert_eq!(execution.take_inbox().len(), 1, "what was not read comes after them");
}

#[test]
fn a_generation_that_fails_is_rewound_alone() {
    let guest = guest(async |ctx| match ctx.started().generation {
        0 => Err(Halt::Continued(json("null"))),
        _ => {
            ctx.event("A").await?;
            Err(Halt::Failed(application("no")))
        }
    });
    let messages = started().event("A", "1").step(MessageBody::Rewound(because("again"))).messages;
    let played = play_in_every_way(&guest, &messages, None);
    assert_eq!(played.past.len(), 1);
    assert_eq!(played.history.len(), 4, "start, event, rewind, event");
}
