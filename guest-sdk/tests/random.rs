//! Random programs under random completions: what a replay of any beginning of a history asks of the host is what the live
//! run asked.

use std::pin::Pin;
use std::time::Duration;

use fastrand::Rng;
use fermata_guest::*;
use futures::future::{join_all, try_join_all};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, select_biased};

/// One combinator, over tasks and smaller programs. Its value tells in which way it was completed.
fn program<'a>(
    ctx: &'a Context,
    rng: &'a std::cell::RefCell<Rng>,
    depth: u32,
) -> Pin<Box<dyn Future<Output = String> + 'a>> {
    let pick = move |bound: u32| rng.borrow_mut().u32(0..bound);
    let seconds = move |bound: u32| Duration::from_secs(pick(bound).into());
    let task = move || -> Task<u32> {
        let task = match pick(6) {
            0 => ctx.call_activity("work", &pick(100)),
            1 => ctx.call_activity_with_retry(
                "work",
                RetryPolicy::new(1 + pick(3), seconds(20)).backoff(1.5),
                &pick(100),
            ),
            2 => ctx.call_sub_orchestrator("Child", &pick(100)),
            _ => ctx.wait_external_event(["A", "B", "C", "D"][pick(4) as usize]),
        };
        match pick(6) {
            0 => task.timeout(seconds(30)),
            1 => task.timeout(seconds(30)).or_default(pick(100)),
            _ => task,
        }
    };
    let tell = |result: Result<u32>| match result {
        Ok(value) => value.to_string(),
        Err(error) => format!("{} {}", error.kind(), error.error_type()),
    };
    let choice = if depth == 0 { 0 } else { pick(13) };
    async move {
        match choice {
            0 => tell(task().await),
            1 => join_all((0..pick(4)).map(|_| program(ctx, rng, depth - 1))).await.join(","),
            2 => match try_join_all((0..1 + pick(4)).map(|_| task())).await {
                Ok(values) => format!("{values:?}"),
                Err(error) => format!("try_join_all: {}", error.error_type()),
            },
            3 => {
                let (mut left, mut right) = (program(ctx, rng, depth - 1).fuse(), task());
                select_biased! {
                    told = left => format!("left {told}"),
                    value = right => format!("right {}", tell(value)),
                }
            }
            4 => {
                let tasks: Vec<_> = (0..1 + pick(4)).map(|_| task()).collect();
                let index = ctx.task_any(&tasks).await.index();
                let winner = tasks.into_iter().nth(index);
                // Not every winner is taken.
                match winner.filter(|_| pick(2) == 0) {
                    Some(winner) => format!("any {index} {}", tell(winner.await)),
                    None => format!("any {index}"),
                }
            }
            5 => match ctx.task_all((0..pick(4)).map(|_| task()).collect::<Vec<_>>()).await {
                Ok(values) => format!("{values:?}"),
                Err(error) => format!("task_all: {}", error.error_type()),
            },
            6 => {
                let tasks: Vec<_> = (0..3).map(|_| task()).collect();
                let (inner, all) = futures::join!(program(ctx, rng, depth - 1), ctx.task_all(tasks.as_slice()));
                let first = ctx.task_any(&tasks).await.index();
                let each = join_all(tasks).await.into_iter().map(tell).collect::<Vec<_>>();
                format!("{inner} {} {first} {each:?}", all.is_ok())
            }
            7 => {
                let mut unordered: FuturesUnordered<_> =
                    (0..1 + pick(4)).map(|_| program(ctx, rng, depth - 1)).collect();
                // The last ones are dropped as they are.
                let taken = 1 + pick(unordered.len() as u32);
                let mut told = Vec::new();
                while let Some(one) = unordered.next().await {
                    told.push(one);
                    if told.len() as u32 >= taken {
                        break;
                    }
                }
                told.join(";")
            }
            8 => {
                let (timer, task) = (ctx.create_timer(seconds(40)), task());
                let winner = ctx.task_any((&timer, &task)).await;
                if winner == timer { format!("timer {}", task.cancel()) } else { tell(task.await) }
            }
            9 => {
                let (told, slept) = futures::join!(program(ctx, rng, depth - 1), ctx.create_timer(seconds(40)));
                format!("{told} {}", slept.is_ok())
            }
            10 => {
                let each = ctx.join_all((0..pick(4)).map(|_| task())).await;
                each.into_iter().map(tell).collect::<Vec<_>>().join("+")
            }
            11 => {
                // One is given up while the others are waited for, all with the same name.
                let mut waits: Vec<Task<u32>> =
                    (0..3).map(|_| ctx.wait_external_event("A").timeout(seconds(30))).collect();
                let given_up = waits.remove(pick(3) as usize);
                let timer = ctx.create_timer(seconds(20));
                let (all, _) = futures::join!(ctx.task_all(waits), async {
                    let slept = timer.await;
                    drop(given_up);
                    slept
                });
                format!("{:?}", all.map_err(|error| error.kind().to_owned()))
            }
            _ => {
                let abandoned = task();
                let told = program(ctx, rng, depth - 1).await;
                if pick(2) == 0 { format!("{told} {}", abandoned.cancel()) } else { told }
            }
        }
    }
    .boxed_local()
}

#[orchestrator("Random")]
async fn random(ctx: Context, seed: u64) -> String {
    let rng = std::cell::RefCell::new(Rng::with_seed(seed));
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(program(&ctx, &rng, 3).await);
    }
    told.join(" | ")
}

/// Feeds random events and results, and lets time pass, until the program ends. Now and then the guest is evicted and brought back.
fn live(seed: u64) -> testing::Run {
    let mut rng = Rng::with_seed(!seed);
    let mut run = testing::start("Random", seed);
    for number in 0..600_u32 {
        if !run.is_running() {
            break;
        }
        let name = ["A", "B", "C", "D"][rng.usize(0..4)];
        let failure = Failure::new(format!("E{number}"), "by chance");
        match (rng.u32(0..12), run.open_activities().is_empty(), run.open_sub_orchestrations().is_empty()) {
            (0, false, _) => run.fail("work", failure),
            (1..4, false, _) => run.complete("work", number),
            (4, _, false) => run.fail_sub_orchestration("Child", failure),
            (5, _, false) => run.complete_sub_orchestration("Child", number),
            // Some do not fit.
            (6, ..) => run.raise_json(name, "[]"),
            (7, ..) => run.advance(Duration::from_secs(rng.u64(0..20))),
            (8, ..) => drop(run.skip_to_next_timer()),
            (9, ..) if run.runtime_status() == "Suspended" => run.resume(),
            (9, ..) if rng.u32(0..4) == 0 => run.suspend(),
            (10, ..) => run = run.replay(),
            _ => run.raise(name, number),
        }
    }
    run
}

#[test]
fn every_replay_of_every_beginning_is_the_same() {
    let given = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
    let seeds = given.map_or(0..10_000, |seed: u64| seed..seed + 1);
    for seed in seeds {
        let again = std::panic::catch_unwind(|| {
            let run = live(seed);
            run.check_replay();
            let told = run.output::<String>().expect("the program ends well");
            assert_eq!(run.replay().output::<String>().unwrap(), told);
        });
        assert!(again.is_ok(), "seed {seed}; again: SEED={seed} cargo test -p fermata-guest --test random");
    }
}
