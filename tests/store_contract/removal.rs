//! A removed instance leaves nothing behind but what it sent.

use fermata::store::{Change, Filter, StoreError, TurnRecord};
use fermata_replay::{RuntimeStatus, Timestamp};

use crate::kit::{activity, arrival, creation, on_every_back_end, outgoing, turn};

on_every_back_end! {
    async fn removing_takes_away_all_but_what_was_sent(world) {
        let key = world.create("a", None).await.unwrap();
        let other = world.create("b", None).await.unwrap();
        for version in 0..40 {
            let record = TurnRecord {
                steps: Some(format!("[{version}]")),
                activities: vec![activity(version as u32)],
                outgoing: vec![outgoing(10_000 + version, "b")],
                due: Some(Timestamp(5)),
                ..turn(version)
            };
            world.turn(key, record).await.unwrap();
        }
        world.accept(key).await.unwrap();
        let before = (world.load(other).await, world.store.outbox().await.unwrap());
        world.write(key, Change::Remove).await.unwrap();

        assert_eq!(world.store.find("a").await, Ok(None));
        assert_eq!(world.store.load(key).await, Ok(None));
        let left = world.store.list(Filter::default()).await.unwrap().instances;
        assert_eq!(left, std::slice::from_ref(&before.0.instance));
        assert_eq!(world.store.due(None, 10).await.unwrap(), []);
        assert!(world.store.open_activities().await.unwrap().is_empty());
        let unread = world.store.unread().await.unwrap();
        assert_eq!(unread.iter().map(|instance| instance.key).collect::<Vec<_>>(), [other]);
        assert_eq!((world.load(other).await, world.store.outbox().await.unwrap()), before);

        assert_eq!(world.write(key, Change::Remove).await, Err(StoreError::Missing));
        assert_eq!(world.turn(key, turn(40)).await, Err(StoreError::Missing));
        assert_eq!(world.accept(key).await, Err(StoreError::Missing));
        world.create("a", None).await.unwrap();
    }
}

on_every_back_end! {
    async fn what_has_ended_can_be_removed(world) {
        let key = world.create("a", None).await.unwrap();
        world.turn(key, TurnRecord { status: RuntimeStatus::Completed, ..turn(0) }).await.unwrap();
        world.write(key, Change::Remove).await.unwrap();
        assert_eq!(world.store.ended(10).await.unwrap(), []);
        assert_eq!(world.store.count_ended().await, Ok(0));
    }
}

on_every_back_end! {
    /// Queued at once, so that a back end that gathers writes sees it come and go.
    async fn an_instance_can_be_removed_as_soon_as_it_is_there(world) {
        let lease = world.lease("a");
        let run = TurnRecord {
            steps: Some("[1]".to_owned()),
            activities: vec![activity(1)],
            outgoing: vec![outgoing(900, "b")],
            ..turn(0)
        };
        let writes = [
            (100, creation("a", None, 500)),
            (100, Change::Turn(run.clone())),
            (100, Change::Remove),
            (100, arrival(501)),
            (101, creation("a", None, 502)),
            (101, Change::Turn(TurnRecord { outgoing: vec![outgoing(901, "b")], ..run })),
            (101, Change::Remove),
            (101, Change::Remove),
        ];
        let outcomes: Vec<_> = writes.into_iter().map(|(key, change)| world.queue(lease, key, change)).collect();
        for (place, outcome) in outcomes.into_iter().enumerate() {
            let expected = if [3, 7].contains(&place) { Err(StoreError::Missing) } else { Ok(()) };
            assert_eq!(outcome.await.unwrap(), expected, "write {place}");
        }
        assert_eq!(world.store.find("a").await, Ok(None));
        assert!(world.store.open_activities().await.unwrap().is_empty());
        assert!(world.store.unread().await.unwrap().is_empty());
        let sent = world.store.outbox().await.unwrap();
        let sent: Vec<_> = sent.iter().map(|sent| (sent.seq, sent.from, sent.from_id.as_str())).collect();
        assert_eq!(sent, [(900, 100, "a"), (901, 101, "a")]);
    }
}
