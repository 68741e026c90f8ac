//! The dispatcher over a store that fails, with real guests: whatever comes in whatever order, what was acknowledged is there once and in
//! order, and an instance that has nothing to do is in nobody's memory.

mod chance;
mod clock;
mod damage;
mod exact;
mod generations;
mod modules;
mod operations;
mod rescue;
mod shaky;
mod time;
mod twice;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use fermata::clock::{Clock, SystemClock};
use fermata::dispatcher::{Dispatcher, InstanceView, Options, Residency};
use fermata::engine::Engine;
use fermata::limits::GuestLimits;
use fermata::store::Store as _;
use fermata_replay::{MessageBody, Payload, RuntimeStatus, State};

use shaky::Shaky;

const PATIENCE: Duration = Duration::from_secs(60);

/// One for all tests of the process: it takes much address space.
fn engine() -> Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    ENGINE.get_or_init(|| engine_for(512)).clone()
}

fn engine_for(guests: u32) -> Arc<Engine> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dispatcher-modules");
    Engine::new(GuestLimits::default(), guests, &cache).unwrap()
}

async fn open(store: &Arc<Shaky>, engine: Arc<Engine>, residency: Residency, workers: usize) -> Arc<Dispatcher> {
    open_with(store, engine, residency, workers, Arc::new(SystemClock)).await
}

async fn open_with(
    store: &Arc<Shaky>,
    engine: Arc<Engine>,
    residency: Residency,
    workers: usize,
    clock: Arc<dyn Clock>,
) -> Arc<Dispatcher> {
    let options = Options { residency, workers, activities: 4, ..Options::default() };
    open_as(store, engine, clock, &options).await
}

async fn open_as(store: &Arc<Shaky>, engine: Arc<Engine>, clock: Arc<dyn Clock>, options: &Options) -> Arc<Dispatcher> {
    let dispatcher = Dispatcher::open(store.clone(), engine, clock, options).await.unwrap();
    dispatcher.deploy_if_new(tests::guest_bytes("test-guest-a").into()).await.unwrap();
    dispatcher
}

fn payload(text: &str) -> Payload {
    Payload::parse(text).unwrap()
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "it never came about that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until there is nothing left to do, and nothing is in memory that has nothing to do.
async fn rests(store: &Shaky, dispatcher: &Dispatcher) {
    eventually("every message is read", async || store.unread().await.unwrap().is_empty()).await;
    eventually("every activity has settled", async || store.open_activities().await.unwrap().is_empty()).await;
    eventually("only resident guests are in memory", async || dispatcher.in_memory() == dispatcher.resident()).await;
}

/// An instance with its history; its status is the fold of the history, and the steps of that are in order.
async fn look(dispatcher: &Dispatcher, id: &str) -> Option<InstanceView> {
    let view = see(dispatcher, id).await?;
    let steps = &view.history.as_ref().unwrap().steps;
    let order: Vec<_> = steps.iter().map(|step| (step.seq, step.at)).collect();
    assert!(order.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{id}: steps in order, none twice: {order:?}");
    Some(view)
}

/// The same, whatever the order: what resumes or rewinds an instance goes before what was left until then.
async fn see(dispatcher: &Dispatcher, id: &str) -> Option<InstanceView> {
    let view = loop {
        // A read may fail, by chance.
        if let Ok(view) = dispatcher.view(id, true).await {
            break view?;
        }
    };
    let history = view.history.as_ref().unwrap();
    let status = match State::of(&history.steps).runtime_status() {
        // The next generation has yet to begin.
        RuntimeStatus::Pending if view.generation > 0 => RuntimeStatus::Running,
        status => status,
    };
    assert_eq!(status, view.status, "{id}: the status is the fold of the history");
    Some(view)
}

/// The payloads of all events that its history holds.
fn events(view: &InstanceView) -> Vec<u64> {
    let steps = &view.history.as_ref().unwrap().steps;
    let event = |message: &MessageBody| match message {
        MessageBody::EventRaised { input, .. } => Some(input.as_str().parse().unwrap()),
        _ => None,
    };
    steps.iter().filter_map(|step| event(&step.message)).collect()
}
