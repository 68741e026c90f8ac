//! A turn is all or nothing, and only follows the turn its writer knew of.

use fermata::store::{Change, StoreError, TurnRecord};
use fermata_replay::{RuntimeStatus, Timestamp};

use crate::kit::{activity, arrival, on_every_back_end, turn};

on_every_back_end! {
    async fn all_of_a_turn_becomes_true(world) {
        let key = world.create("a", None).await.unwrap();
        let start = world.unread(key).await[0];
        let event = world.accept(key).await.unwrap();
        let record = TurnRecord {
            steps: Some(r#"["s1"]"#.to_owned()),
            consumed: vec![start],
            custom_status: Some(r#""half""#.to_owned()),
            activities: vec![activity(1), activity(2)],
            settled: vec![2],
            updated: Timestamp(7),
            ..turn(0)
        };
        world.turn(key, record).await.unwrap();

        let loaded = world.load(key).await;
        assert_eq!(loaded.history, [r#"["s1"]"#]);
        assert_eq!(world.unread(key).await, [event]);
        assert_eq!(loaded.instance.version, 1);
        assert_eq!(loaded.instance.status, RuntimeStatus::Running);
        assert_eq!(loaded.instance.updated, Timestamp(7));
        assert_eq!(loaded.instance.custom_status.as_deref(), Some(r#""half""#));
        let open = world.store.open_activities().await.unwrap();
        assert_eq!(open.iter().map(|activity| activity.task).collect::<Vec<_>>(), [1]);

        // What is left out of the next turn stays as it is.
        world.turn(key, turn(1)).await.unwrap();
        let loaded = world.load(key).await;
        assert_eq!(loaded.instance.custom_status.as_deref(), Some(r#""half""#));
        assert_eq!(loaded.history, [r#"["s1"]"#]);
        assert_eq!(loaded.instance.version, 2);
    }
}

on_every_back_end! {
    async fn nothing_of_a_turn_with_a_wrong_version_becomes_true(world) {
        let key = world.create("a", None).await.unwrap();
        let start = world.unread(key).await[0];
        let before = world.load(key).await;
        let record = TurnRecord {
            steps: Some("[1]".to_owned()),
            consumed: vec![start],
            custom_status: Some("1".to_owned()),
            activities: vec![activity(1)],
            ..turn(1)
        };
        assert_eq!(world.turn(key, record).await, Err(StoreError::Conflict));
        assert_eq!(world.load(key).await, before);
        assert!(world.store.open_activities().await.unwrap().is_empty());
    }
}

on_every_back_end! {
    async fn nothing_of_a_turn_that_consumes_what_is_not_there_becomes_true(world) {
        let key = world.create("a", None).await.unwrap();
        let other = world.create("b", None).await.unwrap();
        let (start, foreign) = (world.unread(key).await[0], world.unread(other).await[0]);
        let before = world.load(key).await;
        for consumed in [vec![start, 1_000_000], vec![start, foreign], vec![start, start]] {
            let record = TurnRecord { steps: Some("[1]".to_owned()), consumed, activities: vec![activity(1)], ..turn(0) };
            assert_eq!(world.turn(key, record).await, Err(StoreError::Conflict));
            assert_eq!(world.load(key).await, before);
            assert_eq!(world.unread(other).await, [foreign]);
            assert!(world.store.open_activities().await.unwrap().is_empty());
        }
    }
}

on_every_back_end! {
    async fn a_turn_of_an_instance_that_is_not_there_is_missing(world) {
        assert_eq!(world.turn(99, turn(0)).await, Err(StoreError::Missing));
        assert_eq!(world.write(99, Change::Park { reason: None }).await, Err(StoreError::Missing));
    }
}

on_every_back_end! {
    /// Queued at once they share a transaction where a back end has one.
    async fn a_failed_write_does_not_fail_its_neighbours(world) {
        let lease = world.leases[0];
        let mut keys = Vec::new();
        for place in 0..40 {
            keys.push(world.create(&format!("i{place}"), None).await.unwrap());
        }
        let first = world.store.reserve(200).await.unwrap();
        let mut outcomes = Vec::new();
        for (seq, key) in (first..).zip(&keys) {
            outcomes.push(world.queue(lease, *key, arrival(seq)));
            let wrong = seq % 3 == 0;
            let record = TurnRecord {
                steps: Some(format!("[{seq}]")),
                consumed: vec![seq],
                ..turn(if wrong { 5 } else { 0 })
            };
            outcomes.push(world.queue(lease, *key, Change::Turn(record)));
        }
        for (seq, (key, pair)) in (first..).zip(keys.iter().zip(outcomes.chunks_exact_mut(2))) {
            let [accepted, turned] = pair else { unreachable!() };
            assert_eq!(accepted.await.unwrap(), Ok(()));
            let turned = turned.await.unwrap();
            let loaded = world.load(*key).await;
            if seq % 3 == 0 {
                assert_eq!(turned, Err(StoreError::Conflict));
                assert_eq!((loaded.history.len(), loaded.unread.len()), (0, 2));
            } else {
                assert_eq!(turned, Ok(()));
                assert_eq!((loaded.history, loaded.unread.len()), (vec![format!("[{seq}]")], 1));
            }
        }
    }
}

on_every_back_end! {
    async fn turns_queued_one_after_the_other_build_on_each_other(world) {
        let key = world.create("a", None).await.unwrap();
        let outcomes: Vec<_> = (0..50)
            .map(|version| {
                let record = TurnRecord { steps: Some(format!("[{version}]")), ..turn(version) };
                world.queue(world.leases[0], key, Change::Turn(record))
            })
            .collect();
        for outcome in outcomes {
            assert_eq!(outcome.await.unwrap(), Ok(()));
        }
        let loaded = world.load(key).await;
        assert_eq!(loaded.instance.version, 50);
        assert_eq!(crate::kit::steps(&loaded.history), (0..50).map(serde_json::Value::from).collect::<Vec<_>>());
    }
}

on_every_back_end! {
    async fn an_instance_that_makes_a_turn_is_parked_no_more(world) {
        let key = world.create("a", None).await.unwrap();
        world.write(key, Change::Park { reason: Some("differs".to_owned()) }).await.unwrap();
        world.turn(key, TurnRecord { due: Some(Timestamp(7)), ..turn(0) }).await.unwrap();
        assert_eq!(world.load(key).await.instance.parked, None);
        assert_eq!(world.store.due(None, 10).await.unwrap().len(), 1);
    }
}

on_every_back_end! {
    async fn a_parked_instance_keeps_what_it_has(world) {
        let key = world.create("a", None).await.unwrap();
        world.turn(key, TurnRecord { steps: Some("[1]".to_owned()), ..turn(0) }).await.unwrap();
        let before = world.load(key).await;
        world.write(key, Change::Park { reason: Some("differs".to_owned()) }).await.unwrap();
        let parked = world.load(key).await;
        assert_eq!(parked.instance.parked.as_deref(), Some("differs"));
        assert_eq!((&parked.history, &parked.unread), (&before.history, &before.unread));
        world.write(key, Change::Park { reason: None }).await.unwrap();
        assert_eq!(world.load(key).await, before);
    }
}
