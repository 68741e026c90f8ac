//! One owner of the store, from its beginning to its end: a dispatcher, and the runtime that its tasks run in.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::Poll;

use fermata::dispatcher::{Dispatcher, Options, Performed, Simulator};
use fermata::store::{Activity, StoreError};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::activities::{failed, outcome};
use super::fate::{Fate, lock};
use super::modules::engine;
use super::store::SlowStore;
use super::world::World;

pub struct Host {
    pub number: usize,
    pub store: Arc<SlowStore>,
    fate: Arc<Fate>,
    runtime: Runtime,
    /// As soon as it runs instances.
    dispatcher: Mutex<Option<Arc<Dispatcher>>>,
    /// When it takes requests.
    opened: Mutex<Option<Result<(), StoreError>>>,
    /// Activities under way.
    work: Mutex<VecDeque<oneshot::Sender<()>>>,
}

/// What a host decides as chance says.
struct Hand {
    world: Weak<World>,
    host: Weak<Host>,
}

impl Host {
    pub fn open(world: &Arc<World>, number: usize) -> Arc<Host> {
        let fate = world.fate.clone();
        // One task at a time. There is no time in it: who would wait for the machine's clock panics.
        let runtime = tokio::runtime::Builder::new_current_thread().event_interval(1).build().unwrap();
        let host = Arc::new(Host {
            number,
            store: SlowStore::new(number, fate.clone(), world.disk.clone()),
            fate,
            runtime,
            dispatcher: Mutex::default(),
            opened: Mutex::default(),
            work: Mutex::default(),
        });
        let swarm = &host.fate.swarm;
        let options = Options {
            residency: swarm.residency,
            workers: swarm.workers,
            activities: swarm.activities,
            retention: swarm.retention.clone(),
            simulator: Some(Arc::new(Hand { world: Arc::downgrade(world), host: Arc::downgrade(&host) })),
            ..Options::default()
        };
        let (store, clock, opening) = (host.store.clone(), Arc::new(world.clock.clone()), Arc::downgrade(&host));
        host.runtime.spawn(async move {
            let opened = Dispatcher::open(store, engine(), clock, &options).await.map(drop);
            if let Some(host) = opening.upgrade() {
                *lock(&host.opened) = Some(opened);
            }
        });
        host
    }

    /// Why it could not begin, or can not go on.
    pub fn is_lost(&self) -> bool {
        matches!(&*lock(&self.opened), Some(Err(_))) || fermata::store::Store::poisoned(&*self.store).is_some()
    }

    pub fn dispatcher(&self) -> Option<Arc<Dispatcher>> {
        lock(&self.dispatcher).clone()
    }

    /// The same, once it takes requests.
    pub fn serving(&self) -> Option<Arc<Dispatcher>> {
        let opened = lock(&self.opened);
        if matches!(*opened, Some(Ok(()))) { self.dispatcher() } else { None }
    }

    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Runs so many of the tasks that can go on, as far as each can.
    pub fn run_tasks(&self, mut count: usize) {
        let steps = std::future::poll_fn(|context| {
            if count == 0 {
                return Poll::Ready(());
            }
            count -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        });
        self.fate.within(|| self.runtime.block_on(pin!(steps)));
    }

    pub fn can_work(&self) -> bool {
        lock(&self.work).retain(|work| !work.is_closed());
        !lock(&self.work).is_empty()
    }

    /// One of the activities under way ends.
    pub fn end_work(&self) {
        let mut work = lock(&self.work);
        let place = self.fate.below(work.len());
        let _ = work.remove(place).expect("there are as many").send(());
    }

    /// It is gone, with all it had in memory.
    pub fn crash(self: Arc<Self>) {
        let dispatcher = lock(&self.dispatcher).take();
        self.store.crash();
        lock(&self.work).clear();
        let host = Arc::into_inner(self).expect("nobody else has a host that crashes");
        drop(host.runtime);
        if let Some(dispatcher) = dispatcher {
            let left = Arc::strong_count(&dispatcher) - 1;
            assert_eq!(left, 0, "nobody has it any more");
        }
    }
}

impl Hand {
    fn host(&self) -> Arc<Host> {
        self.host.upgrade().expect("a host lives as long as its dispatcher")
    }
}

impl Simulator for Hand {
    fn begins(&self, dispatcher: &Arc<Dispatcher>) {
        *lock(&self.host().dispatcher) = Some(dispatcher.clone());
    }

    fn meanwhile(&self) {
        if let Some(world) = self.world.upgrade() {
            world.meanwhile();
        }
    }

    fn perform(&self, activity: &Activity) -> Performed {
        let (host, world) = (self.host(), self.world.upgrade().expect("the world lives on"));
        let Activity { key, task, attempt, name, .. } = activity;
        host.fate.note(format_args!("  {} performs {key}/{task} {name}, attempt {attempt}", host.number));
        let is_durable = world.disk.ledger(|ledger| ledger.has_begun(&activity.execution, *task, *attempt));
        assert!(is_durable, "an activity is performed before that is durable: {activity:?}");
        let swarm = &host.fate.swarm;
        let came_to = if host.fate.strikes(swarm.not_run) {
            Err("by chance".to_owned())
        } else if host.fate.strikes(swarm.failed_activities) {
            Ok(failed("Chance"))
        } else {
            Ok(outcome(activity))
        };
        let (sender, done) = oneshot::channel();
        lock(&host.work).push_back(sender);
        Box::pin(async move {
            let _ = done.await;
            came_to
        })
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.host().fate.draw(|rng| rng.fill(bytes));
    }
}
