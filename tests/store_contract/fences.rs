//! One owner at a time may write to a partition.

use fermata::store::{Change, Lease, StoreError};

use crate::kit::{arrival, creation, on_every_back_end, turn};

on_every_back_end! {
    async fn acquiring_anew_fences_the_writes_of_before(world) {
        let key = world.create("a", None).await.unwrap();
        let old = world.lease("a");
        let new = world.store.acquire("tests").await.unwrap()[old.partition as usize];
        assert_eq!(new.partition, old.partition);
        assert!(new.epoch > old.epoch);
        let before = world.load(key).await;

        let fenced = Err(StoreError::Fenced(old.partition));
        let create = creation("b", None, 500);
        assert_eq!(world.queue(old, 400, create.clone()).await.unwrap(), fenced);
        assert_eq!(world.queue(old, key, arrival(501)).await.unwrap(), fenced);
        assert_eq!(world.queue(old, key, Change::Remove).await.unwrap(), fenced);
        assert_eq!(world.queue(old, key, Change::Discard { sent: 501 }).await.unwrap(), fenced);
        assert_eq!(world.queue(old, key, Change::Turn(turn(0))).await.unwrap(), fenced);
        assert_eq!(world.queue(old, key, Change::Park { reason: Some(String::new()) }).await.unwrap(), fenced);
        assert_eq!(world.load(key).await, before);
        assert_eq!(world.store.find("b").await, Ok(None));

        assert_eq!(world.queue(new, 400, create).await.unwrap(), Ok(()));
        assert_eq!(world.queue(new, key, Change::Turn(turn(0))).await.unwrap(), Ok(()));
    }
}

on_every_back_end! {
    async fn a_fenced_write_does_not_fail_its_neighbours(world) {
        let key = world.create("a", None).await.unwrap();
        let good = world.lease("a");
        let bad = Lease { epoch: good.epoch + 1, ..good };
        let outcomes: Vec<_> = (0..9)
            .map(|place| {
                let lease = if place == 4 { bad } else { good };
                world.queue(lease, key, arrival(1_000 + place))
            })
            .collect();
        for (place, outcome) in outcomes.into_iter().enumerate() {
            let expected = if place == 4 { Err(StoreError::Fenced(good.partition)) } else { Ok(()) };
            assert_eq!(outcome.await.unwrap(), expected);
        }
        assert_eq!(world.unread(key).await[1..], [1_000, 1_001, 1_002, 1_003, 1_005, 1_006, 1_007, 1_008]);
    }
}

on_every_back_end! {
    async fn only_free_partitions_are_acquired(world) {
        assert_eq!(world.store.acquire("somebody else").await, Ok(Vec::new()));
        world.store.release(&world.leases[3..5]).await.unwrap();
        let given = world.leases[3];
        let write = world.queue(given, 1, Change::Park { reason: None }).await.unwrap();
        assert_eq!(write, Err(StoreError::Fenced(given.partition)), "a lease given back is no lease");
        let taken = world.store.acquire("somebody else").await.unwrap();
        assert_eq!(taken.iter().map(|lease| lease.partition).collect::<Vec<_>>(), [3, 4]);
        assert!(taken[0].epoch > given.epoch);

        // Giving back an old lease takes nothing from the new owner.
        world.store.release(&[given]).await.unwrap();
        let write = world.queue(taken[0], 1, Change::Park { reason: None }).await.unwrap();
        assert_eq!(write, Err(StoreError::Missing));
    }
}

on_every_back_end! {
    async fn a_partition_that_is_not_there_is_fenced(world) {
        let lease = Lease { partition: 64, epoch: 1 };
        assert_eq!(world.queue(lease, 1, Change::Park { reason: None }).await.unwrap(), Err(StoreError::Fenced(64)));
    }
}
