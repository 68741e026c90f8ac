//! Rewind: a failed instance goes on before the step that failed it.

use fermata_replay::Deadline::{Due, Retry};
use fermata_replay::{
    Control, Execution, Message, MessageBody, OpenKind, Outcome, OutgoingBody, RetryPolicy, RuntimeStatus, Span, State,
    Timestamp, rewind,
};

use crate::guest::{Ctx, Ended, Halt, guest, json, list, seconds};
use crate::history::{History, application, ended, failed, second, start_of_child, started, started_with, succeeded};
use crate::owner::Owner;
use crate::play::{check, check_until};

const LATER: Option<Timestamp> = Some(Timestamp(1_000_000_000));

fn policy(max_attempts: u32) -> RetryPolicy {
    RetryPolicy {
        max_attempts,
        first_interval: Span::from_millis(5_000),
        backoff_coefficient: 1.0,
        max_interval: None,
        timeout: None,
        attempt_timeout: None,
        non_retryable: Vec::new(),
    }
}

/// Plays the history, and tells which attempts at activities began, and what was sent.
fn owner_of(history: &History, orchestrator: impl AsyncFn(Ctx) -> Ended + 'static) -> Owner {
    let mut owner = Owner::new(&guest(orchestrator));
    for message in &history.messages {
        owner.tick(message.at);
        owner.deliver([message.clone()]);
    }
    owner
}

fn attempts(owner: &Owner) -> Vec<(u32, u32)> {
    owner.performed.iter().map(|activity| (activity.task, activity.attempt)).collect()
}

async fn calls_one(ctx: Ctx) -> Ended {
    ctx.get(ctx.call("p", "1")?).await
}

/// Waits for every one, whatever comes; then the first failure is its own.
async fn joins(ctx: &Ctx, tasks: &[u32]) -> Ended {
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(ctx.outcome(*task).await?);
    }
    let mut results = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Succeeded(result) => results.push(result),
            Outcome::Failed(failure) => return Err(Halt::Failed(failure)),
        }
    }
    Ok(list(&results))
}

#[test]
fn an_activity_whose_failure_was_let_pass_is_performed_again() {
    let expected = started()
        .call("p", "1")
        .block(0)
        .failure(0, "no")
        .failed(application("no"))
        .rewound(1)
        .attempt(0, 2, succeeded("2"))
        .completed("2");
    check(&expected, calls_one);
    assert_eq!(attempts(&owner_of(&expected, calls_one)), [(0, 1), (0, 2)]);
    assert_eq!(State::of(&expected.steps[..3]).runtime_status(), RuntimeStatus::Running);
}

#[test]
fn it_may_fail_and_be_rewound_again_and_again() {
    let expected = started()
        .call("p", "1")
        .block(0)
        .failure(0, "no")
        .failed(application("no"))
        .rewound(1)
        .attempt(0, 2, failed("not"))
        .failed(application("not"))
        .rewound(2)
        .attempt(0, 3, succeeded("3"))
        .completed("3");
    check(&expected, calls_one);
    assert_eq!(attempts(&owner_of(&expected, calls_one)), [(0, 1), (0, 2), (0, 3)]);
}

/// What failed came early, and the guest has only waited for others since.
#[test]
fn of_many_that_were_waited_for_the_one_that_failed_is_performed_again_and_results_are_kept() {
    let orchestrator = async |ctx: Ctx| {
        let tasks = [ctx.call("p", "0")?, ctx.call("p", "1")?, ctx.call("p", "2")?, ctx.call("p", "3")?];
        joins(&ctx, &tasks[..3]).await
    };
    let expected = started()
        .call("p", "0")
        .call("p", "1")
        .call("p", "2")
        .call("p", "3")
        .block(0)
        .failure(1, "no")
        .result(0, "10")
        .block(2)
        .result(2, "12")
        .failed(application("no"))
        .rewound(1)
        .again_as_attempt(3, 5.0, 2)
        .block(1)
        .again_as_attempt(4, 5.0, 2)
        .attempt(1, 2, succeeded("11"))
        .completed("[10,11,12]");
    check(&expected, orchestrator);
    let owner = owner_of(&expected, orchestrator);
    assert_eq!(attempts(&owner), [(0, 1), (1, 1), (2, 1), (3, 1), (1, 2), (3, 2)], "the last one was open");
}

#[test]
fn after_an_error_of_the_guests_own_the_message_is_applied_again() {
    let fails = async |ctx: Ctx| {
        let results = [ctx.event("A").await?, calls_one(ctx.clone()).await?];
        Err(Halt::Failed(application(&format!("a mistake about {}", list(&results).as_str()))))
    };
    let mistake = || application("a mistake about [1,2]");
    let expected = started()
        .wait("A")
        .block(0)
        .event("A", "1")
        .call("p", "1")
        .block(1)
        .result(1, "2")
        .failed(mistake())
        .rewound(2)
        .again_as_attempt(3, 4.0, 2)
        .failed(mistake())
        .rewound(3)
        .again_as_attempt(3, 5.0, 3)
        .failed(mistake());
    check(&expected, fails);
    assert_eq!(attempts(&owner_of(&expected, fails)), [(1, 1)], "its result is there");
}

#[test]
fn an_instance_that_failed_in_its_first_step_starts_again() {
    let fails = async |_: Ctx| Err(Halt::Failed(application("no")));
    let no = || application("no");
    let expected = started_with(start_of_child())
        .failed(no())
        .event("A", "1")
        .rewound(0)
        .again(1, 1.0)
        .failed(no())
        .again(2, 2.0)
        .rewound(0)
        .again(1, 1.0)
        .failed(no())
        .again(2, 2.0);
    check(&expected, fails);
    assert_eq!(State::of(&expected.steps[..3]).runtime_status(), RuntimeStatus::Pending);
    assert_eq!(State::of(&expected.steps).buffered_events().len(), 1);
}

#[test]
fn events_that_came_after_the_failure_come_again() {
    let expected = started()
        .call("p", "1")
        .block(0)
        .event("A", "0")
        .failure(0, "no")
        .failed(application("no"))
        .event("A", "1")
        .rewound(2)
        .again(4, 5.0)
        .attempt(0, 2, succeeded("2"))
        .wait("A")
        .wait("A")
        .completed("[2,0,1]");
    check(&expected, async |ctx| {
        let result = calls_one(ctx.clone()).await?;
        Ok(list(&[result, ctx.event("A").await?, ctx.event("A").await?]))
    });
}

#[test]
fn failures_that_the_guest_caught_stand() {
    let orchestrator = async |ctx: Ctx| {
        let (caught, fatal) = (ctx.call("p", "0")?, ctx.call("p", "1")?);
        ctx.outcome(caught).await?;
        ctx.call("q", "2")?;
        ctx.get(fatal).await
    };
    let expected = started()
        .call("p", "0")
        .call("p", "1")
        .block(0)
        .failure(0, "no")
        .call("q", "2")
        .block(1)
        .failure(1, "no")
        .failed(application("no"))
        .rewound(2)
        .attempt(1, 2, succeeded("3"))
        .completed("3");
    check(&expected, orchestrator);
    assert_eq!(attempts(&owner_of(&expected, orchestrator)), [(0, 1), (1, 1), (2, 1), (1, 2), (2, 2)]);
}

#[test]
fn a_child_that_failed_is_revived_and_tells_of_the_attempt_it_was_started_for() {
    let orchestrator = async |ctx: Ctx| {
        let (child, other) = (ctx.child("c", Some("kid"), "1")?, ctx.child("c", Some("other"), "2")?);
        ctx.retry(child, &policy(2))?;
        joins(&ctx, &[child, other]).await
    };
    let expected = started()
        .start_child("c", "kid", "1")
        .start_child("c", "other", "2")
        .retry(0, &policy(2))
        .block(0)
        .child(0, 1, failed("no"))
        .fired(0, Retry, 7.0)
        .child(0, 2, failed("no"))
        .at(8.0)
        .block(1)
        .child(1, 1, failed("not"))
        .at(9.0)
        .failed(application("no"))
        .rewound(3)
        .at(10.0)
        .child(1, 1, succeeded("1"))
        .at(11.0)
        .child(0, 2, succeeded("0"))
        .at(12.0)
        .completed("[0,1]");
    check(&expected, orchestrator);
    let owner = owner_of(&expected, orchestrator);
    let sent = owner.outgoing.iter().map(|outgoing| match &outgoing.body {
        OutgoingBody::Start(start) => ("start", outgoing.to.as_str(), start.caller.as_ref().expect("awaited").attempt),
        OutgoingBody::Revive(start) => {
            ("revive", outgoing.to.as_str(), start.caller.as_ref().expect("awaited").attempt)
        }
        other => panic!("not to a child: {other:?}"),
    });
    let expected =
        [("start", "kid", 1), ("start", "other", 1), ("start", "kid", 2), ("revive", "kid", 2), ("revive", "other", 1)];
    assert_eq!(sent.collect::<Vec<_>>(), expected);
}

#[test]
fn a_task_has_its_whole_policy_again_and_no_attempt_has_the_number_of_another() {
    let orchestrator = async |ctx: Ctx| {
        let activity = ctx.call("p", "1")?;
        ctx.retry(activity, &policy(2))?;
        ctx.get(activity).await
    };
    let expected = started()
        .call("p", "1")
        .retry(0, &policy(2))
        .block(0)
        .failure(0, "no")
        .fired(0, Retry, 7.0)
        .attempt(0, 2, failed("no"))
        .at(8.0)
        .failed(application("no"))
        .rewound(3)
        .at(9.0)
        .attempt(0, 3, failed("no"))
        .at(10.0)
        .fired(0, Retry, 15.0)
        .attempt(0, 4, failed("no"))
        .at(16.0)
        .failed(application("no"));
    check(&expected, orchestrator);
    assert_eq!(attempts(&owner_of(&expected, orchestrator)), [(0, 1), (0, 2), (0, 3), (0, 4)]);
}

/// Task 0 fails for good. Meanwhile task 1 is tried thrice, and has succeeded when the guest fails.
#[test]
fn what_was_tried_again_in_the_undone_steps_keeps_its_result_or_counts_on() {
    let orchestrator = async |ctx: Ctx| {
        let tasks = [ctx.call("p", "0")?, ctx.call("p", "1")?, ctx.call("p", "2")?];
        ctx.retry(tasks[1], &policy(3))?;
        ctx.retry(tasks[2], &policy(3))?;
        joins(&ctx, &tasks[..2]).await
    };
    let expected = started()
        .call("p", "0")
        .call("p", "1")
        .call("p", "2")
        .retry(1, &policy(3))
        .retry(2, &policy(3))
        .block(0)
        .attempt(2, 1, failed("not"))
        .failure(0, "no")
        .block(1)
        .failure(1, "not")
        .fired(2, Retry, 7.0)
        .fired(1, Retry, 9.0)
        .attempt(1, 2, succeeded("11"))
        .at(10.0)
        .failed(application("no"))
        .rewound_after(2, &[(1, 2), (2, 2)])
        .at(11.0)
        .again_as_attempt(5, 11.0, 3)
        // The result of an attempt that was undone.
        .ignored(MessageBody::ActivityEnded(ended(2, 2, failed("late"))))
        .received_at(12.0)
        .attempt(0, 2, succeeded("10"))
        .at(13.0)
        .completed("[10,11]");
    check(&expected, orchestrator);
    let owner = owner_of(&expected, orchestrator);
    assert_eq!(attempts(&owner), [(0, 1), (1, 1), (2, 1), (1, 2), (2, 2), (0, 2), (2, 3)]);
}

#[test]
fn a_task_that_rests_goes_on_resting() {
    let orchestrator = async |ctx: Ctx| {
        let (resting, fatal) = (ctx.call("p", "0")?, ctx.call("p", "1")?);
        ctx.retry(resting, &policy(2))?;
        ctx.get(fatal).await?;
        ctx.get(resting).await
    };
    let expected = started()
        .call("p", "0")
        .call("p", "1")
        .retry(0, &policy(2))
        .block(1)
        .failure(0, "not")
        .failure(1, "no")
        .failed(application("no"))
        .rewound(2)
        .attempt(1, 2, succeeded("1"))
        .block(0)
        .fired(0, Retry, 7.0)
        .attempt(0, 2, succeeded("0"))
        .at(8.0)
        .completed("0");
    check(&expected, orchestrator);
    assert_eq!(attempts(&owner_of(&expected, orchestrator)), [(0, 1), (1, 1), (1, 2), (0, 2)]);
    let [resting, anew] = &State::of(&expected.steps[..4]).open_tasks()[..] else { panic!("two are open") };
    assert!(matches!(resting.kind, OpenKind::Activity { attempt: 1, retry: Some(at), .. } if at == seconds(7.0)));
    assert!(matches!(anew.kind, OpenKind::Activity { attempt: 2, retry: None, .. }));
}

#[test]
fn timers_keep_their_deadlines_and_fire_again_where_their_firing_was_undone() {
    let orchestrator = async |ctx: Ctx| {
        let tasks = [ctx.timer(2.5)?, ctx.timer(50.0)?];
        ctx.get(tasks[0]).await?;
        calls_one(ctx.clone()).await?;
        ctx.get(tasks[1]).await
    };
    let expected = started()
        .timer(2.5)
        .timer(50.0)
        .block(0)
        .fired(0, Due, 2.5)
        .call("p", "1")
        .block(2)
        .failure(2, "no")
        .at(40.0)
        .failed(application("no"))
        .rewound(2)
        .at(45.0)
        .attempt(2, 2, succeeded("1"))
        .at(46.0)
        .block(1)
        .fired(1, Due, 50.0)
        .completed("null");
    check_until(&expected, LATER, orchestrator);
    assert_eq!(State::of(&expected.steps[..4]).next_due(), Some(second(50)));

    let fails = async |ctx: Ctx| {
        ctx.get(ctx.timer(5.0)?).await?;
        Err(Halt::Failed(application("no")))
    };
    let no = || application("no");
    let fired_again =
        started().timer(5.0).block(0).fired(0, Due, 5.0).failed(no()).rewound(1).at(9.0).fired(0, Due, 9.0);
    check_until(&fired_again.failed(no()), LATER, fails);
}

/// Also where it is rewound twice: it was accepted when it was.
#[test]
fn an_event_that_beat_a_deadline_beats_it_again() {
    let fails = async |ctx: Ctx| {
        let tasks = [ctx.timer(5.0)?, ctx.wait("A")?];
        let winner = ctx.any(&tasks).await?;
        Err(Halt::Failed(application(&winner.to_string())))
    };
    let begun = || started().timer(5.0).wait("A").block_any(&[0, 1]);
    let fails_again = |history: History| history.cancel_returning(1, 2).failed(application("1"));
    let once = fails_again(begun().event("A", "1").at(4.0)).rewound(1).at(9.0).again(2, 9.0);
    let twice = fails_again(once).rewound(2).at(10.0).again(2, 10.0);
    check_until(&fails_again(twice), LATER, fails);
}

#[test]
fn the_custom_status_is_that_of_the_steps_that_count() {
    let orchestrator = async |ctx: Ctx| {
        ctx.status("1");
        let result = calls_one(ctx.clone()).await;
        ctx.status("2");
        result
    };
    let begun = || started().call("p", "1").status("1").block(0).failure(0, "no").status("2").failed(application("no"));
    // The step that rewinds says so, for who shows what was set last.
    let rewound = begun().rewound(1).status("1");
    check(&rewound, orchestrator);
    assert_eq!(State::of(&begun().steps).custom_status(), Some(&json("2")));
    assert_eq!(State::of(&rewound.steps).custom_status(), Some(&json("1")));
}

#[test]
fn where_nothing_was_shown_before_nothing_is_again() {
    let orchestrator = async |ctx: Ctx| {
        let result = calls_one(ctx.clone()).await;
        ctx.status("2");
        result
    };
    let begun = started().call("p", "1").block(0).failure(0, "no").status("2").failed(application("no"));
    check(&begun.rewound(1).status("null"), orchestrator);
}

#[test]
fn only_what_has_failed_is_rewound_and_only_by_its_own_parent() {
    let message = |by: Option<&str>| {
        let control = Control { by: by.map(str::to_owned), ..Control::default() };
        Message { seq: 9, at: second(9), body: MessageBody::Rewound(control) }
    };
    let child = || started_with(start_of_child());
    let failed = child().failed(application("no"));
    assert!(State::of(&failed.steps).has_failed());
    assert!(rewind(&failed.steps, &message(None)).is_some());
    assert!(rewind(&failed.steps, &message(Some("parent's"))).is_some());
    assert_eq!(rewind(&failed.steps, &message(Some("another's"))), None);
    for other in [
        child().wait("A").block(0),
        child().completed("1"),
        child().terminated("enough"),
        child().wait("A").block(0).suspended(),
        child().continued("1"),
        child().call("p", "1").block(0).failure(0, "no").failed(application("no")).rewound(1),
    ] {
        assert!(!State::of(&other.steps).has_failed());
        assert_eq!(rewind(&other.steps, &message(None)), None);
    }
}

/// It is the owner that rewinds, with a turn of its own.
#[test]
fn a_rewind_in_the_inbox_is_used_up() {
    let failed = started().failed(application("no"));
    let mut execution = Execution::without_guest(&failed.steps).expect("a history");
    execution.push(Message { seq: 9, at: second(9), body: MessageBody::Rewound(Control::default()) });
    assert_eq!(execution.absorb(), Ok(false));
    let turn = execution.take_turn();
    assert_eq!((turn.steps.len(), turn.consumed), (0, vec![9]));
}

#[test]
fn the_turn_of_a_rewind_says_all_that_its_commit_must_make_true() {
    let history =
        started().call("p", "1").timer(50.0).block(0).failure(0, "no").failed(application("no")).event("A", "1");
    let message = Message { seq: 9, at: second(9), body: MessageBody::Rewound(Control::default()) };
    let turn = rewind(&history.steps, &message).expect("it has failed");
    assert_eq!((turn.steps.len(), turn.consumed), (1, vec![9]));
    assert_eq!(turn.returned, history.messages[2..]);
    assert_eq!((turn.status, turn.due, turn.module, turn.next), (RuntimeStatus::Running, Some(second(50)), None, None));
    assert_eq!((turn.activities[0].task, turn.activities[0].attempt, turn.settled.len()), (0, 2, 0));
}
