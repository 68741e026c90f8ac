//! Orchestrators of the rest of the model: timers, retries, children, generations, messages to others.

use std::time::Duration;

use fermata_guest::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Waits so many milliseconds, and returns how many passed by the time of its steps.
#[orchestrator("Timer")]
async fn timer(ctx: Context) -> Result<f64> {
    let begun = ctx.current_utc_time();
    ctx.create_timer(millis(ctx.input()?)).await?;
    Ok(ctx.current_utc_time().as_millis() - begun.as_millis())
}

/// Timers of these many milliseconds; the places of those that were due, in order.
#[orchestrator("Timers")]
async fn timers(ctx: Context) -> Result<Vec<usize>> {
    let mut waits: Vec<u64> = ctx.input()?;
    let timers: Vec<Task<()>> = waits.drain(..).map(|wait| ctx.create_timer(millis(wait))).collect();
    let mut left: Vec<(usize, Task<()>)> = timers.into_iter().enumerate().collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let winner = ctx.task_any(left.iter().map(|(_, timer)| timer).collect::<Vec<_>>()).await.index();
        order.push(left.remove(winner).0);
    }
    Ok(order)
}

/// An event, or nothing after so many milliseconds. The loser of the race is left open.
#[orchestrator("Race")]
async fn race(ctx: Context) -> Result<Value> {
    let event = ctx.wait_external_event::<Value>("go");
    let timer = ctx.create_timer(millis(ctx.input()?));
    let winner = ctx.task_any((&event, &timer)).await;
    if winner == event { event.await } else { Ok(json!("too late")) }
}

/// Waits for an event, so many milliseconds at most; then for another of the same name.
#[orchestrator("Timeout")]
async fn timeout(ctx: Context) -> Result<(Value, Value)> {
    let first = ctx.wait_external_event::<Value>("go").timeout(millis(ctx.input()?)).await;
    let first = match first {
        Err(error) if error.is_timeout() => json!("timeout"),
        other => other?,
    };
    let second = ctx.wait_external_event::<Value>("go").await?;
    Ok((first, second))
}

#[orchestrator("Default")]
async fn default(ctx: Context) -> Result<Value> {
    ctx.wait_external_event("go").timeout(millis(ctx.input()?)).or_default(json!("nobody came")).await
}

#[derive(Deserialize, Serialize)]
struct Tries {
    fail: u32,
    max_attempts: u32,
    interval: u64,
}

/// An activity that fails the first times, under a policy.
#[orchestrator("Tries")]
async fn tries(ctx: Context) -> Result<Value> {
    let tries: Tries = ctx.input()?;
    let policy = RetryPolicy::new(tries.max_attempts, millis(tries.interval)).backoff(2.0);
    ctx.call_activity_with_retry("FailUntil", policy, &tries.fail).await
}

/// Fails the attempts up to this number.
#[activity("FailUntil")]
fn fail_until(ctx: ActivityContext, fail: u32) -> Result<Value> {
    if ctx.attempt() <= fail {
        return Err(Failure::new("NotYet", format!("attempt {} fails", ctx.attempt())).into());
    }
    Ok(json!({"attempt": ctx.attempt(), "key": ctx.task_key()}))
}

/// Calls the activity of this name with `null`; whoever serves it.
#[orchestrator("CallOne")]
async fn call_one(ctx: Context) -> Result<Value> {
    let (name, attempts, interval): (String, u32, u64) = ctx.input()?;
    let policy = RetryPolicy::new(attempts, millis(interval));
    ctx.call_activity_with_retry(&name, policy, &json!({"from": ctx.instance_id()})).await
}

/// Calls it with a timeout for the whole, and says how that ended.
#[orchestrator("CallImpatiently")]
async fn call_impatiently(ctx: Context) -> Result<String> {
    let (name, patience): (String, u64) = ctx.input()?;
    match ctx.call_activity::<Value>(&name, &()).timeout(millis(patience)).await {
        Ok(value) => Ok(value.to_string()),
        Err(error) => Ok(format!("{}: {error}", error.kind())),
    }
}

#[derive(Deserialize, Serialize)]
struct Child {
    orchestrator: String,
    id: Option<String>,
    input: Value,
    #[serde(default)]
    attempts: u32,
}

impl Child {
    fn call(&self, ctx: &Context) -> Task<Value> {
        let task = match &self.id {
            Some(id) => ctx.call_sub_orchestrator_with_id(&self.orchestrator, id, &self.input),
            None => ctx.call_sub_orchestrator(&self.orchestrator, &self.input),
        };
        if self.attempts > 0 { task.retry(RetryPolicy::new(self.attempts, millis(10))) } else { task }
    }
}

/// Waits for a child, and tells what it returned or how it failed.
#[orchestrator("Parent")]
async fn parent(ctx: Context) -> Result<Value> {
    match ctx.input::<Child>()?.call(&ctx).await {
        Ok(value) => Ok(json!({"ok": value})),
        Err(error) => Ok(json!({"kind": error.kind(), "type": error.error_type(), "message": error.to_string()})),
    }
}

/// Lets a failure of its child through.
#[orchestrator("StrictParent")]
async fn strict_parent(ctx: Context) -> Result<Value> {
    ctx.input::<Child>()?.call(&ctx).await
}

/// Waits for a child, and then until so many milliseconds have passed since it began; lets a failure of the child through.
#[orchestrator("PatientParent")]
async fn patient_parent(ctx: Context) -> Result<(Value, f64)> {
    let (wait, child): (u64, Child) = ctx.input()?;
    let begun = ctx.current_utc_time().as_millis();
    let timer = ctx.create_timer(millis(wait));
    let value = child.call(&ctx).await?;
    timer.await?;
    Ok((value, ctx.current_utc_time().as_millis() - begun))
}

/// So many children at once; the sum of what they return.
#[orchestrator("Family")]
async fn family(ctx: Context) -> Result<u64> {
    let size: u64 = ctx.input()?;
    let children: Vec<Task<u64>> = (0..size).map(|number| ctx.call_sub_orchestrator("Echo", &number)).collect();
    Ok(ctx.task_all(children).await?.into_iter().sum())
}

#[orchestrator("Echo")]
async fn echo(ctx: Context) -> Result<Value> {
    ctx.input()
}

/// What it is told of itself.
#[orchestrator("WhoAmI")]
async fn who_am_i(ctx: Context) -> Result<Value> {
    Ok(json!({
        "id": ctx.instance_id(),
        "parent": ctx.parent_instance_id(),
        "execution": ctx.execution_id(),
        "name": ctx.orchestrator_name(),
        "module": ctx.module_digest(),
        "guids": [ctx.new_guid(), ctx.new_guid()],
    }))
}

/// Fails when it gets `fail`, else returns what it gets.
#[orchestrator("Moody")]
async fn moody(ctx: Context) -> Result<String> {
    let event: String = ctx.wait_external_event("mood").await?;
    if event == "fail" {
        return Err(Failure::new("Moody", "not in the mood").into());
    }
    Ok(event)
}

/// The same with numbers: fails when it gets a multiple of three.
#[orchestrator("Temper")]
async fn temper(ctx: Context) -> Result<u64> {
    match ctx.wait_external_event("mood").await? {
        number if number % 3 == 0 => Err(Failure::new("Moody", "not in the mood").into()),
        number => Ok(number),
    }
}

/// Starts an orchestrator that nobody waits for, and raises events for it, in order, from one turn.
#[orchestrator("Sender")]
async fn sender(ctx: Context) -> Result<String> {
    let count: u32 = ctx.input()?;
    let id = ctx.start_orchestrator("Collect", &count);
    for number in 0..count {
        ctx.raise_event(&id, "item", &number);
    }
    // Nobody is there; nothing comes of it.
    ctx.raise_event("nobody-has-this-id", "item", &1);
    Ok(id)
}

/// Counts down, a generation for each number.
#[orchestrator("CountDown")]
async fn count_down(ctx: Context) -> Result<String> {
    match ctx.input::<u64>()? {
        0 => Ok(ctx.execution_id()),
        number => ctx.continue_as_new(&(number - 1)).await,
    }
}

#[derive(Default, Deserialize, Serialize)]
struct Taken {
    wanted: usize,
    taken: Vec<u64>,
}

/// Takes one event a generation, until it has as many as it wants.
#[orchestrator("OneEach")]
async fn one_each(ctx: Context) -> Result<Vec<u64>> {
    let mut state: Taken = ctx.input()?;
    state.taken.push(ctx.wait_external_event("item").await?);
    ctx.set_custom_status(state.taken.len());
    if state.taken.len() == state.wanted {
        return Ok(state.taken);
    }
    ctx.continue_as_new(&state).await
}

/// The same, with a timer and a second wait beside it that are left open.
#[orchestrator("OneEachAmongOthers")]
async fn one_each_among_others(ctx: Context) -> Result<Vec<u64>> {
    let mut state: Taken = ctx.input()?;
    let other = ctx.wait_external_event::<u64>("item");
    let item = ctx.wait_external_event::<u64>("item");
    let timer = ctx.create_timer(Duration::from_secs(3_600));
    let winner = ctx.task_any((&item, &other, &timer)).await;
    // When the timer has passed, the newest wait is the one that the next event goes to.
    state.taken.push(if winner == other { other.await? } else { item.await? });
    if state.taken.len() == state.wanted {
        return Ok(state.taken);
    }
    ctx.continue_as_new(&state).await
}

/// So many generations, each as long as a timer of so many milliseconds; the last takes so many events.
#[orchestrator("Rounds")]
async fn rounds(ctx: Context) -> Result<Vec<u64>> {
    let (rounds, wait, wanted): (u32, u64, usize) = ctx.input()?;
    if rounds > 0 {
        ctx.create_timer(millis(wait)).await?;
        return ctx.continue_as_new(&(rounds - 1, wait, wanted)).await;
    }
    let mut items = Vec::new();
    while items.len() < wanted {
        items.push(ctx.wait_external_event("item").await?);
    }
    Ok(items)
}

/// Waits to be told to go, if it is to; then so many generations, each with an activity that somebody else serves: the same task in each.
#[orchestrator("Naps")]
async fn naps(ctx: Context) -> Result<()> {
    let (naps, wait): (u32, bool) = ctx.input()?;
    let told = ctx.wait_external_event::<()>("go");
    if wait {
        told.await?;
    }
    ctx.call_activity::<()>("Nap", &()).await?;
    if naps > 1 {
        return ctx.continue_as_new(&(naps - 1, false)).await;
    }
    Ok(())
}

/// Three activities in a row, of which the second may fail; for a rewind.
#[orchestrator("Stages")]
async fn stages(ctx: Context) -> Result<Vec<Value>> {
    let names: Vec<String> = ctx.input()?;
    let mut results = Vec::new();
    for name in names {
        results.push(ctx.call_activity(&name, &()).await?);
    }
    Ok(results)
}

/// Crashes in a function of its own, for the backtrace.
#[orchestrator("Crashes")]
async fn crashes(ctx: Context) -> Result<()> {
    ctx.wait_external_event::<()>("go").await?;
    deep_in_the_guest(&ctx);
    Ok(())
}

#[inline(never)]
fn deep_in_the_guest(ctx: &Context) {
    let list: Vec<u32> = Vec::new();
    ctx.info(format_args!("about to crash {}", ctx.instance_id()));
    std::hint::black_box(list[std::hint::black_box(7)]);
}

/// Logs a line in each step.
#[orchestrator("Chatty")]
async fn chatty(ctx: Context) -> Result<()> {
    for number in 0..3 {
        ctx.info(format_args!("chatty line {number} of {}", ctx.instance_id()));
        ctx.wait_external_event::<()>("go").await?;
    }
    Ok(())
}
