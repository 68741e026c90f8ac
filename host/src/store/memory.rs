//! The same promises in the obvious way, for tests: a few maps behind one lock. Nothing outlives the process.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

use super::*;

/// A write takes effect inside `submit`, and is answered on a thread that does nothing else.
pub struct Memory {
    state: Mutex<State>,
    answers: mpsc::Sender<Answer>,
}

type Answer = (OnDurable, Result<(), StoreError>);

impl Default for Memory {
    fn default() -> Self {
        let (answers, queue) = mpsc::channel::<Answer>();
        std::thread::spawn(move || queue.into_iter().for_each(|(on_durable, outcome)| on_durable(outcome)));
        Memory { state: Mutex::default(), answers }
    }
}

impl Memory {
    pub fn new() -> Self {
        Memory::default()
    }

    /// The next write that nothing else is wrong with fails like this, without effect. `Poisoned` stays, as it does on a disk.
    pub fn fail_next(&self, error: StoreError) {
        self.state().faults.push_back(error);
    }

    /// Forgets the faults that were to come: one whose write is refused is kept for the next.
    pub fn fail_no_more(&self) {
        self.state().faults.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every call but `submit`: at once, unless the store is lost.
    fn now<T: Send + 'static>(&self, work: impl FnOnce(&mut State) -> T) -> StoreFuture<'_, T> {
        self.attempt(|state| Ok(work(state)))
    }

    fn attempt<T: Send + 'static>(&self, work: impl FnOnce(&mut State) -> Result<T, StoreError>) -> StoreFuture<'_, T> {
        let mut state = self.state();
        let outcome = state.check().and_then(|()| work(&mut state));
        Box::pin(ready(outcome))
    }
}

impl Store for Memory {
    fn acquire<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, Vec<Lease>> {
        self.now(|state| state.acquire(owner))
    }

    fn release<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, ()> {
        self.now(|state| state.release(leases))
    }

    fn reserve(&self, count: u64) -> StoreFuture<'_, u64> {
        self.now(|state| {
            let first = state.reserved + 1;
            state.reserved += count;
            first
        })
    }

    fn deploy(&self, module: Module) -> StoreFuture<'_, ()> {
        self.now(|state| state.deploy(module))
    }

    fn modules(&self) -> StoreFuture<'_, Vec<ModuleInfo>> {
        self.now(|state| state.modules.iter().rev().map(|(info, _)| info.clone()).collect())
    }

    fn delete_module<'a>(&'a self, digest: &'a str) -> StoreFuture<'a, u64> {
        self.attempt(|state| state.delete_module(digest))
    }

    fn module_bytes<'a>(&'a self, digest: &'a str) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.now(|state| {
            let module = state.modules.iter().find(|(info, _)| info.digest == digest);
            module.map(|(_, bytes)| bytes.to_vec())
        })
    }

    fn submit(&self, write: Write, on_durable: OnDurable) {
        let mut state = self.state();
        let outcome = state.write(write);
        // Under the lock: answers come in the order of the writes.
        self.answers.send((on_durable, outcome)).expect("the answering thread lives as long as the store");
    }

    fn find<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Instance>> {
        self.now(|state| state.by_id(id).map(|kept| kept.instance.clone()))
    }

    fn snapshot<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Snapshot>> {
        self.now(|state| {
            let kept = state.by_id(id)?;
            Some(Snapshot {
                instance: kept.instance.clone(),
                first: kept.history.first().cloned(),
                last: kept.history.get(1..).and_then(<[String]>::last).cloned(),
                unread: if kept.history.is_empty() { state.messages(kept.instance.key) } else { Vec::new() },
            })
        })
    }

    fn load(&self, key: InstanceKey) -> StoreFuture<'_, Option<Loaded>> {
        self.now(|state| {
            let kept = state.instances.get(&key)?;
            Some(Loaded { instance: kept.instance.clone(), history: kept.history.clone(), unread: state.messages(key) })
        })
    }

    fn list(&self, filter: Filter) -> StoreFuture<'_, Page> {
        self.now(|state| state.list(&filter))
    }

    fn unread(&self) -> StoreFuture<'_, Vec<UnreadInstance>> {
        self.now(|state| {
            let keys: BTreeSet<_> = state.inbox.values().map(|(key, _)| *key).collect();
            let instance = |key: InstanceKey| UnreadInstance { key, id: state.instances[&key].instance.id.clone() };
            keys.into_iter().map(instance).collect()
        })
    }

    fn open_activities(&self) -> StoreFuture<'_, Vec<Activity>> {
        self.now(|state| state.instances.values().flat_map(Kept::open_activities).collect())
    }

    fn outbox(&self) -> StoreFuture<'_, Vec<Sent>> {
        self.now(|state| state.outbox.values().cloned().collect())
    }

    fn due(&self, after: Option<(Timestamp, InstanceKey)>, limit: usize) -> StoreFuture<'_, Vec<Due>> {
        self.now(|state| {
            let due = |instance: &Instance| {
                let due = instance.due.filter(|_| instance.parked.is_none())?;
                Some(Due { due, key: instance.key, id: instance.id.clone() })
            };
            let mut found: Vec<Due> = state.instances.values().filter_map(|kept| due(&kept.instance)).collect();
            found.retain(|found| after.is_none_or(|after| (found.due, found.key) > after));
            found.sort_by_key(|found| (found.due, found.key));
            found.truncate(limit);
            found
        })
    }

    fn ended(&self, limit: usize) -> StoreFuture<'_, Vec<Ended>> {
        self.now(|state| {
            let mut found: Vec<Ended> = state.ended().collect();
            found.sort_by_key(|found| (found.ended, found.key));
            found.truncate(limit);
            found
        })
    }

    fn count_ended(&self) -> StoreFuture<'_, u64> {
        self.now(|state| state.ended().count() as u64)
    }

    fn poisoned(&self) -> Option<Arc<str>> {
        self.state().poisoned.clone()
    }
}

struct State {
    partitions: Vec<Partition>,
    reserved: u64,
    /// In the order of deployment.
    modules: Vec<(ModuleInfo, Arc<[u8]>)>,
    instances: BTreeMap<InstanceKey, Kept>,
    ids: HashMap<String, InstanceKey>,
    inbox: BTreeMap<u64, (InstanceKey, StoredMessage)>,
    outbox: BTreeMap<u64, Sent>,
    faults: VecDeque<StoreError>,
    poisoned: Option<Arc<str>>,
}

#[derive(Clone, Default)]
struct Partition {
    owner: Option<String>,
    epoch: u64,
}

struct Kept {
    instance: Instance,
    history: Vec<String>,
    activities: BTreeMap<u32, NewActivity>,
}

impl Kept {
    fn open_activities(&self) -> impl Iterator<Item = Activity> {
        self.activities.values().map(|activity| Activity {
            key: self.instance.key,
            instance_id: self.instance.id.clone(),
            execution: self.instance.execution.clone(),
            module: self.instance.module.clone(),
            task: activity.task,
            name: activity.name.clone(),
            input: activity.input.clone(),
            attempt: activity.attempt,
            timeout: activity.timeout,
        })
    }
}

impl Default for State {
    fn default() -> Self {
        State {
            partitions: vec![Partition::default(); PARTITIONS as usize],
            reserved: 0,
            modules: Vec::new(),
            instances: BTreeMap::new(),
            ids: HashMap::new(),
            inbox: BTreeMap::new(),
            outbox: BTreeMap::new(),
            faults: VecDeque::new(),
            poisoned: None,
        }
    }
}

impl State {
    fn check(&self) -> Result<(), StoreError> {
        self.poisoned.clone().map_or(Ok(()), |reason| Err(StoreError::Poisoned(reason)))
    }

    fn acquire(&mut self, owner: &str) -> Vec<Lease> {
        let mut leases = Vec::new();
        for (number, partition) in (0..).zip(&mut self.partitions) {
            if partition.owner.as_deref().is_none_or(|holder| holder == owner) {
                partition.owner = Some(owner.to_owned());
                partition.epoch += 1;
                leases.push(Lease { partition: number, epoch: partition.epoch });
            }
        }
        leases
    }

    fn release(&mut self, leases: &[Lease]) {
        for lease in leases {
            if self.fence(*lease).is_ok() {
                let partition = &mut self.partitions[lease.partition as usize];
                partition.owner = None;
                partition.epoch += 1;
            }
        }
    }

    fn fence(&self, lease: Lease) -> Result<(), StoreError> {
        match self.partitions.get(lease.partition as usize) {
            Some(partition) if partition.epoch == lease.epoch => Ok(()),
            _ => Err(StoreError::Fenced(lease.partition)),
        }
    }

    fn deploy(&mut self, module: Module) {
        let deployment = self.modules.last().map_or(0, |(info, _)| info.deployment) + 1;
        let known = self.modules.iter().position(|(info, _)| info.digest == module.digest);
        let entry = match known {
            Some(place) => {
                let (info, bytes) = self.modules.remove(place);
                (ModuleInfo { deployed: module.deployed, deployment, ..info }, bytes)
            }
            None => {
                let info = ModuleInfo {
                    digest: module.digest,
                    size: module.bytes.len() as u64,
                    orchestrators: module.orchestrators,
                    activities: module.activities,
                    deployed: module.deployed,
                    deployment,
                };
                (info, module.bytes)
            }
        };
        self.modules.push(entry);
    }

    fn delete_module(&mut self, digest: &str) -> Result<u64, StoreError> {
        let place = self.modules.iter().position(|(info, _)| info.digest == digest).ok_or(StoreError::Missing)?;
        let needs_it = |instance: &&Instance| {
            instance.module == digest && (!instance.status.is_final() || instance.status == RuntimeStatus::Failed)
        };
        let needed = self.instances.values().map(|kept| &kept.instance).filter(needs_it).count() as u64;
        if needed == 0 {
            self.modules.remove(place);
        }
        Ok(needed)
    }

    fn write(&mut self, write: Write) -> Result<(), StoreError> {
        self.check()?;
        self.fence(write.lease)?;
        self.check_change(write.key, &write.change)?;
        if let Some(fault) = self.faults.pop_front() {
            if let StoreError::Poisoned(reason) = &fault {
                self.poisoned = Some(reason.clone());
            }
            return Err(fault);
        }
        self.apply(write.key, write.change)
    }

    /// All that can be wrong is found before anything is changed.
    fn check_change(&self, key: InstanceKey, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Create { instance, replaces, message, sent } => {
                let holder = self.ids.get(&instance.id).copied();
                let taken = self.instances.contains_key(&key) && holder != Some(key);
                if taken || holder.is_some() && holder != *replaces {
                    return Err(StoreError::Exists);
                }
                if self.inbox.get(&message.seq).is_some_and(|(owner, _)| Some(*owner) != holder) {
                    return Err(StoreError::Conflict);
                }
                self.check_sent(*sent)
            }
            Change::Accept { message, sent } => {
                self.get(key)?;
                if self.inbox.contains_key(&message.seq) {
                    return Err(StoreError::Conflict);
                }
                self.check_sent(*sent)
            }
            Change::Turn(turn) => self.check_turn(key, turn),
            Change::Discard { sent } => self.check_sent(Some(*sent)),
            Change::Park { .. } | Change::Remove => self.get(key).map(drop),
        }
    }

    fn check_sent(&self, sent: Option<u64>) -> Result<(), StoreError> {
        match sent {
            Some(seq) if !self.outbox.contains_key(&seq) => Err(StoreError::Delivered),
            _ => Ok(()),
        }
    }

    fn check_turn(&self, key: InstanceKey, turn: &TurnRecord) -> Result<(), StoreError> {
        let version = self.get(key)?.instance.version;
        let consumed: BTreeSet<u64> = turn.consumed.iter().copied().collect();
        let sent: BTreeSet<u64> = turn.outgoing.iter().map(|message| message.seq).collect();
        let mine = |seq| self.inbox.get(seq).is_some_and(|(owner, _)| *owner == key);
        let fits = version == turn.expected_version
            && consumed.len() == turn.consumed.len()
            && consumed.iter().all(mine)
            && sent.len() == turn.outgoing.len()
            && !sent.iter().any(|seq| self.outbox.contains_key(seq))
            && entering(turn).collect::<BTreeSet<_>>().len() == entering(turn).count()
            && entering(turn).all(|seq| consumed.contains(&seq) || !self.inbox.contains_key(&seq));
        if fits { Ok(()) } else { Err(StoreError::Conflict) }
    }

    fn apply(&mut self, key: InstanceKey, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Create { instance, replaces, message, sent } => {
                self.create(key, instance, replaces, message);
                self.delivered(sent);
            }
            Change::Accept { message, sent } => {
                self.inbox.insert(message.seq, (key, message));
                self.delivered(sent);
            }
            Change::Turn(turn) => self.turn(key, turn)?,
            Change::Park { reason } => self.get_mut(key)?.instance.parked = reason,
            Change::Discard { sent } => self.delivered(Some(sent)),
            Change::Remove => self.remove(key),
        }
        Ok(())
    }

    fn delivered(&mut self, sent: Option<u64>) {
        if let Some(seq) = sent {
            self.outbox.remove(&seq);
        }
    }

    fn create(&mut self, key: InstanceKey, new: NewInstance, replaces: Option<InstanceKey>, message: StoredMessage) {
        if let Some(old) = replaces.filter(|old| self.ids.get(&new.id) == Some(old)) {
            self.remove(old);
        }
        self.ids.insert(new.id.clone(), key);
        let instance = Instance {
            key,
            id: new.id,
            name: new.name,
            module: new.module,
            execution: new.execution,
            status: RuntimeStatus::Pending,
            created: new.created,
            updated: new.created,
            version: 0,
            custom_status: None,
            parked: None,
            due: None,
            ended: None,
        };
        self.instances.insert(key, Kept { instance, history: Vec::new(), activities: BTreeMap::new() });
        self.inbox.insert(message.seq, (key, message));
    }

    fn remove(&mut self, key: InstanceKey) {
        if let Some(kept) = self.instances.remove(&key) {
            self.ids.remove(&kept.instance.id);
        }
        self.inbox.retain(|_, (owner, _)| *owner != key);
    }

    fn turn(&mut self, key: InstanceKey, turn: TurnRecord) -> Result<(), StoreError> {
        for seq in &turn.consumed {
            self.inbox.remove(seq);
        }
        let Kept { instance, history, activities } = self.get_mut(key)?;
        let is_final = turn.status.is_final();
        instance.version += 1;
        instance.status = turn.status;
        instance.updated = turn.updated;
        instance.due = turn.due.filter(|_| !is_final);
        instance.ended = is_final.then_some(turn.updated);
        instance.parked = None;
        instance.custom_status = turn.custom_status.or(instance.custom_status.take());
        if let Some(module) = turn.module {
            instance.module = module;
        }
        history.extend(turn.steps);
        activities.extend(turn.activities.into_iter().map(|activity| (activity.task, activity)));
        for task in turn.settled {
            activities.remove(&task);
        }
        if is_final || turn.generation.is_some() {
            activities.clear();
        }
        let from_id = instance.id.clone();
        if let Some(generation) = turn.generation {
            history.clear();
            instance.execution = generation.execution;
            instance.module = generation.module;
            self.inbox.insert(generation.start.seq, (key, generation.start));
        }
        self.inbox.extend(turn.returned.into_iter().map(|message| (message.seq, (key, message))));
        self.outbox.extend(turn.outgoing.into_iter().map(|message| {
            let Outgoing { seq, to, body } = message;
            (seq, Sent { seq, from: key, from_id: from_id.clone(), to, body })
        }));
        Ok(())
    }

    fn get(&self, key: InstanceKey) -> Result<&Kept, StoreError> {
        self.instances.get(&key).ok_or(StoreError::Missing)
    }

    fn get_mut(&mut self, key: InstanceKey) -> Result<&mut Kept, StoreError> {
        self.instances.get_mut(&key).ok_or(StoreError::Missing)
    }

    fn by_id(&self, id: &str) -> Option<&Kept> {
        self.ids.get(id).and_then(|key| self.instances.get(key))
    }

    fn messages(&self, key: InstanceKey) -> Vec<StoredMessage> {
        self.inbox.values().filter(|(owner, _)| *owner == key).map(|(_, message)| message.clone()).collect()
    }

    fn ended(&self) -> impl Iterator<Item = Ended> {
        self.instances.values().filter_map(|Kept { instance, .. }| {
            Some(Ended { ended: instance.ended?, key: instance.key, id: instance.id.clone() })
        })
    }

    fn list(&self, filter: &Filter) -> Page {
        let wanted = |instance: &&Instance| {
            filter.after.is_none_or(|after| instance.key > after)
                && filter.id_prefix.as_ref().is_none_or(|prefix| instance.id.starts_with(prefix))
                && filter.name.as_ref().is_none_or(|name| instance.name == *name)
                && (filter.statuses.is_empty() || filter.statuses.contains(&instance.status))
                && filter.created_from.is_none_or(|from| instance.created >= from)
                && filter.created_to.is_none_or(|to| instance.created <= to)
        };
        let mut found = self.instances.values().map(|kept| &kept.instance).filter(wanted).cloned();
        let limit = if filter.limit == 0 { usize::MAX } else { filter.limit };
        let instances: Vec<_> = found.by_ref().take(limit).collect();
        let next = found.next().and(instances.last()).map(|instance| instance.key);
        Page { instances, next }
    }
}

/// The sequences of the messages that a turn puts into the inbox.
fn entering(turn: &TurnRecord) -> impl Iterator<Item = u64> {
    let start = turn.generation.iter().map(|generation| generation.start.seq);
    start.chain(turn.returned.iter().map(|message| message.seq))
}
