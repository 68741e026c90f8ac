//! What a guest costs by the language it is written in: its module, its first step, its replay, an event while it is resident, its memory, and
//! the workload of the peers.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::engine::{Bench, in_fresh_folder, measure_guest, measure_module};
use crate::process::until_quiet;
use crate::report::Report;
use crate::server::{Asks, Server};
use crate::{Parameters, Places, e2e, progress};

/// Modules beside that of the workload, by language.
const OTHERS: [(&str, &str); 2] = [("JavaScript", "bench-guest-javascript"), ("Python", "bench-guest-python")];

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
            until_quiet(parameters.patience).await?;
            in_fresh_folder(places, |folder| {
                let mut row = |what: &str, unit, value| report.add(language, what, unit, value);
                measure_module(module, folder, &mut row)?;
                measure_guest(&Bench::new(module, folder)?, *language != "Rust", &mut row)
            })?;
        }
        // Without instances the workload is left out.
        for (language, module) in languages.iter().filter(|_| parameters.size().instances > 0) {
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
                row("server CPU per event", "ms", measured.completed_cost.cpu);
            }
        }
    }
    Ok(report)
}
