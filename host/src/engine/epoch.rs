//! The clock behind wall-time limits, and behind the slices that guests run in. It moves only while guests run: an idle host does not wake up
//! for it. Now and then it looks how much memory the process has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

/// How often the epoch moves: the grain of wall-time limits, and how long a guest runs before others get their turn.
pub const TICK: Duration = Duration::from_millis(5);

/// Memory is looked at once in so many ticks.
const TICKS_A_LOOK: u32 = 4;

pub struct Epoch {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    over: AtomicBool,
    /// Memory that the process has to itself, bytes.
    memory: AtomicU64,
}

impl Epoch {
    pub fn of(engine: &wasmtime::Engine) -> Epoch {
        let shared = Arc::new(Shared::default());
        let (engine, mine) = (engine.weak(), shared.clone());
        let tick = move || {
            let mut ticks = 0u32;
            while !mine.over.load(Ordering::Acquire) {
                if mine.running.load(Ordering::Acquire) == 0 {
                    std::thread::park();
                    // What it last saw may be long ago.
                    ticks = TICKS_A_LOOK - 1;
                    continue;
                }
                std::thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
                ticks = ticks.wrapping_add(1);
                if ticks.is_multiple_of(TICKS_A_LOOK) {
                    mine.memory.store(own_memory().unwrap_or(0), Ordering::Relaxed);
                }
            }
        };
        let thread = std::thread::Builder::new().name("epoch".into()).spawn(tick);
        Epoch { shared, thread: thread.expect("the system can start a thread").thread().clone() }
    }

    /// Memory that the process has to itself, bytes, when it was last looked at.
    pub fn memory(&self) -> u64 {
        self.shared.memory.load(Ordering::Relaxed)
    }

    /// Keeps the epoch moving while the answer lives.
    pub fn run(&self) -> Running<'_> {
        if self.shared.running.fetch_add(1, Ordering::AcqRel) == 0 {
            self.thread.unpark();
        }
        Running(self)
    }
}

/// What is resident of this process and shared with no file (`/proc/self/statm`, in pages); none where that can not be read.
fn own_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split(' ').skip(1).map(|number| number.parse::<u64>().ok());
    let (resident, shared) = (pages.next()??, pages.next()??);
    Some(resident.saturating_sub(shared) * rustix::param::page_size() as u64)
}

/// Half of the memory that the host may have, bytes: of the machine's, or of its control group's where that is less.
pub fn half_of_memory() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
    });
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min().map_or(u64::MAX, |bytes: u64| bytes / 2)
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
