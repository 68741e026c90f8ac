//! The workload against us and against others, taking turns on the same machine.

mod restate;

use anyhow::Result;

use crate::report::Report;
use crate::server::Asks;
use crate::{Parameters, Places, e2e, progress};

pub async fn run(parameters: &Parameters, places: &Places) -> Result<Report> {
    let programs = restate::Programs::build(places)?;
    let mut report = Report::new("peers");
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
        let restate = programs.start().await?;
        let measured = e2e::measure(&restate, parameters, restate.data()).await?;
        e2e::add(&mut report, "restate", &measured);
    }
    Ok(report)
}
