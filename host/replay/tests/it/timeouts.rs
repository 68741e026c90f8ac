//! Tasks that end at an instant if they are open then.

use fermata_replay::Deadline::{Due, Timeout};
use fermata_replay::{Failure, MessageBody, Outcome, State, Timestamp, kind};

use crate::guest::{Ctx, guest, json, list};
use crate::history::{ended, started, succeeded};
use crate::owner::Owner;
use crate::play::{check, check_until};

const LATER: Option<Timestamp> = Some(Timestamp(100_000_000));

fn timeout(message: &str) -> Failure {
    Failure::new(kind::TIMEOUT, message)
}

#[test]
fn a_wait_that_times_out_fails_with_the_kind_timeout() {
    let expected = started()
        .wait("A")
        .timeout(0, 5.0, None)
        .block(0)
        .fired(0, Timeout, 5.0)
        .failed(timeout("no event \"A\" came in time"));
    check_until(&expected, LATER, async |ctx| {
        let wait = ctx.wait("A")?;
        ctx.timeout(wait, 5.0, None)?;
        ctx.get(wait).await
    });
}

#[test]
fn a_wait_that_times_out_has_its_default_even_null() {
    for default in ["[1]", "null"] {
        let expected =
            started().wait("A").timeout(0, 5.0, Some(default)).block(0).fired(0, Timeout, 5.0).completed(default);
        check(&expected, async move |ctx| {
            let wait = ctx.wait("A")?;
            ctx.timeout(wait, 5.0, Some(default))?;
            ctx.get(wait).await
        });
    }
}

#[test]
fn a_wait_that_timed_out_never_takes_a_later_event() {
    let expected = started()
        .wait("A")
        .timeout(0, 5.0, Some("0"))
        .block(0)
        .fired(0, Timeout, 5.0)
        .wait("A")
        .block(1)
        .event("A", "7")
        .at(6.0)
        .completed("[0,7]");
    check(&expected, async |ctx| {
        let wait = ctx.wait("A")?;
        ctx.timeout(wait, 5.0, Some("0"))?;
        Ok(list(&[ctx.get(wait).await?, ctx.event("A").await?]))
    });
}

#[test]
fn an_older_wait_gets_the_event_that_a_newer_one_timed_out_for() {
    let expected = started()
        .wait("A")
        .wait("A")
        .timeout(1, 5.0, None)
        .block(0)
        .fired(1, Timeout, 5.0)
        .event("A", "7")
        .at(6.0)
        .completed("7");
    check(&expected, async |ctx| {
        let (older, newer) = (ctx.wait("A")?, ctx.wait("A")?);
        ctx.timeout(newer, 5.0, None)?;
        ctx.get(older).await
    });
}

#[test]
fn an_event_in_time_removes_the_deadline() {
    let expected = started()
        .wait("A")
        .timeout(0, 5.0, Some("0"))
        .block(0)
        .event("A", "7")
        .at(4.0)
        .wait("Go")
        .block(1)
        .event("Go", "8")
        .at(9.0)
        .completed("[7,8]");
    check_until(&expected, LATER, async |ctx| {
        let wait = ctx.wait("A")?;
        ctx.timeout(wait, 5.0, Some("0"))?;
        Ok(list(&[ctx.get(wait).await?, ctx.event("Go").await?]))
    });
    assert_eq!(State::of(&expected.steps[..2]).next_due(), None);
}

#[test]
fn an_event_that_comes_too_late_stays_buffered() {
    let expected = started()
        .wait("A")
        .wait("Go")
        .timeout(0, 5.0, Some("0"))
        .block(1)
        .fired(0, Timeout, 5.0)
        .event("A", "7")
        .at(5.0)
        .event("Go", "8")
        .at(9.0)
        .completed("0");
    check(&expected, async |ctx| {
        let (wait, go) = (ctx.wait("A")?, ctx.wait("Go")?);
        ctx.timeout(wait, 5.0, Some("0"))?;
        ctx.get(go).await?;
        ctx.get(wait).await
    });
    assert_eq!(State::of(&expected.steps).buffered_events()[0].seq, 2);
}

#[test]
fn a_wait_given_up_has_no_deadline_and_one_given_back_loses_its_own() {
    let expected = started()
        .wait("A")
        .timeout(0, 5.0, None)
        .wait("A")
        .timeout(1, 6.0, None)
        .wait("Go")
        .block(2)
        .event("A", "7")
        .event("Go", "8")
        .cancel_returning(1, 2)
        .wait("More")
        .block(3)
        .event("More", "9")
        .at(50.0)
        .completed("7");
    check_until(&expected, LATER, async |ctx| {
        let older = ctx.wait("A")?;
        ctx.timeout(older, 5.0, None)?;
        let newer = ctx.wait("A")?;
        ctx.timeout(newer, 6.0, None)?;
        ctx.event("Go").await?;
        ctx.cancel(newer)?;
        ctx.event("More").await?;
        ctx.get(older).await
    });
}

#[test]
fn a_timeout_replaces_the_one_set_before_and_its_default() {
    let expected = started()
        .wait("A")
        .timeout(0, 5.0, Some("1"))
        .timeout(0, 9.0, None)
        .block(0)
        .fired(0, Timeout, 9.0)
        .failed(timeout("no event \"A\" came in time"));
    check_until(&expected, LATER, async |ctx| {
        let wait = ctx.wait("A")?;
        ctx.timeout(wait, 5.0, Some("1"))?;
        ctx.timeout(wait, 9.0, None)?;
        ctx.get(wait).await
    });
}

#[test]
fn a_timeout_of_what_is_complete_or_given_up_does_nothing() {
    let expected =
        started().wait("Go").block(0).event("A", "1").event("Go", "2").wait("A").wait("B").cancel(2).completed("1");
    check_until(&expected, LATER, async |ctx| {
        ctx.event("Go").await?;
        let (buffered, given_up) = (ctx.wait("A")?, ctx.wait("B")?);
        ctx.timeout(buffered, 0.0, Some("0"))?;
        ctx.cancel(given_up)?;
        ctx.timeout(given_up, 0.0, Some("0"))?;
        ctx.get(buffered).await
    });
}

#[test]
fn a_timeout_in_the_past_passes_at_once() {
    let expected = started().wait("A").timeout(0, 0.5, Some("0")).block(0).fired(0, Timeout, 1.0).completed("0");
    check(&expected, async |ctx| {
        let wait = ctx.wait("A")?;
        ctx.timeout(wait, 0.5, Some("0"))?;
        ctx.get(wait).await
    });
}

#[test]
fn an_activity_that_times_out_is_given_up() {
    let expected = started()
        .call("p", "1")
        .timeout(0, 5.0, None)
        .wait("A")
        .block(0)
        .fired(0, Timeout, 5.0)
        .block(1)
        .ignored(MessageBody::ActivityEnded(ended(0, 1, succeeded("1"))))
        .received_at(6.0)
        .event("A", "2")
        .at(7.0)
        .completed("2");
    let orchestrator = async |ctx: Ctx| {
        let activity = ctx.call("p", "1")?;
        ctx.timeout(activity, 5.0, None)?;
        let wait = ctx.wait("A")?;
        let Outcome::Failed(failure) = ctx.outcome(activity).await? else { panic!("it is late") };
        assert_eq!(failure, timeout("the activity \"p\" did not end in time"));
        ctx.get(wait).await
    };
    check(&expected, orchestrator);
    let mut owner = Owner::new(&guest(orchestrator));
    owner.deliver([expected.messages[0].clone()]);
    owner.tick(LATER.expect("a time"));
    assert_eq!(owner.turns.last().expect("a turn").settled, [0]);
}

#[test]
fn a_child_that_times_out_goes_on_unheard() {
    let expected = started()
        .start_child("c", "kid", "1")
        .timeout(0, 5.0, None)
        .block(0)
        .fired(0, Timeout, 5.0)
        .wait("A")
        .block(1)
        .ignored(MessageBody::ChildEnded(ended(0, 1, succeeded("1"))))
        .received_at(6.0)
        .event("A", "2")
        .at(7.0)
        .completed("2");
    let played = check(&expected, async |ctx| {
        let child = ctx.child("c", Some("kid"), "1")?;
        ctx.timeout(child, 5.0, None)?;
        let outcome = ctx.outcome(child).await?;
        let late = timeout("the sub-orchestration \"kid\" did not end in time");
        assert_eq!(outcome, Outcome::Failed(late));
        ctx.event("A").await
    });
    assert_eq!(played.outgoing.len(), 1, "it is started, and told nothing");
}

#[test]
fn a_timer_may_time_out_before_it_is_due_but_not_when_it_is() {
    let expected = started()
        .timer(9.0)
        .timeout(0, 5.0, Some("1"))
        .timer(6.0)
        .timeout(1, 6.0, Some("2"))
        .block_all(&[0, 1])
        .fired(0, Timeout, 5.0)
        .fired(1, Due, 6.0)
        .completed("[1,null]");
    check_until(&expected, LATER, async |ctx| {
        let early = ctx.timer(9.0)?;
        ctx.timeout(early, 5.0, Some("1"))?;
        let due = ctx.timer(6.0)?;
        ctx.timeout(due, 6.0, Some("2"))?;
        let tasks = [early, due];
        Ok(list(&ctx.all(&tasks).await?.expect("no failure")))
    });
}

#[test]
fn a_timeout_of_an_unknown_task_is_misuse() {
    let expected = started().trapped("there is no task 7: handles are those that this execution was given");
    check(&expected, async |ctx| {
        ctx.timeout(7, 5.0, None)?;
        Ok(json("null"))
    });
}
