//! A message for another instance is made durable with the turn that sends it, and reaches its receiver exactly once.

use fermata::store::{Change, InstanceKey, Sent, StoreError, TurnRecord};
use fermata_replay::RuntimeStatus;

use crate::kit::{World, arrival, creation, instance, message, on_every_back_end, outgoing, turn};

async fn send(world: &World, from: InstanceKey, seqs: &[u64]) -> Result<(), StoreError> {
    let version = world.load(from).await.instance.version;
    let outgoing = seqs.iter().map(|seq| outgoing(*seq, "b")).collect();
    world.turn(from, TurnRecord { outgoing, steps: Some("[1]".to_owned()), ..turn(version) }).await
}

async fn outbox(world: &World) -> Vec<u64> {
    world.store.outbox().await.unwrap().iter().map(|sent| sent.seq).collect()
}

fn delivery(seq: u64, sent: u64) -> Change {
    Change::Accept { message: message(seq, "{}"), sent: Some(sent), once: None }
}

fn start(id: &str, replaces: Option<InstanceKey>, seq: u64, sent: u64) -> Change {
    Change::Create { instance: instance(id), replaces, message: message(seq, "{}"), sent: Some(sent), once: None }
}

on_every_back_end! {
    async fn what_was_sent_is_kept_in_order_until_it_is_delivered(world) {
        let a = world.create("a", None).await.unwrap();
        let b = world.create("b", None).await.unwrap();
        send(&world, a, &[902, 900]).await.unwrap();
        send(&world, a, &[901]).await.unwrap();
        assert_eq!(outbox(&world).await, [900, 901, 902]);
        let (from_id, to, body) = ("a".to_owned(), "b".to_owned(), "[901]".to_owned());
        let expected = Sent { seq: 901, from: a, from_id, to, body };
        assert_eq!(world.store.outbox().await.unwrap()[1], expected);

        let start = world.unread(b).await[0];
        world.write(b, delivery(1_000, 901)).await.unwrap();
        assert_eq!(outbox(&world).await, [900, 902]);
        assert_eq!(world.unread(b).await, [start, 1_000]);
        // To itself, and under the number it was sent with.
        world.write(a, delivery(900, 900)).await.unwrap();
        assert_eq!(outbox(&world).await, [902]);
    }
}

on_every_back_end! {
    async fn a_second_delivery_changes_nothing(world) {
        let a = world.create("a", None).await.unwrap();
        let b = world.create("b", None).await.unwrap();
        send(&world, a, &[900]).await.unwrap();
        world.write(b, delivery(1_000, 900)).await.unwrap();
        let before = world.load(b).await;
        assert_eq!(world.write(b, delivery(1_001, 900)).await, Err(StoreError::Delivered));
        assert_eq!(world.write(a, delivery(1_001, 900)).await, Err(StoreError::Delivered));
        assert_eq!(world.write(0, Change::Discard { sent: 900 }).await, Err(StoreError::Delivered));
        for (id, replaces) in [("c", None), ("b", Some(b))] {
            assert_eq!(world.write(1_002, start(id, replaces, 1_001, 900)).await, Err(StoreError::Delivered));
        }
        assert_eq!(world.load(b).await, before);
        assert_eq!(world.store.find("c").await, Ok(None));
    }
}

on_every_back_end! {
    async fn a_start_can_be_sent(world) {
        let a = world.create("a", None).await.unwrap();
        let old = world.create("c", None).await.unwrap();
        send(&world, a, &[900, 901]).await.unwrap();
        world.write(1_000, start("b", None, 1_001, 900)).await.unwrap();
        world.write(1_002, start("c", Some(old), 1_003, 901)).await.unwrap();
        assert!(outbox(&world).await.is_empty());
        assert_eq!((world.unread(1_000).await, world.unread(1_002).await), (vec![1_001], vec![1_003]));
    }
}

on_every_back_end! {
    async fn a_refused_delivery_leaves_the_entry(world) {
        let a = world.create("a", None).await.unwrap();
        let b = world.create("b", None).await.unwrap();
        send(&world, a, &[900]).await.unwrap();
        world.write(b, arrival(1_000)).await.unwrap();
        // What else is wrong is said first, also where the entry is gone.
        for sent in [900, 950] {
            assert_eq!(world.write(77, delivery(1_001, sent)).await, Err(StoreError::Missing));
            assert_eq!(world.write(b, delivery(1_000, sent)).await, Err(StoreError::Conflict));
            assert_eq!(world.write(1_002, start("b", None, 1_003, sent)).await, Err(StoreError::Exists));
            assert_eq!(world.write(1_002, start("c", None, 1_000, sent)).await, Err(StoreError::Conflict));
        }
        let lease = fermata::store::Lease { epoch: 0, ..world.leases[7] };
        let fenced = world.queue(lease, b, delivery(1_001, 950)).await.unwrap();
        assert_eq!(fenced, Err(StoreError::Fenced(7)));
        assert_eq!(outbox(&world).await, [900]);
    }
}

on_every_back_end! {
    async fn nobody_can_receive_what_is_discarded(world) {
        let a = world.create("a", None).await.unwrap();
        send(&world, a, &[900, 901]).await.unwrap();
        world.write(12_345, Change::Discard { sent: 900 }).await.unwrap();
        assert_eq!(outbox(&world).await, [901]);
        assert_eq!(world.write(a, Change::Discard { sent: 900 }).await, Err(StoreError::Delivered));
        assert_eq!(world.write(a, delivery(1_000, 900)).await, Err(StoreError::Delivered));
    }
}

on_every_back_end! {
    async fn a_sequence_is_sent_once(world) {
        let a = world.create("a", None).await.unwrap();
        send(&world, a, &[900]).await.unwrap();
        let before = world.load(a).await;
        for seqs in [&[900][..], &[901, 900], &[901, 901]] {
            assert_eq!(send(&world, a, seqs).await, Err(StoreError::Conflict));
            assert_eq!((world.load(a).await, outbox(&world).await), (before.clone(), vec![900]));
        }
    }
}

on_every_back_end! {
    async fn what_was_sent_outlives_its_sender(world) {
        let old = world.create("a", None).await.unwrap();
        let b = world.create("b", None).await.unwrap();
        let last = TurnRecord { outgoing: vec![outgoing(900, "b")], status: RuntimeStatus::Completed, ..turn(0) };
        world.turn(old, last).await.unwrap();
        let new = world.create("a", Some(old)).await.unwrap();
        send(&world, new, &[901]).await.unwrap();
        world.write(new, Change::Remove).await.unwrap();
        let sent = world.store.outbox().await.unwrap();
        assert_eq!(sent.iter().map(|sent| (sent.seq, sent.from)).collect::<Vec<_>>(), [(900, old), (901, new)]);
        assert!(sent.iter().all(|sent| sent.from_id == "a"));
        world.write(b, delivery(1_000, 900)).await.unwrap();
        world.write(b, delivery(1_001, 901)).await.unwrap();
        assert!(outbox(&world).await.is_empty());
    }
}

on_every_back_end! {
    /// Queued at once, so that a back end that gathers writes sees the entries come and go.
    async fn a_message_may_be_delivered_as_soon_as_it_is_sent(world) {
        let sending = |version, seqs: &[u64]| {
            let outgoing = seqs.iter().map(|seq| outgoing(*seq, "b")).collect();
            Change::Turn(TurnRecord { outgoing, ..turn(version) })
        };
        let writes = [
            (1, creation("a", None, 100), Ok(())),
            (2, creation("b", None, 101), Ok(())),
            (1, sending(0, &[900, 901, 902]), Ok(())),
            (2, delivery(200, 900), Ok(())),
            (2, delivery(201, 900), Err(StoreError::Delivered)),
            (2, delivery(200, 901), Err(StoreError::Conflict)),
            (1, sending(1, &[901]), Err(StoreError::Conflict)),
            // A number that is free again.
            (1, sending(1, &[900]), Ok(())),
            (1, Change::Discard { sent: 902 }, Ok(())),
            (1, Change::Discard { sent: 902 }, Err(StoreError::Delivered)),
            (1, Change::Remove, Ok(())),
            (2, delivery(202, 901), Ok(())),
        ];
        let mut outcomes = Vec::new();
        for (key, change, expected) in writes {
            outcomes.push((world.queue(world.leases[0], key, change), expected));
        }
        for (place, (outcome, expected)) in outcomes.into_iter().enumerate() {
            assert_eq!(outcome.await.unwrap(), expected, "write {place}");
        }
        assert_eq!(outbox(&world).await, [900]);
        assert_eq!(world.unread(2).await, [101, 200, 202]);
    }
}

#[tokio::test]
async fn what_was_sent_survives_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let a = world.create("a", None).await.unwrap();
    send(&world, a, &[900, 901]).await.unwrap();
    world.write(a, delivery(1_000, 900)).await.unwrap();
    let before = world.store.outbox().await.unwrap();
    drop(world);
    let world = World::open(dir.path()).await;
    assert_eq!(world.store.outbox().await.unwrap(), before);
    assert_eq!(world.write(a, delivery(1_001, 900)).await, Err(StoreError::Delivered));
    assert_eq!(world.write(a, delivery(1_001, 901)).await, Ok(()));
}
