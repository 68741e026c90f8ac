//! `next-completed`.

use fermata_replay::{Payload, TaskId};

use crate::guest::{Ctx, Halt, json};
use crate::histories;
use crate::history::started;
use crate::play::check;

fn handles(tasks: &[TaskId]) -> Payload {
    json(&format!("{tasks:?}"))
}

#[test]
fn tasks_are_handed_over_once_in_the_order_of_completion() {
    check(&histories::next_in_order(), async |ctx| {
        let tasks = ["0", "1", "2", "3"].map(|input| ctx.call("p", input).expect("a live step"));
        ctx.wait("A")?;
        ctx.get(tasks[2]).await?;
        let mut order = vec![ctx.next().await?, ctx.next().await?];
        ctx.any(&tasks[..2]).await?;
        order.push(ctx.next().await?);
        Ok(handles(&order))
    });
}

#[test]
fn cancelled_and_peeked_tasks_are_not_handed_over() {
    check(&histories::next_skips(), async |ctx| {
        let tasks = ["0", "1", "2", "3"].map(|input| ctx.call("p", input).expect("a live step"));
        ctx.event("Go").await?;
        ctx.cancel(tasks[0])?;
        ctx.peek(tasks[1])?.expect("it is complete");
        Ok(handles(&[ctx.next().await?, ctx.next().await?]))
    });
}

#[test]
fn a_failed_join_hands_over_the_failure_alone() {
    let expected =
        started().call("p", "0").call("p", "1").block_all(&[0, 1]).result(0, "0").failure(1, "no").completed("0");
    check(&expected, async |ctx| {
        let tasks = [ctx.call("p", "0")?, ctx.call("p", "1")?];
        ctx.all(&tasks).await?.expect_err("one fails");
        Ok(json(&ctx.next().await?.to_string()))
    });
}

const NOTHING_OPEN: &str = "next-completed was called with no task open: it would wait for ever";

async fn next(ctx: &Ctx) -> Result<Payload, Halt> {
    ctx.next().await?;
    unreachable!("there is no next task")
}

#[test]
fn with_nothing_open_it_is_misuse() {
    check(&started().trapped(NOTHING_OPEN), async |ctx| next(&ctx).await);
}

#[test]
fn with_all_cancelled_or_handed_over_it_is_misuse() {
    let expected = started().wait("A").call("p", "1").cancel(1).block(0).event("A", "1").trapped(NOTHING_OPEN);
    check(&expected, async |ctx| {
        let (wait, activity) = (ctx.wait("A")?, ctx.call("p", "1")?);
        ctx.cancel(activity)?;
        ctx.get(wait).await?;
        next(&ctx).await
    });
}
