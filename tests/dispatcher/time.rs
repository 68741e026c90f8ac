//! Deadlines, and a clock that is set back around them.

use fermata_replay::Span;

use super::clock::HandClock;
use super::shaky::Held;
use super::*;

const SECOND: Span = Span(1_000_000);

async fn status(dispatcher: &Dispatcher, id: &str) -> RuntimeStatus {
    see(dispatcher, id).await.unwrap().status
}

/// Waits until it is due in a second, then lets the second pass, and one more than is set back while somebody waits for the store.
async fn is_due_when_the_second_has_passed_again(store: &Shaky, dispatcher: &Dispatcher, clock: &HandClock) {
    eventually("somebody waits for the store", async || store.waiting() > 0).await;
    clock.set_back(SECOND);
    store.hold(None);
    rests(store, dispatcher).await;
    assert_eq!(status(dispatcher, "timer").await, RuntimeStatus::Running);
    dispatcher.skip(SECOND);
    eventually("the timer is due", async || status(dispatcher, "timer").await == RuntimeStatus::Completed).await;
}

/// Whoever is woken by the deadline has yet to look for the instance, or for its history, when the clock is set back.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_is_looked_into_too_early_comes_again() {
    for held in [Held::Find("timer"), Held::Loads] {
        let (store, clock) = (Shaky::new(1), Arc::new(HandClock::new()));
        let dispatcher = open_with(&store, engine(), Residency::Never, 1, clock.clone()).await;
        dispatcher.start("Timer", Some("timer"), payload("1000")).await.unwrap();
        rests(&store, &dispatcher).await;
        store.hold(Some(held));
        dispatcher.skip(SECOND);
        is_due_when_the_second_has_passed_again(&store, &dispatcher, &clock).await;
        dispatcher.close().await;
    }
}

/// The only worker waits for the store when the deadline of a resident guest passes, and is free when that lies ahead again.
#[tokio::test(flavor = "multi_thread")]
async fn a_resident_guest_that_is_run_too_early_runs_again() {
    let (store, clock) = (Shaky::new(2), Arc::new(HandClock::new()));
    let dispatcher = open_with(&store, engine(), Residency::UpTo(1), 1, clock.clone()).await;
    dispatcher.start("Collect", Some("other"), payload("2")).await.unwrap();
    rests(&store, &dispatcher).await;
    dispatcher.start("Timer", Some("timer"), payload("1000")).await.unwrap();
    rests(&store, &dispatcher).await;
    store.hold(Some(Held::Loads));
    dispatcher.raise("other", "item", payload("1")).await.unwrap();
    eventually("the worker waits for the store", async || store.waiting() > 0).await;
    dispatcher.skip(SECOND);
    // Until the instance is in the run queue.
    tokio::time::sleep(Duration::from_millis(50)).await;
    is_due_when_the_second_has_passed_again(&store, &dispatcher, &clock).await;
    dispatcher.close().await;
}
