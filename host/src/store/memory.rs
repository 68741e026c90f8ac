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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every call but `submit`: at once, unless the store is lost.
    fn now<T: Send + 'static>(&self, work: impl FnOnce(&mut State) -> T) -> StoreFuture<'_, T> {
        let mut state = self.state();
        let outcome = state.check().map(|()| work(&mut state));
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
                unread: if kept.instance.version == 0 { state.messages(kept.instance.key) } else { Vec::new() },
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

    /// All that can be wrong is found before anything is changed.
    fn write(&mut self, write: Write) -> Result<(), StoreError> {
        self.check()?;
        self.fence(write.lease)?;
        let key = write.key;
        match &write.change {
            Change::Create { instance, replaces, message } => {
                let holder = self.ids.get(&instance.id).copied();
                let taken = self.instances.contains_key(&key) && holder != Some(key);
                if taken || holder.is_some() && holder != *replaces {
                    return Err(StoreError::Exists);
                }
                if self.inbox.get(&message.seq).is_some_and(|(owner, _)| Some(*owner) != holder) {
                    return Err(StoreError::Conflict);
                }
            }
            Change::Accept { message } => {
                self.get(key)?;
                if self.inbox.contains_key(&message.seq) {
                    return Err(StoreError::Conflict);
                }
            }
            Change::Turn(turn) => {
                let once = turn.consumed.iter().collect::<BTreeSet<_>>().len() == turn.consumed.len();
                let mine = |seq| self.inbox.get(seq).is_some_and(|(owner, _)| *owner == key);
                if self.get(key)?.instance.version != turn.expected_version || !once || !turn.consumed.iter().all(mine)
                {
                    return Err(StoreError::Conflict);
                }
            }
            Change::Park { .. } => {
                self.get(key)?;
            }
        }
        if let Some(fault) = self.faults.pop_front() {
            if let StoreError::Poisoned(reason) = &fault {
                self.poisoned = Some(reason.clone());
            }
            return Err(fault);
        }
        match write.change {
            Change::Create { instance, replaces, message } => self.create(key, instance, replaces, message),
            Change::Accept { message } => {
                self.inbox.insert(message.seq, (key, message));
                Ok(())
            }
            Change::Turn(turn) => self.turn(key, turn),
            Change::Park { reason } => {
                self.get_mut(key)?.instance.parked = reason;
                Ok(())
            }
        }
    }

    fn create(
        &mut self,
        key: InstanceKey,
        new: NewInstance,
        replaces: Option<InstanceKey>,
        message: StoredMessage,
    ) -> Result<(), StoreError> {
        if let Some(old) = replaces.filter(|old| self.ids.get(&new.id) == Some(old)) {
            self.instances.remove(&old);
            self.inbox.retain(|_, (owner, _)| *owner != old);
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
        };
        self.instances.insert(key, Kept { instance, history: Vec::new(), activities: BTreeMap::new() });
        self.inbox.insert(message.seq, (key, message));
        Ok(())
    }

    fn turn(&mut self, key: InstanceKey, turn: TurnRecord) -> Result<(), StoreError> {
        for seq in &turn.consumed {
            self.inbox.remove(seq);
        }
        let kept = self.get_mut(key)?;
        kept.instance.version += 1;
        kept.instance.status = turn.status;
        kept.instance.updated = turn.updated;
        kept.instance.custom_status = turn.custom_status.or(kept.instance.custom_status.take());
        kept.history.extend(turn.steps);
        kept.activities.extend(turn.activities.into_iter().map(|activity| (activity.task, activity)));
        if turn.status.is_final() {
            kept.activities.clear();
        }
        for task in turn.settled {
            kept.activities.remove(&task);
        }
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
