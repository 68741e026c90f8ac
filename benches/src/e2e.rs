//! The workload against our own host, for each way of keeping waiting orchestrators in memory, and of asking for the result: by one request an event, or
//! (marked +) by the status as well.

use anyhow::Result;

use crate::process::until_quiet;
use crate::report::Report;
use crate::server::{Asks, Server};
use crate::workload::{self, Measured, System};
use crate::{Parameters, Places, progress};

pub async fn run(parameters: &Parameters, places: &Places) -> Result<Report> {
    let mut report = Report::new("e2e");
    for run in 0..parameters.runs {
        for residency in &parameters.residency {
            for (asks, mark) in [(Asks::Once, ""), (Asks::Again, "+")] {
                progress(&format!("e2e, residency {residency}, asks {asks:?}, run {}", run + 1));
                let server = serve(places, residency, asks)?;
                let measured = measure(&server, parameters, server.data()).await?;
                add(&mut report, &format!("{residency}{mark}"), &measured);
            }
        }
    }
    Ok(report)
}

pub fn serve(places: &Places, residency: &str, asks: Asks) -> Result<Server> {
    Server::start(&places.fermata, &places.module, places.scratch.join("data"), residency, asks)
}

pub async fn measure(system: &impl System, parameters: &Parameters, data: &std::path::Path) -> Result<Measured> {
    until_quiet().await?;
    workload::warm_up(system).await?;
    workload::run(system, parameters.size(), data).await
}

/// A row for everything that was measured.
pub fn add(report: &mut Report, system: &str, measured: &Measured) {
    let mut row = |what: &str, unit, value: f64| report.add(system, what, unit, value);
    row("A starts acknowledged", "1/s", measured.starts_per_second);
    row("A start p50", "ms", measured.start.median());
    row("A start p99", "ms", measured.start.percentile(99.0));
    row("A started and waiting", "1/s", measured.waiting_per_second);
    row("A server CPU per instance", "ms", measured.start_cpu);
    row("A resident set, all waiting", "MB", measured.waiting_resident_bytes as f64 / 1e6);
    row("B event to completed", "1/s", measured.completed_per_second);
    row("B raise accepted p50", "ms", measured.raise.median());
    row("B raise accepted p99", "ms", measured.raise.percentile(99.0));
    row("B raise to result seen p50", "ms", measured.completed.median());
    row("B raise to result seen p99", "ms", measured.completed.percentile(99.0));
    row("B server CPU per instance", "ms", measured.completed_cpu);
    row("B requests for the result, per instance", "", measured.looks);
    row("A and B load generator's CPU per instance", "ms", measured.client_cpu);
    row("A and B processors that others kept busy", "", measured.others);
    if let Some((starts, events)) = measured.start_flushes.zip(measured.completed_flushes) {
        row("A flushes of the disk per instance", "", starts);
        row("B flushes of the disk per instance", "", events);
    }
    row("C unloaded start p50", "ms", measured.unloaded_start.median());
    row("C unloaded raise accepted p50", "ms", measured.unloaded_raise.median());
    row("C unloaded raise to result seen p50", "ms", measured.unloaded_completed.median());
    row("C unloaded raise to result seen p99", "ms", measured.unloaded_completed.percentile(99.0));
}
