//! The store alone, through its trait, beside a bare log that takes records of the same size from the same submitters.
//!
//! A *step* is what one message makes the host write: the message, and the turn that it causes, right behind it. It is durable when the turn is.
//!
//! - fresh: submitters start instances one after the other, and give each some events
//! - full: events for instances anywhere among very many

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, Result, ensure};
use fermata::store::embedded::Embedded;
use fermata::store::{Change, InstanceKey, Lease, NewInstance, Store, StoredMessage, TurnRecord, Write, partition_of};
use fermata_replay::{Execution, Message, RuntimeStatus, Timestamp};

use crate::bare_log::BareLog;
use crate::process::{until_quiet, usage};
use crate::replay::{event, start};
use crate::report::Report;
use crate::submit::{OnDurable, submit_all};
use crate::{Parameters, Places, progress};

/// Of a fresh instance: its start and its events.
const STEPS_EACH: usize = 5;
const FRESH: usize = 20_000;
/// Steps that are measured in the full store.
const AMONG_MANY: usize = 50_000;
const UNLOADED: usize = 500;
/// While the full store is filled.
const AT_ONCE: usize = 1_024;

pub async fn run(parameters: &Parameters, places: &Places) -> Result<Report> {
    let mut report = Report::new("store");
    report.note("What is written to the disk: where the kernel keeps a file in large folios, as the log's, a small write dirties all of one.");
    let texts = Rc::new(Texts::new()?);
    report.add("store", "a start", "B", texts.start.record().len() as f64);
    report.add("store", "an event", "B", texts.event.record().len() as f64);
    let folder = places.scratch.join("store");
    let log = places.scratch.join("bare-log");
    for run in 0..parameters.runs {
        progress(&format!("the fresh store, run {}", run + 1));
        let steps = STEPS_EACH * parameters.many().min(FRESH);
        let is_start = move |number: usize| number < steps && number.is_multiple_of(STEPS_EACH);
        let record = |number| if is_start(number) { texts.start.record() } else { texts.event.record() };
        log_alone(&mut report, "fresh", &log, (0..steps).map(record).collect(), parameters).await?;

        let instances = steps / STEPS_EACH;
        let mut store = Steps::in_new_store(&folder, &texts, instances, steps + UNLOADED).await?;
        let submit = move |number: usize, on_durable| match is_start(number) {
            true => store.start(number / STEPS_EACH, on_durable),
            false => store.event(number / STEPS_EACH % instances, on_durable),
        };
        measure(&mut report, "store", "fresh", steps, parameters, submit).await?;
    }
    among_many(&mut report, parameters, &texts, &folder, &log).await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(report)
}

async fn among_many(
    report: &mut Report,
    parameters: &Parameters,
    texts: &Rc<Texts>,
    folder: &Path,
    log: &Path,
) -> Result<()> {
    let instances = parameters.many();
    let steps = AMONG_MANY.min(instances);
    let numbers = instances + parameters.runs * (steps + UNLOADED);
    progress(&format!("filling the store with {instances} instances"));
    let store = Rc::new(RefCell::new(Steps::in_new_store(folder, texts, instances, numbers).await?));
    let filled = store.clone();
    let submit = move |number, on_durable| filled.borrow_mut().start(number, on_durable);
    let filling = submit_all(AT_ONCE, instances, submit).await?;
    report.add("store", &format!("filled with {instances}, steps"), "1/s", filling.per_second);
    let mut random = fastrand::Rng::with_seed(1);
    for run in 0..parameters.runs {
        progress(&format!("the full store, run {}", run + 1));
        log_alone(report, "full", log, vec![texts.event.record(); steps], parameters).await?;
        let (store, mut random) = (store.clone(), random.fork());
        let submit = move |_, on_durable| store.borrow_mut().event(random.usize(..instances), on_durable);
        measure(report, "store", "full", steps, parameters, submit).await?;
    }
    Ok(())
}

async fn log_alone(
    report: &mut Report,
    data: &str,
    path: &Path,
    mut records: Vec<Vec<u8>>,
    parameters: &Parameters,
) -> Result<()> {
    let steps = records.len();
    records.extend(vec![records[steps - 1].clone(); UNLOADED]);
    let log = BareLog::create(path, records.iter().map(Vec::len).sum())?;
    let submit = move |number: usize, on_durable| log.append(std::mem::take(&mut records[number]), on_durable);
    measure(report, "bare log", data, steps, parameters, submit).await
}

/// So many steps by many submitters, then some by one.
async fn measure(
    report: &mut Report,
    system: &str,
    data: &str,
    steps: usize,
    parameters: &Parameters,
    submit: impl FnMut(usize, OnDurable) + 'static,
) -> Result<()> {
    until_quiet(parameters.patience).await?;
    let submit = Rc::new(RefCell::new(submit));
    let (first, second) = (submit.clone(), submit);
    let used = || usage(&[std::process::id()]);
    let before = used()?;
    let loaded =
        submit_all(parameters.clients, steps, move |number, answer| (first.borrow_mut())(number, answer)).await?;
    let after = used()?;
    let alone = move |number, answer| (second.borrow_mut())(steps + number, answer);
    let unloaded = submit_all(1, UNLOADED, alone).await?;

    let mut row = |what: &str, unit, value| report.add(system, &format!("{data}: {what}"), unit, value);
    row(&format!("steps, {} submitters", parameters.clients), "1/s", loaded.per_second);
    row("step p50", "ms", loaded.latency.median());
    row("step p99", "ms", loaded.latency.percentile(99.0));
    row("CPU per step, its submitter's too", "µs", (after.cpu - before.cpu).as_secs_f64() * 1e6 / steps as f64);
    row("written to the disk per step", "kB", (after.written - before.written) as f64 / 1e3 / steps as f64);
    row("unloaded step p50", "ms", unloaded.latency.median());
    Ok(())
}

/// What the host writes, as text: an instance that waits for one event after the other.
struct Texts {
    start: Text,
    event: Text,
}

struct Text {
    message: String,
    steps: String,
}

impl Texts {
    fn new() -> Result<Texts> {
        let mut execution = Execution::new(Vec::new());
        let start = Text::of(&mut execution, start("Collect", 2))?;
        Ok(Texts { start, event: Text::of(&mut execution, event(2))? })
    }
}

impl Text {
    /// Of a message that leads to a wait for the next event.
    fn of(execution: &mut Execution, message: Message) -> Result<Text> {
        let body = serde_json::to_string(&message.body)?;
        execution.push(message);
        execution.begin().context("it was started")?;
        if let Some(task) = execution.state().waiting_for().first().map(|open| open.task) {
            ensure!(execution.poll_task(task).is_ready(), "the event has come");
        }
        let task = execution.wait_external_event("item")?;
        ensure!(execution.poll_task(task).is_pending(), "no other event has come");
        Ok(Text { message: body, steps: serde_json::to_string(&execution.take_turn().steps)? })
    }

    /// As a log might have it: the texts, after the instance and the message's place in the order.
    fn record(&self) -> Vec<u8> {
        [&[0; 16][..], self.message.as_bytes(), self.steps.as_bytes()].concat()
    }
}

/// Instances in a store, and steps of theirs.
struct Steps {
    store: Embedded,
    leases: Vec<Lease>,
    texts: Rc<Texts>,
    first_key: InstanceKey,
    next_seq: u64,
    /// By instance: how many steps it has.
    versions: Vec<u64>,
}

impl Steps {
    /// With room for so many instances, and so many steps of theirs all together.
    async fn in_new_store(folder: &Path, texts: &Rc<Texts>, instances: usize, steps: usize) -> Result<Steps> {
        let _ = std::fs::remove_dir_all(folder);
        let store = Embedded::open(folder)?;
        let leases = store.acquire("bench").await?;
        let first_key = store.reserve(instances as u64).await?;
        let next_seq = store.reserve(steps as u64).await?;
        Ok(Steps { store, leases, texts: texts.clone(), first_key, next_seq, versions: vec![0; instances] })
    }

    fn start(&mut self, instance: usize, on_durable: OnDurable) {
        let texts = self.texts.clone();
        let create = |message| {
            let instance = new_instance(&format!("load-{instance}"));
            Change::Create { instance, replaces: None, message, sent: None, once: None }
        };
        self.step(instance, &texts.start, create, on_durable);
    }

    fn event(&mut self, instance: usize, on_durable: OnDurable) {
        let texts = self.texts.clone();
        let accept = |message| Change::Accept { message, sent: None, once: None };
        self.step(instance, &texts.event, accept, on_durable);
    }

    fn step(
        &mut self,
        instance: usize,
        text: &Text,
        arrival: impl FnOnce(StoredMessage) -> Change,
        on_durable: OnDurable,
    ) {
        let lease = self.leases[partition_of(&format!("load-{instance}")) as usize];
        let key = self.first_key + instance as u64;
        let seq = self.next_seq;
        self.next_seq += 1;
        let at = Timestamp(1_000_000 + seq as i64);
        let message = StoredMessage { seq, at, body: text.message.clone() };
        // Where this fails, so does the turn.
        self.store.submit(Write { lease, key, change: arrival(message) }, Box::new(drop));
        let turn = waiting_turn(self.versions[instance], text.steps.clone(), seq, at);
        self.versions[instance] += 1;
        let answer = |outcome: Result<_, _>| on_durable(outcome.inspect_err(|error| eprintln!("{error}")).is_ok());
        self.store.submit(Write { lease, key, change: Change::Turn(turn) }, Box::new(answer));
    }
}

/// A turn of one message, after which the instance waits for an event.
pub fn waiting_turn(expected_version: u64, steps: String, seq: u64, at: Timestamp) -> TurnRecord {
    TurnRecord {
        expected_version,
        steps: Some(steps),
        consumed: vec![seq],
        returned: Vec::new(),
        status: RuntimeStatus::Running,
        updated: at,
        due: None,
        waiting: Some(BTreeSet::from(["item".to_owned()])),
        module: None,
        custom_status: None,
        activities: Vec::new(),
        settled: Vec::new(),
        outgoing: Vec::new(),
        generation: None,
    }
}

pub fn new_instance(id: &str) -> NewInstance {
    NewInstance {
        id: id.into(),
        name: "Collect".into(),
        module: "a module".into(),
        execution: "an execution".into(),
        created: Timestamp(1_000_000),
    }
}
