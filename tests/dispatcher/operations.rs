//! What operators ask for, at the moments that chance seldom finds.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use fermata::dispatcher::{Output, PurgeError, Services};
use fermata::store::StoreError;
use fermata_replay::{Control, Span, Timestamp};
use tests::endpoint::{Answer, Endpoint};

use super::clock::HandClock;
use super::shaky::Held;
use super::*;

async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn has_ended(dispatcher: &Dispatcher, id: &str, status: RuntimeStatus) {
    eventually("it ends", async || see(dispatcher, id).await.unwrap().status.is_final()).await;
    assert_eq!(see(dispatcher, id).await.unwrap().status, status);
}

/// The numbers that an orchestrator returned.
async fn returned(dispatcher: &Dispatcher, id: &str) -> Vec<u64> {
    has_ended(dispatcher, id, RuntimeStatus::Completed).await;
    match see(dispatcher, id).await.unwrap().output {
        Some(Output::Result(output)) => serde_json::from_str(output.as_str()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// A dispatcher for which the endpoint does the activity `Nap`.
async fn open_napping(store: &Arc<Shaky>, endpoint: &Endpoint) -> Arc<Dispatcher> {
    let mut services = Services::default();
    services.serve(&format!("Nap={}", endpoint.url("/"))).unwrap();
    let options = Options { residency: Residency::Always, workers: 2, services, ..Options::default() };
    open_as(store, engine(), Arc::new(SystemClock), &options).await
}

fn nap() -> Endpoint {
    Endpoint::start(|_| Answer::new(200, "null").after(Duration::from_millis(300)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_fails_leaves_an_instance_that_goes_on() {
    let (store, endpoint) = (Shaky::new(1), nap());
    let dispatcher = open_napping(&store, &endpoint).await;
    dispatcher.start("Naps", Some("i"), payload("[1,false]")).await.unwrap();
    eventually("it naps", async || endpoint.requests().len() == 1).await;
    store.fail_next();
    assert_eq!(dispatcher.purge("i", true).await, Err(PurgeError::Store(StoreError::Full)));
    has_ended(&dispatcher, "i", RuntimeStatus::Completed).await;
    dispatcher.close().await;
}

/// Time passes as soon as somebody waits for that; it counts how often somebody did.
#[derive(Default)]
struct Hasty(AtomicUsize);

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        SystemClock.sleep_until(at)
    }

    fn pause(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(tokio::task::yield_now())
    }
}

/// The event that ends it can not be written, so that it goes on; and it is purged when that is not known yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_waits_until_it_is_durable_that_an_instance_has_ended() {
    for residency in [Residency::Never, Residency::Always] {
        let (store, clock) = (Shaky::new(6), Arc::new(Hasty::default()));
        let dispatcher = open_with(&store, engine(), residency, 1, clock.clone()).await;
        dispatcher.start("W", Some("i"), payload("null")).await.unwrap();
        rests(&store, &dispatcher).await;
        store.let_pass(Some(0));
        store.fail_next();
        let before = store.submitted();
        let raised = tokio::spawn({
            let dispatcher = dispatcher.clone();
            async move { dispatcher.raise("i", "go", payload("1")).await }
        });
        eventually("its last turn is submitted", async || store.submitted() == before + 2).await;
        let purged = tokio::spawn({
            let dispatcher = dispatcher.clone();
            async move { dispatcher.purge("i", false).await }
        });
        let pauses = clock.0.load(Ordering::Relaxed);
        let has_looked = async || store.submitted() > before + 2 || clock.0.load(Ordering::Relaxed) > pauses + 10;
        eventually("the purge has looked at it", has_looked).await;
        store.let_pass(None);
        raised.await.unwrap().unwrap_err();
        let purged = purged.await.unwrap();
        assert!(matches!(purged, Err(PurgeError::NotEnded { .. })), "{purged:?}");
        assert_eq!(look(&dispatcher, "i").await.unwrap().status, RuntimeStatus::Running);
        dispatcher.close().await;
    }
}

/// An outcome is unread when its owner goes. The next owner reads it, and calls the next activity, which has the place of the first.
#[tokio::test(flavor = "multi_thread")]
async fn an_activity_that_is_found_after_a_restart_takes_no_other_ones_place() {
    let (store, endpoint) = (Shaky::new(2), nap());
    let first = open_napping(&store, &endpoint).await;
    first.start("Naps", Some("naps"), payload("[2,true]")).await.unwrap();
    first.start("W", Some("other"), payload("0")).await.unwrap();
    first.suspend("other", Control::default()).await.unwrap();
    rests(&store, &first).await;
    first.raise("other", "go", payload("0")).await.unwrap();

    // The event, its turn, the outcome.
    store.let_pass(Some(3));
    first.raise("naps", "go", payload("null")).await.unwrap();
    eventually("the outcome is there", async || store.unread().await.unwrap().len() == 2).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    store.take_away().await;
    store.let_pass(None);
    first.close().await;

    store.hold(Some(Held::Find("other")));
    let second = tokio::spawn({
        let store = store.clone();
        async move { open_napping(&store, &endpoint).await }
    });
    eventually("it goes on", async || store.find("naps").await.unwrap().unwrap().version > 3).await;
    pause().await;
    store.hold(None);
    let second = second.await.unwrap();
    has_ended(&second, "naps", RuntimeStatus::Completed).await;
    second.close().await;
}

/// It is asked for while the module is looked for that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_terminated_while_it_is_parked() {
    let store = Shaky::new(3);
    let first = open(&store, engine(), Residency::Never, 1).await;
    first.start("Collect", Some("i"), payload("1")).await.unwrap();
    rests(&store, &first).await;
    first.close().await;

    // An engine that has not seen the module.
    let options = Options { residency: Residency::Never, workers: 1, ..Options::default() };
    store.lose_modules();
    store.hold(Some(Held::Modules));
    let second = Dispatcher::open(store.clone(), engine_for(8), Arc::new(SystemClock), &options).await.unwrap();
    second.raise("i", "item", payload("1")).await.unwrap();
    let terminated = tokio::spawn({
        let second = second.clone();
        async move { second.terminate("i", Control::default()).await }
    });
    eventually("both are unread", async || {
        let key = store.find("i").await.unwrap().unwrap().key;
        store.load(key).await.unwrap().unwrap().unread.len() == 2
    })
    .await;
    store.hold(None);
    terminated.await.unwrap().unwrap();
    has_ended(&second, "i", RuntimeStatus::Terminated).await;
    assert_eq!(see(&second, "i").await.unwrap().parked, None);
    rests(&store, &second).await;
    second.close().await;
}

/// An event comes while an instance is loaded that is suspended still, and finds what resumes it.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_resumed_reads_what_comes_meanwhile() {
    for residency in [Residency::Never, Residency::Always] {
        let store = Shaky::new(4);
        let first = open(&store, engine(), residency, 2).await;
        first.start("Collect", Some("i"), payload("4")).await.unwrap();
        first.suspend("i", Control::default()).await.unwrap();
        rests(&store, &first).await;
        first.raise("i", "item", payload("0")).await.unwrap();
        store.let_pass(Some(1));
        first.resume("i", Control::default()).await.unwrap();
        store.take_away().await;
        store.let_pass(None);
        first.close().await;

        store.hold(Some(Held::Loads));
        let second = open(&store, engine(), residency, 2).await;
        pause().await;
        second.raise("i", "item", payload("1")).await.unwrap();
        store.hold(None);
        pause().await;
        second.raise("i", "item", payload("2")).await.unwrap();
        second.raise("i", "item", payload("3")).await.unwrap();
        assert_eq!(returned(&second, "i").await, [0, 1, 2, 3]);
        rests(&store, &second).await;
        second.close().await;
    }
}

/// An event is on its way to the store, and the instance is resumed, when it has been read there without either.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_resumed_while_it_is_loaded_is_loaded_again() {
    for residency in [Residency::Never, Residency::Always] {
        let store = Shaky::new(8);
        let first = open(&store, engine(), residency, 1).await;
        first.start("Collect", Some("i"), payload("3")).await.unwrap();
        first.suspend("i", Control::default()).await.unwrap();
        rests(&store, &first).await;
        first.raise("i", "item", payload("0")).await.unwrap();
        first.close().await;

        store.hold(Some(Held::Loads));
        let second = open_with(&store, engine(), residency, 1, Arc::new(Hasty::default())).await;
        eventually("it is loaded", async || store.is_waited_for(&Held::Loads)).await;
        store.let_pass(Some(0));
        let before = store.submitted();
        let raise = |number: u32| {
            let dispatcher = second.clone();
            tokio::spawn(async move { dispatcher.raise("i", "item", payload(&number.to_string())).await })
        };
        let one = raise(1);
        eventually("the event is on its way", async || store.submitted() == before + 1).await;
        let resumed = tokio::spawn({
            let dispatcher = second.clone();
            async move { dispatcher.resume("i", Control::default()).await }
        });
        eventually("it is resumed", async || store.submitted() == before + 2).await;
        let two = raise(2);
        eventually("the next event is on its way", async || store.submitted() == before + 3).await;
        store.hold(None);
        eventually("it has been read", async || store.waiting() == 0).await;
        store.let_pass(None);
        resumed.await.unwrap().unwrap();
        assert!(one.await.unwrap().unwrap() < two.await.unwrap().unwrap(), "their order");
        assert_eq!(returned(&second, "i").await, [0, 1, 2]);
        second.close().await;
    }
}

/// It is asked for while a turn is under way that suspends the instance.
#[tokio::test(flavor = "multi_thread")]
async fn what_resumes_an_instance_while_it_is_being_suspended_is_read() {
    let store = Shaky::new(7);
    let first = open(&store, engine(), Residency::Never, 1).await;
    first.start("Collect", Some("i"), payload("3")).await.unwrap();
    rests(&store, &first).await;
    first.close().await;

    // An engine that has not seen the module, so that the turn waits for that when it has its messages.
    let options = Options { residency: Residency::Never, workers: 1, ..Options::default() };
    let second = Dispatcher::open(store.clone(), engine_for(8), Arc::new(Hasty::default()), &options).await.unwrap();
    store.hold(Some(Held::Loads));
    second.raise("i", "item", payload("1")).await.unwrap();
    second.suspend("i", Control::default()).await.unwrap();
    store.hold(Some(Held::Modules));
    eventually("the turn waits for the module", async || store.is_waited_for(&Held::Modules)).await;
    second.resume("i", Control::default()).await.unwrap();
    store.hold(None);
    second.raise("i", "item", payload("2")).await.unwrap();
    second.raise("i", "item", payload("3")).await.unwrap();
    assert_eq!(returned(&second, "i").await, [1, 2, 3]);
    second.close().await;
}

/// A deadline ends a generation right after the instance is resumed, before events that came while it was suspended; and the first turn of
/// the next generation fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_is_loaded_begins_with_its_start() {
    for residency in [Residency::Never, Residency::Always] {
        let (store, clock) = (Shaky::new(5), Arc::new(HandClock::new()));
        let dispatcher = open_with(&store, engine(), residency, 2, clock.clone()).await;
        dispatcher.start("Rounds", Some("i"), payload("[1,1000,2]")).await.unwrap();
        dispatcher.suspend("i", Control::default()).await.unwrap();
        rests(&store, &dispatcher).await;
        dispatcher.skip(Span(2_000_000));
        dispatcher.raise("i", "item", payload("1")).await.unwrap();
        dispatcher.raise("i", "item", payload("2")).await.unwrap();

        // What resumes it, and the turn that ends the generation.
        store.let_pass(Some(2));
        dispatcher.resume("i", Control::default()).await.unwrap();
        eventually("the next generation is there", async || {
            let found = store.find("i").await.unwrap().unwrap();
            store.load(found.key).await.unwrap().unwrap().history.is_empty()
        })
        .await;
        let view = dispatcher.view("i", false).await.unwrap().unwrap();
        assert_eq!((view.generation, view.input), (1, Some(payload("[0,1000,2]"))));
        store.fail_next();
        store.let_pass(None);
        assert_eq!(returned(&dispatcher, "i").await, [1, 2]);
        dispatcher.close().await;
    }
}
