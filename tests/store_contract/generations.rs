//! An instance that is continued as new begins with an empty history, and stays the same instance.

use fermata::store::{Change, NewGeneration, StoreError, StoredMessage, TurnRecord};
use fermata_replay::{RuntimeStatus, Timestamp};

use crate::kit::{activity, arrival, creation, message, on_every_back_end, outgoing, steps, turn};

fn generation(number: u64, start: StoredMessage) -> Option<NewGeneration> {
    Some(NewGeneration { execution: format!("e{number}"), module: format!("m{number}"), start })
}

on_every_back_end! {
    async fn the_next_generation_begins_with_nothing_but_what_is_unread(world) {
        let key = world.create("a", None).await.unwrap();
        let start = world.unread(key).await[0];
        for version in 0..40 {
            let record = TurnRecord {
                steps: Some(format!("[{version}]")),
                consumed: if version == 0 { vec![start] } else { Vec::new() },
                activities: vec![activity(version as u32)],
                custom_status: Some("\"kept\"".to_owned()),
                ..turn(version)
            };
            world.turn(key, record).await.unwrap();
        }
        let consumed = world.accept(key).await.unwrap();
        let carried = [world.accept(key).await.unwrap(), world.accept(key).await.unwrap()];
        let before = world.load(key).await.instance;

        // Not even the steps of the turn that ends it, nor the activities it starts, are kept.
        let record = TurnRecord {
            steps: Some("[\"last\"]".to_owned()),
            consumed: vec![consumed],
            activities: vec![activity(99)],
            outgoing: vec![outgoing(90_000, "b")],
            due: Some(Timestamp(7)),
            module: Some("not this one".to_owned()),
            status: RuntimeStatus::Pending,
            updated: Timestamp(6),
            generation: generation(2, message(start, "\"next\"")),
            ..turn(40)
        };
        world.turn(key, record).await.unwrap();
        let loaded = world.load(key).await;
        assert_eq!(loaded.history, Vec::<String>::new());
        assert_eq!(loaded.unread[0], message(start, "\"next\""));
        assert_eq!(world.unread(key).await, [start, carried[0], carried[1]]);
        assert!(world.store.open_activities().await.unwrap().is_empty());
        assert_eq!(world.store.outbox().await.unwrap().len(), 1);
        let expected = fermata::store::Instance {
            execution: "e2".to_owned(),
            module: "m2".to_owned(),
            status: RuntimeStatus::Pending,
            updated: Timestamp(6),
            due: Some(Timestamp(7)),
            version: 41,
            ..before
        };
        assert_eq!(loaded.instance, expected);
        let snapshot = world.store.snapshot("a").await.unwrap().unwrap();
        assert_eq!((snapshot.first, snapshot.last, snapshot.unread), (None, None, loaded.unread));
        assert_eq!(snapshot.instance, expected);

        let record = TurnRecord {
            steps: Some("[\"new\"]".to_owned()),
            consumed: vec![start, carried[0]],
            activities: vec![activity(1)],
            ..turn(41)
        };
        world.turn(key, record).await.unwrap();
        let loaded = world.load(key).await;
        assert_eq!((loaded.history, loaded.instance.version), (vec!["[\"new\"]".to_owned()], 42));
        assert_eq!(world.unread(key).await, [carried[1]]);
        let open = world.store.open_activities().await.unwrap();
        assert_eq!((open[0].execution.as_str(), open[0].module.as_str()), ("e2", "m2"));
        let snapshot = world.store.snapshot("a").await.unwrap().unwrap();
        assert_eq!((snapshot.first.as_deref(), snapshot.last, snapshot.unread.len()), (Some("[\"new\"]"), None, 0));
    }
}

on_every_back_end! {
    async fn every_generation_may_start_with_the_same_sequence(world) {
        let key = world.create("a", None).await.unwrap();
        let start = world.unread(key).await[0];
        let event = world.accept(key).await.unwrap();
        for version in 0..5 {
            let record = TurnRecord {
                consumed: vec![start],
                generation: generation(version, message(start, &format!("[{version}]"))),
                ..turn(version)
            };
            world.turn(key, record).await.unwrap();
            let loaded = world.load(key).await;
            assert_eq!((loaded.instance.execution, loaded.instance.version), (format!("e{version}"), version + 1));
            assert_eq!(loaded.unread[0].body, format!("[{version}]"));
            assert_eq!(loaded.unread[1].seq, event);
        }
    }
}

on_every_back_end! {
    async fn a_generation_does_not_start_over_an_unread_message(world) {
        let key = world.create("a", None).await.unwrap();
        let other = world.create("b", None).await.unwrap();
        let foreign = world.unread(other).await[0];
        let start = world.unread(key).await[0];
        let record = TurnRecord { steps: Some("[1]".to_owned()), activities: vec![activity(1)], ..turn(0) };
        world.turn(key, record).await.unwrap();
        let before = (world.load(key).await, world.store.open_activities().await.unwrap());
        for taken in [start, foreign] {
            let record = TurnRecord { generation: generation(2, message(taken, "{}")), ..turn(1) };
            assert_eq!(world.turn(key, record).await, Err(StoreError::Conflict));
            assert_eq!((world.load(key).await, world.store.open_activities().await.unwrap()), before);
        }
    }
}

on_every_back_end! {
    /// Queued at once, so that a back end that gathers writes has all of it in one.
    async fn generations_may_follow_one_another_in_one_breath(world) {
        let step = |version: u64, consumed: &[u64]| TurnRecord {
            steps: Some(format!("[{version}]")),
            consumed: consumed.to_vec(),
            activities: vec![activity(version as u32)],
            ..turn(version)
        };
        let switch = |version, consumed: &[u64]| TurnRecord {
            generation: generation(version, message(500, &format!("[{version}]"))),
            ..step(version, consumed)
        };
        let changes = [
            creation("a", None, 500),
            Change::Turn(step(0, &[500])),
            arrival(501),
            Change::Turn(step(1, &[])),
            Change::Turn(switch(2, &[])),
            arrival(502),
            Change::Turn(step(3, &[500])),
            Change::Turn(switch(4, &[501])),
            Change::Turn(switch(5, &[500])),
            arrival(503),
            Change::Turn(step(6, &[500])),
            Change::Turn(step(7, &[503])),
        ];
        for round in 0..2 {
            // The second time around, what the first left is in the database.
            let lease = world.leases[0];
            let key = 1 + round;
            let mut changes = changes.to_vec();
            if let Change::Create { replaces, .. } = &mut changes[0] {
                *replaces = (round > 0).then_some(round);
            }
            let outcomes: Vec<_> = changes.into_iter().map(|change| world.queue(lease, key, change)).collect();
            for (place, outcome) in outcomes.into_iter().enumerate() {
                assert_eq!(outcome.await.unwrap(), Ok(()), "write {place}");
            }
            let loaded = world.load(key).await;
            assert_eq!(steps(&loaded.history), [6, 7]);
            assert_eq!((loaded.instance.execution.as_str(), loaded.instance.module.as_str()), ("e5", "m5"));
            assert_eq!(world.unread(key).await, [502]);
            let open = world.store.open_activities().await.unwrap();
            assert_eq!(open.iter().map(|open| (open.key, open.task)).collect::<Vec<_>>(), [(key, 6), (key, 7)]);
            // Each switch on its own, over what is stored.
            world.turn(key, switch(8, &[])).await.unwrap();
            let loaded = world.load(key).await;
            assert_eq!((loaded.history.len(), loaded.instance.version), (0, 9));
            assert_eq!(world.unread(key).await, [500, 502]);
        }
    }
}
