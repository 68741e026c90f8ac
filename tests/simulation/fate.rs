//! What chance decides in a run, and the record of all that happens in it.

use std::cell::Cell;
use std::fmt::{Arguments, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fermata_replay::Timestamp;

use super::swarm::{Swarm, Theme};

pub struct Fate {
    pub swarm: Swarm,
    rng: Mutex<fastrand::Rng>,
    /// For what only some themes are about: all else is drawn alike without it.
    aside: Mutex<fastrand::Rng>,
    trace: Mutex<String>,
    calm: AtomicBool,
    troubled: AtomicBool,
    /// The thread is inside a runtime, where no other may be entered.
    inside: AtomicBool,
}

impl Fate {
    pub fn of(seed: u64, theme: Option<Theme>) -> Fate {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut aside = fastrand::Rng::with_seed(!seed);
        let swarm = Swarm::draw(&mut rng);
        let drawn = Theme::draw(&mut aside);
        let swarm = swarm.about(theme.unwrap_or(drawn), &mut aside);
        Fate {
            swarm,
            rng: Mutex::new(rng),
            aside: Mutex::new(aside),
            trace: Mutex::default(),
            calm: AtomicBool::new(false),
            troubled: AtomicBool::new(false),
            inside: AtomicBool::new(false),
        }
    }

    pub fn draw<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut lock(&self.rng))
    }

    /// Draws what is none of [`Theme::Anything`]'s.
    pub fn aside<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut lock(&self.aside))
    }

    pub fn below(&self, end: usize) -> usize {
        self.draw(|rng| rng.usize(0..end))
    }

    /// Whether a fault strikes that does so once in so many times; 0: never.
    pub fn strikes(&self, one_in: u32) -> bool {
        one_in > 0 && !self.is_calm() && self.draw(|rng| rng.u32(0..one_in)) == 0
    }

    /// Nothing goes wrong from here on.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// Something has gone wrong after which writes may be refused that are well otherwise.
    pub fn trouble(&self) {
        self.troubled.store(true, Ordering::Relaxed);
    }

    pub fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Relaxed)
    }

    pub fn is_inside(&self) -> bool {
        self.inside.load(Ordering::Relaxed)
    }

    /// Runs what is inside a runtime.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        self.inside.store(true, Ordering::Relaxed);
        let done = work();
        self.inside.store(false, Ordering::Relaxed);
        done
    }

    pub fn note(&self, line: Arguments<'_>) {
        let mut trace = lock(&self.trace);
        trace.write_fmt(line).expect("a string takes all");
        trace.push('\n');
    }

    pub fn take_trace(&self) -> String {
        std::mem::take(&mut lock(&self.trace))
    }
}

/// When a run begins.
pub const BEGIN: Timestamp = Timestamp(1_700_000_000_000_000);

/// A panic elsewhere is told by itself; what it left is looked at all the same.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// Something has panicked on this thread, be it in a task.
    pub static PANICKED: Cell<bool> = const { Cell::new(false) };
}
