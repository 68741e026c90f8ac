//! The executor: a step function, driven by a blocking loop in wasm and by the testing kit natively.
//!
//! A step polls the orchestrator until nothing is woken, and ends with the host call to block on. No future blocks or asks the
//! host what is complete: one becomes ready when the executor delivers its task, in the order in which the host hands tasks over. So
//! what an orchestrator does depends on that order alone, and a replay of it does the same.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as Polled, Poll, Wake, Waker};

use crate::Failure;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::execution::{Execution, Shared};
use crate::host::{Answer, Block, Host, NextGeneration};
use crate::registry::{self, Root};

/// The `error_type` of what the executor itself fails with.
const MISUSE: &str = "OrchestratorMisuse";

pub(crate) struct Executor {
    shared: Shared,
    root: Root,
    woken: Arc<Woken>,
    waker: Waker,
}

pub(crate) enum Step {
    /// The orchestrator has returned.
    Done(Result<String, Failure>),
    /// The orchestrator can go on when the host has answered.
    Blocked(Block),
    /// The orchestrator waits for its next generation.
    ContinuedAsNew(Rc<NextGeneration>),
}

impl Executor {
    /// Makes ready to run an orchestrator of this module.
    pub(crate) fn start(name: &str, input: String, host: Box<dyn Host>) -> Result<Self, Failure> {
        let Some(entry) = registry::orchestrator(name) else {
            return Err(Failure::new("", format!("this module holds no orchestrator `{name}`")));
        };
        let shared = Execution::new(host);
        let root = (entry.start)(Context::new(shared.clone(), entry.name, input));
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(woken.clone());
        Ok(Self { shared, root, woken, waker })
    }

    /// Runs as far as possible without an answer of the host.
    pub(crate) fn step(&mut self) -> Step {
        // Executors that would take the thread for themselves (`block_on`) respect this mark, and panic with a
        // sentence rather than park for ever.
        let Ok(_entered) = futures_executor::enter() else {
            return Step::Done(Err(misuse("an executor is run inside another one: await the future instead")));
        };
        while self.woken.0.swap(false, Ordering::Relaxed) {
            if let Poll::Ready(result) = self.root.as_mut().poll(&mut Polled::from_waker(&self.waker)) {
                return Step::Done(result.map_err(Error::into_outgoing));
            }
            if let Some(next) = self.shared.borrow_mut().next_generation.take() {
                return Step::ContinuedAsNew(next);
            }
        }
        match self.shared.borrow().table.block() {
            Some(block) => Step::Blocked(block),
            None => Step::Done(Err(misuse(
                "the orchestrator waits for something that is not a Fermata task, which nothing will ever wake: \
                 it may wait only for events, timers, activities, sub-orchestrations and what is made of them",
            ))),
        }
    }

    /// Delivers what the host answered; the next step goes on from there.
    pub(crate) fn resume(&mut self, block: Block, answer: Answer) {
        let wakers = self.shared.borrow_mut().resume(block, answer);
        wakers.wake();
    }
}

fn misuse(message: &str) -> Failure {
    Failure::new(MISUSE, message).non_retryable()
}

/// Set where the orchestrator is to be polled.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
