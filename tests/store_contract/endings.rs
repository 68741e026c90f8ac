//! What has ended is found by when it did; and it may be taken up again.

use fermata::store::{Ended, InstanceKey, TurnRecord};
use fermata_replay::{RuntimeStatus, Timestamp};

use crate::kit::{World, activity, on_every_back_end, turn};

async fn end(world: &World, key: InstanceKey, at: i64, status: RuntimeStatus) {
    let version = world.load(key).await.instance.version;
    world.turn(key, TurnRecord { status, updated: Timestamp(at), ..turn(version) }).await.unwrap();
}

async fn ended(world: &World) -> Vec<(i64, InstanceKey)> {
    let ended = world.store.ended(100).await.unwrap();
    assert_eq!(world.store.count_ended().await, Ok(ended.len() as u64));
    ended.into_iter().map(|ended| (ended.ended.0, ended.key)).collect()
}

on_every_back_end! {
    async fn what_ended_first_comes_first(world) {
        let mut all = Vec::new();
        for (place, status) in (0..).zip(RuntimeStatus::ALL.into_iter().cycle().take(24)) {
            let (id, at) = (format!("i{place}"), (place * 7) % 5);
            let key = world.create(&id, None).await.unwrap();
            end(&world, key, at, status).await;
            assert_eq!(world.load(key).await.instance.ended, status.is_final().then_some(Timestamp(at)));
            if status.is_final() {
                all.push(Ended { ended: Timestamp(at), key, id });
            }
        }
        all.sort_by_key(|ended| (ended.ended, ended.key));
        for limit in [0, 1, 5, all.len(), usize::MAX] {
            assert_eq!(world.store.ended(limit).await.unwrap(), all[..limit.min(all.len())]);
        }
        assert_eq!(world.store.count_ended().await, Ok(all.len() as u64));
    }
}

on_every_back_end! {
    async fn a_failed_instance_goes_on_and_ends_again(world) {
        let key = world.create("a", None).await.unwrap();
        let step = |text: &str| Some(format!("[\"{text}\"]"));
        world.turn(key, TurnRecord { steps: step("one"), ..turn(0) }).await.unwrap();
        let failed = TurnRecord {
            steps: step("failed"),
            status: RuntimeStatus::Failed,
            updated: Timestamp(10),
            activities: vec![activity(1)],
            ..turn(1)
        };
        world.turn(key, failed).await.unwrap();
        assert_eq!(ended(&world).await, [(10, key)]);

        world.accept(key).await.unwrap();
        let again = TurnRecord {
            steps: step("again"),
            due: Some(Timestamp(50)),
            activities: vec![activity(1)],
            ..turn(2)
        };
        world.turn(key, again).await.unwrap();
        assert_eq!(ended(&world).await, []);
        let loaded = world.load(key).await;
        let instance = loaded.instance;
        assert_eq!((instance.status, instance.ended), (RuntimeStatus::Running, None));
        assert_eq!(instance.due, Some(Timestamp(50)));
        assert_eq!(crate::kit::steps(&loaded.history), ["one", "failed", "again"]);
        assert_eq!(world.store.open_activities().await.unwrap().len(), 1);

        end(&world, key, 60, RuntimeStatus::Completed).await;
        assert_eq!(ended(&world).await, [(60, key)]);
        assert_eq!(world.store.due(None, 10).await.unwrap(), []);
        assert!(world.store.open_activities().await.unwrap().is_empty());
    }
}

on_every_back_end! {
    /// Queued at once, so that a back end that gathers writes has all of it in one.
    async fn it_may_end_and_go_on_in_one_breath(world) {
        let key = world.create("a", None).await.unwrap();
        let other = world.create("b", None).await.unwrap();
        let mut outcomes = Vec::new();
        for version in 0..6 {
            let status = if version % 2 == 0 { RuntimeStatus::Failed } else { RuntimeStatus::Running };
            let change = |status| {
                let record = TurnRecord { status, updated: Timestamp(version as i64), ..turn(version) };
                fermata::store::Change::Turn(record)
            };
            outcomes.push(world.queue(world.leases[0], key, change(status)));
            if version < 5 {
                outcomes.push(world.queue(world.leases[0], other, change(status)));
            }
        }
        for outcome in outcomes {
            outcome.await.unwrap().unwrap();
        }
        assert_eq!(ended(&world).await, [(4, other)]);
    }
}

on_every_back_end! {
    async fn what_is_replaced_has_not_ended_any_more(world) {
        let old = world.create("a", None).await.unwrap();
        end(&world, old, 10, RuntimeStatus::Completed).await;
        world.create("a", Some(old)).await.unwrap();
        assert_eq!(ended(&world).await, []);
    }
}
