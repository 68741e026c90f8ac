//! Activities, and orchestrators that call them, for what they may and how long they take.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fermata_guest::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Milliseconds.
#[derive(Deserialize)]
struct Within {
    activity: String,
    input: Value,
    attempts: u32,
    interval: u64,
    /// How long an attempt may take.
    each: Option<u64>,
    /// How long all of them may take.
    whole: Option<u64>,
}

/// Calls an activity under a policy with bounds of time, and tells how that ended.
#[orchestrator("CallWithin")]
async fn call_within(ctx: Context) -> Result<Value> {
    let within: Within = ctx.input()?;
    let mut policy = RetryPolicy::new(within.attempts, Duration::from_millis(within.interval));
    if let Some(each) = within.each {
        policy = policy.attempt_timeout(Duration::from_millis(each));
    }
    if let Some(whole) = within.whole {
        policy = policy.timeout(Duration::from_millis(whole));
    }
    match ctx.call_activity_with_retry::<Value>(&within.activity, policy, &within.input).await {
        Ok(value) => Ok(json!({"ok": value})),
        Err(error) => Ok(json!({"kind": error.kind(), "type": error.error_type(), "message": error.to_string()})),
    }
}

/// Attempts up to this number do not end by themselves: they sleep, or spin. Returns the number of the first that does.
#[activity("Hangs")]
fn hangs(ctx: ActivityContext, (attempts, how): (u32, String)) -> u32 {
    if ctx.attempt() <= attempts {
        ctx.info(format_args!("attempt {} of {} {how}", ctx.attempt(), ctx.instance_id()));
        match &*how {
            "spins" => loop {
                std::hint::black_box(());
            },
            _ => std::thread::sleep(Duration::from_secs(3_600)),
        }
    }
    ctx.attempt()
}

#[activity("Which")]
fn which() -> &'static str {
    "A"
}

#[derive(Serialize)]
struct Measured {
    /// Since 1970.
    now_micros: u128,
    /// By the monotonic clock, over a sleep of 5 ms.
    slept_micros: u128,
    drawn: [u64; 2],
}

/// Reads the clocks, and draws numbers.
#[activity("Measure")]
fn measure() -> Result<Measured> {
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(5));
    Ok(Measured {
        slept_micros: begun.elapsed().as_micros(),
        now_micros: SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros(),
        drawn: [RandomState::new().hash_one(0), RandomState::new().hash_one(1)],
    })
}
