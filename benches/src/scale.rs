//! Many waiting instances: what they cost, whether the rest gets slower, and how soon a host that was killed is back. And much at once: timers that are
//! due in the same moment, a wait for all of many events, generations without end.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::http::{Connection, request};
use crate::latency::Latencies;
use crate::process::{until_quiet, usage};
use crate::report::Report;
use crate::server::{Asks, BASE, Server};
use crate::workload::{self, Size, System as _};
use crate::{Parameters, Places, e2e, progress};

/// What the number of waiting instances is divided by; the first is what the others are compared with.
const DIVISORS: [usize; 3] = [100, 10, 1];
/// Events that are measured.
const EVENTS: usize = 10_000;
/// Pages of lists that are measured, of each kind.
const PAGES: usize = 100;
/// Timers that are due in the same moment.
const TIMERS: usize = 100_000;
/// Events that one instance waits for.
const ALL: usize = 10_000;
const GENERATIONS: usize = 100_000;
/// How long an idle host is watched.
const IDLE: Duration = Duration::from_secs(20);

pub async fn run(parameters: &Parameters, places: &Places) -> Result<Report> {
    let mut report = Report::new("scale");
    for waiting in DIVISORS.map(|divisor| parameters.many() / divisor) {
        progress(&format!("{waiting} waiting instances"));
        until_quiet(parameters.patience).await?;
        let server = e2e::serve(places, "1024", Asks::Once)?;
        measure(&mut report, waiting, parameters, server).await?;
    }
    let mut row = |what: &str, unit, value| report.add("at once", what, unit, value);
    for residency in ["never", "1024"] {
        progress(&format!("much at once, residency {residency}"));
        until_quiet(parameters.patience).await?;
        let server = e2e::serve(places, residency, Asks::Once)?;
        timers(&server, parameters, &mut |what, unit, value| {
            row(&format!("{what}, residency {residency}"), unit, value)
        })
        .await?;
        events(&server, parameters, &mut |what, unit, value| {
            row(&format!("{what}, residency {residency}"), unit, value)
        })
        .await?;
        generations(&server, &mut |what, unit, value| row(&format!("{what}, residency {residency}"), unit, value))
            .await?;
    }
    Ok(report)
}

type Row<'a> = &'a mut dyn FnMut(&str, &'static str, f64);

/// Timers of a day, which the clock skips.
async fn timers(server: &Server, parameters: &Parameters, row: Row<'_>) -> Result<()> {
    let start = |number: usize| {
        let path = format!("{BASE}/orchestrators/Timer/timer-{number}");
        request("POST", server.address(), &path, Some("86400000"))
    };
    let requests: Vec<_> = (0..TIMERS).map(start).collect();
    send_all(server, parameters.clients, requests).await?;
    server.until_waiting("timer", TIMERS).await?;
    let before = usage(&server.processes())?;
    let begun = Instant::now();
    ask(server, &request("POST", server.address(), "/clock/skip?seconds=86400", None)).await?;
    until_none_runs(server, "timer").await?;
    row("timers due at once, done", "1/s", TIMERS as f64 / begun.elapsed().as_secs_f64());
    let resident = usage(&server.processes())?.resident;
    row("resident set, more than before them", "MB", resident.saturating_sub(before.resident) as f64 / 1e6);
    Ok(())
}

/// One instance that waits for all of many events.
async fn events(server: &Server, parameters: &Parameters, row: Row<'_>) -> Result<()> {
    let start = request("POST", server.address(), &format!("{BASE}/orchestrators/Many/many"), Some(&ALL.to_string()));
    ask(server, &start).await?;
    server.until_waiting("many", 1).await?;
    let raise = |number: usize| {
        let path = format!("{BASE}/instances/many/raiseEvent/Event-{number}");
        request("POST", server.address(), &path, Some("1"))
    };
    let begun = Instant::now();
    send_all(server, parameters.clients, (0..ALL).map(raise).collect()).await?;
    until_none_runs(server, "many").await?;
    row("task_all over 10,000 events, events taken", "1/s", ALL as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}

async fn generations(server: &Server, row: Row<'_>) -> Result<()> {
    let path = format!("{BASE}/orchestrators/CountDown/generations");
    let start = request("POST", server.address(), &path, Some(&GENERATIONS.to_string()));
    let begun = Instant::now();
    ask(server, &start).await?;
    server.until_waiting("generations", 1).await?;
    until_none_runs(server, "generations").await?;
    row("generations", "1/s", GENERATIONS as f64 / begun.elapsed().as_secs_f64());
    row("resident set after them", "MB", usage(&server.processes())?.resident as f64 / 1e6);
    Ok(())
}

async fn send_all(server: &Server, clients: usize, requests: Vec<Vec<u8>>) -> Result<()> {
    let count = requests.len();
    let work =
        async move |connection: &mut Connection, number: usize| connection.send(&requests[number]).await?.succeeded();
    workload::fan_out(server.address(), clients, count, work).await.map(drop)
}

async fn ask(server: &Server, request: &[u8]) -> Result<Vec<u8>> {
    let mut connection = Connection::open(server.address()).await?;
    let answer = connection.send(request).await?;
    answer.succeeded()?;
    Ok(answer.body.to_vec())
}

async fn until_none_runs(server: &Server, prefix: &str) -> Result<()> {
    let path = format!("{BASE}/instances?runtimeStatus=Running&top=1&instanceIdPrefix={prefix}");
    let running = request("GET", server.address(), &path, None);
    while ask(server, &running).await? != b"[]" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn measure(report: &mut Report, waiting: usize, parameters: &Parameters, server: Server) -> Result<()> {
    let system = format!("{waiting}");
    let mut row = |what: &str, unit, value| report.add(&system, what, unit, value);
    let size = Size { instances: waiting, clients: parameters.clients, samples: 0 };
    let (started, _, time) = workload::start_all(&server, "load", size).await?;
    row("starts acknowledged", "1/s", waiting as f64 / time.as_secs_f64());
    server.until_waiting("load", waiting).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    row("resident set, all waiting", "MB", usage(&server.processes())?.resident as f64 / 1e6);

    // Far apart, so that each meets pages that nobody has read lately.
    let step = waiting.div_ceil(EVENTS);
    let some: Vec<_> = started.into_iter().step_by(step).take(EVENTS).collect();
    let size = Size { instances: some.len(), ..size };
    let before = usage(&server.processes())?;
    let events = workload::raise_all(&server, server.follow("load", &some).await?, size).await?;
    let cpu = usage(&server.processes())?.cpu - before.cpu;
    row("event to completed", "1/s", some.len() as f64 / events.time.as_secs_f64());
    row("raise to result p99", "ms", events.completed.percentile(99.0));
    row("server CPU per event", "ms", cpu.as_secs_f64() * 1e3 / some.len() as f64);
    for (what, filter) in [
        ("no filter", ""),
        ("status", "&runtimeStatus=Running"),
        ("name", "&name=W"),
        ("waiting for", "&waitingFor=go"),
        ("prefix", "&instanceIdPrefix=load-99"),
    ] {
        let pages = list(&server, filter).await?;
        row(&format!("page of 100, {what}, p95"), "ms", pages.percentile(95.0));
    }

    let begun = Instant::now();
    let server = server.kill_and_restart()?;
    row("ready after kill -9", "ms", begun.elapsed().as_secs_f64() * 1e3);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = usage(&server.processes())?;
    tokio::time::sleep(IDLE).await;
    let after = usage(&server.processes())?;
    row("idle, of a processor", "%", (after.cpu - before.cpu).as_secs_f64() / IDLE.as_secs_f64() * 1e2);
    row("resident set after restart", "MB", after.resident as f64 / 1e6);
    Ok(())
}

async fn list(server: &Server, filter: &str) -> Result<Latencies> {
    let path = format!("{BASE}/instances?top=100{filter}");
    let request = request("GET", server.address(), &path, None);
    let mut connection = Connection::open(server.address()).await?;
    let mut latencies = Latencies::new();
    for _ in 0..PAGES {
        let begun = Instant::now();
        let answer = connection.send(&request).await?;
        latencies.record(begun.elapsed());
        answer.succeeded().context("a list was refused")?;
    }
    Ok(latencies)
}
