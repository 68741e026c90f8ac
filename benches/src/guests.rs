//! What a guest costs by the language it is written in: its module, its first step, its replay, an event while it is resident, its memory, and
//! the workload of the peers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use fermata::engine::{Engine, Guest, Module, Progress};
use fermata::limits::GuestLimits;
use fermata_replay::{Execution, Timestamp};

use crate::process::{proportional_bytes, until_quiet};
use crate::replay::{event, micros, start};
use crate::report::{Report, median};
use crate::server::{Asks, Server};
use crate::{Parameters, Places, e2e, progress};

/// Modules beside that of the workload, by language.
const OTHERS: [(&str, &str); 2] = [("JavaScript", "bench-guest-javascript"), ("Python", "bench-guest-python")];
/// Guests that are held for their memory.
const HELD: u32 = 200;
/// Events that a resident guest has taken before it is given one more.
const LONG_HISTORY: u64 = 1_000;

pub async fn run(parameters: &Parameters, places: &Places) -> Result<Report> {
    let mut report = Report::new("guests");
    let modules = places.module.parent().context("a module lies in a folder")?;
    let other = |name: &str| modules.join(format!("{name}.wasm"));
    let languages: Vec<(&str, PathBuf)> = std::iter::once(("Rust", places.module.clone()))
        .chain(OTHERS.map(|(name, file)| (name, other(file))))
        .collect();
    for run in 0..parameters.runs {
        for (language, module) in &languages {
            progress(&format!("guests in {language}, run {}", run + 1));
            let folder = places.scratch.join("guests");
            let _ = std::fs::remove_dir_all(&folder);
            until_quiet().await?;
            let mut row = |what: &str, unit, value| report.add(language, what, unit, value);
            measure_module(module, &folder, &mut row)?;
            measure_guest(&Bench::new(module, &folder)?, *language != "Rust", &mut row)?;
            std::fs::remove_dir_all(&folder)?;
        }
        // Without instances the workload is left out.
        for (language, module) in languages.iter().filter(|_| parameters.instances > 0) {
            for residency in ["always", "never"] {
                progress(&format!("the workload in {language}, residency {residency}, run {}", run + 1));
                let server =
                    Server::start(&places.fermata, module, places.scratch.join("data"), residency, Asks::Again)?;
                let measured = e2e::measure(&server, parameters, server.data()).await?;
                let mut row = |what: &str, unit, value| {
                    report.add(language, &format!("{what}, residency {residency}"), unit, value)
                };
                row("starts acknowledged", "1/s", measured.starts_per_second);
                row("event to completed", "1/s", measured.completed_per_second);
                row("raise to result seen p50", "ms", measured.completed.median());
                row("raise to result seen p99", "ms", measured.completed.percentile(99.0));
                row("server CPU per event", "ms", measured.completed_cpu);
            }
        }
    }
    Ok(report)
}

type Row<'a> = &'a mut dyn FnMut(&str, &'static str, f64);

/// From an upload, and again from the cache of compiled modules.
fn measure_module(module: &Path, folder: &Path, row: Row) -> Result<()> {
    let bytes = std::fs::read(module)?;
    row("module", "kB", bytes.len() as f64 / 1e3);
    row("compiled and described", "ms", micros(|| Bench::new(module, folder))? / 1e3);
    // A new engine knows nothing of what another has in memory.
    let engine = Bench::engine(folder)?;
    row("loaded from the cache and described", "ms", micros(|| Ok(engine.admit(&bytes)?))? / 1e3);
    Ok(())
}

fn measure_guest(bench: &Bench, has_async: bool, row: Row) -> Result<()> {
    row("to the first block", "µs", repeated(200, || bench.blocked("Collect", 1, 0))?);
    let mut forms = vec!["Collect"];
    forms.extend(has_async.then_some("CollectAsync"));
    for form in forms {
        let replayed = |waits: u64| -> Result<f64> {
            let history = bench.history(form, waits)?;
            repeated(21, || {
                let mut guest = bench.engine.guest(&bench.module, "replayed", 0, Execution::new(history.clone()));
                ensure!(matches!(guest.resume([], Timestamp(0)), Progress::Blocked), "it waits for one more");
                Ok(guest)
            })
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

/// The median time of one call, in microseconds.
fn repeated<T>(times: usize, mut work: impl FnMut() -> Result<T>) -> Result<f64> {
    let samples = (0..times).map(|_| micros(&mut work)).collect::<Result<Vec<_>>>()?;
    median(&samples).context("it was measured")
}

struct Bench {
    engine: Arc<Engine>,
    module: Arc<Module>,
}

impl Bench {
    fn new(module: &Path, folder: &Path) -> Result<Bench> {
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
        execution.push(start(orchestrator, count as usize));
        (0..taken).for_each(|number| execution.push(event(number + 2)));
        let mut guest = self.engine.guest(&self.module, "held", 0, execution);
        let progress = guest.resume([], Timestamp(0));
        ensure!(matches!(progress, Progress::Blocked), "{progress:?}");
        Ok(guest)
    }

    fn history(&self, orchestrator: &str, waits: u64) -> Result<Vec<fermata_replay::Step>> {
        let mut guest = self.blocked(orchestrator, waits + 1, waits)?;
        Ok(guest.take_turn().context("there are steps")?.steps)
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
