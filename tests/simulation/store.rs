//! A store as an owner sees it: what it submits is written, and answered, when chance says so; what it reads it may hear late. It is as
//! good as the disk beneath, and fails where that does not.

use std::collections::{BTreeMap, VecDeque};
use std::future::ready;
use std::sync::{Arc, Mutex};

use fermata::store::memory::Memory;
use fermata::store::{
    Activity, Due, Ended, Filter, Instance, InstanceKey, Lease, Loaded, Module, ModuleInfo, OnDurable, Page,
    Remembered, Sent, Snapshot, Store, StoreError, StoreFuture, UnreadInstance, Write,
};
use fermata_replay::Timestamp;
use tokio::sync::oneshot;

use super::disk::Disk;
use super::fate::{Fate, lock};

pub struct SlowStore {
    number: usize,
    fate: Arc<Fate>,
    disk: Arc<Disk>,
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    submitted: VecDeque<Submitted>,
    /// On disk, or refused, and not answered.
    written: VecDeque<(OnDurable, Result<(), StoreError>)>,
    /// Who waits for what was read.
    readers: Vec<oneshot::Sender<()>>,
    /// Somebody is being answered: one after the other.
    answering: bool,
    lost: Option<Arc<str>>,
    leases: Vec<Lease>,
    /// How often each instance was loaded to be run since a write was last answered, or a read failed.
    loads: BTreeMap<InstanceKey, usize>,
}

/// So often an instance may be loaded meanwhile: what waits for a write is woken by that.
const LOADS: usize = 8;

/// What waits to be written.
enum Submitted {
    Write(Box<Write>, OnDurable),
    /// A module is to be deleted, and somebody waits for that.
    Deletion {
        digest: String,
        move_to: String,
        answer: oneshot::Sender<Result<u64, StoreError>>,
    },
}

impl SlowStore {
    pub fn new(number: usize, fate: Arc<Fate>, disk: Arc<Disk>) -> Arc<SlowStore> {
        Arc::new(SlowStore { number, fate, disk, under_way: Mutex::default() })
    }

    pub fn leases(&self) -> Vec<Lease> {
        lock(&self.under_way).leases.clone()
    }

    pub fn can_write(&self) -> bool {
        !lock(&self.under_way).submitted.is_empty()
    }

    pub fn can_answer(&self) -> bool {
        let under_way = lock(&self.under_way);
        !under_way.answering && !under_way.written.is_empty()
    }

    pub fn has_readers(&self) -> bool {
        !lock(&self.under_way).readers.is_empty()
    }

    /// Some of what was submitted is written, the first first.
    pub fn write(&self) {
        let count = 1 + self.fate.below(lock(&self.under_way).submitted.len());
        let is_lost = self.fate.strikes(self.fate.swarm.lost);
        // What is wrong with one write, or with all that are written together.
        let mut wrong: Option<StoreError> = None;
        let is_shared = self.fate.draw(|rng| rng.bool());
        for _ in 0..count {
            let next = lock(&self.under_way).submitted.pop_front();
            let (write, on_durable) = match next {
                Some(Submitted::Write(write, on_durable)) => (*write, on_durable),
                Some(Submitted::Deletion { digest, move_to, answer }) => {
                    let _ = answer.send(self.disk.delete_module(self.number, &digest, &move_to));
                    continue;
                }
                None => break,
            };
            wrong = wrong.filter(|_| is_shared).or_else(|| self.fault());
            let outcome = match wrong.clone() {
                Some(fault) => {
                    self.fate.note(format_args!("  {}: {fault}: {} {:?}", self.number, write.key, write.change));
                    Err(fault)
                }
                None => self.disk.write(self.number, write),
            };
            lock(&self.under_way).written.push_back((on_durable, outcome));
        }
        if is_lost {
            self.lose();
        }
    }

    fn fault(&self) -> Option<StoreError> {
        let fault = if self.fate.strikes(self.fate.swarm.full) {
            StoreError::Full
        } else if self.fate.strikes(self.fate.swarm.failed_writes) {
            StoreError::Io("by chance".into())
        } else {
            return None;
        };
        self.fate.trouble();
        Some(fault)
    }

    /// What is not answered yet never will be: nobody can say what is on disk.
    fn lose(&self) {
        self.fate.trouble();
        let reason: Arc<str> = "by chance".into();
        let mut under_way = lock(&self.under_way);
        let UnderWay { submitted, written, .. } = &mut *under_way;
        // Who waits for a deletion hears that it is lost.
        let unwritten = submitted.drain(..).filter_map(|submitted| match submitted {
            Submitted::Write(_, on_durable) => Some(on_durable),
            Submitted::Deletion { .. } => None,
        });
        let all = written.drain(..).map(|(on_durable, _)| on_durable).chain(unwritten);
        let all: Vec<_> = all.map(|on_durable| (on_durable, Err(StoreError::Poisoned(reason.clone())))).collect();
        self.fate.note(format_args!("  {}: the store is lost, with {} writes", self.number, all.len()));
        under_way.written.extend(all);
        under_way.lost = Some(reason);
    }

    /// Some of what is written is answered, in order.
    pub fn answer(&self) {
        let count = {
            let mut under_way = lock(&self.under_way);
            under_way.answering = true;
            under_way.loads.clear();
            1 + self.fate.below(under_way.written.len())
        };
        for _ in 0..count {
            let Some((on_durable, outcome)) = ({ lock(&self.under_way).written.pop_front() }) else { break };
            on_durable(outcome);
        }
        lock(&self.under_way).answering = false;
    }

    /// One of those who read hears what it was.
    pub fn answer_reader(&self) {
        let reader = {
            let mut under_way = lock(&self.under_way);
            let place = self.fate.below(under_way.readers.len());
            under_way.readers.swap_remove(place)
        };
        let _ = reader.send(());
    }

    /// What is not on disk is gone, and nobody is left to be answered.
    pub fn crash(&self) {
        let under_way = std::mem::take(&mut *lock(&self.under_way));
        self.fate.note(format_args!(
            "  {} crashes: {} writes lost, {} unanswered",
            self.number,
            under_way.submitted.len(),
            under_way.written.len()
        ));
    }

    fn check(&self) -> Result<(), StoreError> {
        self.poisoned().map_or(Ok(()), |reason| Err(StoreError::Poisoned(reason)))
    }

    /// A turn is answered on the spot: nobody else could run while it waits.
    fn read<'a, T: Send + 'a>(
        &'a self,
        what: &'static str,
        ask: impl Fn(&'a Memory) -> StoreFuture<'a, T> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        if let Err(lost) = self.check() {
            return Box::pin(ready(Err(lost)));
        }
        let fails = self.fate.strikes(self.fate.swarm.failed_reads);
        let is_late =
            self.fate.is_inside() && self.fate.swarm.late > 0 && self.fate.below(self.fate.swarm.late as usize) == 0;
        self.fate.note(format_args!(
            "  {} reads {what}{}",
            self.number,
            match (fails, is_late) {
                (false, false) => "",
                (false, true) => ", late",
                (true, _) => ", and fails",
            }
        ));
        if fails {
            lock(&self.under_way).loads.clear();
            return Box::pin(ready(Err(StoreError::Io("a read, by chance".into()))));
        }
        if !is_late {
            return ask(self.disk.memory());
        }
        let (sender, heard) = oneshot::channel();
        lock(&self.under_way).readers.push(sender);
        // What it hears was true when it asked, or is when it hears it.
        let before = self.fate.draw(|rng| rng.bool()).then(|| ask(self.disk.memory()));
        Box::pin(async move {
            let _ = heard.await;
            match before {
                Some(answer) => answer.await,
                None => ask(self.disk.memory()).await,
            }
        })
    }
}

impl Store for SlowStore {
    fn acquire<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, Vec<Lease>> {
        let leases = self.disk.acquire(self.number, owner);
        lock(&self.under_way).leases.clone_from(&leases);
        Box::pin(ready(Ok(leases)))
    }

    fn release<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, ()> {
        self.disk.release(leases);
        Box::pin(ready(Ok(())))
    }

    fn reserve(&self, count: u64) -> StoreFuture<'_, u64> {
        self.disk.memory().reserve(count)
    }

    fn deploy(&self, module: Module) -> StoreFuture<'_, ()> {
        Box::pin(ready(self.check().and_then(|()| self.disk.deploy(self.number, module))))
    }

    fn modules(&self) -> StoreFuture<'_, Vec<ModuleInfo>> {
        self.disk.memory().modules()
    }

    fn delete_module<'a>(&'a self, digest: &'a str, move_to: &'a str) -> StoreFuture<'a, u64> {
        let (digest, move_to) = (digest.to_owned(), move_to.to_owned());
        let (answer, deleted) = oneshot::channel();
        match self.check() {
            Err(lost) => drop(answer.send(Err(lost))),
            Ok(()) => lock(&self.under_way).submitted.push_back(Submitted::Deletion { digest, move_to, answer }),
        }
        Box::pin(async { deleted.await.unwrap_or_else(|_| Err(StoreError::Poisoned("by chance".into()))) })
    }

    fn module_bytes<'a>(&'a self, digest: &'a str) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.disk.memory().module_bytes(digest)
    }

    fn submit(&self, write: Write, on_durable: OnDurable) {
        match self.check() {
            Err(lost) => on_durable(Err(lost)),
            Ok(()) => lock(&self.under_way).submitted.push_back(Submitted::Write(Box::new(write), on_durable)),
        }
    }

    fn find<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Instance>> {
        self.read("find", move |memory| memory.find(id))
    }

    fn remembered<'a>(&'a self, id: &'a str, key: &'a str) -> StoreFuture<'a, Option<Remembered>> {
        self.read("remembered", move |memory| memory.remembered(id, key))
    }

    fn snapshot<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Snapshot>> {
        self.read("snapshot", move |memory| memory.snapshot(id))
    }

    fn load(&self, key: InstanceKey) -> StoreFuture<'_, Option<Loaded>> {
        // Who was taken over, and has not been told, may look again and again for what its successor has done; and who has lost its store tries
        // again after ever longer pauses, until it is ended.
        if !self.fate.is_inside() && self.disk.check_owner(self.number).is_ok() && self.poisoned().is_none() {
            let mut under_way = lock(&self.under_way);
            let loads = under_way.loads.entry(key).or_default();
            *loads += 1;
            assert!(*loads <= LOADS, "{key} is loaded again and again");
        }
        self.read("load", move |memory| memory.load(key))
    }

    fn list(&self, filter: Filter) -> StoreFuture<'_, Page> {
        self.read("list", move |memory| memory.list(filter.clone()))
    }

    fn unread(&self) -> StoreFuture<'_, Vec<UnreadInstance>> {
        self.read("unread", Memory::unread)
    }

    fn open_activities(&self) -> StoreFuture<'_, Vec<Activity>> {
        self.read("open activities", Memory::open_activities)
    }

    fn outbox(&self) -> StoreFuture<'_, Vec<Sent>> {
        self.read("outbox", Memory::outbox)
    }

    fn due(&self, after: Option<(Timestamp, InstanceKey)>, limit: usize) -> StoreFuture<'_, Vec<Due>> {
        self.read("due", move |memory| memory.due(after, limit))
    }

    fn ended(&self, limit: usize) -> StoreFuture<'_, Vec<Ended>> {
        self.read("ended", move |memory| memory.ended(limit))
    }

    fn count_ended(&self) -> StoreFuture<'_, u64> {
        self.read("count ended", Memory::count_ended)
    }

    fn poisoned(&self) -> Option<Arc<str>> {
        lock(&self.under_way).lost.clone()
    }
}
