//! `task-all`.

use crate::guest::{Halt, json, list};
use crate::histories;
use crate::history::started;
use crate::play::check;

#[test]
fn results_come_in_the_order_of_the_list() {
    check(&histories::all_in_order(), async |ctx| {
        let (p, q, a) = (ctx.call("p", "0")?, ctx.call("p", "1")?, ctx.wait("A")?);
        Ok(list(&ctx.all(&[a, p, q]).await?.expect("nothing fails")))
    });
}

#[test]
fn the_first_failure_in_history_counts() {
    check(&histories::all_fails_first_in_history(), async |ctx| {
        let tasks = [ctx.call("p", "0")?, ctx.call("p", "1")?, ctx.call("p", "2")?];
        ctx.event("Go").await?;
        Err(Halt::Failed(ctx.all(&tasks).await?.expect_err("two have failed")))
    });
}

#[test]
fn a_failure_takes_no_event_of_the_others() {
    check(&histories::all_fails_and_events_go_back(), async |ctx| {
        let tasks = [ctx.wait("A")?, ctx.wait("B")?, ctx.call("p", "2")?];
        ctx.all(&tasks).await?.expect_err("the activity fails");
        assert!(ctx.cancel(tasks[0])? && ctx.cancel(tasks[1])?);
        assert!(!ctx.cancel(tasks[2])?, "the guest has seen its failure");
        ctx.event("a").await
    });
}

#[test]
fn of_nothing_is_an_empty_list() {
    check(&started().completed("[]"), async |ctx| Ok(list(&ctx.all(&[]).await?.expect("nothing fails"))));
}

#[test]
fn a_task_may_stand_twice_in_the_list() {
    let expected = started().wait("A").block_all(&[0, 0]).event("A", "1").completed("[1,1]");
    check(&expected, async |ctx| {
        let wait = ctx.wait("A")?;
        Ok(list(&ctx.all(&[wait, wait]).await?.expect("waits do not fail")))
    });
}

#[test]
fn what_it_gave_can_not_be_given_up() {
    let expected = started().wait("A").block_all(&[0]).event("A", "1").completed("false");
    check(&expected, async |ctx| {
        let wait = ctx.wait("A")?;
        ctx.all(&[wait]).await?.expect("waits do not fail");
        Ok(json(&ctx.cancel(wait)?.to_string()))
    });
}
