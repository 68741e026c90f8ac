//! Each call of the system fails once, or from then on: nothing is acknowledged after an outcome that nobody knows, and nothing that was is lost.

use std::path::Path;
use std::sync::{Arc, Mutex};

use fermata::store::StoreError;
use fermata::store::embedded::Embedded;
use io_shim::{Fault, Kind, Watch};

use super::story::{Known, Story, Tell};
use crate::kit::World;

/// Each workload makes as many calls, and each of them fails.
const CALLS: u64 = 500;

const FAULTS: [(Kind, bool); 5] =
    [(Kind::Error, false), (Kind::Error, true), (Kind::Full, false), (Kind::Full, true), (Kind::Short, false)];

/// Small writes, one at a time.
#[tokio::test]
async fn each_call_fails_among_small_writes() {
    let workload = Workload { story: Story::new(1, 120, 60).await, parts: 1, at_once: 1 };
    every_call("each_call_fails_among_small_writes", &workload).await;
}

/// Large ones, several in a batch.
#[tokio::test]
async fn each_call_fails_among_large_writes() {
    let workload = Workload { story: Story::new(2, 125, 9_000).await, parts: 1, at_once: 5 };
    every_call("each_call_fails_among_large_writes", &workload).await;
}

/// A store that is closed and opened again, so that its log is copied.
#[tokio::test]
async fn each_call_fails_among_restarts() {
    let workload = Workload { story: Story::new(3, 100, 600).await, parts: 5, at_once: 3 };
    every_call("each_call_fails_among_restarts", &workload).await;
}

struct Workload {
    story: Story,
    /// The store is opened anew for each.
    parts: usize,
    at_once: usize,
}

async fn every_call(test: &str, workload: &Workload) {
    let calls = workload.calls().await;
    assert!(calls >= CALLS, "there are {calls} calls to fail");
    let mut tallies = [(0, 0); FAULTS.len()];
    for (number, fault) in faults(test) {
        let run = workload.run(fault).await;
        assert!(run.met || fault.nth > CALLS, "{fault:?} was not met");
        tallies[number].0 += u64::from(run.met);
        tallies[number].1 += u64::from(run.stopped);
    }
    for ((kind, lasting), (met, stopped)) in FAULTS.iter().zip(tallies) {
        println!("{kind:?}, lasting {lasting}: of {calls} calls {met} failed, which stopped {stopped} runs");
    }
}

/// With FERMATA_CALLS each call up to that one fails in every way. A run of all tests has time for two ways of each, which the seed chooses.
fn faults(test: &str) -> Vec<(usize, Fault)> {
    let last = tests::number("FERMATA_CALLS");
    let seed = if last.is_some() { 0 } else { super::seed(test) };
    let is_chosen = |nth: u64, number: usize| last.is_some() || (nth + seed % 5 + number as u64) % 5 < 2;
    let ways = |nth| {
        FAULTS.into_iter().enumerate().map(move |(number, (kind, lasting))| (number, Fault { nth, kind, lasting }))
    };
    (1..=last.unwrap_or(CALLS)).flat_map(ways).filter(|(number, fault)| is_chosen(fault.nth, *number)).collect()
}

struct Run {
    /// There was such a call.
    met: bool,
    stopped: bool,
}

impl Workload {
    /// How many calls it makes when none fails.
    async fn calls(&self) -> u64 {
        let dir = super::scratch();
        let watch = Watch::over(dir.path()).unwrap();
        let known = Arc::new(Mutex::new(Known::default()));
        let never = Fault { nth: u64::MAX, kind: Kind::Error, lasting: false };
        let done = self.perform(dir.path(), &watch, &known, never).await;
        assert_eq!(done, (self.story.len(), None));
        watch.calls()
    }

    async fn run(&self, fault: Fault) -> Run {
        let dir = super::scratch();
        let watch = Watch::over(dir.path()).unwrap();
        watch.fail(fault);
        let known = Arc::new(Mutex::new(Known::default()));
        let (begun, stopped) = self.perform(dir.path(), &watch, &known, fault).await;
        let met = watch.heal();
        drop(watch);
        let known = *known.lock().unwrap();
        if let Err(why) = self.story.recovered(dir.path(), known, begun).await {
            panic!("{fault:?}, which stopped it: {stopped:?}: after a restart {why}");
        }
        Run { met, stopped: stopped.is_some() }
    }

    /// Gives how many acts were begun, and what stopped them.
    async fn perform(
        &self,
        dir: &Path,
        watch: &Watch,
        known: &Arc<Mutex<Known>>,
        fault: Fault,
    ) -> (usize, Option<StoreError>) {
        let learning = known.clone();
        let tell: Tell = Arc::new(move |told| learning.lock().unwrap().learn(told));
        let length = self.story.len();
        let mut begun = 0;
        for part in 1..=self.parts {
            let store = match Embedded::open(dir) {
                Ok(store) => Arc::new(store),
                Err(error) => return (begun, Some(error)),
            };
            let leases = match fermata::store::Store::acquire(&*store, "tests").await {
                Ok(leases) => leases,
                Err(error) => return (begun, Some(error)),
            };
            let world = World::owning(store, leases);
            let end = length * part / self.parts;
            while begun < end {
                // Of a batch that did not fit none is there, but others may have followed it: then it is done one by one.
                let at_once = if fault.kind == Kind::Full { 1 } else { self.at_once };
                let (next, stopped) = self.story.perform(&world, begun..end, at_once, tell.clone()).await;
                match stopped {
                    None => begun = next,
                    Some(StoreError::Full) if world.store.poisoned().is_none() => {
                        // Nothing of it is there, and there is room again: on with what has no effect as yet.
                        watch.heal();
                        begun = known.lock().unwrap().acts;
                    }
                    Some(error) => {
                        self.is_lost(&world, next, error.clone(), known).await;
                        return (next, Some(error));
                    }
                }
            }
        }
        (begun, None)
    }

    /// After an outcome that nobody knows the store tells nothing any more.
    async fn is_lost(&self, world: &World, next: usize, error: StoreError, known: &Mutex<Known>) {
        if !matches!(error, StoreError::Poisoned(_)) {
            return;
        }
        let before = *known.lock().unwrap();
        let Some(reason) = world.store.poisoned() else { panic!("{error}, and it is well") };
        let nobody: Tell = Arc::new(|told| panic!("{told:?} is acknowledged by a store that is lost"));
        let end = self.story.len().min(next + 3);
        let (_, stopped) = self.story.perform(world, next..end, 3, nobody).await;
        let refused = StoreError::Poisoned(reason);
        assert!(stopped == Some(refused.clone()) || next == end);
        assert_eq!(world.store.find("1").await, Err(refused.clone()));
        assert_eq!(world.store.outbox().await, Err(refused.clone()));
        assert_eq!(world.store.modules().await, Err(refused));
        assert_eq!(*known.lock().unwrap(), before);
    }
}
