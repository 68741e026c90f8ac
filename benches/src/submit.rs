//! Many submitters, each of whom hands something in and waits until it is durable before the next. The same for the store and for the bare log, so
//! that what lies behind is all the difference.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::latency::Latencies;

/// Called once, from any thread, when what was handed in is durable (`true`) or has failed.
pub type OnDurable = Box<dyn FnOnce(bool) + Send>;

pub struct Submitted {
    pub per_second: f64,
    /// From handing in to the answer.
    pub latency: Latencies,
}

/// Hands in `count` things by as many submitters at a time. `submit` takes the number of each; they come in order.
pub async fn submit_all(
    submitters: usize,
    count: usize,
    submit: impl FnMut(usize, OnDurable) + 'static,
) -> Result<Submitted> {
    let (submit, next) = (Rc::new(RefCell::new(submit)), Rc::new(Cell::new(0)));
    let latency = Rc::new(RefCell::new(Latencies::new()));
    let begun = Instant::now();
    let mut running: JoinSet<Result<()>> = JoinSet::new();
    for _ in 0..submitters {
        let (submit, next, latency) = (submit.clone(), next.clone(), latency.clone());
        running.spawn_local(async move {
            loop {
                let number = next.replace(next.get() + 1);
                if number >= count {
                    return Ok(());
                }
                let (answer, answered) = oneshot::channel();
                let begun = Instant::now();
                let tell = move |durable| {
                    // Nobody listens where another submitter has failed.
                    let _ = answer.send(durable);
                };
                (submit.borrow_mut())(number, Box::new(tell));
                ensure!(answered.await?, "what was handed in as number {number} has failed");
                latency.borrow_mut().record(begun.elapsed());
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.context("a submitter panicked")??;
    }
    let per_second = count as f64 / begun.elapsed().as_secs_f64();
    let latency = Rc::into_inner(latency).context("the submitters have ended")?.into_inner();
    Ok(Submitted { per_second, latency })
}
