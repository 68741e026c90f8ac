//! What operators, and parents, ask of an instance: to end, to stand still, to go on, to run another module.

use std::task::Poll;

use fermata_replay::Deadline::Due;
use fermata_replay::{
    Control, End, Execution, Message, MessageBody, Outcome, Outgoing, OutgoingBody, RuntimeStatus, State, Step,
    Timestamp,
};

use crate::guest::{Ctx, Ended, Life, guest, json, list};
use crate::history::{
    EXECUTION, History, because, ended, event, second, start_of_child, started, started_with, succeeded,
};
use crate::owner::Owner;
use crate::play::check_until;

const LATER: Option<Timestamp> = Some(Timestamp(100_000_000));

fn by(execution: &str) -> Control {
    Control { by: Some(execution.into()), ..Control::default() }
}

fn cascading(reason: &str) -> Control {
    Control { cascade: true, ..because(reason) }
}

fn status(history: &History) -> RuntimeStatus {
    State::of(&history.steps).runtime_status()
}

async fn waits(ctx: Ctx) -> Ended {
    ctx.call("p", "1")?;
    ctx.timer(50.0)?;
    ctx.event("A").await
}

fn waiting() -> History {
    started().call("p", "1").timer(50.0).wait("A").block(2)
}

// ---- Terminate

#[test]
fn an_instance_that_is_pending_ends_before_its_guest_begins() {
    let mut owner = Owner::new(&guest(waits));
    owner.deliver(started().terminated("no need").messages);
    assert_eq!(owner.history, started().terminated("no need").steps);
    assert_eq!(owner.life.journal(), [] as [String; 0]);
    assert_eq!(owner.performed, []);
    assert_eq!(owner.state().runtime_status(), RuntimeStatus::Terminated);
}

#[test]
fn an_instance_that_runs_ends_at_once_and_gives_up_what_is_open() {
    let expected = waiting()
        .terminated("enough")
        .event("A", "1")
        .ignored(MessageBody::ActivityEnded(ended(0, 1, succeeded("2"))))
        .ignored(MessageBody::Terminated(because("again")))
        .ignored(MessageBody::Suspended(Control::default()));
    check_until(&expected, LATER, waits);
    let state = State::of(&expected.steps);
    assert_eq!(state.end(), Some(&End::Terminated(Some("enough".into()))));
    assert_eq!((state.outcome(), state.next_due(), state.open_tasks().len()), (None, None, 0));
    assert_eq!(state.buffered_events()[0].seq, 3);
}

#[test]
fn an_instance_that_is_suspended_ends_and_what_waited_stays_visible() {
    let expected = waiting().suspended().unread(event("A", "1")).terminated("enough").apply(3, 4.0);
    check_until(&expected, LATER, waits);
    assert_eq!(status(&expected), RuntimeStatus::Terminated);
    assert_eq!(State::of(&expected.steps).buffered_events()[0].seq, 3);
}

#[test]
fn a_termination_goes_before_all_that_waits() {
    let messages = started().event("A", "1").event("A", "2").terminated("enough").messages;
    let mut owner = Owner::new(&guest(waits));
    owner.deliver([messages[0].clone()]);
    owner.deliver(messages[1..].iter().cloned());
    let seqs: Vec<u64> = owner.history.iter().map(|step| step.seq).collect();
    assert_eq!(seqs, [1, 4, 2, 3]);
}

/// Its guest may not be able to: it takes too long, or its module is gone.
#[test]
fn a_guest_that_could_go_on_is_not_asked() {
    let history = waiting().event("A", "1").terminated("enough");
    let mut execution = Execution::without_guest(&history.steps[..1]).expect("a history");
    execution.push(history.messages[1].clone());
    assert_eq!(execution.absorb(), Ok(true));
    execution.push(history.messages[2].clone());
    assert_eq!(execution.absorb(), Ok(false));
    assert_eq!(execution.take_turn().steps, history.steps[1..]);
}

/// Of six it has started: one that is open, one that has ended, one given up, one too late, one that nobody waits for; and an activity.
#[test]
fn a_termination_is_passed_on_to_open_children_where_that_is_asked() {
    let orchestrator = async |ctx: Ctx| {
        let open = ctx.child("c", Some("open"), "1")?;
        let (done, given_up) = (ctx.child("c", Some("done"), "1")?, ctx.child("c", Some("given up"), "1")?);
        ctx.cancel(given_up)?;
        let late = ctx.child("c", Some("late"), "1")?;
        ctx.timeout(late, 2.0, None)?;
        ctx.start("c", Some("detached"), "1")?;
        ctx.call("p", "1")?;
        ctx.get(done).await?;
        ctx.get(open).await
    };
    let passed_on = |control: Control| {
        let messages = started().child(1, 1, succeeded("2")).step(MessageBody::Terminated(control)).messages;
        let mut owner = Owner::new(&guest(orchestrator));
        messages.iter().for_each(|message| owner.deliver([message.clone()]));
        owner.turns.pop().expect("a turn").outgoing
    };
    let control = Control { by: Some(EXECUTION.into()), ..cascading("enough") };
    let body = OutgoingBody::Message(MessageBody::Terminated(control));
    assert_eq!(passed_on(cascading("enough")), [Outgoing { to: "open".into(), body }]);
    assert_eq!(passed_on(because("enough")), []);
}

#[test]
fn a_parent_is_told_that_its_child_was_terminated() {
    for (control, message) in [
        (because("enough"), "the sub-orchestration was terminated: enough"),
        (Control::default(), "the sub-orchestration was terminated"),
    ] {
        let messages = started_with(start_of_child()).step(MessageBody::Terminated(control)).messages;
        let mut owner = Owner::new(&guest(waits));
        messages.iter().for_each(|message| owner.deliver([message.clone()]));
        let [told] = &owner.outgoing[..] else { panic!("one message: {:?}", owner.outgoing) };
        let OutgoingBody::Message(MessageBody::ChildEnded(told)) = &told.body else { panic!("a result: {told:?}") };
        let Outcome::Failed(failure) = &told.outcome else { panic!("a failure: {told:?}") };
        assert_eq!((failure.kind.as_str(), failure.message.as_str()), ("terminated", message));
    }
}

#[test]
fn a_child_obeys_its_parent_and_no_other_instance() {
    let terminated = |by_whom| MessageBody::Terminated(by(by_whom));
    let child = || started_with(start_of_child()).call("p", "1").timer(50.0).wait("A").block(2);
    let expected = child()
        .ignored(terminated("another's"))
        .ignored(MessageBody::Suspended(by("another's")))
        .step(MessageBody::Suspended(by("parent's")))
        .ignored(MessageBody::Resumed(by("another's")))
        .step(MessageBody::Resumed(by("parent's")))
        .step(terminated("parent's"));
    check_until(&expected, None, waits);
    check_until(&waiting().ignored(terminated("parent's")), None, waits);
}

/// It waits in the inbox with what wakes the guest.
#[test]
fn a_termination_that_is_not_meant_takes_no_step_from_the_guest() {
    let expected = started()
        .wait("A")
        .block(0)
        .event("A", "1")
        .wait("A")
        .block(1)
        .event("B", "2")
        .event("A", "3")
        .completed("[1,3]");
    let orchestrator = guest(async |ctx| Ok(list(&[ctx.event("A").await?, ctx.event("A").await?])));
    let unmeant = Message { seq: 9, at: second(1), body: MessageBody::Terminated(by("another's")) };
    for length in 1..=expected.messages.len() {
        let mut life = Life::new(&orchestrator, Vec::new());
        let messages = expected.messages[..length].iter().cloned();
        let turn = life.resume(messages.chain([unmeant.clone()])).expect("a guest that fits");
        assert_eq!(turn.steps, expected.steps[..length]);
        assert!(turn.consumed.contains(&9), "it is used up");
    }
}

// ---- Suspend and resume

#[test]
fn what_came_while_it_was_suspended_comes_in_order_when_it_goes_on() {
    let expected = started()
        .wait("A")
        .call("p", "1")
        .block(0)
        .suspended()
        .unread(event("A", "1"))
        .unread(MessageBody::ActivityEnded(ended(1, 1, succeeded("2"))))
        .unread(event("A", "3"))
        .resumed()
        .apply(3, 6.0)
        .block(1)
        .apply(4, 6.0)
        .wait("A")
        .block(2)
        .apply(5, 6.0)
        .completed("[1,2,3]");
    check_until(&expected, LATER, async |ctx| {
        let (wait, activity) = (ctx.wait("A")?, ctx.call("p", "1")?);
        Ok(list(&[ctx.get(wait).await?, ctx.get(activity).await?, ctx.event("A").await?]))
    });
}

#[test]
fn overdue_timers_fire_when_it_goes_on_each_before_what_was_accepted_after_it_was_due() {
    let expected = started()
        .timer(8.0)
        .timer(5.5)
        .timer(5.0)
        .wait("A")
        .block_next()
        .suspended()
        .at(4.0)
        .unread(event("A", "1"))
        .received_at(6.0)
        .resumed()
        .at(10.0)
        .fired(2, Due, 10.0)
        .block_next()
        .fired(1, Due, 10.0)
        .block_next()
        .apply(3, 10.0)
        .block_next()
        .fired(0, Due, 10.0)
        .cancel_returning(3, 3)
        .completed("[2, 1, 3, 0]");
    check_until(&expected, LATER, async |ctx| {
        ctx.timer(8.0)?;
        ctx.timer(5.5)?;
        ctx.timer(5.0)?;
        ctx.wait("A")?;
        let mut order = Vec::new();
        for _ in 0..4 {
            order.push(ctx.next().await?);
        }
        Ok(json(&format!("{order:?}")))
    });
}

#[test]
fn nothing_is_due_while_it_is_suspended() {
    let expected = waiting().suspended().at(4.0);
    check_until(&expected, LATER, waits);
    let state = State::of(&expected.steps);
    assert_eq!((state.runtime_status(), state.next_due()), (RuntimeStatus::Suspended, None));
    assert!(!state.is_runnable());
    let resumed = State::of(&expected.resumed().steps);
    assert_eq!((resumed.runtime_status(), resumed.next_due()), (RuntimeStatus::Running, Some(second(50))));
}

#[test]
fn what_is_suspended_twice_is_resumed_once() {
    let suspend = || MessageBody::Suspended(Control::default());
    let expected = waiting().suspended().ignored(suspend()).resumed().event("A", "1").completed("1");
    check_until(&expected, LATER, waits);
    // Also where all of it waits in the inbox.
    let mut owner = Owner::new(&guest(waits));
    owner.deliver(expected.messages.iter().cloned());
    assert_eq!(owner.history, expected.steps);
}

#[test]
fn what_runs_is_not_resumed() {
    let resume = || MessageBody::Resumed(Control::default());
    check_until(&waiting().ignored(resume()).event("A", "1").completed("1").ignored(resume()), LATER, waits);
}

#[test]
fn what_is_suspended_and_evicted_comes_back_with_all_that_waited() {
    let messages = waiting().suspended().unread(event("B", "1")).unread(event("A", "2")).messages;
    let mut owner = Owner::new(&guest(waits));
    messages.iter().for_each(|message| owner.deliver([message.clone()]));
    assert_eq!(owner.inbox, messages[2..]);
    owner.evict();
    owner.evict();
    assert_eq!(owner.inbox, messages[2..]);
    owner.deliver([Message { seq: 9, at: second(9), body: MessageBody::Resumed(Control::default()) }]);
    assert_eq!(owner.state().outcome(), Some(&succeeded("2")));
}

#[test]
fn suspension_and_resumption_are_passed_on_where_that_is_asked() {
    let bodies: [fn(Control) -> MessageBody; 2] = [MessageBody::Suspended, MessageBody::Resumed];
    let messages = bodies.iter().fold(started(), |history, body| history.step(body(cascading("lunch")))).messages;
    let mut owner = Owner::new(&guest(async |ctx| ctx.get(ctx.child("c", Some("kid"), "1")?).await));
    messages.iter().for_each(|message| owner.deliver([message.clone()]));
    let control = Control { by: Some(EXECUTION.into()), ..cascading("lunch") };
    let passed_on =
        bodies.map(|body| Outgoing { to: "kid".into(), body: OutgoingBody::Message(body(control.clone())) });
    assert_eq!(owner.outgoing[1..], passed_on);
}

// ---- Another module

#[test]
fn an_instance_runs_the_module_that_it_was_moved_to() {
    let same = started().messages.remove(0);
    let MessageBody::Started(start) = same.body else { panic!("a start") };
    let module = |name: &str| MessageBody::Migrated { module: name.into() };
    let expected = waiting()
        .ignored(module(&start.module))
        .migrated("m2")
        .ignored(module("m2"))
        .migrated("m3")
        .event("A", "1")
        .completed("1")
        .ignored(module("m4"));
    check_until(&expected, None, waits);
    let modules = [1, 2, 3, 4].map(|length| State::of(&expected.steps[..length]).module().to_owned());
    assert_eq!(modules, [start.module, "m2".into(), "m3".into(), "m3".into()]);
    assert_eq!(State::default().module(), "");
}

#[test]
fn a_move_goes_before_all_that_waits_even_while_it_is_suspended() {
    let expected = waiting().suspended().unread(event("A", "1")).migrated("m2").resumed().apply(3, 5.0).completed("1");
    check_until(&expected, None, waits);
    let mut owner = Owner::new(&guest(async |ctx: Ctx| {
        ctx.event("A").await?;
        Ok(json(&format!("{:?}", ctx.module())))
    }));
    let messages = started().event("A", "1").migrated("m2").messages;
    owner.deliver([messages[0].clone()]);
    owner.deliver(messages[1..].iter().cloned());
    assert_eq!(owner.state().outcome(), Some(&succeeded("\"m2\"")));
    assert_eq!(owner.turns.last().expect("a turn").module.as_deref(), Some("m2"));
}

/// A host may apply what wakes the guest before it resumes it, and a move may come in between.
#[test]
fn a_move_takes_no_step_from_a_guest_that_can_go_on() {
    let expected = started().wait("A").block(0).event("A", "1").completed("1").migrated("m2");
    let mut execution = Execution::new(expected.steps[..1].to_vec());
    execution.begin();
    let wait = execution.wait_external_event("A").expect("it is in the history");
    assert!(execution.poll_task(wait).is_pending());
    for message in &expected.messages[1..] {
        execution.push(message.clone());
        assert_eq!(execution.absorb(), Ok(true));
    }
    assert_eq!(execution.poll_task(wait), Poll::Ready(Ok(succeeded("1"))));
    execution.end(succeeded("1")).expect("a live step");
    let turn = execution.take_turn();
    let steps: Vec<Step> = turn.steps;
    assert_eq!(steps, expected.steps[1..2]);
    assert_eq!(turn.consumed.len(), 2, "the move came too late");
}
