//! Interleavings that chance seldom finds.

use fermata::dispatcher::{Output, RaiseError, Retention, StartError};
use fermata::store::{Change, Filter, StoreError, Write, partition_of};
use fermata_replay::Control;

use super::shaky::Held;
use super::*;

/// The write of one event fails while that of the next is under way. The next was acknowledged, so whoever comes after it must not pass it.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_acknowledged_after_one_that_failed_keeps_its_place() {
    for residency in [Residency::Never, Residency::Always] {
        let store = Shaky::new(1);
        let dispatcher = open(&store, engine(), residency, 2).await;
        dispatcher.start("Collect", Some("i"), payload("3")).await.unwrap();
        rests(&store, &dispatcher).await;

        store.let_pass(Some(0));
        store.fail_next();
        let raise = |number: u32| {
            let dispatcher = dispatcher.clone();
            tokio::spawn(async move { dispatcher.raise("i", "item", payload(&number.to_string())).await })
        };
        let pause = || tokio::time::sleep(Duration::from_millis(50));
        let (first, second) = (raise(1), {
            pause().await;
            raise(2)
        });
        pause().await;
        store.let_pass(Some(1));
        assert_eq!(first.await.unwrap(), Err(RaiseError::Store(StoreError::Full)));
        let third = raise(3);
        pause().await;
        store.let_pass(None);
        assert!(second.await.unwrap().unwrap() < third.await.unwrap().unwrap(), "their order");
        dispatcher.raise("i", "item", payload("4")).await.unwrap();

        rests(&store, &dispatcher).await;
        let view = look(&dispatcher, "i").await.unwrap();
        assert_eq!((events(&view), view.status), (vec![2, 3, 4], RuntimeStatus::Completed));
        dispatcher.close().await;
    }
}

/// An instance for which the engine has no room now is not an instance that has failed; and what it is sent meanwhile waits.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_waits_for_room() {
    let store = Shaky::new(2);
    let dispatcher = open(&store, engine_for(1), Residency::Always, 2).await;
    dispatcher.start("Collect", Some("first"), payload("1")).await.unwrap();
    eventually("the first is resident", async || dispatcher.resident() == 1).await;
    dispatcher.start("Collect", Some("second"), payload("5")).await.unwrap();
    for number in 0..5 {
        dispatcher.raise("second", "item", payload(&number.to_string())).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_ne!(look(&dispatcher, "second").await.unwrap().status, RuntimeStatus::Failed);
    dispatcher.raise("first", "item", payload("0")).await.unwrap();

    rests(&store, &dispatcher).await;
    for (id, expected) in [("first", vec![0]), ("second", vec![0, 1, 2, 3, 4])] {
        let view = look(&dispatcher, id).await.unwrap();
        assert_eq!((events(&view), view.status), (expected, RuntimeStatus::Completed));
    }
    dispatcher.close().await;
}

/// Leaves an instance as a module that does not fit its history would. Nobody may own the store meanwhile.
async fn park(store: &Shaky, id: &str) {
    let leases = store.acquire("somebody").await.unwrap();
    let key = store.find(id).await.unwrap().unwrap().key;
    let (answer, parked) = tokio::sync::oneshot::channel();
    let lease = leases[partition_of(id) as usize];
    let write = Write { lease, key, change: Change::Park { reason: Some("for a test".into()) } };
    store.submit(write, Box::new(|outcome| drop(answer.send(outcome))));
    parked.await.unwrap().unwrap();
    store.release(&leases).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_instance_reads_what_came_when_it_is_unparked_and_can_be_terminated() {
    for residency in [Residency::Never, Residency::Always] {
        let store = Shaky::new(6);
        let dispatcher = open(&store, engine(), residency, 2).await;
        for id in ["unparked", "terminated"] {
            dispatcher.start("Collect", Some(id), payload("3")).await.unwrap();
            dispatcher.raise(id, "item", payload("1")).await.unwrap();
        }
        rests(&store, &dispatcher).await;
        dispatcher.close().await;
        for id in ["unparked", "terminated"] {
            park(&store, id).await;
        }

        let dispatcher = open(&store, engine(), residency, 2).await;
        for id in ["unparked", "terminated"] {
            dispatcher.raise(id, "item", payload("2")).await.unwrap();
            assert_eq!(events(&look(&dispatcher, id).await.unwrap()), [1], "it reads nothing");
        }
        dispatcher.unpark("unparked").await.unwrap();
        assert!(dispatcher.unpark("unparked").await.is_err());
        dispatcher.raise("unparked", "item", payload("3")).await.unwrap();
        dispatcher.terminate("terminated", Control::default()).await.unwrap();
        rests(&store, &dispatcher).await;
        let unparked = look(&dispatcher, "unparked").await.unwrap();
        assert_eq!(
            (events(&unparked), unparked.status, unparked.parked),
            (vec![1, 2, 3], RuntimeStatus::Completed, None)
        );
        // The termination went before what was unread.
        let terminated = see(&dispatcher, "terminated").await.unwrap();
        assert_eq!((terminated.status, terminated.parked), (RuntimeStatus::Terminated, None));
        assert_eq!(terminated.history.unwrap().buffered.len(), 1, "what nobody took is there to be seen");
        dispatcher.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_has_ended_the_oldest_goes_when_there_is_too_much() {
    let store = Shaky::new(7);
    let retention = Retention { count: Some(3), age: None };
    let options = Options { workers: 1, retention, ..Options::default() };
    let dispatcher = open_as(&store, engine(), Arc::new(SystemClock), &options).await;
    for number in 0..10 {
        dispatcher.start("Echo", Some(&format!("i{number}")), payload("1")).await.unwrap();
        rests(&store, &dispatcher).await;
    }
    dispatcher.start("W", Some("goes on"), payload("1")).await.unwrap();
    eventually("three are left", async || dispatcher.sweep().await.is_ok() && store.count_ended().await.unwrap() == 3)
        .await;
    let page = dispatcher.list(Filter::default()).await.unwrap();
    let left: Vec<&str> = page.instances.iter().map(|instance| &*instance.id).collect();
    assert_eq!(left, ["i7", "i8", "i9", "goes on"]);
    dispatcher.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_instance_costs_no_memory_after_a_restart() {
    let store = Shaky::new(3);
    let dispatcher = open(&store, engine(), Residency::Never, 1).await;
    dispatcher.start("Collect", Some("i"), payload("1")).await.unwrap();
    rests(&store, &dispatcher).await;
    dispatcher.close().await;

    park(&store, "i").await;
    for _ in 0..2 {
        let dispatcher = open(&store, engine(), Residency::Never, 1).await;
        dispatcher.raise("i", "item", payload("1")).await.unwrap();
        assert!(matches!(dispatcher.start("W", Some("i"), payload("1")).await, Err(StartError::Exists(_))));
        eventually("it is forgotten", async || dispatcher.in_memory() == 0).await;
        assert!(look(&dispatcher, "i").await.unwrap().parked.is_some());
        dispatcher.close().await;
    }
    assert_eq!(store.unread().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_store_leaves_nobody_waiting() {
    let store = Shaky::new(4);
    let dispatcher = open(&store, engine(), Residency::Always, 2).await;
    dispatcher.start("Collect", Some("i"), payload("1")).await.unwrap();
    rests(&store, &dispatcher).await;
    store.lose();
    for _ in 0..3 {
        let lost = dispatcher.raise("i", "item", payload("1")).await;
        assert!(matches!(lost, Err(RaiseError::Store(StoreError::Poisoned(_)))), "{lost:?}");
        let lost = dispatcher.start("W", None, payload("1")).await;
        assert!(matches!(lost, Err(StartError::Store(StoreError::Poisoned(_)))), "{lost:?}");
    }
    eventually("nothing is in memory", async || dispatcher.in_memory() == 0).await;
    dispatcher.close().await;
}

/// What is in its way has failed, and is to be rewound: its slot stays as long as nobody can read what it goes on from.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_at_a_lost_store_does_not_wait_for_what_can_not_leave() {
    let store = Shaky::new(9);
    let first = open(&store, engine(), Residency::Never, 1).await;
    first.start("W", Some("other"), payload("null")).await.unwrap();
    first.suspend("other", Control::default()).await.unwrap();
    first.raise("other", "go", payload("1")).await.unwrap();
    first.start("Fails", Some("i"), payload("null")).await.unwrap();
    first.raise("i", "go", payload("null")).await.unwrap();
    let failed = async || look(&first, "i").await.unwrap().status == RuntimeStatus::Failed;
    eventually("it fails", failed).await;
    eventually("it is in nobody's memory", async || first.in_memory() == 0).await;
    // What rewinds it is written, and nothing that comes of that.
    store.let_pass(Some(1));
    first.rewind("i", Control::default()).await.unwrap();
    store.take_away().await;
    store.let_pass(None);
    first.close().await;

    // The only worker reads the other one when the store is lost.
    store.hold(Some(Held::Loads));
    let second = open(&store, engine(), Residency::Never, 1).await;
    eventually("somebody reads", async || store.waiting() == 1).await;
    store.lose();
    second.start("W", None, payload("null")).await.unwrap_err();
    store.hold(None);
    let start = second.start("W", Some("i"), payload("null"));
    let lost = tokio::time::timeout(PATIENCE / 6, start).await.expect("it is answered");
    assert!(matches!(lost, Err(StartError::Store(StoreError::Poisoned(_)))), "{lost:?}");
    second.close().await;
}

/// Time does not mend that: it is tried once, whatever the policy says, and the orchestrator is told.
#[tokio::test(flavor = "multi_thread")]
async fn an_activity_whose_module_is_gone_fails_for_good() {
    let store = Shaky::new(8);
    let first = open(&store, engine(), Residency::Never, 1).await;
    first.deploy(tests::guest_bytes("new-building-permit").into()).await.unwrap();
    first.close().await;

    // An engine that has seen module A alone.
    store.lose_modules();
    let second = open(&store, engine_for(64), Residency::Never, 1).await;
    let input = r#"{"activity":"IssueBuildingPermit","input":"app-1","attempts":5,"interval":1}"#;
    second.start("CallWithin", Some("i"), payload(input)).await.unwrap();
    rests(&store, &second).await;
    let view = look(&second, "i").await.unwrap();
    let Some(Output::Result(output)) = &view.output else { panic!("{view:?}") };
    assert!(output.as_str().contains(r#""kind":"not-found""#), "{output:?}");
    let steps = &view.history.as_ref().unwrap().steps;
    let attempts = steps.iter().filter(|step| matches!(step.message, MessageBody::ActivityEnded(_))).count();
    assert_eq!(attempts, 1, "{steps:?}");
    second.close().await;
}

/// An owner that has been left out cannot be let in half.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_owned_is_not_opened() {
    let store = Shaky::new(5);
    let dispatcher = open(&store, engine(), Residency::Never, 1).await;
    let options = Options { workers: 1, ..Options::default() };
    let second = Dispatcher::open(store.clone(), engine(), Arc::new(SystemClock), &options).await;
    assert_eq!(second.err(), Some(StoreError::Fenced(0)));
    dispatcher.close().await;
}
