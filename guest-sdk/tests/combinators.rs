//! Waits, `task_any`, `task_all` and the combinators of the futures crate.

use std::pin::pin;

use fermata_guest::serde::de::IgnoredAny;
use fermata_guest::*;
use futures::future::{join_all, try_join_all};
use futures::stream::FuturesUnordered;
use futures::{StreamExt, join, select_biased};

#[orchestrator]
async fn one_after_the_other(ctx: Context) -> Result<Vec<u32>> {
    let first = ctx.wait_external_event("A").await?;
    let second = ctx.wait_external_event("B").await?;
    let third = ctx.call_activity("add", &(first, second)).await?;
    Ok(vec![first, second, third])
}

#[activity]
fn add((one, other): (u32, u32)) -> u32 {
    one + other
}

#[test]
fn sequential_waits_block_on_one_task_at_a_time() {
    let mut run = testing::start("one_after_the_other", ());
    run.raise("B", 2);
    run.raise("a", 1);
    run.run_activities();
    assert_eq!(run.output::<Vec<u32>>().unwrap(), [1, 2, 3]);
    assert_eq!(run.calls(), ["0 = wait A", "await 0", "1 = wait B", "await 1", "2 = call add [1,2]", "await 2"]);
    run.check_replay();
}

#[orchestrator]
async fn first_of_two(ctx: Context) -> Result<(usize, bool, u32)> {
    let (a, b) = (ctx.wait_external_event::<u32>("A"), ctx.wait_external_event::<u32>("B"));
    let winner = ctx.task_any((&a, &b)).await;
    let won_a = winner == a;
    assert_eq!(won_a, winner != b);
    assert!(a == winner || b == winner);
    Ok((winner.index(), won_a, if won_a { a.await? } else { b.await? }))
}

#[test]
fn task_any_gives_the_first_and_the_rest_is_cancelled() {
    let mut run = testing::start("first_of_two", ());
    run.raise("B", 7);
    assert_eq!(run.output::<(usize, bool, u32)>().unwrap(), (1, false, 7));
    assert_eq!(run.calls(), ["0 = wait A", "1 = wait B", "any of [0, 1]", "result of 1", "cancel 0"]);
    run.check_replay();
}

#[orchestrator]
async fn all_in_turn(ctx: Context) -> Result<Vec<usize>> {
    let tasks: Vec<Task<IgnoredAny>> = ["A", "B", "C"].map(|name| ctx.wait_external_event(name)).into();
    let mut open: Vec<&Task<_>> = tasks.iter().collect();
    let mut order = Vec::new();
    while !open.is_empty() {
        let winner = ctx.task_any(open.as_slice()).await;
        open.retain(|task| winner != **task);
        order.extend(tasks.iter().position(|task| winner == *task));
    }
    // The first again: it has won before, and is still the first.
    order.push(ctx.task_any(&tasks).await.index());
    Ok(order)
}

#[test]
fn task_any_of_complete_tasks_is_the_lowest_in_history_order() {
    let mut run = testing::start("all_in_turn", ());
    for name in ["C", "A", "B"] {
        run.raise(name, ());
    }
    assert_eq!(run.output::<Vec<usize>>().unwrap(), [2, 0, 1, 2]);
    run.check_replay();
}

#[orchestrator]
async fn all_of_three(ctx: Context) -> Result<(u32, String, bool)> {
    let gates = (ctx.wait_external_event("A"), ctx.call_activity("b", &()), ctx.wait_external_event("C"));
    ctx.task_all(gates).await
}

#[test]
fn task_all_gives_the_results_in_argument_order() {
    let mut run = testing::start("all_of_three", ());
    run.raise("C", true);
    run.complete("b", "two");
    assert!(run.is_running());
    run.raise("A", 1);
    assert_eq!(run.output::<(u32, String, bool)>().unwrap(), (1, "two".to_owned(), true));
    assert_eq!(run.calls(), ["0 = wait A", "1 = call b null", "2 = wait C", "all of [0, 1, 2]"]);
    run.check_replay();
}

#[test]
fn task_all_fails_at_once_and_gives_its_waits_up() {
    let mut run = testing::start("all_of_three", ());
    run.fail("b", Failure::new("Broken", "no b today"));
    let error = run.output::<(u32, String, bool)>().unwrap_err();
    assert_eq!((error.error_type(), error.to_string().as_str()), ("Broken", "Broken: no b today"));
    assert_eq!(run.calls()[3..], ["all of [0, 1, 2]", "result of 1", "cancel 0", "cancel 2"]);
    run.check_replay();
}

#[orchestrator]
async fn all_by_reference(ctx: Context) -> Result<Vec<String>> {
    let calls: Vec<Task<u32>> = (0..3).map(|n| ctx.call_activity("work", &n)).collect();
    let tell = |result: Result<u32>| result.map_or_else(|error| error.to_string(), |value| value.to_string());
    let other = ctx.wait_external_event::<IgnoredAny>("Other");
    let (all, _) = join!(ctx.task_all(calls.as_slice()), other);
    let mut told = vec![all.map_or_else(|error| error.to_string(), |values| format!("{values:?}"))];
    for call in calls {
        told.push(tell(call.await));
    }
    Ok(told)
}

#[test]
fn tasks_lent_to_task_all_can_be_awaited_afterwards() {
    let mut run = testing::start("all_by_reference", ());
    run.complete("work", 10);
    run.fail("work", Failure::new("", "the second fails"));
    run.fail("work", Failure::new("", "the third fails"));
    run.raise("Other", ());
    let told: Vec<String> = run.output().unwrap();
    assert_eq!(told, ["the second fails", "10", "the second fails", "the third fails"]);
    run.check_replay();
}

#[orchestrator]
async fn each_of_them(ctx: Context) -> Result<Vec<String>> {
    let tasks = [ctx.call_activity("work", &1), ctx.wait_external_event::<u32>("A"), ctx.call_activity("work", &2)];
    let tell = |result: Result<u32>| result.map_or_else(|error| error.to_string(), |value| value.to_string());
    let lent: Vec<String> = ctx.join_all(&tasks).await.into_iter().map(tell).collect();
    let given: Vec<String> = ctx.join_all(tasks).await.into_iter().map(tell).collect();
    assert!(ctx.join_all(Vec::<Task<u32>>::new()).await.is_empty());
    assert_eq!(lent, given);
    Ok(given)
}

#[test]
fn join_all_waits_for_every_task_and_tells_how_each_ended() {
    let mut run = testing::start("each_of_them", ());
    run.fail("work", Failure::new("Broken", "the first"));
    run.complete("work", 2);
    assert!(run.is_running());
    run.raise_json("A", "[]");
    let told: Vec<String> = run.output().unwrap();
    assert_eq!((told[0].as_str(), told[2].as_str()), ("Broken: the first", "2"));
    assert!(told[1].starts_with("the payload of event `A` does not fit the type u32"), "{}", told[1]);
    run.check_replay();
}

#[orchestrator]
async fn joins_many(ctx: Context, width: u32) -> u32 {
    let calls = (0..width).map(|number| ctx.call_activity::<u32>("work", &number));
    ctx.join_all(calls).await.into_iter().flatten().sum()
}

#[test]
fn a_join_all_of_many_costs_one_call_each() {
    const WIDTH: u32 = 3_000;
    let mut run = testing::start("joins_many", WIDTH);
    for _ in 0..WIDTH {
        run.complete("work", 1);
    }
    assert_eq!(run.output::<u32>().unwrap(), WIDTH);
    assert_eq!(run.calls().len() as u32, 3 * WIDTH);
}

#[orchestrator]
async fn nothing_to_wait_for(ctx: Context) -> Result<usize> {
    ctx.task_all(()).await?;
    Ok(ctx.task_all(Vec::<Task<u32>>::new()).await?.len())
}

#[test]
fn an_empty_task_all_is_done_at_once() {
    assert_eq!(testing::start("nothing_to_wait_for", ()).output::<usize>().unwrap(), 0);
}

#[orchestrator]
async fn futures_crate(ctx: Context) -> Result<Vec<String>> {
    let wait = |name: &str| ctx.wait_external_event::<u32>(name);
    let mut told = Vec::new();

    let (mut left, mut right) = (wait("A"), wait("B"));
    while told.len() < 2 {
        select_biased! {
            value = left => told.push(format!("A {}", value?)),
            value = right => told.push(format!("B {}", value?)),
        }
    }

    let (sum, product) = join!(async { wait("C").await.unwrap() + wait("D").await.unwrap() }, async {
        wait("E").await.unwrap() * wait("F").await.unwrap()
    },);
    told.push(format!("{sum} {product}"));

    told.push(format!("{:?}", try_join_all((0..3).map(|n| wait(&format!("G{n}")))).await?));

    let mut unordered: FuturesUnordered<_> = ["H", "I", "J"].map(wait).into_iter().collect();
    while let Some(value) = unordered.next().await {
        told.push(value?.to_string());
    }

    // A winner that is pinned and lives in a select of its own.
    let (a, b) = (wait("K"), wait("L"));
    let mut any = pin!(ctx.task_any((&a, &b)));
    let mut other = wait("M");
    select_biased! {
        winner = any => told.push(format!("any {}", winner.index())),
        value = other => told.push(format!("other {}", value?)),
    }
    Ok(told)
}

#[test]
fn the_combinators_of_the_futures_crate_see_the_order_of_history() {
    let mut run = testing::start("futures_crate", ());
    let events = ["B", "A", "F", "C", "E", "D", "G2", "G0", "G1", "J", "H", "I", "M"];
    for (value, name) in events.iter().enumerate() {
        run.raise(name, value);
    }
    let told: Vec<String> = run.output().unwrap();
    assert_eq!(told, ["B 0", "A 1", "8 8", "[7, 8, 6]", "9", "10", "11", "other 12"]);
    run.check_replay();
}

#[orchestrator]
async fn many(ctx: Context, width: u32) -> Result<u32> {
    let waits = (0..width).map(|n| ctx.wait_external_event::<u32>(&format!("E{n}")));
    join_all(waits).await.into_iter().sum()
}

#[test]
fn a_join_of_many_costs_one_call_each() {
    const WIDTH: u32 = 10_000;
    let started = std::time::Instant::now();
    let mut run = testing::start("many", WIDTH);
    for n in (0..WIDTH).rev() {
        run.raise(&format!("E{n}"), n);
    }
    assert_eq!(run.output::<u32>().unwrap(), (0..WIDTH).sum::<u32>());
    // One call creates a task, one waits, one takes the result; the last wait brings its result along.
    assert_eq!(run.calls().len() as u32, 3 * WIDTH - 1);
    println!("a join of {WIDTH} took {:?}", started.elapsed());
}

#[orchestrator]
async fn wide(ctx: Context, width: u32) -> Result<u64> {
    let extra = ctx.wait_external_event::<u64>("Extra");
    let calls: Vec<Task<u64>> = (0..width).map(|n| ctx.call_activity("work", &n)).collect();
    let (all, extra) = join!(ctx.task_all(calls), extra);
    Ok(all?.iter().sum::<u64>() + extra?)
}

#[test]
fn a_task_all_beside_another_wait_is_linear_too() {
    const WIDTH: u64 = 3_000;
    let mut run = testing::start("wide", WIDTH);
    for _ in 0..WIDTH {
        run.complete("work", 1);
    }
    run.raise("Extra", 5);
    assert_eq!(run.output::<u64>().unwrap(), WIDTH + 5);
}
