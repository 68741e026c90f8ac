//! The limits of this machine: what no host on it can be better than.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::bare_log::BareLog;
use crate::http::Connection;
use crate::latency::Latencies;
use crate::process::{until_quiet, usage};
use crate::report::Report;
use crate::server::Asks;
use crate::submit::submit_all;
use crate::workload::{System as _, fan_out};
use crate::{Parameters, Places, e2e, progress};

const SYNCS: usize = 2_000;
const RECORD: [u8; 512] = [1; 512];
const RECORDS: usize = 200_000;
const REQUESTS: usize = 500_000;
const ALONE: usize = 5_000;

pub async fn run(parameters: &Parameters, places: &Places) -> Result<Report> {
    let mut report = Report::new("floor");
    for run in 0..parameters.runs {
        progress(&format!("floor, run {}", run + 1));
        until_quiet(parameters.patience).await?;
        let file = places.scratch.join("floor");
        for (preallocated, name) in [(false, "appending 512 B"), (true, "512 B into a preallocated file")] {
            let latencies = syncs(&file, preallocated)?;
            report.add("floor", &format!("fdatasync, {name}, p50"), "ms", latencies.median());
            report.add("floor", &format!("fdatasync, {name}, p99"), "ms", latencies.percentile(99.0));
        }
        std::fs::remove_file(&file)?;
        log(&mut report, &file, parameters.clients).await?;
        constant_answers(&mut report, parameters, places).await?;
    }
    Ok(report)
}

fn syncs(path: &Path, preallocated: bool) -> Result<Latencies> {
    let mut file = File::create(path)?;
    if preallocated {
        file.write_all(&vec![0; SYNCS * RECORD.len()])?;
        file.sync_all()?;
        file.seek(SeekFrom::Start(0))?;
    }
    let mut latencies = Latencies::new();
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&RECORD)?;
        file.sync_data()?;
        latencies.record(begun.elapsed());
    }
    Ok(latencies)
}

/// What is durable a second where many share an fdatasync.
async fn log(report: &mut Report, path: &Path, submitters: usize) -> Result<()> {
    let log = BareLog::create(path, RECORDS * RECORD.len())?;
    let append = move |_, on_durable| log.append(RECORD.to_vec(), on_durable);
    let submitted = submit_all(submitters, RECORDS, append).await?;
    let what = format!("bare log of 512 B, {submitters} submitters");
    report.add("floor", &what, "1/s", submitted.per_second);
    report.add("floor", &format!("{what}, p50"), "ms", submitted.latency.median());
    report.add("floor", &format!("{what}, p99"), "ms", submitted.latency.percentile(99.0));
    Ok(())
}

/// The same server and the same load generator, with nothing behind.
async fn constant_answers(report: &mut Report, parameters: &Parameters, places: &Places) -> Result<()> {
    let server = e2e::serve(places, "1024", Asks::Once)?;
    let request = server.health();
    let ask = |request: Vec<u8>| {
        async move |connection: &mut Connection, _: usize| connection.send(&request).await?.succeeded()
    };
    fan_out(server.address(), parameters.clients, REQUESTS / 10, ask(request.clone())).await?;
    let (before, own) = (usage(&server.processes())?, usage(&[std::process::id()])?);
    let time = fan_out(server.address(), parameters.clients, REQUESTS, ask(request.clone())).await?;
    let (after, own_after) = (usage(&server.processes())?, usage(&[std::process::id()])?);
    let each = |cpu: std::time::Duration| cpu.as_secs_f64() * 1e3 / REQUESTS as f64;
    report.add("floor", "constant answers", "1/s", REQUESTS as f64 / time.as_secs_f64());
    report.add("floor", "constant answer, server CPU", "ms", each(after.cpu - before.cpu));
    report.add("floor", "constant answer, load generator's CPU", "ms", each(own_after.cpu - own.cpu));

    let mut connection = Connection::open(server.address()).await?;
    let mut latencies = Latencies::new();
    for _ in 0..ALONE {
        let begun = Instant::now();
        connection.send(&request).await?.succeeded()?;
        latencies.record(begun.elapsed());
    }
    report.add("floor", "constant answer, unloaded p50", "ms", latencies.median());
    Ok(())
}
