//! Orchestrators that ask for one thing without end.

use std::time::Duration;

use fermata_guest::*;

const SECOND: Duration = Duration::from_secs(1);

#[orchestrator("FloodsTimeouts")]
async fn timeouts(ctx: Context) -> Result<()> {
    let mut task = ctx.wait_external_event::<()>("go");
    loop {
        task = task.timeout(SECOND);
    }
}

/// The values are what takes room here.
#[orchestrator("FloodsDefaults")]
async fn defaults(ctx: Context) -> Result<()> {
    let mut task = ctx.wait_external_event::<String>("go").timeout(SECOND);
    loop {
        task = task.or_default("d".repeat(1_000));
    }
}

#[orchestrator("FloodsRetries")]
async fn retries(ctx: Context) -> Result<()> {
    let mut task = ctx.call_activity::<()>("Nobody", &());
    loop {
        task = task.retry(RetryPolicy::new(2, SECOND));
    }
}

/// The names of errors are what takes room here.
#[orchestrator("FloodsErrorTypes")]
async fn error_types(ctx: Context) -> Result<()> {
    let policy = RetryPolicy::new(2, SECOND).non_retryable(["e".repeat(1_000)]);
    let mut task = ctx.call_activity::<()>("Nobody", &());
    loop {
        task = task.retry(&policy);
    }
}
