//! A snapshot has what a status shows.

use fermata::store::TurnRecord;
use fermata_replay::RuntimeStatus;

use crate::kit::{on_every_back_end, turn};

on_every_back_end! {
    async fn a_snapshot_has_the_two_ends_of_history(world) {
        assert_eq!(world.store.snapshot("a").await, Ok(None));
        let key = world.create("a", None).await.unwrap();
        let start = world.load(key).await.unread;
        let snapshot = world.store.snapshot("a").await.unwrap().unwrap();
        assert_eq!((snapshot.first, snapshot.last, &snapshot.unread), (None, None, &start));
        assert_eq!(snapshot.instance, world.load(key).await.instance);

        let record = TurnRecord { steps: Some("[\"input\"]".to_owned()), consumed: vec![start[0].seq], ..turn(0) };
        world.turn(key, record).await.unwrap();
        world.accept(key).await.unwrap();
        let snapshot = world.store.snapshot("a").await.unwrap().unwrap();
        assert_eq!((snapshot.first.as_deref(), snapshot.last), (Some("[\"input\"]"), None));
        assert!(snapshot.unread.is_empty(), "after the first turn nobody asks for them");

        for version in 1..30 {
            world.turn(key, TurnRecord { steps: Some("[1]".to_owned()), ..turn(version) }).await.unwrap();
        }
        let record = TurnRecord { steps: Some("[\"output\"]".to_owned()), status: RuntimeStatus::Failed, ..turn(30) };
        world.turn(key, record).await.unwrap();
        let snapshot = world.store.snapshot("a").await.unwrap().unwrap();
        assert_eq!(snapshot.first.as_deref(), Some("[\"input\"]"));
        assert_eq!(snapshot.last.as_deref(), Some("[\"output\"]"));
        assert_eq!(snapshot.instance.status, RuntimeStatus::Failed);
    }
}
