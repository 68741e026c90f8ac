//! `bench`, which `cargo xtask bench` builds and runs: what Fermata costs, beside what this machine can do and what its peers cost.
//!
//! - [`floor`]: the limits of this machine; [`bare_log`]: what a log can be
//! - [`store`]: the store alone, beside that
//! - [`engine`]: modules and guests alone; [`guests`]: what a guest costs by its language
//! - [`replay`]: bringing a waiting orchestrator back from its history
//! - [`e2e`]: many instances, each blocked on one event, over HTTP and on a real disk
//! - [`scale`]: a million of them
//! - [`neighbours`]: what honest instances feel beside a guest that spins or floods
//! - [`peers`]: the same against others
//!
//! [`workload`] is the load, and [`pace`] the load at a given rate; [`server`] is our host as a [`workload::System`]. Each suite gives a [`report`].
//! What is pure is measured apart from these, by `cargo bench --package benches` (`benches/pure.rs`).

mod bare_log;
mod chart;
mod e2e;
mod engine;
mod floor;
mod guests;
mod http;
mod latency;
mod neighbours;
mod pace;
mod peers;
mod process;
mod replay;
mod report;
mod scale;
mod server;
mod store;
mod submit;
mod syscalls;
mod workload;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, ValueEnum};

/// As the host has it, whose engine and core some suites run in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures, prints medians, and writes them to benches/results/<date>-<suite>.json, with charts.
///
/// Ratios in a table are the first system's median divided by that of the system on their left. Run it while the machine does nothing else.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    /// What to measure; without one: floor, replay and e2e
    #[arg(value_enum)]
    suites: Vec<Suite>,
    /// Where to write what was measured: benches/results
    #[arg(long, value_name = "FOLDER")]
    results: Option<PathBuf>,
    #[command(flatten)]
    parameters: Parameters,
    #[command(flatten)]
    places: Places,
}

#[derive(Clone, Copy, ValueEnum)]
enum Suite {
    /// The limits of this machine: fdatasync, a bare log, and HTTP with nothing behind
    Floor,
    /// The store alone beside a bare log, fresh and with a million instances in it; takes some minutes and 2 GB of disk
    Store,
    /// Modules and guests alone, and the first start of each example after its deployment
    Engine,
    /// Bringing a waiting orchestrator back from its history
    Replay,
    /// What a guest costs by its language
    Guests,
    /// Many instances, each blocked on one event
    E2e,
    /// A million waiting instances; takes some minutes and 2 GB of disk
    Scale,
    /// Honest instances beside a guest that spins or floods, for each such guest of the tests; takes some minutes
    Neighbours,
    /// The workload beside Restate and duroxide; needs npm, and OpenSSL's headers
    Peers,
}

#[derive(Args)]
struct Parameters {
    /// Instances: 5,000 of the workload, 1,000,000 where there are to be many (store, scale)
    #[arg(long)]
    instances: Option<usize>,
    /// Clients of the workload, each with a connection of its own
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Instances that are run one by one, for latencies without load
    #[arg(long, default_value_t = 100)]
    samples: usize,
    /// How often everything is measured, each time on a fresh host; medians are shown (scale runs once)
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Residency of the host: always, never or a number; may be repeated
    #[arg(long, value_name = "always|never|N", default_values = ["1024", "always", "never"])]
    residency: Vec<String>,
    /// Events a second where the load is open: 2,000 (e2e), 500 (neighbours)
    #[arg(long)]
    rate: Option<f64>,
    /// Guests to stand beside (neighbours), by the names of their orchestrators; may be repeated
    #[arg(long = "guest", value_name = "NAME")]
    guests: Vec<String>,
    /// Seconds to wait at most, each time, until others leave the machine alone
    #[arg(long, default_value_t = 300)]
    patience: u32,
}

impl Parameters {
    fn size(&self) -> workload::Size {
        let instances = self.instances.unwrap_or(5_000);
        workload::Size { instances, clients: self.clients, samples: self.samples }
    }

    /// Where the question is what many of them change.
    fn many(&self) -> usize {
        self.instances.unwrap_or(1_000_000)
    }
}

/// Where things are; `cargo xtask bench` says it.
#[derive(Args)]
struct Places {
    #[arg(long, hide = true)]
    checkout: PathBuf,
    /// The binary of the host
    #[arg(long, hide = true)]
    fermata: PathBuf,
    /// The module that holds the workload's orchestrators
    #[arg(long, hide = true)]
    module: PathBuf,
    /// For data, on a real disk
    #[arg(long, hide = true)]
    scratch: PathBuf,
}

fn main() -> Result<()> {
    let Arguments { mut suites, results, parameters, places } = Arguments::parse();
    if suites.is_empty() {
        suites = vec![Suite::Floor, Suite::Replay, Suite::E2e];
    }
    let results = results.unwrap_or_else(|| places.checkout.join("benches/results"));
    std::fs::create_dir_all(&places.scratch)?;
    // Two at a time would disturb each other, and the second would remove the first one's data.
    let alone = std::fs::File::create(places.scratch.join("lock"))?;
    if alone.try_lock().is_err() {
        eprintln!("waiting until another bench has ended");
        alone.lock()?;
    }
    // One thread: the load generator takes as little as it can from the host beside it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clients = tokio::task::LocalSet::new();
    for suite in suites {
        let report = clients.block_on(&runtime, async {
            match suite {
                Suite::Floor => floor::run(&parameters, &places).await,
                Suite::Store => store::run(&parameters, &places).await,
                Suite::Engine => engine::run(&parameters, &places).await,
                Suite::Replay => replay::run(&parameters, &places).await,
                Suite::Guests => guests::run(&parameters, &places).await,
                Suite::E2e => e2e::run(&parameters, &places).await,
                Suite::Scale => scale::run(&parameters, &places).await,
                Suite::Neighbours => neighbours::run(&parameters, &places).await,
                Suite::Peers => peers::run(&parameters, &places).await,
            }
        })?;
        report.print();
        report.write(&results, &parameters)?;
    }
    Ok(())
}

/// Says what is being measured.
fn progress(what: &str) {
    eprintln!("measuring: {what}");
}
