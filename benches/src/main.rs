//! `bench`, which `cargo xtask bench` builds and runs: what Fermata costs, beside what this machine can do and what its peers cost.
//!
//! - [`floor`]: the limits of this machine
//! - [`replay`]: bringing a waiting orchestrator back from its history
//! - [`guests`]: what a guest costs by its language
//! - [`e2e`]: many instances, each blocked on one event, over HTTP and on a real disk
//! - [`scale`]: a million of them
//! - [`peers`]: the same against others
//!
//! [`workload`] is the load, [`server`] our host as a [`workload::System`]. Each suite gives a [`report`].

mod e2e;
mod floor;
mod guests;
mod http;
mod latency;
mod peers;
mod process;
mod replay;
mod report;
mod scale;
mod server;
mod workload;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, ValueEnum};

/// As the host has it, whose engine and core some suites run in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures, prints medians, and writes them to benches/results/<date>-<suite>.json.
///
/// Ratios in a table are the first system's median divided by that of the system on their left. Run it while the machine does nothing else.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    /// What to measure; without one: floor, replay and e2e
    #[arg(value_enum)]
    suites: Vec<Suite>,
    #[command(flatten)]
    parameters: Parameters,
    #[command(flatten)]
    places: Places,
}

#[derive(Clone, Copy, ValueEnum)]
enum Suite {
    /// The limits of this machine: fdatasync, and HTTP with nothing behind
    Floor,
    /// Bringing a waiting orchestrator back from its history
    Replay,
    /// What a guest costs by its language
    Guests,
    /// Many instances, each blocked on one event
    E2e,
    /// A million waiting instances; takes some minutes and 2 GB of disk
    Scale,
    /// The same beside Restate; needs npm
    Peers,
}

#[derive(Args)]
struct Parameters {
    /// Instances of the workload
    #[arg(long, default_value_t = 5_000)]
    instances: usize,
    /// Clients of the workload, each with a connection of its own
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Instances that are run one by one, for latencies without load
    #[arg(long, default_value_t = 100)]
    samples: usize,
    /// How often everything is measured, each time on a fresh host; medians are shown
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Residency of the host: always, never or a number; may be repeated
    #[arg(long, value_name = "always|never|N", default_values = ["1024", "always", "never"])]
    residency: Vec<String>,
}

impl Parameters {
    fn size(&self) -> workload::Size {
        workload::Size { instances: self.instances, clients: self.clients, samples: self.samples }
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
    let Arguments { mut suites, parameters, places } = Arguments::parse();
    if suites.is_empty() {
        suites = vec![Suite::Floor, Suite::Replay, Suite::E2e];
    }
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
                Suite::Replay => replay::run(&parameters, &places).await,
                Suite::Guests => guests::run(&parameters, &places).await,
                Suite::E2e => e2e::run(&parameters, &places).await,
                Suite::Scale => scale::run(&parameters, &places).await,
                Suite::Peers => peers::run(&parameters, &places).await,
            }
        })?;
        report.print();
        report.write(&places.checkout.join("benches/results"), &parameters)?;
    }
    Ok(())
}

/// Says what is being measured.
fn progress(what: &str) {
    eprintln!("measuring: {what}");
}
