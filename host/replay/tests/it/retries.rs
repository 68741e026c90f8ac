//! Activities and children that are tried again.

use fermata_replay::Deadline::{Retry, Timeout};
use fermata_replay::{
    Failure, MessageBody, OpenKind, Outcome, OutgoingBody, RetryPolicy, Span, State, TaskEnded, Timestamp,
};

use crate::generator::hold_for_all;
use crate::guest::{Ctx, Ended, guest, json, seconds};
use crate::history::{EXECUTION, History, application, ended, failed, started, succeeded};
use crate::owner::Owner;
use crate::play::{check, check_until, stored};

const LATER: Option<Timestamp> = Some(Timestamp(1_000_000_000));

fn span(seconds: f64) -> Span {
    Span::from_millis_f64(seconds * 1_000.0).expect("a number")
}

/// 5 s, 10 s, 20 s, …
fn policy(max_attempts: u32) -> RetryPolicy {
    RetryPolicy {
        max_attempts,
        first_interval: span(5.0),
        backoff_coefficient: 2.0,
        max_interval: None,
        timeout: None,
        attempt_timeout: None,
        non_retryable: vec!["Fatal".into()],
    }
}

fn retried(policy: RetryPolicy) -> impl AsyncFn(Ctx) -> Ended + Clone + 'static {
    async move |ctx: Ctx| {
        let activity = ctx.call("p", "1")?;
        ctx.retry(activity, &policy)?;
        ctx.get(activity).await
    }
}

fn begun(policy: &RetryPolicy) -> History {
    started().call("p", "1").retry(0, policy).block(0)
}

#[test]
fn the_arithmetic() {
    let of = |first: f64, coefficient: f64, max: Option<f64>| RetryPolicy {
        first_interval: span(first),
        backoff_coefficient: coefficient,
        max_interval: max.map(span),
        ..policy(10)
    };
    let table: &[(&str, RetryPolicy, [f64; 4])] = &[
        ("constant", of(5.0, 1.0, None), [5.0, 5.0, 5.0, 5.0]),
        ("doubled", of(5.0, 2.0, None), [5.0, 10.0, 20.0, 40.0]),
        ("a broken factor", of(4.0, 1.5, None), [4.0, 6.0, 9.0, 13.5]),
        ("bounded", of(5.0, 2.0, Some(12.0)), [5.0, 10.0, 12.0, 12.0]),
        ("bounded from the first on", of(5.0, 2.0, Some(3.0)), [3.0, 3.0, 3.0, 3.0]),
        ("less than 1 counts as 1", of(5.0, 0.5, None), [5.0, 5.0, 5.0, 5.0]),
        ("no number counts as 1", of(5.0, f64::NAN, None), [5.0, 5.0, 5.0, 5.0]),
        ("at once", of(0.0, 2.0, None), [0.0, 0.0, 0.0, 0.0]),
        ("beyond all time, bounded", of(5.0, f64::INFINITY, Some(60.0)), [5.0, 60.0, 60.0, 60.0]),
    ];
    let now = Timestamp::from_millis(1_000);
    for (name, policy, intervals) in table {
        for (attempt, interval) in (1..).zip(intervals) {
            let next = policy.next_attempt(attempt, &application("no"), now, now);
            assert_eq!(next, Some(now + span(*interval)), "{name}, attempt {attempt}");
        }
    }
    let far = of(5.0, f64::INFINITY, None).next_attempt(2, &application("no"), now, now);
    assert_eq!(far, Some(Timestamp(i64::MAX)), "beyond all time, unbounded");
}

/// Else the guest would set another policy when it is replayed than its history has.
#[test]
fn a_policy_is_read_back_to_the_last_bit() {
    hold_for_all(2_000, &proptest::num::f64::NORMAL, "cargo xtask test a_policy_is_read_back", |coefficient| {
        let history = begun(&RetryPolicy { backoff_coefficient: coefficient, ..policy(3) }).steps;
        assert_eq!(stored(&history), history);
    });
}

#[test]
fn attempts_are_counted_with_the_first_and_there_is_always_one() {
    for (max, tried) in [(0, 1), (1, 1), (2, 2), (7, 7)] {
        let again =
            |attempt| policy(max).next_attempt(attempt, &application("no"), Timestamp(0), Timestamp(0)).is_some();
        assert_eq!((1..=10).find(|attempt| !again(*attempt)), Some(tried), "at most {max}");
    }
}

#[test]
fn each_attempt_is_visible_in_history() {
    let policy = policy(3);
    let expected = begun(&policy)
        .failure(0, "no")
        .fired(0, Retry, 7.0)
        .attempt(0, 2, failed("not"))
        .at(8.0)
        .fired(0, Retry, 18.0)
        .attempt(0, 3, succeeded("3"))
        .at(20.0)
        .completed("3");
    check_until(&expected, LATER, retried(policy));
    let open = |length: usize| State::of(&expected.steps[..length]).open_tasks().remove(0).kind;
    let activity =
        |attempt, retry: Option<f64>| OpenKind::Activity { name: "p".into(), attempt, retry: retry.map(seconds) };
    assert_eq!(open(1), activity(1, None));
    assert_eq!(open(2), activity(1, Some(7.0)));
    assert_eq!(open(3), activity(2, None));
    assert_eq!(State::of(&expected.steps[..2]).next_due(), Some(seconds(7.0)));
}

#[test]
fn a_task_fails_with_its_last_failure_and_nothing_is_waited_for_after_it() {
    let policy = policy(2);
    let expected = begun(&policy)
        .failure(0, "no")
        .fired(0, Retry, 7.0)
        .attempt(0, 2, failed("not"))
        .at(8.0)
        .failed(application("not"));
    check_until(&expected, LATER, retried(policy));
}

#[test]
fn what_can_not_get_better_is_not_tried_again() {
    let policy = policy(9);
    let fatal = Failure { error_type: "Fatal".into(), ..application("no") };
    for failure in [application("no").non_retryable(), fatal] {
        let expected = begun(&policy).attempt(0, 1, Outcome::Failed(failure.clone())).failed(failure);
        check_until(&expected, LATER, retried(policy.clone()));
    }
}

#[test]
fn no_attempt_begins_after_the_time_for_all() {
    let within = |seconds: f64| RetryPolicy { timeout: Some(span(seconds)), ..policy(9) };
    let tried = begun(&within(6.1))
        .failure(0, "no")
        .fired(0, Retry, 7.0)
        .attempt(0, 2, failed("not"))
        .at(7.05)
        .failed(application("not"));
    check_until(&tried, LATER, retried(within(6.1)));
    let not_tried = begun(&within(6.0)).failure(0, "no").failed(application("no"));
    check_until(&not_tried, LATER, retried(within(6.0)));
}

#[test]
fn an_attempt_may_take_its_own_time_and_what_is_left_of_the_time_for_all() {
    let policy = RetryPolicy { timeout: Some(span(9.0)), attempt_timeout: Some(span(4.0)), ..policy(9) };
    let expected = begun(&policy).failure(0, "no").fired(0, Retry, 7.0);
    let mut owner = Owner::new(&guest(retried(policy)));
    expected.messages.iter().for_each(|message| owner.deliver([message.clone()]));
    owner.tick(LATER.expect("a time"));
    let attempts: Vec<_> = owner.performed.iter().map(|activity| (activity.attempt, activity.timeout)).collect();
    assert_eq!(attempts, [(1, Some(span(4.0))), (2, Some(span(3.0)))], "it began at 1 s, and must end by 10 s");
    assert_eq!(owner.table.get(&0), Some(&2));
}

/// The host may learn of a failure, and that the time for the next attempt has come, in one turn.
#[test]
fn an_activity_that_fails_and_begins_again_in_one_turn_is_under_way() {
    let expected = begun(&policy(3)).failure(0, "no");
    let mut owner = Owner::new(&guest(retried(policy(3))));
    owner.deliver([expected.messages[0].clone()]);
    owner.life.tick(LATER.expect("a time"));
    owner.deliver([expected.messages[1].clone()]);
    let turn = owner.turns.last().expect("a turn");
    assert_eq!((turn.steps.len(), turn.settled.len()), (2, 0));
    assert_eq!(turn.activities[0].attempt, 2);
    assert_eq!(owner.table.get(&0), Some(&2));
}

#[test]
fn results_of_other_attempts_and_other_executions_change_nothing() {
    let policy = policy(3);
    let result = |attempt| ended(0, attempt, succeeded("9"));
    let of_another = MessageBody::ActivityEnded(TaskEnded { execution: "another".into(), ..result(2) });
    let expected = begun(&policy)
        .ignored(MessageBody::ActivityEnded(result(2)))
        .failure(0, "no")
        .ignored(MessageBody::ActivityEnded(result(1)))
        .fired(0, Retry, 8.0)
        .ignored(MessageBody::ActivityEnded(result(1)))
        .received_at(9.0)
        .ignored(MessageBody::ActivityEnded(result(3)))
        .received_at(9.0)
        .ignored(of_another)
        .received_at(9.0)
        .attempt(0, 2, succeeded("2"))
        .at(10.0)
        .completed("2");
    check(&expected, retried(policy));
}

/// The first format had one execution for each instance, and its results do not name it.
#[test]
fn a_result_that_names_no_execution_is_taken() {
    let unnamed = TaskEnded { execution: String::new(), ..ended(0, 1, succeeded("2")) };
    let expected = begun(&policy(3)).step(MessageBody::ActivityEnded(unnamed)).completed("2");
    assert_ne!(EXECUTION, "");
    check(&expected, retried(policy(3)));
}

#[test]
fn an_activity_given_up_while_it_rests_is_not_tried_again() {
    let policy = policy(3);
    let expected = started()
        .call("p", "1")
        .retry(0, &policy)
        .wait("A")
        .block(1)
        .failure(0, "no")
        .event("A", "1")
        .cancel(0)
        .wait("A")
        .block(2)
        .event("A", "2")
        .at(50.0)
        .completed("2");
    check_until(&expected, LATER, async move |ctx| {
        let activity = ctx.call("p", "1")?;
        ctx.retry(activity, &policy)?;
        ctx.event("A").await?;
        assert!(ctx.cancel(activity)?);
        ctx.event("A").await
    });
    assert_eq!(State::of(&expected.steps[..3]).next_due(), None);
}

#[test]
fn a_timeout_ends_a_task_that_rests() {
    let policy = policy(3);
    let expected = started()
        .call("p", "1")
        .retry(0, &policy)
        .timeout(0, 6.0, Some("0"))
        .block(0)
        .failure(0, "no")
        .fired(0, Timeout, 6.0)
        .completed("0");
    check_until(&expected, LATER, async move |ctx| {
        let activity = ctx.call("p", "1")?;
        ctx.retry(activity, &policy)?;
        ctx.timeout(activity, 6.0, Some("0"))?;
        ctx.get(activity).await
    });
}

#[test]
fn a_child_is_started_again_with_the_same_id() {
    let policy = policy(2);
    let expected = started()
        .start_child("c", "kid", "1")
        .retry(0, &policy)
        .block(0)
        .child(0, 1, failed("no"))
        .fired(0, Retry, 7.0)
        .child(0, 2, succeeded("2"))
        .at(8.0)
        .completed("2");
    let played = check(&expected, async move |ctx| {
        let child = ctx.child("c", Some("kid"), "1")?;
        ctx.retry(child, &policy)?;
        ctx.get(child).await
    });
    let starts = played.outgoing.iter().map(|outgoing| match &outgoing.body {
        OutgoingBody::Start(start) => (outgoing.to.as_str(), start.caller.as_ref().expect("it is awaited").attempt),
        other => panic!("no start: {other:?}"),
    });
    assert_eq!(starts.collect::<Vec<_>>(), [("kid", 1), ("kid", 2)]);
}

#[test]
fn only_activities_and_children_are_tried_again() {
    let why = "is no activity and no sub-orchestration: nothing of it is retried";
    check(&started().wait("A").trapped(&format!("task 0 {why}")), async |ctx| {
        ctx.retry(ctx.wait("A")?, &policy(2))?;
        Ok(json("null"))
    });
    check(&started().timer(5.0).trapped(&format!("task 0 {why}")), async |ctx| {
        ctx.retry(ctx.timer(5.0)?, &policy(2))?;
        Ok(json("null"))
    });
    let expected = started().trapped("there is no task 0: handles are those that this execution was given");
    check(&expected, async |ctx| {
        ctx.retry(0, &policy(2))?;
        Ok(json("null"))
    });
}

/// Its first attempt has gone out.
#[test]
fn a_policy_that_comes_in_a_later_step_is_misuse() {
    let expected = started()
        .call("p", "1")
        .wait("A")
        .block(1)
        .event("A", "1")
        .trapped("the retry policy of task 0 comes too late: it has begun already");
    check(&expected, async |ctx| {
        let activity = ctx.call("p", "1")?;
        ctx.event("A").await?;
        ctx.retry(activity, &policy(2))?;
        Ok(json("null"))
    });
}
