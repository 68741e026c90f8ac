//! The clock behind wall-time limits. It moves only while guests run: an idle host does not wake up for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

/// How often the epoch moves: the grain of wall-time limits.
pub const TICK: Duration = Duration::from_millis(10);

pub struct Epoch {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    over: AtomicBool,
}

impl Epoch {
    pub fn of(engine: &wasmtime::Engine) -> Epoch {
        let shared = Arc::new(Shared::default());
        let (engine, mine) = (engine.weak(), shared.clone());
        let tick = move || {
            while !mine.over.load(Ordering::Acquire) {
                if mine.running.load(Ordering::Acquire) == 0 {
                    std::thread::park();
                    continue;
                }
                std::thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        };
        let thread = std::thread::Builder::new().name("epoch".into()).spawn(tick);
        Epoch { shared, thread: thread.expect("the system can start a thread").thread().clone() }
    }

    /// Keeps the epoch moving while the answer lives.
    pub fn run(&self) -> Running<'_> {
        if self.shared.running.fetch_add(1, Ordering::AcqRel) == 0 {
            self.thread.unpark();
        }
        Running(self)
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

pub struct Running<'a>(&'a Epoch);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.shared.running.fetch_sub(1, Ordering::AcqRel);
    }
}
