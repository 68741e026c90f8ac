//! The file is as large as what is kept in it, a quarter and a few megabytes aside.

use std::path::Path;
use std::time::{Duration, Instant};

use fermata::store::{Change, NewGeneration, TurnRecord};

use crate::kit::{World, activity, database, message, turn};

const MB: u64 = 1 << 20;

fn size(dir: &Path) -> u64 {
    std::fs::metadata(dir.join("fermata.db")).unwrap().len()
}

/// How large the file is, or will be when the log is copied into it.
fn size_to_be(dir: &Path) -> u64 {
    pages(dir) * 4096
}

fn pages(dir: &Path) -> u64 {
    let db = database(dir);
    db.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).unwrap() as u64
}

/// Instances of a megabyte each.
async fn fill(world: &World, ids: std::ops::Range<u64>) -> Vec<u64> {
    let mut keys = Vec::new();
    for id in ids {
        let key = world.create(&id.to_string(), None).await.unwrap();
        let steps = Some(format!("[\"{}\"]", "x".repeat(MB as usize / 16)));
        for version in 0..16 {
            world.turn(key, TurnRecord { steps: steps.clone(), ..turn(version) }).await.unwrap();
        }
        keys.push(key);
    }
    keys
}

async fn until(what: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(60);
    while !what() {
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

#[tokio::test]
async fn what_is_removed_gives_its_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let removed = fill(&world, 0..24).await;
    // What is kept lies behind all that is removed.
    let kept = fill(&world, 24..26).await;
    let before = world.load(kept[1]).await;
    assert!(size_to_be(dir.path()) > 26 * MB);
    for key in removed {
        world.write(key, Change::Remove).await.unwrap();
    }
    // Nothing else is written from here on.
    assert!(until(|| size_to_be(dir.path()) < 7 * MB).await, "{} bytes", size_to_be(dir.path()));
    assert!(until(|| size(dir.path()) < 7 * MB).await, "{} bytes", size(dir.path()));
    assert!(world.load(kept[1]).await == before);
    let db = database(dir.path());
    assert_eq!(db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
}

#[tokio::test]
async fn writes_go_on_while_space_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let removed = fill(&world, 0..24).await;
    let key = world.create("busy", None).await.unwrap();
    for key in removed {
        world.write(key, Change::Remove).await.unwrap();
    }
    let mut version = 0;
    let end = Instant::now() + Duration::from_secs(60);
    while size_to_be(dir.path()) > 7 * MB && Instant::now() < end {
        world.turn(key, TurnRecord { steps: Some("[1]".to_owned()), ..turn(version) }).await.unwrap();
        version += 1;
    }
    println!("{version} turns meanwhile");
    assert!(size_to_be(dir.path()) < 7 * MB);
    assert_eq!(world.load(key).await.instance.version, version);
}

/// Each generation has some turns and a large input; the file does not grow with their number.
#[tokio::test]
async fn a_loop_of_generations_keeps_the_file_small() {
    const GENERATIONS: u64 = 3_000;
    const TURNS: u64 = 4;
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let key = world.create("a", None).await.unwrap();
    let start = world.unread(key).await[0];
    let body = format!("\"{}\"", "x".repeat(2_000));
    let mut after_some = 0;
    let mut outcomes = Vec::new();
    for generation in 0..GENERATIONS {
        for step in 0..TURNS {
            let ends = step == TURNS - 1;
            let record = TurnRecord {
                steps: Some(format!("[{body}]")),
                consumed: if step == 0 { vec![start] } else { Vec::new() },
                activities: vec![activity(step as u32)],
                generation: ends.then(|| NewGeneration {
                    execution: format!("e{generation}"),
                    module: "d1".to_owned(),
                    start: message(start, &body),
                }),
                ..turn(generation * TURNS + step)
            };
            outcomes.push(world.queue(world.leases[0], key, Change::Turn(record)));
            // Some have a commit of their own, others share one with those that follow.
            if generation % 16 < 2 || generation % 4 == 0 && ends {
                for outcome in outcomes.drain(..) {
                    outcome.await.unwrap().unwrap();
                }
            }
        }
        if generation == 128 {
            after_some = pages(dir.path());
        }
    }
    for outcome in outcomes {
        outcome.await.unwrap().unwrap();
    }
    let after_all = pages(dir.path());
    println!("{after_some} pages after some generations, {after_all} after {GENERATIONS}");
    assert!(after_all <= after_some + 8);
    assert_eq!(world.load(key).await.history.len(), 0);
}
