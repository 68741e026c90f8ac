//! Modules and guests alone, in this process: compiling, loading, the first step, replay, an event while the guest is resident, memory. And the examples
//! in a host: what a deployment takes, and the first start after it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use fermata::engine::{Engine, Guest, Module, Progress};
use fermata::limits::GuestLimits;
use fermata_replay::{Execution, Step, Timestamp};

use crate::http::{Connection, request};
use crate::process::{proportional_bytes, until_quiet};
use crate::replay::{event, start};
use crate::report::{Report, median};
use crate::server::{Asks, BASE, Server};
use crate::workload::System as _;
use crate::{Parameters, Places, e2e, progress};

/// Module, orchestrator, its input.
const EXAMPLES: [(&str, &str, &str); 9] = [
    ("budget-approval", "BudgetApproval", "null"),
    ("select", "Select", "null"),
    ("new-building-permit", "NewBuildingPermit", r#""A-17""#),
    ("phone-verification", "SmsPhoneVerification", r#""+1 555 0100""#),
    ("monitor", "MonitorJob", r#"{"jobId": "job-1", "doneAfter": 3, "pollSeconds": 1, "expirySeconds": 60}"#),
    ("fan-out", "BackupFiles", r#"[{"path": "a", "bytes": 100}, {"path": "b", "bytes": 20}]"#),
    ("saga", "BookTrip", r#"{"traveller": "Ada", "soldOut": "BookCar"}"#),
    ("shopping-cart", "Cart", "null"),
    ("approval-by-link", "ApprovalByLink", r#"{"what": "a lamp", "amount": 40, "approver": "ada@example.org"}"#),
];
/// The first of them are there in these languages, too.
const LANGUAGES: [(&str, &str, usize); 3] =
    [("Rust", "", EXAMPLES.len()), ("JavaScript", "-javascript", 3), ("Python", "-python", 3)];
/// Of the instance that a guest is for.
const ID: &str = "measured";
/// Guests that are held for their memory.
const HELD: u32 = 200;
/// Events that a resident guest has taken before it is given one more.
const LONG_HISTORY: u64 = 1_000;

pub async fn run(parameters: &Parameters, places: &Places) -> Result<Report> {
    let mut report = Report::new("engine");
    for run in 0..parameters.runs {
        progress(&format!("modules and guests, run {}", run + 1));
        until_quiet(parameters.patience).await?;
        in_fresh_folder(places, |folder| {
            let mut row = |what: &str, unit, value| report.add("Rust", what, unit, value);
            measure_module(&places.module, folder, &mut row)?;
            measure_guest(&Bench::new(&places.module, folder)?, false, &mut row)
        })?;
        for (language, ending, examples) in LANGUAGES {
            progress(&format!("the examples in {language}, run {}", run + 1));
            let server = e2e::serve(places, "1024", Asks::Once)?;
            let mut slowest = 0.0;
            for (module, orchestrator, input) in &EXAMPLES[..examples] {
                let path = places.module.with_file_name(format!("{module}{ending}.wasm"));
                let Deployed { deployed, started } = deploy_and_start(&server, &path, orchestrator, input).await?;
                report.add(language, &format!("{module}: deployed"), "ms", deployed);
                report.add(language, &format!("{module}: first start after that, to its first turn"), "ms", started);
                slowest = f64::max(slowest, started);
            }
            report.add(language, "the slowest of these first starts", "ms", slowest);
        }
    }
    Ok(report)
}

/// Milliseconds.
struct Deployed {
    deployed: f64,
    started: f64,
}

/// Over HTTP; the start is over when a status shows the first turn, which is durable then.
async fn deploy_and_start(server: &Server, module: &Path, orchestrator: &str, input: &str) -> Result<Deployed> {
    let bytes = std::fs::read(module).with_context(|| format!("{} can not be read", module.display()))?;
    let host = server.address();
    let start = request("POST", host, &format!("{BASE}/orchestrators/{orchestrator}/{orchestrator}"), Some(input));
    let look = request("GET", host, &format!("{BASE}/instances/{orchestrator}"), None);
    let mut connection = Connection::open(host).await?;

    let begun = Instant::now();
    server.deploy(&bytes).await?;
    let deployed = begun.elapsed();
    let begun = Instant::now();
    connection.send(&start).await?.succeeded()?;
    loop {
        let status = connection.send(&look).await?;
        status.succeeded()?;
        ensure!(!status.contains(r#""runtimeStatus":"Failed""#), "{orchestrator} has failed: {}", status.text());
        if !status.contains(r#""runtimeStatus":"Pending""#) {
            break;
        }
    }
    Ok(Deployed { deployed: deployed.as_secs_f64() * 1e3, started: begun.elapsed().as_secs_f64() * 1e3 })
}

/// Runs work with a folder for a cache of compiled modules, which is empty at first.
pub fn in_fresh_folder<T>(places: &Places, work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let folder = places.scratch.join("engine");
    let _ = std::fs::remove_dir_all(&folder);
    let done = work(&folder)?;
    std::fs::remove_dir_all(&folder)?;
    Ok(done)
}

/// Takes what was measured, its unit, its value.
pub type Row<'a> = &'a mut dyn FnMut(&str, &'static str, f64);

/// From an upload, and again from the cache of compiled modules.
pub fn measure_module(module: &Path, folder: &Path, row: Row) -> Result<()> {
    let bytes = std::fs::read(module)?;
    row("module", "kB", bytes.len() as f64 / 1e3);
    row("compiled and described", "ms", micros(|| Bench::new(module, folder))? / 1e3);
    // A new engine knows nothing of what another has in memory.
    let engine = Bench::engine(folder)?;
    row("loaded from the cache and described", "ms", micros(|| Ok(engine.admit(&bytes)?))? / 1e3);
    Ok(())
}

pub fn measure_guest(bench: &Bench, has_async: bool, row: Row) -> Result<()> {
    row("to the first block", "µs", repeated(200, || (), |()| bench.blocked("Collect", 1, 0))?);
    let mut forms = vec!["Collect"];
    forms.extend(has_async.then_some("CollectAsync"));
    for form in forms {
        let replayed = |waits: u64| -> Result<f64> {
            let history = bench.history(form, waits)?;
            repeated(21, || history.clone(), |history| bench.replay(history))
        };
        let (none, long) = (replayed(0)?, replayed(LONG_HISTORY)?);
        row(&format!("{form}: replay of {LONG_HISTORY} waits"), "ms", long / 1e3);
        row(&format!("{form}: each wait replayed"), "µs", (long - none) / LONG_HISTORY as f64);
        row(&format!("{form}: one more event, resident"), "µs", bench.event_while_resident(form)?);
    }
    let before = proportional_bytes()?;
    let held: Vec<Guest> = (0..HELD).map(|_| bench.blocked("Collect", 1, 0)).collect::<Result<_>>()?;
    row("memory of a waiting guest", "kB", (proportional_bytes()? - before) as f64 / 1e3 / f64::from(HELD));
    drop(held);
    Ok(())
}

/// The time of one call; what it gives is dropped afterwards.
pub fn micros<T>(work: impl FnOnce() -> Result<T>) -> Result<f64> {
    let begun = Instant::now();
    let made = work()?;
    let time = begun.elapsed();
    drop(made);
    Ok(time.as_secs_f64() * 1e6)
}

/// The median time of one call, in microseconds; what it is called with is made beforehand.
fn repeated<P, T>(times: usize, mut prepare: impl FnMut() -> P, mut work: impl FnMut(P) -> Result<T>) -> Result<f64> {
    let timed = |_| {
        let prepared = prepare();
        micros(|| work(prepared))
    };
    let samples = (0..times).map(timed).collect::<Result<Vec<_>>>()?;
    median(&samples).context("it was measured")
}

/// An engine and a module in it.
pub struct Bench {
    engine: Arc<Engine>,
    module: Arc<Module>,
}

impl Bench {
    pub fn new(module: &Path, folder: &Path) -> Result<Bench> {
        let engine = Bench::engine(folder)?;
        let module = engine.admit(&std::fs::read(module)?)?.module;
        Ok(Bench { engine, module })
    }

    fn engine(folder: &Path) -> Result<Arc<Engine>> {
        Engine::new(GuestLimits::default(), HELD + 8, &folder.join("cache"))
            .map_err(|error| anyhow::anyhow!("{error:#}"))
    }

    /// A guest that has taken so many events and waits for more.
    fn blocked(&self, orchestrator: &str, count: u64, taken: u64) -> Result<Guest> {
        let mut execution = Execution::new(Vec::new());
        execution.push(start(orchestrator, count));
        (0..taken).for_each(|number| execution.push(event(number + 2)));
        let mut guest = self.engine.guest(&self.module, ID, 0, execution);
        let progress = guest.resume([], Timestamp(0));
        ensure!(matches!(progress, Progress::Blocked), "{progress:?}");
        Ok(guest)
    }

    /// The history of an orchestrator that has taken so many events and waits for one more.
    pub fn history(&self, orchestrator: &str, waits: u64) -> Result<Vec<Step>> {
        let mut guest = self.blocked(orchestrator, waits + 1, waits)?;
        let steps = guest.take_turn().context("there are steps")?.steps;
        ensure!(steps.len() as u64 == waits + 1, "{} steps for {waits} events", steps.len());
        Ok(steps)
    }

    /// A new guest, taken through this history to where it waits.
    pub fn replay(&self, history: Vec<Step>) -> Result<Guest> {
        let mut guest = self.engine.guest(&self.module, ID, 0, Execution::new(history));
        let progress = guest.resume([], Timestamp(0));
        ensure!(matches!(progress, Progress::Blocked), "{progress:?}");
        Ok(guest)
    }

    /// The median time that one more event takes a guest which has taken many and stayed in memory, in microseconds.
    fn event_while_resident(&self, orchestrator: &str) -> Result<f64> {
        let mut guest = self.blocked(orchestrator, 10 * LONG_HISTORY, LONG_HISTORY)?;
        guest.take_turn();
        let mut samples = Vec::new();
        for seq in (LONG_HISTORY + 2..).take(LONG_HISTORY as usize) {
            let begun = Instant::now();
            let progress = guest.resume([event(seq)], Timestamp(0));
            guest.take_turn();
            samples.push(begun.elapsed().as_secs_f64() * 1e6);
            ensure!(matches!(progress, Progress::Blocked), "{progress:?}");
        }
        median(&samples).context("it was measured")
    }
}
