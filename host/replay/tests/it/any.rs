//! `task-any`.

use crate::guest::{Ctx, Halt, json};
use crate::histories;
use crate::history::started;
use crate::play::check;
use fermata_replay::{Payload, TaskId};

fn handles(tasks: [TaskId; 2]) -> Payload {
    json(&format!("{tasks:?}"))
}

#[test]
fn the_first_completed_wins_whatever_its_place() {
    check(&histories::any_of_complete(), async |ctx| {
        let (a, b) = (ctx.wait("A")?, ctx.wait("B")?);
        ctx.event("Go").await?;
        Ok(handles([ctx.any(&[a, b]).await?, ctx.any(&[b, a]).await?]))
    });
}

#[test]
fn a_buffered_event_completes_its_wait_when_the_wait_is_created() {
    check(&histories::any_with_buffered(), async |ctx| {
        let b = ctx.wait("B")?;
        ctx.event("Go").await?;
        let a = ctx.wait("A")?;
        Ok(json(&ctx.any(&[a, b]).await?.to_string()))
    });
}

#[test]
fn a_failure_wins_too_and_others_wake_nobody() {
    check(&histories::any_blocks(), async |ctx| {
        let (a, b, p) = (ctx.wait("A")?, ctx.wait("B")?, ctx.call("p", "1")?);
        Ok(handles([ctx.any(&[p, a]).await?, ctx.any(&[a, b]).await?]))
    });
}

#[test]
fn the_winner_is_not_taken() {
    let expected = started().wait("A").block_any(&[0]).event("A", "1").cancel_returning(0, 2).completed("true");
    check(&expected, async |ctx| {
        let wait = ctx.wait("A")?;
        let winner = ctx.any(&[wait]).await?;
        Ok(json(&ctx.cancel(winner)?.to_string()))
    });
}

#[test]
fn of_nothing_is_misuse() {
    let expected = started().trapped("task-any was called with no tasks: it would wait for ever");
    check(&expected, async |ctx: Ctx| -> Result<Payload, Halt> {
        ctx.any(&[]).await?;
        unreachable!("there is no winner")
    });
}
