//! The workload against us and against others, taking turns on the same machine. What of them are programs of ours lies in `benches/peers`, each in a
//! workspace of its own.

mod duroxide;
mod restate;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::report::Report;
use crate::server::Asks;
use crate::{Parameters, Places, e2e, progress};

pub async fn run(parameters: &Parameters, places: &Places) -> Result<Report> {
    let restate = restate::Programs::build(places)?;
    let duroxide = duroxide::Program::build(places)?;
    let mut report = Report::new("peers");
    report.note(restate::NOTE);
    report.note(duroxide::NOTE);
    for run in 0..parameters.runs {
        for residency in &parameters.residency {
            for (asks, mark) in [(Asks::Once, ""), (Asks::Again, "+")] {
                progress(&format!("fermata, residency {residency}, asks {asks:?}, run {}", run + 1));
                let server = e2e::serve(places, residency, asks)?;
                let measured = e2e::measure(&server, parameters, server.data()).await?;
                e2e::add(&mut report, &format!("fermata-{residency}{mark}"), &measured);
            }
        }
        progress(&format!("Restate, run {}", run + 1));
        let restate = restate.start().await?;
        let measured = e2e::measure(&restate, parameters, restate.data()).await?;
        e2e::add(&mut report, "restate", &measured);
        drop(restate);
        for (synchronous, system) in duroxide::DURABILITIES {
            progress(&format!("duroxide, synchronous={synchronous}, run {}", run + 1));
            let duroxide = duroxide.start(synchronous)?;
            let measured = e2e::measure(&duroxide, parameters, duroxide.data()).await?;
            e2e::add(&mut report, system, &measured);
        }
    }
    Ok(report)
}

/// Builds the program `peer-<name>` of `benches/peers/<name>`; quick where that is done.
fn build(places: &Places, name: &str) -> Result<PathBuf> {
    let target = places.scratch.join("peers");
    run_to_end(
        Command::new("cargo")
            .args(["build", "--release", "--locked", "--quiet", "--target-dir"])
            .arg(&target)
            .current_dir(places.checkout.join("benches/peers").join(name)),
    )?;
    Ok(target.join("release").join(format!("peer-{name}")))
}

fn run_to_end(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?} could not be started"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
