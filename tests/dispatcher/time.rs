//! Deadlines, and a clock that is set back around them.

use fermata::limits::{HostLimits, Limit, Rate};
use fermata_replay::{ExecutionLimits, Span, TURN_BYTES};

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

/// An orchestrator whose timers are due at once, again and again, until its history has so many events.
async fn wakes_itself(store: &Arc<Shaky>, events: u64, options: Options) -> Arc<Dispatcher> {
    let execution = ExecutionLimits { history_events: events, ..ExecutionLimits::default() };
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dispatcher-modules");
    let engine = Engine::new(GuestLimits { execution, ..GuestLimits::default() }, 512, &cache).unwrap();
    let dispatcher = open_as(store, engine, Arc::new(SystemClock), &options).await;
    let guest = tests::hostile::guests().into_iter().find(|guest| guest.name == WAKES_ITSELF).unwrap();
    dispatcher.deploy_if_new(guest.module().into()).await.unwrap();
    dispatcher
}

const WAKES_ITSELF: &str = "TimersAtOnceWithoutEnd";
/// Several turns, for each entry counts as 64 bytes at least.
const EVENTS: u64 = 6 * TURN_BYTES / 64;

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_that_a_turn_has_no_room_for_pass_in_the_next() {
    for residency in [Residency::Never, Residency::Always] {
        let store = Shaky::new(3);
        let options = Options { residency, workers: 2, ..Options::default() };
        let dispatcher = wakes_itself(&store, EVENTS, options).await;
        dispatcher.start(WAKES_ITSELF, Some("i"), payload("null")).await.unwrap();
        let has_ended = async || store.find("i").await.is_ok_and(|found| found.unwrap().status.is_final());
        eventually("its history is full", has_ended).await;
        let (view, turns) = (see(&dispatcher, "i").await.unwrap(), store.find("i").await.unwrap().unwrap().version);
        assert_eq!(view.status, RuntimeStatus::Failed);
        let size = State::of(&view.history.unwrap().steps).history();
        assert!(size.events > EVENTS && turns >= 6, "{size:?} {turns}");
        dispatcher.close().await;
    }
}

/// Its guest stays, unless others need the room.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_to_wait_for_others_keeps_its_guest() {
    let store = Shaky::new(4);
    let bulk_writes = Rate { per_second: 0.001, burst: 1 };
    let limits = HostLimits { bulk_writes, ..HostLimits::default() };
    let options = Options { residency: Residency::UpTo(2), workers: 2, limits, ..Options::default() };
    let dispatcher = wakes_itself(&store, u64::MAX, options).await;
    dispatcher.start("Collect", Some("other"), payload("100000")).await.unwrap();
    dispatcher.start(WAKES_ITSELF, Some("i"), payload("null")).await.unwrap();
    let is_paused = || dispatcher.metrics().hits(Limit::BulkWrites) > 0;
    eventually("it has to wait", async || {
        dispatcher.raise("other", "item", payload("1")).await.unwrap();
        is_paused()
    })
    .await;
    eventually("both are there", async || dispatcher.resident() == 2).await;
    let events = async || State::of(&see(&dispatcher, "i").await.unwrap().history.unwrap().steps).history().events;
    let before = events().await;
    dispatcher.start("Collect", Some("third"), payload("2")).await.unwrap();
    dispatcher.raise("other", "item", payload("2")).await.unwrap();
    dispatcher.raise("third", "item", payload("1")).await.unwrap();
    eventually("there is room for two", async || dispatcher.resident() == 2).await;
    assert_eq!(dispatcher.metrics().guests_evicted.get(), 1);
    assert_eq!(events().await, before, "it waits still");
    dispatcher.terminate("i", Default::default()).await.unwrap();
    eventually("what ends it does not wait", async || status(&dispatcher, "i").await == RuntimeStatus::Terminated)
        .await;
    dispatcher.close().await;
}
