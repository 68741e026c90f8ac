//! An embedded store that is written to as the one in memory is: it answers alike, and has the same, also when it is opened again.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use fermata::store::embedded::Embedded;
use fermata::store::{Filter, Lease, Module, Store, StoreError, Write};
use fermata_replay::Step;
use futures_executor::block_on;
use tempfile::TempDir;

use super::fate::lock;

pub struct Twin {
    dir: TempDir,
    store: Mutex<Option<Embedded>>,
    /// What each write is to be answered, and its answer.
    answers: Mutex<VecDeque<Answer>>,
}

struct Answer {
    write: Write,
    expected: Result<(), StoreError>,
    given: Receiver<Result<(), StoreError>>,
}

impl Twin {
    pub fn new() -> Twin {
        let dir = TempDir::new().unwrap();
        let store = Embedded::open(dir.path()).unwrap();
        Twin { dir, store: Mutex::new(Some(store)), answers: Mutex::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&Embedded) -> T) -> T {
        work(lock(&self.store).as_ref().expect("it is closed only while it is opened again"))
    }

    pub fn write(&self, write: Write, expected: Result<(), StoreError>) {
        let (sender, given) = channel();
        self.with(|store| store.submit(write.clone(), Box::new(move |outcome| sender.send(outcome).unwrap())));
        lock(&self.answers).push_back(Answer { write, expected, given });
    }

    pub fn deploy(&self, module: Module) {
        self.with(|store| block_on(store.deploy(module))).unwrap();
    }

    /// It counts who needs it in what is durable.
    pub fn delete_module(&self, digest: &str, move_to: &str) -> Result<u64, StoreError> {
        self.hear();
        self.with(|store| block_on(store.delete_module(digest, move_to)))
    }

    pub fn acquire(&self, owner: &str) -> Vec<Lease> {
        self.with(|store| block_on(store.acquire(owner))).unwrap()
    }

    pub fn release(&self, leases: &[Lease]) {
        self.with(|store| block_on(store.release(leases))).unwrap();
    }

    /// Only where it has no owner: one that is opened has none.
    pub fn reopen(&self) {
        let mut store = lock(&self.store);
        drop(store.take());
        *store = Some(Embedded::open(self.dir.path()).unwrap());
    }

    fn hear(&self) {
        for Answer { write, expected, given } in lock(&self.answers).drain(..) {
            assert_eq!(given.recv().unwrap(), expected, "the embedded store answers otherwise: {write:?}");
        }
    }

    pub fn check(&self, memory: &impl Store) {
        self.hear();
        let (mine, expected) = (self.with(contents), contents(memory));
        for (mine, expected) in mine.iter().zip(&expected) {
            assert_eq!(mine, expected, "the embedded store has something else");
        }
        assert_eq!(mine.len(), expected.len());
    }
}

/// All that is read of a store, however it cuts histories into pieces.
fn contents(store: &impl Store) -> Vec<String> {
    let mut all = Vec::new();
    let mut add = |part: &dyn Debug| all.push(format!("{part:?}"));
    for instance in block_on(store.list(Filter::default())).unwrap().instances {
        let loaded = block_on(store.load(instance.key)).unwrap().unwrap();
        let chunks = loaded.history.iter().map(|chunk| serde_json::from_str::<Vec<Step>>(chunk).unwrap());
        add(&(&instance, chunks.flatten().collect::<Vec<_>>(), loaded.unread));
    }
    add(&block_on(store.modules()).unwrap());
    add(&block_on(store.unread()).unwrap());
    add(&block_on(store.open_activities()).unwrap());
    add(&block_on(store.outbox()).unwrap());
    add(&block_on(store.due(None, 1 << 30)).unwrap());
    add(&(block_on(store.ended(1 << 30)).unwrap(), block_on(store.count_ended()).unwrap()));
    all
}
