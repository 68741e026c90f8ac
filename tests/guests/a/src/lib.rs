//! Orchestrators that only tests and benchmarks run, each for one promise.

mod callbacks;
mod errands;
mod floods;
mod model;
mod outside;

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fermata_guest::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The peers' common workload: blocked on one event, whose payload it returns.
#[orchestrator("W")]
async fn one_event(ctx: Context) -> Result<Box<RawValue>> {
    ctx.wait_external_event("go").await
}

/// Waits for an event of the name that is its input, and returns the payload.
#[orchestrator("Named")]
async fn named(ctx: Context) -> Result<Box<RawValue>> {
    ctx.wait_external_event(&ctx.input::<String>()?).await
}

/// Takes as many events as its input says, one after the other, and returns their payloads.
#[orchestrator("Collect")]
async fn collect(ctx: Context) -> Result<Vec<Box<RawValue>>> {
    let count: usize = ctx.input()?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(ctx.wait_external_event("item").await?);
    }
    Ok(items)
}

/// Takes as many events as its input says; each goes through an activity, and the results are returned in order.
#[orchestrator("Ledger")]
async fn ledger(ctx: Context) -> Result<Vec<u64>> {
    let count: usize = ctx.input()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let amount: u64 = ctx.wait_external_event("amount").await?;
        entries.push(ctx.call_activity::<u64>("Double", &amount).await?);
    }
    Ok(entries)
}

#[activity("Double")]
fn double(amount: u64) -> u64 {
    amount * 2
}

/// Waits for `first`, then for `second`.
#[orchestrator("TwoNames")]
async fn two_names(ctx: Context) -> Result<(Box<RawValue>, Box<RawValue>)> {
    let first = ctx.wait_external_event("first").await?;
    let second = ctx.wait_external_event("second").await?;
    Ok((first, second))
}

/// Two waits on one name, made before any event.
#[orchestrator("TwoWaits")]
async fn two_waits(ctx: Context) -> Result<(u32, u32)> {
    let older = ctx.wait_external_event("number");
    let newer = ctx.wait_external_event("number");
    ctx.task_all((older, newer)).await
}

/// Waits for as many events as its input says, each of another name, and returns their payloads.
#[orchestrator("Many")]
async fn many(ctx: Context) -> Result<Vec<Box<RawValue>>> {
    let count: usize = ctx.input()?;
    let waits: Vec<_> = (0..count).map(|number| ctx.wait_external_event(&format!("Event-{number}"))).collect();
    ctx.task_all(waits).await
}

#[orchestrator("Versioned")]
async fn versioned(ctx: Context) -> Result<String> {
    ctx.wait_external_event::<()>("go").await?;
    Ok("A".to_owned())
}

/// Told to go, it begins its next generation: on the newest module, on the same, or none, and then tells which module it is.
#[orchestrator("Successor")]
async fn successor(ctx: Context) -> Result<String> {
    let next: String = ctx.input()?;
    ctx.wait_external_event::<()>("go").await?;
    match &*next {
        "newest" => ctx.continue_as_new("none").await,
        "same" => ctx.continue_as_new_on_same_module("none").await,
        _ => Ok("A".to_owned()),
    }
}

/// Draws from everything that differs from run to run on an ordinary host, before and after each of several waits, and hands it to
/// an activity: a replay that drew anything else would be caught as a mismatch.
#[orchestrator("Entropy")]
async fn entropy(ctx: Context) -> Result<Vec<Draw>> {
    let mut draws = Vec::new();
    for _ in 0..3 {
        let draw = Draw::new(&ctx)?;
        println!("drew {}", draw.guid);
        draws.push(ctx.call_activity("Same", &draw).await?);
        ctx.wait_external_event::<()>("go").await?;
    }
    Ok(draws)
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Draw {
    guid: String,
    step_millis: f64,
    system_micros: u128,
    map_order: Vec<u32>,
}

impl Draw {
    fn new(ctx: &Context) -> Result<Draw> {
        let map: HashMap<u32, ()> = (0..50).map(|key| (key, ())).collect();
        Ok(Draw {
            guid: ctx.new_guid(),
            step_millis: ctx.current_utc_time().as_millis(),
            system_micros: SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros(),
            map_order: map.into_keys().collect(),
        })
    }
}

#[activity("Same")]
fn same(draw: Draw) -> Draw {
    draw
}

/// What an activity is told, and that its clock is real.
#[orchestrator("AskActivity")]
async fn ask_activity(ctx: Context) -> Result<(String, String, bool)> {
    ctx.call_activity("Tell", &()).await
}

#[activity("Tell")]
fn tell(ctx: ActivityContext) -> Result<(String, String, bool)> {
    let before = SystemTime::now();
    std::thread::sleep(Duration::from_millis(2));
    let moved = before.elapsed()? >= Duration::from_millis(1);
    Ok((ctx.task_key().to_owned(), ctx.instance_id().to_owned(), moved))
}

/// Catches the typed failure of an activity.
#[orchestrator("Catch")]
async fn catch(ctx: Context) -> Result<String> {
    match ctx.call_activity::<()>("OutOfStock", &()).await {
        Ok(()) => Ok("succeeded".to_owned()),
        Err(error) => Ok(format!("{}: {error}", error.error_type())),
    }
}

#[activity("OutOfStock")]
fn out_of_stock() -> Result<()> {
    Err(Failure::new("OutOfStock", "none left").into())
}

/// Takes a payload that does not fit and says so.
#[orchestrator("Picky")]
async fn picky(ctx: Context) -> Result<String> {
    match ctx.wait_external_event::<u32>("number").await {
        Ok(number) => Ok(format!("took {number}")),
        Err(error) => Ok(format!("refused: {error}")),
    }
}

#[orchestrator("Fails")]
async fn fails(ctx: Context) -> Result<()> {
    ctx.wait_external_event::<()>("go").await?;
    Err(Failure::new("Overdrawn", "the budget is spent").into())
}

#[orchestrator("Panics")]
async fn panics(ctx: Context) -> Result<()> {
    ctx.wait_external_event::<()>("go").await?;
    panic!("this guest has crashed on purpose");
}

#[orchestrator("Spins")]
async fn spins(ctx: Context) -> Result<()> {
    ctx.wait_external_event::<()>("go").await?;
    loop {
        std::hint::black_box(());
    }
}

#[orchestrator("Sleeps")]
async fn sleeps(_: Context) -> Result<()> {
    std::thread::sleep(Duration::from_secs(3_600));
    Ok(())
}

#[orchestrator("Hoards")]
async fn hoards(_: Context) -> Result<usize> {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        hoard.push(vec![1; 1 << 20]);
    }
}

/// Shows a custom status while it waits.
#[orchestrator("Shows")]
async fn shows(ctx: Context) -> Result<()> {
    ctx.set_custom_status("waiting");
    ctx.wait_external_event::<()>("go").await?;
    ctx.set_custom_status(serde_json::json!({"done": true}));
    Ok(())
}
