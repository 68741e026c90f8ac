//! A store that takes its time and fails at random, as a disk does: what is submitted is seen by readers only later.

use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use fermata::store::memory::Memory;
use fermata::store::{
    Activity, Due, Ended, Filter, Instance, InstanceKey, Lease, Loaded, Module, ModuleInfo, OnDurable, Page,
    Remembered, Sent, Snapshot, Store, StoreError, StoreFuture, UnreadInstance, Write,
};
use fermata_replay::Timestamp;
use tokio::sync::watch;

pub struct Shaky {
    memory: Arc<Memory>,
    held: watch::Sender<Option<Held>>,
    /// The readers that are kept waiting.
    waiting: Mutex<Vec<Held>>,
    modules_lost: AtomicBool,
    queue: Mutex<Sender<(Write, OnDurable)>>,
    submitted: AtomicUsize,
    gate: Arc<Gate>,
    faults: Arc<Faults>,
    leases: Mutex<Vec<Lease>>,
}

/// Readers who get their answer late: it says what was true when they asked.
#[derive(Clone, PartialEq)]
pub enum Held {
    Loads,
    Modules,
    Find(&'static str),
}

/// How many writes may pass; none: any number.
#[derive(Default)]
struct Gate {
    left: Mutex<Option<u32>>,
    changed: Condvar,
}

/// One in so many writes, and reads, fails; 0: none.
struct Faults {
    writes: AtomicU32,
    reads: AtomicU32,
    rng: Mutex<fastrand::Rng>,
}

impl Faults {
    fn strikes(&self, one_in: &AtomicU32) -> bool {
        let one_in = one_in.load(Ordering::Relaxed);
        one_in > 0 && self.rng.lock().unwrap().u32(0..one_in) == 0
    }
}

impl Shaky {
    pub fn new(seed: u64) -> Arc<Shaky> {
        let memory = Arc::new(Memory::new());
        let gate = Arc::new(Gate::default());
        let faults = Arc::new(Faults {
            writes: AtomicU32::new(0),
            reads: AtomicU32::new(0),
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
        });
        let (queue, writes) = channel::<(Write, OnDurable)>();
        let (store, way, chance) = (memory.clone(), gate.clone(), faults.clone());
        std::thread::spawn(move || {
            for (write, on_durable) in writes {
                way.pass();
                let wait = chance.rng.lock().unwrap().u64(0..200);
                std::thread::sleep(Duration::from_micros(wait));
                if chance.strikes(&chance.writes) {
                    let mut rng = chance.rng.lock().unwrap();
                    store.fail_next(if rng.bool() { StoreError::Full } else { StoreError::Io("by chance".into()) });
                }
                store.submit(write, on_durable);
            }
        });
        Arc::new(Shaky {
            memory,
            held: watch::Sender::new(None),
            waiting: Mutex::default(),
            modules_lost: AtomicBool::new(false),
            queue: Mutex::new(queue),
            submitted: AtomicUsize::new(0),
            gate,
            faults,
            leases: Mutex::default(),
        })
    }

    /// Keeps readers waiting, those who wait already too; or lets all go.
    pub fn hold(&self, held: Option<Held>) {
        self.held.send_replace(held);
    }

    /// How many readers are kept waiting now.
    pub fn waiting(&self) -> usize {
        self.waiting.lock().unwrap().len()
    }

    pub fn is_waited_for(&self, held: &Held) -> bool {
        self.waiting.lock().unwrap().contains(held)
    }

    /// How many writes were submitted so far.
    pub fn submitted(&self) -> usize {
        self.submitted.load(Ordering::Relaxed)
    }

    /// The bytes of modules are gone.
    pub fn lose_modules(&self) {
        self.modules_lost.store(true, Ordering::Relaxed);
    }

    pub fn fail_one_in(&self, writes: u32, reads: u32) {
        self.faults.writes.store(writes, Ordering::Relaxed);
        self.faults.reads.store(reads, Ordering::Relaxed);
        if writes == 0 {
            self.memory.fail_no_more();
        }
    }

    /// The next write fails.
    pub fn fail_next(&self) {
        self.memory.fail_next(StoreError::Full);
    }

    /// The next write fails, and nothing can be known of the store any more.
    pub fn lose(&self) {
        self.memory.fail_next(StoreError::Poisoned("for a test".into()));
    }

    /// Lets so many writes pass, then none; or all.
    pub fn let_pass(&self, writes: Option<u32>) {
        *self.gate.left.lock().unwrap() = writes;
        self.gate.changed.notify_all();
    }

    /// Takes the partitions from their owner, who learns of it when a write fails.
    pub async fn take_away(&self) {
        let leases = self.leases.lock().unwrap().clone();
        self.memory.release(&leases).await.unwrap();
    }

    fn held<'a, T: Send + 'a>(&'a self, held: Held, answer: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        Box::pin(async move {
            let answer = answer.await;
            self.waiting.lock().unwrap().push(held.clone());
            let _ = self.held.subscribe().wait_for(|now| *now != Some(held.clone())).await;
            let mut waiting = self.waiting.lock().unwrap();
            let place = waiting.iter().position(|other| *other == held).expect("it is there since");
            waiting.remove(place);
            answer
        })
    }

    fn read<'a, T: Send + 'a>(&'a self, read: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        match self.faults.strikes(&self.faults.reads) {
            true => Box::pin(ready(Err(StoreError::Io("a read, by chance".into())))),
            false => read,
        }
    }
}

impl Gate {
    fn pass(&self) {
        let closed = |left: &mut Option<u32>| *left == Some(0);
        let mut left = self.changed.wait_while(self.left.lock().unwrap(), closed).unwrap();
        if let Some(left) = &mut *left {
            *left -= 1;
        }
    }
}

impl Store for Shaky {
    fn acquire<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, Vec<Lease>> {
        Box::pin(async move {
            let leases = self.memory.acquire(owner).await?;
            self.leases.lock().unwrap().clone_from(&leases);
            Ok(leases)
        })
    }

    fn release<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, ()> {
        self.memory.release(leases)
    }

    fn reserve(&self, count: u64) -> StoreFuture<'_, u64> {
        self.memory.reserve(count)
    }

    fn deploy(&self, module: Module) -> StoreFuture<'_, ()> {
        self.memory.deploy(module)
    }

    fn modules(&self) -> StoreFuture<'_, Vec<ModuleInfo>> {
        self.memory.modules()
    }

    fn delete_module<'a>(&'a self, digest: &'a str, move_to: &'a str) -> StoreFuture<'a, u64> {
        self.memory.delete_module(digest, move_to)
    }

    fn module_bytes<'a>(&'a self, digest: &'a str) -> StoreFuture<'a, Option<Vec<u8>>> {
        match self.modules_lost.load(Ordering::Relaxed) {
            true => self.held(Held::Modules, Box::pin(ready(Ok(None)))),
            false => self.held(Held::Modules, self.read(self.memory.module_bytes(digest))),
        }
    }

    fn submit(&self, write: Write, on_durable: OnDurable) {
        self.queue.lock().unwrap().send((write, on_durable)).unwrap();
        self.submitted.fetch_add(1, Ordering::Relaxed);
    }

    fn find<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Instance>> {
        let answer = self.read(self.memory.find(id));
        match &*self.held.borrow() {
            Some(Held::Find(held)) if *held == id => self.held(Held::Find(held), answer),
            _ => answer,
        }
    }

    fn remembered<'a>(&'a self, id: &'a str, key: &'a str) -> StoreFuture<'a, Option<Remembered>> {
        self.read(self.memory.remembered(id, key))
    }

    fn snapshot<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Snapshot>> {
        self.memory.snapshot(id)
    }

    fn load(&self, key: InstanceKey) -> StoreFuture<'_, Option<Loaded>> {
        self.held(Held::Loads, self.read(self.memory.load(key)))
    }

    fn list(&self, filter: Filter) -> StoreFuture<'_, Page> {
        self.memory.list(filter)
    }

    fn unread(&self) -> StoreFuture<'_, Vec<UnreadInstance>> {
        self.memory.unread()
    }

    fn open_activities(&self) -> StoreFuture<'_, Vec<Activity>> {
        self.memory.open_activities()
    }

    fn outbox(&self) -> StoreFuture<'_, Vec<Sent>> {
        self.memory.outbox()
    }

    fn due(&self, after: Option<(Timestamp, InstanceKey)>, limit: usize) -> StoreFuture<'_, Vec<Due>> {
        self.read(self.memory.due(after, limit))
    }

    fn ended(&self, limit: usize) -> StoreFuture<'_, Vec<Ended>> {
        self.read(self.memory.ended(limit))
    }

    fn count_ended(&self) -> StoreFuture<'_, u64> {
        self.memory.count_ended()
    }

    fn poisoned(&self) -> Option<Arc<str>> {
        self.memory.poisoned()
    }
}
