//! Bringing a waiting orchestrator back from its history: in a wasm guest, the same with its history read from the store, and in the pure
//! core with a native function as the guest.

use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fermata::engine::{Engine, Guest, Module, Progress};
use fermata::limits::GuestLimits;
use fermata::store::embedded::Embedded;
use fermata::store::{Change, InstanceKey, NewInstance, Store, StoredMessage, TurnRecord, Write, partition_of};
use fermata_replay::{Execution, Message, MessageBody, Payload, RuntimeStatus, Start, Step, Timestamp};

use crate::process::until_quiet;
use crate::report::{Report, median};
use crate::{Parameters, Places, progress};

/// Answered waits.
const WAITS: [usize; 5] = [0, 10, 100, 1_000, 10_000];
/// One measurement repeats until it has taken this long, and often enough for a median.
const LONG_ENOUGH: Duration = Duration::from_millis(500);
const OFTEN_ENOUGH: usize = 21;

const ID: &str = "replayed";

pub async fn run(parameters: &Parameters, places: &Places) -> Result<Report> {
    let folder = places.scratch.join("replay");
    let _ = std::fs::remove_dir_all(&folder);
    let bench = Bench::new(&places.module, &folder)?;
    let mut report = Report::new("replay");
    for run in 0..parameters.runs {
        progress(&format!("replay, run {}", run + 1));
        until_quiet().await?;
        let mut former = None;
        for waits in WAITS {
            let history = bench.history(waits)?;
            let stored = Stored::new(&folder.join(format!("store-{run}-{waits}")), &history).await?;
            let (mut core, mut guest, mut cold) = (Vec::new(), Vec::new(), Vec::new());
            let begun = Instant::now();
            // Alternating, so that a slow moment of the machine meets all three.
            while guest.len() < OFTEN_ENOUGH || begun.elapsed() < LONG_ENOUGH {
                let (one, two) = (history.clone(), history.clone());
                guest.push(micros(|| bench.replay(one))?);
                core.push(micros(|| replay_natively(two, waits))?);
                let loading = Instant::now();
                let loaded = stored.load().await?;
                let _resident = bench.replay(loaded)?;
                cold.push(loading.elapsed().as_secs_f64() * 1e6);
            }
            let medians = [("guest", guest), ("load+guest", cold), ("native core", core)]
                .map(|(system, samples)| (system, median(&samples).unwrap_or_default()));
            for (at, (system, time)) in medians.into_iter().enumerate() {
                report.add(system, &format!("{waits} answered waits"), "µs", time);
                if let Some((fewer, before)) = former {
                    let before: [(&str, f64); 3] = before;
                    let marginal = (time - before[at].1) / (waits - fewer) as f64;
                    report.add(system, &format!("each wait from {fewer} to {waits}"), "µs", marginal);
                }
            }
            former = Some((waits, medians));
        }
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(report)
}

/// The time of one call; what it gives is dropped afterwards.
pub fn micros<T>(work: impl FnOnce() -> Result<T>) -> Result<f64> {
    let begun = Instant::now();
    let made = work()?;
    let time = begun.elapsed();
    drop(made);
    Ok(time.as_secs_f64() * 1e6)
}

struct Bench {
    engine: Arc<Engine>,
    module: Arc<Module>,
}

impl Bench {
    fn new(module: &Path, folder: &Path) -> Result<Bench> {
        let engine = Engine::new(GuestLimits::default(), 8, &folder.join("cache"))
            .map_err(|error| anyhow::anyhow!("{error:#}"))?;
        let module = engine.admit(&std::fs::read(module)?)?.module;
        Ok(Bench { engine, module })
    }

    /// The history of an orchestrator that has taken so many events and waits for one more.
    fn history(&self, waits: usize) -> Result<Vec<Step>> {
        let mut execution = Execution::new(Vec::new());
        execution.push(start("Collect", waits + 1));
        (0..waits as u64).for_each(|number| execution.push(event(number + 2)));
        let mut guest = self.engine.guest(&self.module, ID, 0, execution);
        let progress = guest.resume([], Timestamp(0));
        ensure!(matches!(progress, Progress::Blocked), "{progress:?}");
        let steps = guest.take_turn().context("there are steps")?.steps;
        ensure!(steps.len() == waits + 1, "{} steps for {waits} events", steps.len());
        Ok(steps)
    }

    /// A new guest, taken through this history to where it waits.
    fn replay(&self, history: Vec<Step>) -> Result<Guest> {
        let mut guest = self.engine.guest(&self.module, ID, 0, Execution::new(history));
        let progress = guest.resume([], Timestamp(0));
        ensure!(matches!(progress, Progress::Blocked), "{progress:?}");
        Ok(guest)
    }
}

/// The same orchestrator, without wasm.
fn replay_natively(history: Vec<Step>, waits: usize) -> Result<Execution> {
    let mut execution = Execution::new(history);
    execution.begin().context("it was started")?;
    for number in 0..=waits {
        let task = execution.wait_external_event("item")?;
        match execution.poll_task(task) {
            Poll::Ready(outcome) => drop(outcome?),
            Poll::Pending => ensure!(number == waits, "blocked after {number} events"),
        }
    }
    Ok(execution)
}

/// The message that starts an orchestrator which takes so many events.
pub fn start(orchestrator: &str, count: usize) -> Message {
    let start = Start {
        name: orchestrator.into(),
        input: Payload::parse(&count.to_string()).expect("a number is JSON"),
        execution: "an execution".into(),
        module: "a module".into(),
        seed: "07".repeat(32),
        parent: None,
        generation: 0,
        carried: Vec::new(),
    };
    Message { seq: 1, at: Timestamp(1_000_000), body: MessageBody::Started(Box::new(start)) }
}

/// One of these events.
pub fn event(seq: u64) -> Message {
    let body = MessageBody::EventRaised { name: "item".into(), input: Payload::string("ok") };
    Message { seq, at: Timestamp(1_000_000 + seq as i64), body }
}

/// A history in the embedded store, written as the host writes it where events come one by one: a turn for each.
struct Stored {
    store: Embedded,
    key: InstanceKey,
}

impl Stored {
    async fn new(folder: &Path, history: &[Step]) -> Result<Stored> {
        let store = Embedded::open(folder)?;
        let lease = store.acquire("bench").await?[partition_of(ID) as usize];
        let key = store.reserve(1).await?;
        let (answer, durable) = tokio::sync::oneshot::channel();
        let mut answer = Some(answer);
        for (version, step) in history.iter().enumerate() {
            let message = StoredMessage { seq: step.seq, at: step.at, body: serde_json::to_string(&step.message)? };
            let arrival = match version {
                0 => Change::Create { instance: instance(), replaces: None, message, sent: None, once: None },
                _ => Change::Accept { message, sent: None, once: None },
            };
            store.submit(Write { lease, key, change: arrival }, Box::new(|outcome| outcome.expect("it is accepted")));
            let turn = Change::Turn(TurnRecord {
                expected_version: version as u64,
                steps: Some(serde_json::to_string(&[step])?),
                consumed: vec![step.seq],
                returned: Vec::new(),
                status: RuntimeStatus::Running,
                updated: step.at,
                due: None,
                waiting: None,
                module: None,
                custom_status: None,
                activities: Vec::new(),
                settled: Vec::new(),
                outgoing: Vec::new(),
                generation: None,
            });
            let last = answer.take_if(|_| version + 1 == history.len());
            let on_durable = Box::new(move |outcome: Result<(), _>| {
                outcome.expect("the turn is written");
                last.map(|answer| answer.send(()));
            });
            store.submit(Write { lease, key, change: turn }, on_durable);
        }
        durable.await.context("the last turn is durable")?;
        Ok(Stored { store, key })
    }

    /// Reads and decodes the history, and folds it once without a guest, as the dispatcher does to see whether one is needed.
    async fn load(&self) -> Result<Vec<Step>> {
        let loaded = self.store.load(self.key).await?.context("it is stored")?;
        let mut history: Vec<Step> = Vec::new();
        for chunk in &loaded.history {
            history.append(&mut serde_json::from_str(chunk)?);
        }
        std::hint::black_box(Execution::without_guest(&history));
        Ok(history)
    }
}

fn instance() -> NewInstance {
    NewInstance {
        id: ID.into(),
        name: "Collect".into(),
        module: "a module".into(),
        execution: "an execution".into(),
        created: Timestamp(1_000_000),
    }
}
