//! Timers.

use fermata_replay::Deadline::Due;
use fermata_replay::{State, Timestamp};

use crate::guest::{Ctx, Ended, Life, guest, json, seconds};
use crate::history::{History, second, started};
use crate::play::{check, check_until};

const LATER: Option<Timestamp> = Some(Timestamp(100_000_000));

#[test]
fn timers_fire_in_the_order_in_which_they_are_due() {
    let expected = started()
        .timer(9.0)
        .timer(5.0)
        .block_next()
        .fired(1, Due, 5.0)
        .block_next()
        .fired(0, Due, 9.0)
        .completed("[1, 0]");
    check_until(&expected, LATER, async |ctx| {
        ctx.timer(9.0)?;
        ctx.timer(5.0)?;
        Ok(json(&format!("{:?}", [ctx.next().await?, ctx.next().await?])))
    });
}

#[test]
fn of_timers_that_are_due_at_one_instant_the_oldest_fires_first() {
    let expected =
        started().timer(5.0).timer(5.0).block_all(&[1, 0]).fired(0, Due, 5.0).fired(1, Due, 5.0).completed("0");
    check(&expected, async |ctx| {
        let timers = [ctx.timer(5.0)?, ctx.timer(5.0)?];
        ctx.all(&[timers[1], timers[0]]).await?.expect("timers do not fail");
        Ok(json(&ctx.any(&timers).await?.to_string()))
    });
}

#[test]
fn the_guest_sees_the_time_at_which_a_timer_was_due_however_late_the_host_is() {
    let expected = started().timer(5.25).block(0).fired(0, Due, 5.25).completed("[5250,null]");
    check_until(&expected, LATER, async |ctx| {
        let result = ctx.get(ctx.timer(5.25)?).await?;
        Ok(json(&format!("[{},{}]", ctx.now().as_millis_f64(), result.as_str())))
    });
}

#[test]
fn a_timer_that_is_due_in_the_past_fires_at_once() {
    let expected =
        started().timer(-3.0).timer(1.0).block_all(&[0, 1]).fired(0, Due, 1.0).fired(1, Due, 1.0).completed("1000");
    check(&expected, async |ctx| {
        let timers = [ctx.timer(-3.0)?, ctx.timer(1.0)?];
        ctx.all(&timers).await?.expect("timers do not fail");
        Ok(json(&ctx.now().as_millis_f64().to_string()))
    });
}

#[test]
fn a_timer_that_was_given_up_never_fires() {
    let expected = started().timer(5.0).wait("A").cancel(0).block(1).event("A", "1").at(9.0).completed("1");
    check_until(&expected, LATER, async |ctx| {
        let (timer, wait) = (ctx.timer(5.0)?, ctx.wait("A")?);
        assert!(ctx.cancel(timer)?);
        ctx.get(wait).await
    });
    assert_eq!(State::of(&expected.steps[..1]).next_due(), None);
}

#[test]
fn a_timer_may_be_due_in_a_far_year_or_beyond_all_years() {
    let year_9999 = Timestamp::from_millis_f64(253_370_764_800_000.0).expect("a number");
    let never = Timestamp::from_millis_f64(f64::INFINITY).expect("no number, but after all");
    assert_eq!((never, Timestamp::from_millis_f64(f64::NAN)), (Timestamp(i64::MAX), None));
    assert_eq!(Timestamp::from_millis_f64(-f64::INFINITY), Some(Timestamp(i64::MIN)));
    let expected = started()
        .timer_at(never)
        .timer_at(year_9999)
        .block_any(&[0, 1])
        .fired(1, Due, 253_370_764_800.0)
        .completed("1");
    check(&expected, async move |ctx| {
        let timers = [ctx.timer_at(never)?, ctx.timer_at(year_9999)?];
        Ok(json(&ctx.any(&timers).await?.to_string()))
    });
    assert_eq!(State::of(&expected.steps[..1]).next_due(), Some(year_9999));
}

/// Runs it with all its messages at once, long after they were accepted.
fn check_after_downtime(expected: &History, orchestrator: impl AsyncFn(Ctx) -> Ended + Clone + 'static) {
    check_until(expected, LATER, orchestrator.clone());
    let mut life = Life::new(&guest(orchestrator), Vec::new());
    life.execution(|execution| execution.tick(second(100)));
    let turn = life.resume(expected.messages.iter().cloned()).expect("a guest that fits");
    assert_eq!(turn.steps, expected.steps);
}

async fn race(ctx: Ctx) -> Ended {
    let tasks = [ctx.timer(5.0)?, ctx.wait("A")?];
    Ok(json(&ctx.any(&tasks).await?.to_string()))
}

#[test]
fn an_event_that_was_accepted_before_a_deadline_beats_it_also_after_downtime() {
    let begun = started().timer(5.0).wait("A").block_any(&[0, 1]);
    check_after_downtime(&begun.event("A", "1").at(4.999).cancel_returning(1, 2).completed("1"), race);
}

#[test]
fn an_event_that_was_accepted_at_a_deadline_or_later_does_not_beat_it_also_after_downtime() {
    for accepted in [5.0, 5.001, 50.0] {
        let begun = started().timer(5.0).wait("A").block_any(&[0, 1]);
        check_after_downtime(&begun.fired(0, Due, 5.0).completed("0").event("A", "1").at(accepted), race);
    }
}

#[test]
fn a_deadline_is_compared_with_when_a_message_was_accepted_though_the_clock_went_back() {
    let expected = started()
        .wait("A")
        .block(0)
        .event("A", "1")
        .at(9.0)
        .timer(7.0)
        .wait("A")
        .block_any(&[1, 2])
        .event("A", "2")
        .accepted_at(second(4), second(9))
        .cancel_returning(2, 3)
        .completed("2");
    check_until(&expected, LATER, async |ctx| {
        ctx.event("A").await?;
        let tasks = [ctx.timer(7.0)?, ctx.wait("A")?];
        Ok(json(&ctx.any(&tasks).await?.to_string()))
    });
}

#[test]
fn a_timer_that_loses_a_race_keeps_nothing_alive() {
    let expected =
        started().timer(50.0).wait("A").block_any(&[0, 1]).event("A", "1").cancel_returning(1, 2).completed("1");
    check_until(&expected, LATER, async |ctx| {
        let tasks = [ctx.timer(50.0)?, ctx.wait("A")?];
        Ok(json(&ctx.any(&tasks).await?.to_string()))
    });
    assert_eq!(State::of(&expected.steps[..1]).next_due(), Some(seconds(50.0)));
    assert_eq!(State::of(&expected.steps).next_due(), None);
}
