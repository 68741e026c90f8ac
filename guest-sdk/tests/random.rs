//! Random programs under random completions: what a replay of any beginning of a history asks of the host is what the live
//! run asked.

use std::pin::Pin;

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
    let task = move || -> Task<u32> {
        match pick(3) {
            0 => ctx.call_activity("work", &pick(100)),
            _ => ctx.wait_external_event(["A", "B", "C", "D"][pick(4) as usize]),
        }
    };
    let tell =
        |result: Result<u32>| result.map_or_else(|error| error.error_type().to_owned(), |value| value.to_string());
    let choice = if depth == 0 { 0 } else { pick(9) };
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

/// Feeds random events and results until the program ends.
fn live(seed: u64) -> testing::Run {
    let mut rng = Rng::with_seed(!seed);
    let mut run = testing::start("Random", seed);
    for number in 0..400_u32 {
        if !run.is_running() {
            break;
        }
        match (rng.u32(0..8), run.open_activities().is_empty()) {
            (0, false) => run.fail("work", Failure::new(format!("E{number}"), "by chance")),
            (1..4, false) => run.complete("work", number),
            // Some do not fit.
            (4, _) => run.raise_json(["A", "B", "C", "D"][rng.usize(0..4)], "[]"),
            _ => run.raise(["A", "B", "C", "D"][rng.usize(0..4)], number),
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
