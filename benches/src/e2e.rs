//! The workload against our own host, for each way of keeping waiting orchestrators in memory, and of asking for the result: by one request an event, or
//! (marked +) by the status as well. Then, on the same host:
//!
//! - D: events at a rate, an open load
//! - E: B once more, while the kernel counts the host's system calls

use anyhow::Result;

use crate::pace::raise_at;
use crate::process::until_quiet;
use crate::report::Report;
use crate::server::{Asks, Server};
use crate::syscalls::Counter;
use crate::workload::{self, Cost, Follow, Measured, Size, System};
use crate::{Parameters, Places, progress};

/// Events a second of the open load, unless one was asked for.
const RATE: f64 = 2_000.0;
/// How long events come at this rate.
const SECONDS: f64 = 10.0;
/// Of the latencies of an open load.
pub const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 100.0];

pub async fn run(parameters: &Parameters, places: &Places) -> Result<Report> {
    let mut report = Report::new("e2e");
    for run in 0..parameters.runs {
        for residency in &parameters.residency {
            for (asks, mark) in [(Asks::Once, ""), (Asks::Again, "+")] {
                progress(&format!("e2e, residency {residency}, asks {asks:?}, run {}", run + 1));
                let server = serve(places, residency, asks)?;
                let measured = measure(&server, parameters, server.data()).await?;
                let system = format!("{residency}{mark}");
                add(&mut report, &system, &measured);
                at_rate(&mut report, &system, &server, parameters).await?;
                system_calls(&mut report, &system, &server, parameters.size()).await?;
            }
        }
    }
    Ok(report)
}

pub fn serve(places: &Places, residency: &str, asks: Asks) -> Result<Server> {
    Server::start(&places.fermata, &places.module, places.scratch.join("data"), residency, asks)
}

pub async fn measure(system: &impl System, parameters: &Parameters, data: &std::path::Path) -> Result<Measured> {
    until_quiet(parameters.patience).await?;
    workload::warm_up(system).await?;
    workload::run(system, parameters.size(), data).await
}

/// D. The same rate for all, which each of them can keep up with.
async fn at_rate(report: &mut Report, system: &str, server: &Server, parameters: &Parameters) -> Result<()> {
    let rate = parameters.rate.unwrap_or(RATE);
    let size = Size { instances: (rate * SECONDS) as usize, ..parameters.size() };
    let follow = waiting(server, "paced", size).await?;
    let paced = raise_at(server, follow, size.clients, rate).await?;
    report.add(system, "D events sent", "1/s", rate);
    report.add(system, "D event to completed", "1/s", paced.per_second);
    report.add(system, "D lasted", "s", size.instances as f64 / paced.per_second);
    for percentile in PERCENTILES {
        report.add(system, &paced_row(percentile), "ms", paced.completed.percentile(percentile));
    }
    Ok(())
}

/// The name of a row of D.
pub fn paced_row(percentile: f64) -> String {
    format!("D to be sent to result seen p{percentile}")
}

/// E.
async fn system_calls(report: &mut Report, system: &str, server: &Server, size: Size) -> Result<()> {
    let follow = waiting(server, "counted", size).await?;
    let counter = match Counter::attach(server.processes()[0]).await {
        Ok(counter) => counter,
        Err(error) => {
            report.note(&format!("E system calls are not counted here: {error:#}"));
            return Ok(());
        }
    };
    workload::raise_all(server, follow, size).await?;
    for (name, count) in counter.finish()? {
        report.add(system, &format!("E system calls per event, {name}"), "", count as f64 / size.instances as f64);
    }
    Ok(())
}

/// Starts instances of this prefix, and returns when all wait.
pub async fn waiting(server: &Server, prefix: &str, size: Size) -> Result<Vec<Follow>> {
    let (started, ..) = workload::start_all(server, prefix, size).await?;
    server.until_waiting(prefix, size.instances).await?;
    server.follow(prefix, &started).await
}

/// A row for everything that was measured.
pub fn add(report: &mut Report, system: &str, measured: &Measured) {
    let mut row = |what: &str, unit, value: f64| report.add(system, what, unit, value);
    row("A starts acknowledged", "1/s", measured.starts_per_second);
    row("A start p50", "ms", measured.start.median());
    row("A start p99", "ms", measured.start.percentile(99.0));
    row("A started and waiting", "1/s", measured.waiting_per_second);
    cost(&mut row, "A", &measured.start_cost);
    row("A resident set, all waiting", "MB", measured.waiting_resident_bytes as f64 / 1e6);
    row("B event to completed", "1/s", measured.completed_per_second);
    row("B raise accepted p50", "ms", measured.raise.median());
    row("B raise accepted p99", "ms", measured.raise.percentile(99.0));
    row("B raise to result seen p50", "ms", measured.completed.median());
    row("B raise to result seen p99", "ms", measured.completed.percentile(99.0));
    cost(&mut row, "B", &measured.completed_cost);
    row("B requests for the result, per instance", "", measured.looks);
    row("A and B load generator's CPU per instance", "ms", measured.client_cpu);
    row("A and B processors that others kept busy", "", measured.others);
    row("C unloaded start p50", "ms", measured.unloaded_start.median());
    row("C unloaded raise accepted p50", "ms", measured.unloaded_raise.median());
    row("C unloaded raise to result seen p50", "ms", measured.unloaded_completed.median());
    row("C unloaded raise to result seen p99", "ms", measured.unloaded_completed.percentile(99.0));
}

fn cost(row: &mut impl FnMut(&str, &'static str, f64), phase: &str, cost: &Cost) {
    row(&format!("{phase} server CPU per instance"), "ms", cost.cpu);
    row(&format!("{phase} context switches per instance"), "", cost.switches);
    row(&format!("{phase} written to the disk per instance"), "kB", cost.written / 1e3);
    if let Some(flushes) = cost.flushes {
        row(&format!("{phase} flushes of the disk per instance"), "", flushes);
    }
}
