//! A request with a key takes effect once, as long as it is remembered.

use fermata::store::{Change, InstanceKey, NewGeneration, Once, Remembered, StoreError, StoredMessage, TurnRecord};
use fermata_replay::{RuntimeStatus, Timestamp};

use crate::kit::{World, creation, message, on_every_back_end, outgoing, turn};

/// A request that is to be remembered.
fn once(key: &str, until: i64) -> Option<Once> {
    Some(Once { key: key.to_owned(), request: [key.len() as u8; 32], until: Timestamp(until) })
}

fn start(id: &str, replaces: Option<InstanceKey>, at: i64, seq: u64, asked: Option<Once>) -> Change {
    match creation(id, replaces, seq) {
        Change::Create { instance, replaces, message, sent, .. } => {
            let message = StoredMessage { at: Timestamp(at), ..message };
            Change::Create { instance, replaces, message, sent, once: asked }
        }
        other => panic!("{other:?}"),
    }
}

fn event(at: i64, seq: u64, asked: Option<Once>) -> Change {
    let message = StoredMessage { at: Timestamp(at), ..message(seq, "{}") };
    Change::Accept { message, sent: None, once: asked }
}

async fn remembered(world: &World, id: &str, key: &str) -> Option<(u8, u64, i64)> {
    let found = world.store.remembered(id, key).await.unwrap();
    found.map(|Remembered { request, seq, until }| (request[31], seq, until.0))
}

on_every_back_end! {
    async fn what_was_asked_once_is_remembered_with_its_message(world) {
        world.write(10, start("a", None, 100, 500, once("start", 200))).await.unwrap();
        world.write(10, event(110, 501, once("event-1", 210))).await.unwrap();
        world.write(10, event(110, 502, None)).await.unwrap();
        assert_eq!(remembered(&world, "a", "start").await, Some((5, 500, 200)));
        assert_eq!(remembered(&world, "a", "event-1").await, Some((7, 501, 210)));
        for (id, key) in [("a", "Start"), ("a", ""), ("b", "start"), ("", "start"), ("start", "a")] {
            assert_eq!(remembered(&world, id, key).await, None, "{id} {key}");
        }
        assert_eq!(world.unread(10).await, [500, 501, 502]);
    }
}

on_every_back_end! {
    async fn asked_again_nothing_of_it_comes_true(world) {
        world.write(10, start("a", None, 100, 500, once("k", 200))).await.unwrap();
        let send = TurnRecord { outgoing: vec![outgoing(900, "a")], ..turn(0) };
        world.turn(10, send).await.unwrap();
        let before = world.load(10).await;
        let repeated = Err(StoreError::Repeated);
        assert_eq!(world.write(10, event(110, 501, once("k", 300))).await, repeated);
        assert_eq!(world.write(10, event(199, 501, once("k", 300))).await, repeated);
        // It goes before whatever else there is to say.
        assert_eq!(world.write(10, event(110, 500, once("k", 300))).await, repeated);
        assert_eq!(world.write(10, start("a", None, 110, 502, once("k", 300))).await, repeated);
        assert_eq!(world.write(11, start("a", Some(10), 110, 502, once("k", 300))).await, repeated);
        let Change::Accept { message, once: asked, .. } = event(110, 501, once("k", 300)) else { unreachable!() };
        let delivery = Change::Accept { message, sent: Some(900), once: asked };
        assert_eq!(world.write(10, delivery).await, repeated);
        assert_eq!(world.load(10).await, before);
        assert_eq!(world.store.outbox().await.unwrap().len(), 1);
        assert_eq!(remembered(&world, "a", "k").await, Some((1, 500, 200)));

        // The key belongs to the id. An instance that is not there has none.
        world.write(20, start("b", None, 110, 503, once("k", 300))).await.unwrap();
        assert_eq!(world.write(30, event(110, 504, once("k", 300))).await, Err(StoreError::Missing));
    }
}

on_every_back_end! {
    async fn a_write_that_is_refused_is_not_remembered(world) {
        world.write(10, start("a", None, 100, 500, None)).await.unwrap();
        assert_eq!(world.write(10, event(110, 500, once("k", 300))).await, Err(StoreError::Conflict));
        assert_eq!(world.write(11, start("a", None, 110, 501, once("k", 300))).await, Err(StoreError::Exists));
        let delivery = match event(110, 501, once("k", 300)) {
            Change::Accept { message, once, .. } => Change::Accept { message, sent: Some(900), once },
            other => panic!("{other:?}"),
        };
        assert_eq!(world.write(10, delivery).await, Err(StoreError::Delivered));
        assert_eq!(remembered(&world, "a", "k").await, None);
    }
}

on_every_back_end! {
    async fn it_outlives_generations_instances_and_the_removal_of_all(world) {
        world.write(10, start("a", None, 100, 500, once("k", 900))).await.unwrap();
        let generation = NewGeneration { execution: "e2".to_owned(), module: "d".to_owned(), start: message(500, "{}") };
        world.turn(10, TurnRecord { consumed: vec![500], generation: Some(generation), ..turn(0) }).await.unwrap();
        let repeated = Err(StoreError::Repeated);
        assert_eq!(world.write(10, event(110, 501, once("k", 950))).await, repeated);

        world.turn(10, TurnRecord { status: RuntimeStatus::Completed, ..turn(1) }).await.unwrap();
        assert_eq!(world.write(11, start("a", Some(10), 120, 502, once("k", 950))).await, repeated);
        world.write(11, start("a", Some(10), 120, 502, once("another", 950))).await.unwrap();
        assert_eq!(world.write(11, event(130, 503, once("k", 950))).await, repeated);

        world.write(11, Change::Remove).await.unwrap();
        assert_eq!(remembered(&world, "a", "k").await, Some((1, 500, 900)));
        assert_eq!(world.write(12, start("a", None, 140, 504, once("k", 950))).await, repeated);
        assert_eq!(world.store.find("a").await, Ok(None));
        world.write(12, start("a", None, 140, 504, None)).await.unwrap();
    }
}

on_every_back_end! {
    async fn what_has_expired_is_forgotten_and_its_key_is_free(world) {
        world.write(10, start("a", None, 100, 500, once("k", 200))).await.unwrap();
        world.write(10, event(200, 501, once("k", 300))).await.unwrap();
        assert_eq!(remembered(&world, "a", "k").await, Some((1, 501, 300)));
        assert_eq!(world.write(10, event(299, 502, once("k", 400))).await, Err(StoreError::Repeated));
        world.write(10, event(300, 502, once("k", 400))).await.unwrap();
        assert_eq!(remembered(&world, "a", "k").await, Some((1, 502, 400)));
    }
}

on_every_back_end! {
    /// Nothing looks for them in the background.
    async fn those_that_have_expired_go_when_others_come(world) {
        world.write(10, start("a", None, 100, 500, None)).await.unwrap();
        for number in 0..20 {
            world.write(10, event(100, 600 + number, once(&format!("old {number}"), 200 + number as i64))).await.unwrap();
        }
        world.write(10, event(100, 700, once("lasts", 1_000))).await.unwrap();
        for number in 0..20 {
            world.write(10, event(500, 800 + number, once(&format!("new {number}"), 1_000))).await.unwrap();
        }
        for number in 0..20 {
            assert_eq!(remembered(&world, "a", &format!("old {number}")).await, None);
            assert!(remembered(&world, "a", &format!("new {number}")).await.is_some());
        }
        assert_eq!(remembered(&world, "a", "lasts").await, Some((5, 700, 1_000)));
    }
}

on_every_back_end! {
    async fn of_many_that_come_at_once_with_one_key_the_first_takes_effect(world) {
        world.write(10, start("a", None, 100, 500, None)).await.unwrap();
        let events: Vec<_> = (600..620)
            .map(|seq| world.queue(world.leases[0], 10, event(100 + seq as i64, seq, once("k", 10_000))))
            .collect();
        for (place, outcome) in events.into_iter().enumerate() {
            assert_eq!(outcome.await.unwrap(), if place == 0 { Ok(()) } else { Err(StoreError::Repeated) });
        }
        assert_eq!(world.unread(10).await, [500, 600]);
        assert_eq!(remembered(&world, "a", "k").await, Some((1, 600, 10_000)));

        // One instance comes and goes, and the next would be started by the same request.
        let writes = [
            (20, start("b", None, 100, 700, once("s", 900))),
            (20, Change::Turn(TurnRecord { consumed: vec![700], status: RuntimeStatus::Completed, ..turn(0) })),
            (21, start("b", Some(20), 110, 701, once("s", 900))),
            (20, event(110, 702, once("e", 900))),
        ];
        let outcomes: Vec<_> = writes.into_iter().map(|(key, change)| world.queue(world.leases[0], key, change)).collect();
        for (place, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(outcome.await.unwrap(), if place == 2 { Err(StoreError::Repeated) } else { Ok(()) });
        }
        assert_eq!(world.unread(20).await, [702]);
    }
}
