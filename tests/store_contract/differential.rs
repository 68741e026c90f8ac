//! Random writes, good and bad, are answered alike by every back end, and leave the same behind.

use std::collections::BTreeSet;

use fermata::store::{Filter, Instance, StoreError};

use crate::kit::{World, every};
use crate::writes::{MODULES, Writes, contents, module};

const ROUNDS: usize = 200;
/// Writes queued without waiting for an answer, at most.
const AT_ONCE: usize = 40;

#[tokio::test]
async fn all_back_ends_answer_alike() {
    let seed = tests::number("FERMATA_SEED").unwrap_or_else(rand::random);
    println!("again: FERMATA_SEED={seed} cargo test -p tests --test store_contract differential");
    let worlds: [World; 2] = every().await.try_into().ok().unwrap();
    let [model, tested] = &worlds;
    let mut writes = Writes::new(seed, model.leases.clone());
    for round in 0..ROUNDS {
        if writes.chance(3) {
            let partition = writes.below(64) as usize;
            for world in &worlds {
                world.store.release(&[writes.leases[partition]]).await.unwrap();
            }
            let [one, two] = [model.store.acquire("tests").await, tested.store.acquire("tests").await];
            assert_eq!(one, two);
            writes.leases = one.unwrap();
        }
        let digest = format!("d{}", writes.below(MODULES));
        let deleted = model.store.delete_module(&digest, "{}").await;
        assert_eq!(tested.store.delete_module(&digest, "{}").await, deleted, "round {round}, module {digest}");
        if deleted == Err(StoreError::Missing) {
            for world in &worlds {
                world.store.deploy(module(&digest)).await.unwrap();
            }
        }
        // The model answers at once, so that the next write can build on the one before.
        let mut answers = Vec::new();
        for _ in 0..=writes.below(AT_ONCE as u64) {
            let (lease, key, change) = writes.next(model).await;
            let expected = model.queue(lease, key, change.clone()).await.unwrap();
            answers.push((expected, tested.queue(lease, key, change.clone()), key, change));
        }
        for (expected, outcome, key, change) in answers {
            assert_eq!(outcome.await.unwrap(), expected, "round {round}, instance {key}: {change:?}");
        }
        let (shown, expected) = (contents(tested, &writes).await, contents(model, &writes).await);
        assert_eq!(shown, expected, "after round {round}");
        let filter = writes.filter();
        assert_eq!(listed(tested, &filter).await, listed(model, &filter).await, "after round {round}: {filter:?}");
    }
}

/// All that a filter lets through, page by page, wherever these end.
async fn listed(world: &World, filter: &Filter) -> Vec<Instance> {
    let (mut filter, mut all) = (filter.clone(), Vec::new());
    loop {
        let page = world.store.list(filter.clone()).await.unwrap();
        assert!(filter.limit == 0 || page.instances.len() <= filter.limit);
        assert!(page.instances.len() <= filter.look_at);
        all.extend(page.instances);
        match page.next {
            None => return all,
            next => {
                assert!(next > filter.after, "a page leads on");
                filter.after = next;
            }
        }
    }
}

/// The answers a random run must not be without, or it tests little.
#[tokio::test]
async fn random_writes_meet_every_answer() {
    let model = every().await.remove(0);
    let mut writes = Writes::new(1, model.leases.clone());
    let mut met = BTreeSet::new();
    for _ in 0..3_000 {
        let (lease, key, change) = writes.next(&model).await;
        met.insert(match model.queue(lease, key, change).await.unwrap() {
            Ok(()) => "ok",
            Err(StoreError::Fenced(_)) => "fenced",
            Err(StoreError::Conflict) => "conflict",
            Err(StoreError::Exists) => "exists",
            Err(StoreError::Missing) => "missing",
            Err(StoreError::Delivered) => "delivered",
            Err(StoreError::Repeated) => "repeated",
            Err(other) => panic!("{other}"),
        });
    }
    let expected = ["conflict", "delivered", "exists", "fenced", "missing", "ok", "repeated"];
    assert_eq!(met.into_iter().collect::<Vec<_>>(), expected);
}
