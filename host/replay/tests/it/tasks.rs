//! Task handles, and results asked for again.

use fermata_replay::{Outcome, Payload};

use crate::guest::{Ctx, Halt, json};
use crate::history::{History, application, started};
use crate::play::check;

#[test]
fn asking_again_gives_the_same_again() {
    let expected = started().call("p", "1").wait("A").block(0).failure(0, "no").block(1).event("A", "5").completed("5");
    check(&expected, async |ctx| {
        let (activity, wait) = (ctx.call("p", "1")?, ctx.wait("A")?);
        let failed = Outcome::Failed(application("no"));
        assert_eq!(ctx.outcome(activity).await?, failed);
        assert_eq!(ctx.outcome(activity).await?, failed);
        assert_eq!(ctx.all(&[activity]).await?, Err(application("no")));
        let event = ctx.get(wait).await?;
        assert_eq!(ctx.get(wait).await?, event);
        assert_eq!(ctx.any(&[wait]).await?, wait);
        assert_eq!(ctx.peek(activity)?, Some(failed));
        Ok(event)
    });
}

#[test]
fn a_result_is_none_while_the_task_is_open() {
    let expected = started().wait("A").wait("Go").block(1).event("A", "1").event("Go", "null").completed("1");
    check(&expected, async |ctx| {
        let (wait, go) = (ctx.wait("A")?, ctx.wait("Go")?);
        assert_eq!(ctx.peek(wait)?, None);
        ctx.get(go).await?;
        let Some(Outcome::Succeeded(event)) = ctx.peek(wait)? else { panic!("it is complete") };
        assert!(!ctx.cancel(wait)?, "looking at a result takes it");
        Ok(event)
    });
}

/// A guest that does this to task 7, of which there are none, and to task 0, which it has cancelled, ends in a trap.
fn misuse(ask: impl AsyncFn(&Ctx, u32) -> Result<(), Halt> + Clone + 'static) {
    let ended = |history: History, reason: &str| history.trapped(reason);
    let unknown = ended(started().wait("A"), "there is no task 7: handles are those that this execution was given");
    let cancelled = ended(started().wait("A").cancel(0), "task 0 was cancelled and can not be waited for");
    let asked = ask.clone();
    check(&unknown, async move |ctx: Ctx| -> Result<Payload, Halt> {
        ctx.wait("A")?;
        asked(&ctx, 7).await?;
        unreachable!("the guest has trapped")
    });
    check(&cancelled, async move |ctx: Ctx| -> Result<Payload, Halt> {
        let wait = ctx.wait("A")?;
        ctx.cancel(wait)?;
        ask(&ctx, wait).await?;
        unreachable!("the guest has trapped")
    });
}

#[test]
fn unknown_and_cancelled_tasks_are_misuse() {
    misuse(async |ctx, task| ctx.outcome(task).await.map(drop));
    misuse(async |ctx, task| ctx.any(&[task]).await.map(drop));
    misuse(async |ctx, task| ctx.all(&[task]).await.map(drop));
    misuse(async |ctx, task| ctx.peek(task).map(drop));
}

#[test]
fn cancelling_an_unknown_task_is_misuse() {
    let expected = started().trapped("there is no task 0: handles are those that this execution was given");
    check(&expected, async |ctx| Ok(json(&ctx.cancel(0)?.to_string())));
}
