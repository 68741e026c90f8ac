//! A directory whose files a test of the same process has in its hands.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `EIO`: nothing is known of what was to be done.
    Error,
    /// `ENOSPC`, of what takes room; other calls succeed.
    Full,
    /// A write writes half of what it is given, a byte at least; other calls succeed.
    Short,
}

/// The `nth` call (1 is the first) fails, or all from that one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub nth: u64,
    pub kind: Kind,
    pub lasting: bool,
}

/// What was done to the files of a directory; names are relative to it, and the empty one is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Create {
        file: PathBuf,
    },
    Write {
        file: PathBuf,
        offset: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        file: PathBuf,
        length: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Unlink {
        file: PathBuf,
    },
    /// Of the directory: of its names.
    Sync {
        file: PathBuf,
    },
    /// What a test has noted between these.
    Mark(u64),
}

/// Watches until it is dropped.
pub struct Watch {
    shared: Arc<Watched>,
}

#[derive(Default)]
pub(crate) struct Watched {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: u64,
    fault: Option<Fault>,
    met: bool,
    trace: Option<Vec<Op>>,
}

static WATCHES: Mutex<Vec<Arc<Watched>>> = Mutex::new(Vec::new());
/// How many there are: while there is none, calls need not know their file.
static COUNT: AtomicUsize = AtomicUsize::new(0);

impl Watch {
    pub fn over(dir: &Path) -> std::io::Result<Watch> {
        let shared = Arc::new(Watched { dir: dir.canonicalize()?, ..Watched::default() });
        lock(&WATCHES).push(shared.clone());
        COUNT.fetch_add(1, Ordering::SeqCst);
        Ok(Watch { shared })
    }

    /// Counts calls anew, and lets one fail.
    pub fn fail(&self, fault: Fault) {
        *lock(&self.shared.state) = State { fault: Some(fault), ..State::default() };
    }

    /// No call fails any more. Gives whether one did.
    pub fn heal(&self) -> bool {
        let mut state = lock(&self.shared.state);
        state.fault = None;
        state.met
    }

    /// How many calls there were since they were counted anew.
    pub fn calls(&self) -> u64 {
        lock(&self.shared.state).calls
    }

    pub fn record(&self) {
        lock(&self.shared.state).trace = Some(Vec::new());
    }

    /// Notes something in the record. Calls are in it before they return, so what they made true is before this.
    pub fn mark(&self, number: u64) {
        if let Some(trace) = &mut lock(&self.shared.state).trace {
            trace.push(Op::Mark(number));
        }
    }

    /// The record so far, which begins anew.
    pub fn take(&self) -> Vec<Op> {
        lock(&self.shared.state).trace.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&WATCHES).retain(|watched| !Arc::ptr_eq(watched, &self.shared));
        COUNT.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) fn is_any() -> bool {
    COUNT.load(Ordering::Relaxed) > 0
}

/// Who watches this file.
pub(crate) fn of(path: &Path) -> Option<Arc<Watched>> {
    lock(&WATCHES).iter().find(|watched| path.starts_with(&watched.dir)).cloned()
}

/// A call on a watched file, while no other is under way: the record has them in the order in which they happened.
pub(crate) struct Call<'w> {
    dir: &'w Path,
    state: MutexGuard<'w, State>,
}

impl Watched {
    /// The call, and how it is to fail.
    pub(crate) fn enter(&self) -> (Call<'_>, Option<Kind>) {
        let mut state = lock(&self.state);
        state.calls += 1;
        let calls = state.calls;
        let is_hit = |fault: &Fault| calls == fault.nth || (fault.lasting && calls > fault.nth);
        let kind = state.fault.filter(is_hit).map(|fault| fault.kind);
        state.met |= kind.is_some();
        (Call { dir: &self.dir, state }, kind)
    }
}

impl Call<'_> {
    /// It has been done.
    pub(crate) fn record(&mut self, op: impl FnOnce(&dyn Fn(&Path) -> PathBuf) -> Op) {
        let name = |path: &Path| path.strip_prefix(self.dir).unwrap_or(path).to_owned();
        if let Some(trace) = &mut self.state.trace {
            trace.push(op(&name));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
