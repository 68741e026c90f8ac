//! The workload's events at a rate of our choosing, whatever the answers take: an open load. Each event has the moment at which it is to be sent, and
//! its latency counts from there. Where a system stalls, all that it kept waiting meanwhile shows it, although no client was free to
//! send it; latencies of a closed load leave that out.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::http::Connection;
use crate::latency::Latencies;
use crate::workload::{Follow, System, raise_and_wait};

pub struct Paced {
    /// From the moment at which the event was to be sent to its result.
    pub completed: Latencies,
    /// Results a second; less than the rate where the system can not keep up.
    pub per_second: f64,
}

/// Raises the event of each instance, `rate` of them a second, on so many connections.
pub async fn raise_at<S: System>(system: &S, follow: Vec<Follow>, clients: usize, rate: f64) -> Result<Paced> {
    ensure!(rate.is_finite() && rate > 0.0, "{rate} is no rate: it must be above 0");
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(system.address()).await?);
    }
    let count = follow.len();
    let begun = Instant::now();
    let due = Rc::new(Mutex::new(metronome(begun, count, rate)?));
    let (follow, completed) = (Rc::new(follow), Rc::new(RefCell::new(Latencies::new())));
    let mut running: JoinSet<Result<()>> = JoinSet::new();
    for mut connection in connections {
        let (due, follow, completed) = (due.clone(), follow.clone(), completed.clone());
        running.spawn_local(async move {
            while let Some((number, intended)) = next(&due).await {
                raise_and_wait::<S>(&mut connection, &follow[number]).await?;
                completed.borrow_mut().record(intended.elapsed());
            }
            Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.context("a client panicked")??;
    }
    let per_second = count as f64 / begun.elapsed().as_secs_f64();
    let completed = Rc::into_inner(completed).context("the clients have ended")?.into_inner();
    Ok(Paced { completed, per_second })
}

type Due = (usize, Instant);

async fn next(due: &Mutex<mpsc::UnboundedReceiver<Due>>) -> Option<Due> {
    due.lock().await.recv().await
}

/// Tells each number at its moment. A thread of its own: the runtime's timers go by milliseconds.
fn metronome(begun: Instant, count: usize, rate: f64) -> Result<mpsc::UnboundedReceiver<Due>> {
    let (tell, due) = mpsc::unbounded_channel();
    let tick = move || {
        for number in 0..count {
            let intended = begun + Duration::from_secs_f64(number as f64 / rate);
            std::thread::sleep(intended.saturating_duration_since(Instant::now()));
            if tell.send((number, intended)).is_err() {
                // The clients have given up.
                return;
            }
        }
    };
    std::thread::Builder::new().name("metronome".into()).spawn(tick)?;
    Ok(due)
}
