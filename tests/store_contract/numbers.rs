//! A number is handed out once.

use std::sync::Arc;

use fermata::store::Store;
use fermata::store::embedded::Embedded;

use crate::kit::on_every_back_end;

on_every_back_end! {
    async fn reservations_grow_and_never_overlap(world) {
        let mut end = 1;
        for count in [1, 5, 1, 100_000, 1, 65_536, 65_537, 3] {
            let first = world.store.reserve(count).await.unwrap();
            assert!(first >= end, "{first} was handed out before {end}");
            end = first + count;
        }
    }
}

on_every_back_end! {
    async fn reservations_at_once_do_not_overlap(world) {
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let store: Arc<dyn Store> = world.store.clone();
            tasks.push(tokio::spawn(async move {
                let mut firsts = Vec::new();
                for _ in 0..50 {
                    firsts.push(store.reserve(1_000).await.unwrap());
                }
                firsts
            }));
        }
        let mut firsts = Vec::new();
        for task in tasks {
            firsts.extend(task.await.unwrap());
        }
        firsts.sort_unstable();
        assert!(firsts.windows(2).all(|pair| pair[0] + 1_000 <= pair[1]));
    }
}

#[tokio::test]
async fn reservations_grow_across_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut end = 1;
    for _ in 0..3 {
        let store = Embedded::open(dir.path()).unwrap();
        let first = store.reserve(10).await.unwrap();
        assert!(first >= end);
        end = first + 10;
    }
}
