//! Each call of the system fails once, or from then on: nothing is acknowledged after an outcome that nobody knows, and nothing that was is lost.

use std::path::Path;
use std::sync::{Arc, Mutex};

use fermata::store::StoreError;
use fermata::store::embedded::Embedded;
use io_shim::{Fault, Kind, Watch};

use super::story::{Known, Story, Tell};
use crate::kit::World;

/// The last call to fail. A workload that has fewer is through before.
const LAST: u64 = 500;

const FAULTS: [(Kind, bool); 5] =
    [(Kind::Error, false), (Kind::Error, true), (Kind::Full, false), (Kind::Full, true), (Kind::Short, false)];

/// Small writes, one at a time.
#[tokio::test]
async fn each_call_fails_among_small_writes() {
    every_call(&Workload { story: Story::new(1, 90, 60).await, parts: 1, at_once: 1 }).await;
}

/// Large ones, several in a batch.
#[tokio::test]
async fn each_call_fails_among_large_writes() {
    every_call(&Workload { story: Story::new(2, 60, 9_000).await, parts: 1, at_once: 8 }).await;
}

/// A store that is closed and opened again, so that its log is copied.
#[tokio::test]
async fn each_call_fails_among_restarts() {
    every_call(&Workload { story: Story::new(3, 30, 600).await, parts: 5, at_once: 3 }).await;
}

struct Workload {
    story: Story,
    /// The store is opened anew for each.
    parts: usize,
    at_once: usize,
}

async fn every_call(workload: &Workload) {
    let last = super::amount("FERMATA_CALLS", LAST);
    for (kind, lasting) in FAULTS {
        let (mut met, mut stopped) = (0, 0);
        for nth in 1..=last {
            let fault = Fault { nth, kind, lasting };
            let run = workload.run(fault).await;
            if !run.met {
                break;
            }
            met += 1;
            stopped += u64::from(run.stopped);
        }
        println!("{kind:?}, lasting {lasting}: {met} calls failed, which stopped {stopped} runs");
        assert!(met > 100, "{met}");
    }
}

struct Run {
    /// There was such a call.
    met: bool,
    stopped: bool,
}

impl Workload {
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
