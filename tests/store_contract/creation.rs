//! An id belongs to one instance; replacing it takes everything of the old one away.

use fermata::store::{Change, StoreError, TurnRecord};
use fermata_replay::RuntimeStatus;

use crate::kit::{activity, arrival, creation, on_every_back_end, turn};

on_every_back_end! {
    async fn a_new_instance_is_pending_with_its_first_message(world) {
        let key = world.create("a", None).await.unwrap();
        let found = world.store.find("a").await.unwrap().unwrap();
        assert_eq!((found.key, found.id.as_str(), found.version), (key, "a", 0));
        assert_eq!((found.status, found.created, found.updated), (RuntimeStatus::Pending, found.created, found.created));
        assert_eq!((found.custom_status, found.parked), (None, None));
        assert_eq!(world.load(key).await.unread.len(), 1);
        assert_eq!(world.store.find("b").await, Ok(None));
        assert_eq!(world.store.load(key + 100).await, Ok(None));
    }
}

on_every_back_end! {
    async fn an_id_is_taken_once(world) {
        let key = world.create("a", None).await.unwrap();
        let before = world.load(key).await;
        assert_eq!(world.create("a", None).await, Err(StoreError::Exists));
        assert_eq!(world.create("a", Some(key + 100)).await, Err(StoreError::Exists));
        let again = creation("b", None, 900);
        assert_eq!(world.write(key, again).await, Err(StoreError::Exists));
        assert_eq!(world.load(key).await, before);
        assert_eq!(world.store.find("b").await, Ok(None));
    }
}

on_every_back_end! {
    async fn of_two_that_want_an_id_at_once_the_first_has_it(world) {
        let creations: Vec<_> = (1_000..1_010)
            .map(|key| world.queue(world.lease("a"), key, creation("a", None, key)))
            .collect();
        for (place, outcome) in creations.into_iter().enumerate() {
            assert_eq!(outcome.await.unwrap(), if place == 0 { Ok(()) } else { Err(StoreError::Exists) });
        }
        assert_eq!(world.store.find("a").await.unwrap().unwrap().key, 1_000);
    }
}

on_every_back_end! {
    async fn replacing_takes_away_all_of_the_old(world) {
        let old = world.create("a", None).await.unwrap();
        let start = world.unread(old).await[0];
        for version in 0..40 {
            let consumed = if version == 0 { vec![start] } else { Vec::new() };
            let record = TurnRecord {
                steps: Some(format!("[{version}]")),
                consumed,
                activities: vec![activity(version as u32)],
                custom_status: Some("1".to_owned()),
                ..turn(version)
            };
            world.turn(old, record).await.unwrap();
        }
        world.accept(old).await.unwrap();

        let new = world.create("a", Some(old)).await.unwrap();
        assert_eq!(world.store.load(old).await, Ok(None));
        let loaded = world.load(new).await;
        assert_eq!(world.store.find("a").await.unwrap().as_ref(), Some(&loaded.instance));
        assert_eq!((loaded.instance.version, loaded.history.len(), loaded.unread.len()), (0, 0, 1));
        assert_eq!(loaded.instance.custom_status, None);
        assert!(world.store.open_activities().await.unwrap().is_empty());
        let unread = world.store.unread().await.unwrap();
        assert_eq!(unread.iter().map(|instance| instance.key).collect::<Vec<_>>(), [new]);

        assert_eq!(world.turn(old, turn(40)).await, Err(StoreError::Missing));
        assert_eq!(world.accept(old).await, Err(StoreError::Missing));
        assert_eq!(world.turn(new, turn(40)).await, Err(StoreError::Conflict));
    }
}

on_every_back_end! {
    /// Queued at once, so that a back end that gathers writes sees the old one come and go.
    async fn an_instance_can_be_replaced_as_soon_as_it_is_there(world) {
        let lease = world.lease("a");
        let create = |replaces, seq| creation("a", replaces, seq);
        let run = TurnRecord {
            steps: Some("[1]".to_owned()),
            consumed: vec![500],
            status: RuntimeStatus::Completed,
            ..turn(0)
        };
        let writes = [
            (100, create(None, 500)),
            (100, Change::Turn(run)),
            (100, arrival(501)),
            (101, create(Some(100), 502)),
            (100, arrival(503)),
            (101, Change::Turn(TurnRecord { consumed: vec![502], steps: Some("[2]".to_owned()), ..turn(0) })),
        ];
        let outcomes: Vec<_> = writes.into_iter().map(|(key, change)| world.queue(lease, key, change)).collect();
        for (place, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(outcome.await.unwrap(), if place == 4 { Err(StoreError::Missing) } else { Ok(()) }, "write {place}");
        }
        assert_eq!(world.store.load(100).await, Ok(None));
        assert_eq!(world.load(101).await.history, ["[2]"]);
        assert!(world.unread(101).await.is_empty());
    }
}
