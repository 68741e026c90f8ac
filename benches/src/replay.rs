//! Bringing a waiting orchestrator back from its history: in a wasm guest, the same with its history read from the store, and in the pure
//! core with a native function as the guest.

use std::path::Path;
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fermata::store::embedded::Embedded;
use fermata::store::{Change, InstanceKey, Store, StoredMessage, Write, partition_of};
use fermata_replay::{Execution, Message, MessageBody, Payload, Start, Step, Timestamp};

use crate::engine::{Bench, micros};
use crate::process::until_quiet;
use crate::report::{Report, median};
use crate::store::{new_instance, waiting_turn};
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
        until_quiet(parameters.patience).await?;
        let mut former = None;
        for waits in WAITS {
            let history = bench.history("Collect", waits as u64)?;
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
pub fn start(orchestrator: &str, count: u64) -> Message {
    let start = Start {
        name: orchestrator.into(),
        input: Payload::parse(&count.to_string()).expect("a number is JSON"),
        execution: "an execution".into(),
        module: "a module".into(),
        seed: "07".repeat(32),
        parent: None,
        generation: 0,
        carried: Vec::new(),
        limits: Default::default(),
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
                0 => Change::Create { instance: new_instance(ID), replaces: None, message, sent: None, once: None },
                _ => Change::Accept { message, sent: None, once: None },
            };
            store.submit(Write { lease, key, change: arrival }, Box::new(|outcome| outcome.expect("it is accepted")));
            let steps = serde_json::to_string(&[step])?;
            let turn = Change::Turn(waiting_turn(version as u64, steps, step.seq, step.at));
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
        std::hint::black_box(Execution::without_guest(&history)?);
        Ok(history)
    }
}
