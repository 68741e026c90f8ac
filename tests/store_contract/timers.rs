//! An instance that must run at a time is found by it.

use fermata::store::{Change, Due, InstanceKey, TurnRecord};
use fermata_replay::{RuntimeStatus, Timestamp};

use crate::kit::{World, creation, on_every_back_end, turn};

async fn wait_until(world: &World, key: InstanceKey, due: Option<i64>) {
    let version = world.load(key).await.instance.version;
    world.turn(key, TurnRecord { due: due.map(Timestamp), ..turn(version) }).await.unwrap();
}

async fn due(world: &World) -> Vec<(i64, InstanceKey)> {
    let due = world.store.due(None, 100).await.unwrap();
    due.into_iter().map(|due| (due.due.0, due.key)).collect()
}

on_every_back_end! {
    async fn the_earliest_comes_first_page_by_page(world) {
        let mut all = Vec::new();
        for place in 0..20 {
            let key = world.create(&format!("i{place}"), None).await.unwrap();
            // Some at the same time, one before 1970, one never; two do not wait.
            let at = match place {
                3 => i64::MAX,
                4 => -5,
                _ => place % 4,
            };
            if place < 18 {
                wait_until(&world, key, Some(at)).await;
                all.push(Due { due: Timestamp(at), key, id: format!("i{place}") });
            }
        }
        all.sort_by_key(|due| (due.due, due.key));
        assert_eq!(world.store.due(None, usize::MAX).await.unwrap(), all);
        assert_eq!(world.store.due(None, 0).await.unwrap(), []);
        for limit in [1, 3, 17, 18, 19] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = world.store.due(after, limit).await.unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                after = Some((last.due, last.key));
                seen.extend(page);
            }
            assert_eq!(seen, all, "in pages of {limit}");
        }
        // A place need not be that of an instance.
        let later = |due: &&Due| due.due > Timestamp(2);
        let expected: Vec<Due> = all.iter().filter(later).cloned().collect();
        assert_eq!(world.store.due(Some((Timestamp(2), InstanceKey::MAX)), 100).await.unwrap(), expected);
        assert_eq!(world.store.due(Some((Timestamp(3), 0)), 100).await.unwrap(), expected);
    }
}

on_every_back_end! {
    async fn each_turn_says_anew_when_the_next_is_due(world) {
        let key = world.create("a", None).await.unwrap();
        assert_eq!((due(&world).await, world.load(key).await.instance.due), (vec![], None));
        for at in [Some(7), Some(5), Some(5), None, Some(9)] {
            wait_until(&world, key, at).await;
            assert_eq!(due(&world).await, at.map(|at| (at, key)).into_iter().collect::<Vec<_>>());
            assert_eq!(world.load(key).await.instance.due, at.map(Timestamp));
        }
        world.accept(key).await.unwrap();
        assert_eq!(due(&world).await, [(9, key)], "a message alone changes nothing");
    }
}

on_every_back_end! {
    async fn a_parked_instance_is_not_due(world) {
        let key = world.create("a", None).await.unwrap();
        wait_until(&world, key, Some(7)).await;
        world.write(key, Change::Park { reason: Some("differs".to_owned()) }).await.unwrap();
        assert_eq!(due(&world).await, []);
        assert_eq!(world.load(key).await.instance.due, Some(Timestamp(7)));
        world.write(key, Change::Park { reason: None }).await.unwrap();
        assert_eq!(due(&world).await, [(7, key)]);
    }
}

on_every_back_end! {
    async fn what_has_ended_is_neither_due_nor_parked(world) {
        for status in RuntimeStatus::ALL.into_iter().filter(|status| status.is_final()) {
            let key = world.create(status.name(), None).await.unwrap();
            wait_until(&world, key, Some(7)).await;
            world.write(key, Change::Park { reason: Some("differs".to_owned()) }).await.unwrap();
            world.turn(key, TurnRecord { status, due: Some(Timestamp(8)), ..turn(1) }).await.unwrap();
            let instance = world.load(key).await.instance;
            assert_eq!((instance.due, instance.parked), (None, None));
            assert_eq!(due(&world).await, []);
        }
    }
}

on_every_back_end! {
    /// Queued at once, so that a back end that gathers writes has all of it in one.
    async fn what_counts_is_the_last_of_many(world) {
        let timed = |version, due| Change::Turn(TurnRecord { due: Some(Timestamp(due)), ..turn(version) });
        let parked = |reason: Option<&str>| Change::Park { reason: reason.map(str::to_owned) };
        let end = TurnRecord { status: RuntimeStatus::Failed, due: Some(Timestamp(4)), ..turn(1) };
        let writes = [
            (1, creation("a", None, 100)),
            (1, timed(0, 5)),
            (1, parked(Some("r"))),
            (2, creation("b", None, 101)),
            (2, timed(0, 6)),
            (2, parked(Some("r"))),
            (2, Change::Turn(end)),
            (2, timed(2, 3)),
            (1, parked(None)),
            (1, timed(1, 2)),
        ];
        let queue = |(key, change)| world.queue(world.leases[0], key, change);
        let outcomes: Vec<_> = writes.into_iter().map(queue).collect();
        for outcome in outcomes {
            outcome.await.unwrap().unwrap();
        }
        assert_eq!(due(&world).await, [(2, 1), (3, 2)]);
    }
}
