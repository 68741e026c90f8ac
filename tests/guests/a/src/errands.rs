//! What a host under torture runs: orchestrators that do with each event what the event says.

use std::time::Duration;

use fermata_guest::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
struct Errands {
    /// How many it takes.
    wanted: usize,
    /// Who is told of some of them.
    mailbox: String,
    /// The numbers of those it took, in former generations too.
    taken: Vec<u64>,
}

#[derive(Deserialize)]
struct Errand {
    number: u64,
    how: How,
}

/// How an errand is done before the next one is taken.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum How {
    Keep,
    /// By an activity of this module.
    Double,
    /// By several of them at once.
    Spread,
    /// By an activity that an HTTP endpoint serves.
    Remote,
    /// By a child that calls that activity.
    Delegate,
    /// After so many milliseconds.
    Wait(u64),
    /// By an event for the mailbox.
    Tell,
    /// With a new generation afterwards.
    Renew,
}

/// Takes as many errands as it wants, and returns their numbers in the order in which they came.
#[orchestrator("Errands")]
async fn errands(ctx: Context) -> Result<Vec<u64>> {
    let mut errands: Errands = ctx.input()?;
    while errands.taken.len() < errands.wanted {
        let errand: Errand = ctx.wait_external_event("errand").await?;
        let done = run(&ctx, &errand, &errands.mailbox).await?;
        if done != errand.number {
            return Err(Failure::new("Mixed", format!("errand {} came back as {done}", errand.number)).into());
        }
        errands.taken.push(done);
        if matches!(errand.how, How::Renew) {
            return ctx.continue_as_new(&errands).await;
        }
    }
    Ok(errands.taken)
}

/// Returns the number as it comes back from where it was sent.
async fn run(ctx: &Context, errand: &Errand, mailbox: &str) -> Result<u64> {
    let number = errand.number;
    match errand.how {
        How::Keep | How::Renew => {}
        How::Double => return Ok(ctx.call_activity::<u64>("Double", &number).await? / 2),
        How::Spread => {
            let calls: Vec<Task<u64>> = (0..3).map(|more| ctx.call_activity("Double", &(number + more))).collect();
            return Ok(ctx.task_all(calls).await?.into_iter().sum::<u64>() / 6 - 1);
        }
        How::Remote => return remote(ctx, number).await,
        How::Delegate => return ctx.call_sub_orchestrator("Delegate", &number).await,
        How::Wait(millis) => wait(ctx, Duration::from_millis(millis)).await?,
        How::Tell => ctx.raise_event(mailbox, "letter", &number),
    }
    Ok(number)
}

async fn wait(ctx: &Context, wait: Duration) -> Result<()> {
    let begun = ctx.current_utc_time();
    ctx.create_timer(wait).await?;
    match ctx.current_utc_time().since(begun) {
        // Times are fractions of milliseconds in binary.
        passed if passed + Duration::from_micros(1) < wait => {
            Err(Failure::new("Early", format!("{passed:?} instead of {wait:?}")).into())
        }
        _ => Ok(()),
    }
}

#[orchestrator("Delegate")]
async fn delegate(ctx: Context, number: u64) -> Result<u64> {
    remote(&ctx, number).await
}

async fn remote(ctx: &Context, number: u64) -> Result<u64> {
    let policy = RetryPolicy::new(10, Duration::from_millis(20));
    ctx.call_activity_with_retry("Remote", policy, &number).await
}

/// Takes letters until it is closed, five a generation, and returns them in order.
#[orchestrator("Mailbox")]
async fn mailbox(ctx: Context) -> Result<Vec<u64>> {
    let mut letters: Vec<u64> = ctx.input()?;
    let closed = ctx.wait_external_event::<()>("close");
    for _ in 0..5 {
        let letter = ctx.wait_external_event::<u64>("letter");
        if ctx.task_any((&letter, &closed)).await == closed {
            return Ok(letters);
        }
        letters.push(letter.await?);
        ctx.set_custom_status(letters.len());
    }
    ctx.continue_as_new(&letters).await
}
