//! What honest instances feel beside a guest that spins or floods: the workload's events at a rate, alone and then beside it, on the same host with its
//! limits as they are without a configuration.
//!
//! A guest that a limit ends is started anew at once, so that there is always one.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use tests::hostile::{Ends, guests};

use crate::http::{Connection, request};
use crate::latency::Latencies;
use crate::process::until_quiet;
use crate::report::Report;
use crate::server::{Asks, BASE, Server};
use crate::workload::{self, Size, System as _};
use crate::{Parameters, Places, e2e, pace, progress};

/// Honest events a second, unless one was asked for: far below what the host can do, so that what is waited for is the guest.
const RATE: f64 = 500.0;
/// Honest instances unless told: five seconds at that rate, with the hundredth slowest well inside.
const INSTANCES: usize = 2_500;
/// Between one look at whether the guest has ended and the next.
const LOOK_PAUSE: Duration = Duration::from_millis(5);

pub async fn run(parameters: &Parameters, places: &Places) -> Result<Report> {
    let mut report = Report::new("neighbours");
    let size = Size { instances: parameters.instances.unwrap_or(INSTANCES), ..parameters.size() };
    let rate = parameters.rate.unwrap_or(RATE);
    let is_asked_for = |name: &str| parameters.guests.is_empty() || parameters.guests.iter().any(|guest| guest == name);
    for run in 0..parameters.runs {
        for guest in guests().iter().filter(|guest| is_asked_for(guest.name)) {
            if !matches!(guest.ends, Ends::Passes(_) | Ends::GoesOn) {
                continue;
            }
            progress(&format!("beside {}, run {}", guest.name, run + 1));
            until_quiet(parameters.patience).await?;
            let server = e2e::serve(places, "1024", Asks::Once)?;
            server.deploy(&guest.module()).await?;
            workload::warm_up(&server).await?;
            let alone = honest(&server, "alone", size, rate).await?;
            let hostile = Hostile::start(&server, guest.name);
            let beside = honest(&server, "beside", size, rate).await?;
            let begun = hostile.end().await?;
            for (system, latencies) in [("beside", &beside), ("alone", &alone)] {
                for (name, percentile) in [("p50", 50.0), ("p99", 99.0), ("slowest", 100.0)] {
                    report.add(system, &format!("{} {name}", guest.name), "ms", latencies.percentile(percentile));
                }
            }
            report.add("beside", &format!("{} started", guest.name), "", begun as f64);
        }
    }
    Ok(report)
}

/// From the moment at which each event was to be sent to its result.
async fn honest(server: &Server, prefix: &str, size: Size, rate: f64) -> Result<Latencies> {
    let follow = e2e::waiting(server, prefix, size).await?;
    Ok(pace::raise_at(server, follow, size.clients, rate).await?.completed)
}

/// Somebody who has a guest run all the time.
struct Hostile {
    stop: Rc<Cell<bool>>,
    running: tokio::task::JoinHandle<Result<usize>>,
}

impl Hostile {
    fn start(server: &Server, orchestrator: &'static str) -> Hostile {
        let stop = Rc::new(Cell::new(false));
        let running = tokio::task::spawn_local(start_again_and_again(server.address(), orchestrator, stop.clone()));
        Hostile { stop, running }
    }

    /// How often one was started.
    async fn end(self) -> Result<usize> {
        self.stop.set(true);
        self.running.await?
    }
}

async fn start_again_and_again(host: SocketAddr, orchestrator: &str, stop: Rc<Cell<bool>>) -> Result<usize> {
    let mut connection = Connection::open(host).await?;
    let mut started = 0;
    while !stop.get() {
        started += 1;
        let instance = format!("{BASE}/instances/hostile-{started}");
        let start = format!("{BASE}/orchestrators/{orchestrator}/hostile-{started}");
        connection.send(&request("POST", host, &start, Some("null"))).await?.succeeded()?;
        let look = request("GET", host, &instance, None);
        // 202 while it runs.
        while !stop.get() && connection.send(&look).await?.status == 202 {
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        if stop.get() {
            connection.send(&request("POST", host, &format!("{instance}/terminate"), Some(""))).await?;
        }
    }
    Ok(started)
}
