//! Modules that go, and instances that are moved, at the moments that chance seldom finds.

use std::pin::Pin;

use fermata::dispatcher::{Fit, ModuleDeletion, Scope};
use fermata_replay::Timestamp;

use super::shaky::Held;
use super::*;

/// Nobody who waits for time to pass ever goes on.
struct NoTime;

impl Clock for NoTime {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000_000)
    }

    fn sleep_until(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }

    fn pause(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}

/// The digests of A, which is the newest, and of B.
async fn deploy_b_and_a(dispatcher: &Arc<Dispatcher>) -> (String, String) {
    let b = dispatcher.deploy(tests::guest_bytes("test-guest-b").into()).await.unwrap().digest;
    let a = dispatcher.deploy(tests::guest_bytes("test-guest-a").into()).await.unwrap().digest;
    (a, b)
}

/// Its first turn fails, so that its history is empty still, which fits every module; and it begins in another life.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_moved_before_it_runs_begins_with_the_new_code() {
    let store = Shaky::new(1);
    let first = open_with(&store, engine(), Residency::Never, 1, Arc::new(NoTime)).await;
    let (_, b) = deploy_b_and_a(&first).await;
    store.let_pass(Some(1));
    first.start("TwoNames", Some("i"), payload("null")).await.unwrap();
    store.fail_next();
    store.let_pass(None);
    eventually("its turn has failed", async || first.in_memory() == 0).await;
    let moved = first.migrate(Scope::Instance("i".into()), &b, false).await.unwrap();
    assert!(matches!(moved[0].fit, Fit::Fits), "{moved:?}");
    rests(&store, &first).await;
    first.close().await;

    let second = open(&store, engine(), Residency::Never, 1).await;
    second.raise("i", "first", payload(r#""one""#)).await.unwrap();
    second.raise("i", "second", payload(r#""two""#)).await.unwrap();
    rests(&store, &second).await;
    let view = look(&second, "i").await.unwrap();
    assert_eq!((view.status, view.parked, view.module), (RuntimeStatus::Completed, None, b));
    second.close().await;
}

/// It has looked which module is the newest, and waits for the store, when another one is deployed and that one deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_is_never_of_a_module_that_goes_meanwhile() {
    let store = Shaky::new(2);
    let dispatcher = open(&store, engine(), Residency::Never, 1).await;
    let (a, _) = deploy_b_and_a(&dispatcher).await;
    dispatcher.deploy(tests::guest_bytes("test-guest-b").into()).await.unwrap();
    store.hold(Some(Held::Find("i")));
    let started = tokio::spawn({
        let dispatcher = dispatcher.clone();
        async move { dispatcher.start("Versioned", Some("i"), payload("null")).await }
    });
    eventually("it looks whether the id is taken", async || store.waiting() == 1).await;
    let b = dispatcher.modules()[0].digest.clone();
    dispatcher.deploy(tests::guest_bytes("test-guest-a").into()).await.unwrap();
    assert_eq!(dispatcher.delete_module(&b).await, Ok(ModuleDeletion::Deleted));
    store.hold(None);
    started.await.unwrap().unwrap();
    rests(&store, &dispatcher).await;
    let view = look(&dispatcher, "i").await.unwrap();
    assert_eq!((view.status, view.parked, view.module), (RuntimeStatus::Running, None, a));
    dispatcher.close().await;
}
