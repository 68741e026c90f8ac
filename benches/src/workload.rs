//! The peers' common workload: many instances, each blocked on one event.
//!
//! - A: clients start all instances, each start acknowledged before the client's next; then all wait for their event.
//! - B: the clients take the instances in order; each raises the event and waits until it has seen the result, then takes the next.
//! - C: one client, unloaded: start, pause, raise, wait for the result.
//!
//! The load of these is closed: a client waits for its answer before it goes on, so a system that stalls is asked less, and few of its
//! latencies tell of the stall. [`crate::pace`] has the load that does not wait.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

use crate::http::{Answer, Connection};
use crate::latency::Latencies;
use crate::process::{Usage, disk_flushes, machine_busy, usage};

/// A running system that the workload is for.
pub trait System {
    fn address(&self) -> SocketAddr;

    /// Every process that works for it.
    fn processes(&self) -> Vec<u32>;

    /// The request that starts an instance.
    fn start(&self, id: &str) -> Vec<u8>;

    /// Returns when this many instances wait, whose ids begin with `prefix`.
    async fn until_waiting(&self, prefix: &str, count: usize) -> Result<()>;

    /// The further requests for instances that wait.
    async fn follow(&self, prefix: &str, started: &[Started]) -> Result<Vec<Follow>>;

    /// Whether the answer to [`Follow::look`] shows the result; otherwise it is asked for again.
    fn has_ended(answer: &Answer) -> Result<bool>;
}

/// An instance whose start was acknowledged.
pub struct Started {
    pub id: String,
    /// The body of the acknowledgement.
    pub answer: String,
}

/// The requests about one waiting instance.
pub struct Follow {
    /// Where the answer shows the result already, it is not looked for.
    pub raise: Vec<u8>,
    /// Asks for the result.
    pub look: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub instances: usize,
    pub clients: usize,
    pub samples: usize,
}

/// What was measured, in milliseconds where nothing else is said.
pub struct Measured {
    pub starts_per_second: f64,
    pub start: Latencies,
    /// From the first start until all wait.
    pub waiting_per_second: f64,
    pub waiting_resident_bytes: u64,
    pub start_cost: Cost,
    pub completed_per_second: f64,
    pub raise: Latencies,
    pub completed: Latencies,
    pub completed_cost: Cost,
    /// Requests for the result, per instance.
    pub looks: f64,
    /// Our own, per instance of A and B together.
    pub client_cpu: f64,
    /// Processors that others than the system and the load generator kept busy during A and B. The kernel's own threads count here.
    pub others: f64,
    pub unloaded_start: Latencies,
    pub unloaded_raise: Latencies,
    pub unloaded_completed: Latencies,
}

/// What a system used for one instance.
pub struct Cost {
    /// Milliseconds.
    pub cpu: f64,
    /// Context switches of its threads.
    pub switches: f64,
    /// Bytes that it wrote to the disk.
    pub written: f64,
    /// How often its disk was flushed; none where Linux does not say.
    pub flushes: Option<f64>,
}

/// What a system had used when it was looked at.
struct Used {
    usage: Usage,
    flushes: Option<u64>,
}

impl Used {
    fn so_far(processes: &[u32], disk: &Path) -> Result<Used> {
        Ok(Used { usage: usage(processes)?, flushes: disk_flushes(disk) })
    }

    fn cost_until(&self, later: &Used, instances: usize) -> Cost {
        let each = |amount: f64| amount / instances as f64;
        let between = |before: u64, after: u64| each(after.saturating_sub(before) as f64);
        Cost {
            cpu: each((later.usage.cpu - self.usage.cpu).as_secs_f64() * 1e3),
            switches: between(self.usage.switches, later.usage.switches),
            written: between(self.usage.written, later.usage.written),
            flushes: self.flushes.zip(later.flushes).map(|(before, after)| between(before, after)),
        }
    }
}

/// How long a system rests before its memory is looked at.
const SETTLE: Duration = Duration::from_millis(1_000);
/// Between start and raise in C.
const PAUSE: Duration = Duration::from_millis(100);
/// Between one look for the result and the next: 1, 2, 4, … ms.
const LONGEST_LOOK_PAUSE: Duration = Duration::from_millis(20);

/// Runs A and B with few instances and forgets what they took.
pub async fn warm_up(system: &impl System) -> Result<()> {
    let size = Size { instances: 300, clients: 16, samples: 0 };
    let (started, ..) = start_all(system, "warm", size).await?;
    system.until_waiting("warm", size.instances).await?;
    raise_all(system, system.follow("warm", &started).await?, size).await?;
    Ok(())
}

/// Runs A, B and C. `disk` is where the system keeps its data.
pub async fn run<S: System>(system: &S, size: Size, disk: &Path) -> Result<Measured> {
    let used = || Used::so_far(&system.processes(), disk);
    let (own, before) = (own_usage()?, used()?);
    let (begun, busy) = (Instant::now(), machine_busy()?);
    let (started, start, start_time) = start_all(system, "load", size).await?;
    system.until_waiting("load", size.instances).await?;
    let waiting_time = begun.elapsed();
    tokio::time::sleep(SETTLE).await;
    let waiting = used()?;

    let follow = system.follow("load", &started).await?;
    let before_events = used()?;
    let events = raise_all(system, follow, size).await?;
    let (after, own_after) = (used()?, own_usage()?);
    let own_cpu = own_after.cpu - own.cpu;
    let known = (after.usage.cpu - before.usage.cpu) + own_cpu;
    let others = (machine_busy()? - busy).saturating_sub(known).as_secs_f64() / begun.elapsed().as_secs_f64();

    let unloaded = one_by_one(system, size.samples).await?;
    let rate = |time: Duration| size.instances as f64 / time.as_secs_f64();
    Ok(Measured {
        starts_per_second: rate(start_time),
        start,
        waiting_per_second: rate(waiting_time),
        waiting_resident_bytes: waiting.usage.resident,
        start_cost: before.cost_until(&waiting, size.instances),
        completed_per_second: rate(events.time),
        raise: events.raise,
        completed: events.completed,
        completed_cost: before_events.cost_until(&after, size.instances),
        looks: events.looks as f64 / size.instances as f64,
        client_cpu: own_cpu.as_secs_f64() * 1e3 / size.instances as f64,
        others,
        unloaded_start: unloaded.start,
        unloaded_raise: unloaded.raise,
        unloaded_completed: unloaded.completed,
    })
}

fn own_usage() -> Result<Usage> {
    usage(&[std::process::id()])
}

/// A, up to the last acknowledgement.
pub async fn start_all(system: &impl System, prefix: &str, size: Size) -> Result<(Vec<Started>, Latencies, Duration)> {
    let ids: Vec<String> = (0..size.instances).map(|number| format!("{prefix}-{number}")).collect();
    let requests: Vec<Vec<u8>> = ids.iter().map(|id| system.start(id)).collect();
    let answers = Rc::new(RefCell::new((vec![String::new(); size.instances], Latencies::new())));
    let shared = answers.clone();
    let time = fan_out(system.address(), size.clients, size.instances, async move |connection, number| {
        let begun = Instant::now();
        let answer = connection.send(&requests[number]).await?;
        answer.succeeded()?;
        let mut answers = shared.borrow_mut();
        answers.1.record(begun.elapsed());
        answers.0[number] = answer.text();
        Ok(())
    })
    .await?;
    let (answers, latencies) = Rc::into_inner(answers).context("the clients have ended")?.into_inner();
    let started = ids.into_iter().zip(answers).map(|(id, answer)| Started { id, answer }).collect();
    Ok((started, latencies, time))
}

pub struct Events {
    pub raise: Latencies,
    pub completed: Latencies,
    pub looks: usize,
    pub time: Duration,
}

/// B.
pub async fn raise_all<S: System>(system: &S, follow: Vec<Follow>, size: Size) -> Result<Events> {
    let events = Events { raise: Latencies::new(), completed: Latencies::new(), looks: 0, time: Duration::ZERO };
    let events = Rc::new(RefCell::new(events));
    let shared = events.clone();
    let time = fan_out(system.address(), size.clients, size.instances, async move |connection, number| {
        let seen = raise_and_wait::<S>(connection, &follow[number]).await?;
        let mut events = shared.borrow_mut();
        events.raise.record(seen.accepted);
        events.completed.record(seen.completed);
        events.looks += seen.looks;
        Ok(())
    })
    .await?;
    let events = Rc::into_inner(events).context("the clients have ended")?.into_inner();
    Ok(Events { time, ..events })
}

pub struct Seen {
    pub accepted: Duration,
    pub completed: Duration,
    pub looks: usize,
}

pub async fn raise_and_wait<S: System>(connection: &mut Connection, follow: &Follow) -> Result<Seen> {
    let begun = Instant::now();
    let answer = connection.send(&follow.raise).await?;
    answer.succeeded()?;
    let accepted = begun.elapsed();
    if !answer.body.is_empty() && S::has_ended(&answer)? {
        return Ok(Seen { accepted, completed: accepted, looks: 0 });
    }
    let mut pause = Duration::from_millis(1);
    for looks in 1.. {
        if S::has_ended(&connection.send(&follow.look).await?)? {
            return Ok(Seen { accepted, completed: begun.elapsed(), looks });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_LOOK_PAUSE);
    }
    unreachable!("looks have no end")
}

struct Unloaded {
    start: Latencies,
    raise: Latencies,
    completed: Latencies,
}

/// C.
async fn one_by_one<S: System>(system: &S, samples: usize) -> Result<Unloaded> {
    let mut connection = Connection::open(system.address()).await?;
    let mut unloaded = Unloaded { start: Latencies::new(), raise: Latencies::new(), completed: Latencies::new() };
    for number in 0..samples {
        let id = format!("alone{number}-");
        let request = system.start(&id);
        let begun = Instant::now();
        let answer = connection.send(&request).await?;
        answer.succeeded()?;
        unloaded.start.record(begun.elapsed());
        let started = Started { answer: answer.text(), id };
        tokio::time::sleep(PAUSE).await;
        system.until_waiting(&started.id, 1).await?;
        let follow = system.follow(&started.id, std::slice::from_ref(&started)).await?;
        let seen = raise_and_wait::<S>(&mut connection, &follow[0]).await?;
        unloaded.raise.record(seen.accepted);
        unloaded.completed.record(seen.completed);
    }
    Ok(unloaded)
}

/// Has clients, each with a connection of its own, take the numbers below `count` in order. Returns how long that took, connecting aside.
pub async fn fan_out<W>(address: SocketAddr, clients: usize, count: usize, work: W) -> Result<Duration>
where
    W: AsyncFn(&mut Connection, usize) -> Result<()> + 'static,
{
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(address).await?);
    }
    let (work, next) = (Rc::new(work), Rc::new(Cell::new(0)));
    let begun = Instant::now();
    let mut running: JoinSet<Result<()>> = JoinSet::new();
    for mut connection in connections {
        let (work, next) = (work.clone(), next.clone());
        running.spawn_local(async move {
            loop {
                let number = next.replace(next.get() + 1);
                if number >= count {
                    return Ok(());
                }
                work(&mut connection, number).await?;
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.context("a client panicked")??;
    }
    Ok(begun.elapsed())
}
