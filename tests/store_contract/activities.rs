//! An activity is open from the turn that starts it to the turn that settles it.

use fermata::store::{Activity, Change, NewActivity, TurnRecord};
use fermata_replay::RuntimeStatus;

use crate::kit::{World, activity, on_every_back_end, turn};

async fn open(world: &World) -> Vec<(u64, u32)> {
    let open = world.store.open_activities().await.unwrap();
    open.into_iter().map(|activity| (activity.key, activity.task)).collect()
}

on_every_back_end! {
    async fn an_open_activity_has_all_to_run_it_again(world) {
        let key = world.create("a", None).await.unwrap();
        world.turn(key, TurnRecord { activities: vec![activity(7)], ..turn(0) }).await.unwrap();
        let expected = Activity {
            key,
            instance_id: "a".to_owned(),
            execution: "execution of a".to_owned(),
            module: "d1".to_owned(),
            task: 7,
            name: "Activity 7".to_owned(),
            input: "[7]".to_owned(),
            attempt: 1,
            timeout: None,
        };
        assert_eq!(world.store.open_activities().await.unwrap(), [expected]);
    }
}

on_every_back_end! {
    async fn activities_settle_by_task(world) {
        let a = world.create("a", None).await.unwrap();
        let b = world.create("b", None).await.unwrap();
        for key in [b, a] {
            let record = TurnRecord { activities: vec![activity(2), activity(1), activity(3)], ..turn(0) };
            world.turn(key, record).await.unwrap();
        }
        world.turn(a, TurnRecord { settled: vec![1, 9], ..turn(1) }).await.unwrap();
        assert_eq!(open(&world).await, [(a, 2), (a, 3), (b, 1), (b, 2), (b, 3)]);
        // What starts and is given up in the same turn is not open.
        let record = TurnRecord { activities: vec![activity(4), activity(5)], settled: vec![5, 2], ..turn(2) };
        world.turn(a, record).await.unwrap();
        assert_eq!(open(&world).await, [(a, 3), (a, 4), (b, 1), (b, 2), (b, 3)]);
    }
}

on_every_back_end! {
    async fn a_final_status_settles_all(world) {
        for status in RuntimeStatus::ALL {
            let id = status.name();
            let key = world.create(id, None).await.unwrap();
            world.turn(key, TurnRecord { activities: vec![activity(1), activity(2)], ..turn(0) }).await.unwrap();
            world.turn(key, TurnRecord { activities: vec![activity(3)], status, ..turn(1) }).await.unwrap();
            let left: Vec<u32> = open(&world).await.iter().filter(|(owner, _)| *owner == key).map(|(_, task)| *task).collect();
            assert_eq!(left, if status.is_final() { vec![] } else { vec![1, 2, 3] }, "{id}");
        }
    }
}

on_every_back_end! {
    /// Together and one by one, for a back end may hold back what the next write changes again.
    async fn the_next_attempt_takes_the_place_of_the_one_before(world) {
        let key = world.create("a", None).await.unwrap();
        let attempt = |attempt, timeout| NewActivity { attempt, timeout, ..activity(1) };
        let turns = [(1, None), (2, Some(7)), (3, Some(u64::MAX)), (4, None)];
        let mut outcomes = Vec::new();
        for (version, (number, timeout)) in (0..).zip(turns) {
            let record = TurnRecord { activities: vec![attempt(number, timeout), activity(2)], ..turn(version) };
            outcomes.push(world.queue(world.leases[0], key, Change::Turn(record)));
        }
        for outcome in outcomes {
            outcome.await.unwrap().unwrap();
        }
        for (version, (number, timeout)) in (4..).zip(turns) {
            let record = TurnRecord { activities: vec![attempt(number, timeout)], ..turn(version) };
            world.turn(key, record).await.unwrap();
            let open = world.store.open_activities().await.unwrap();
            let attempts: Vec<_> = open.iter().map(|open| (open.task, open.attempt, open.timeout)).collect();
            assert_eq!(attempts, [(1, number, timeout), (2, 1, None)]);
        }
    }
}
