//! What the maps hold, and what a write does to them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;

use crate::limits;
use crate::store::*;

pub(super) struct State {
    partitions: Vec<Partition>,
    pub reserved: u64,
    /// In the order of deployment.
    pub modules: Vec<(ModuleInfo, Arc<[u8]>)>,
    pub instances: BTreeMap<InstanceKey, Kept>,
    ids: HashMap<String, InstanceKey>,
    pub inbox: BTreeMap<u64, (InstanceKey, StoredMessage)>,
    pub outbox: BTreeMap<u64, Sent>,
    /// By the id of an instance, which may be gone, and the key of the request.
    requests: BTreeMap<(String, String), Remembered>,
    pub faults: VecDeque<StoreError>,
    pub poisoned: Option<Arc<str>>,
}

#[derive(Clone, Default)]
struct Partition {
    owner: Option<String>,
    epoch: u64,
}

pub(super) struct Kept {
    pub instance: Instance,
    pub history: Vec<String>,
    activities: BTreeMap<u32, NewActivity>,
}

impl Kept {
    pub fn open_activities(&self) -> impl Iterator<Item = Activity> {
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
            requests: BTreeMap::new(),
            faults: VecDeque::new(),
            poisoned: None,
        }
    }
}

impl State {
    pub fn check(&self) -> Result<(), StoreError> {
        self.poisoned.clone().map_or(Ok(()), |reason| Err(StoreError::Poisoned(reason)))
    }

    pub fn acquire(&mut self, owner: &str) -> Vec<Lease> {
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

    pub fn release(&mut self, leases: &[Lease]) {
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

    pub fn deploy(&mut self, module: Module) {
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

    pub fn delete_module(&mut self, digest: &str, move_to: &str) -> Result<u64, StoreError> {
        let place = self.modules.iter().position(|(info, _)| info.digest == digest).ok_or(StoreError::Missing)?;
        let needs_it = |instance: &&Instance| {
            instance.module == digest && (!instance.status.is_final() || instance.status == RuntimeStatus::Failed)
        };
        let pinned = self.instances.values().map(|kept| &kept.instance).filter(needs_it).count();
        let moving = self.inbox.values().filter(|(_, message)| message.body == move_to).count();
        let needed = (pinned + moving) as u64;
        if needed == 0 {
            self.modules.remove(place);
        }
        Ok(needed)
    }

    pub fn write(&mut self, write: Write) -> Result<(), StoreError> {
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
            Change::Create { instance, replaces, message, sent, once } => {
                self.check_once(&instance.id, once.as_ref(), message.at)?;
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
            Change::Accept { message, sent, once } => {
                self.check_once(&self.get(key)?.instance.id, once.as_ref(), message.at)?;
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

    fn check_once(&self, id: &str, once: Option<&Once>, at: Timestamp) -> Result<(), StoreError> {
        let before = once.and_then(|once| self.remembered(id, &once.key));
        if before.is_some_and(|before| before.until > at) { Err(StoreError::Repeated) } else { Ok(()) }
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
            Change::Create { instance, replaces, message, sent, once } => {
                self.remember(instance.id.clone(), once, &message);
                self.create(key, instance, replaces, message);
                self.delivered(sent);
            }
            Change::Accept { message, sent, once } => {
                self.remember(self.get(key)?.instance.id.clone(), once, &message);
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

    /// What has expired by the time of the message goes, and of too many those that expire first.
    fn remember(&mut self, id: String, once: Option<Once>, message: &StoredMessage) {
        let Some(Once { key, request, until }) = once else { return };
        self.requests.insert((id, key), Remembered { request, seq: message.seq, until });
        self.requests.retain(|_, remembered| remembered.until > message.at);
        while self.requests.len() as u64 > limits::REMEMBERED_REQUESTS {
            let first = self.requests.iter().min_by_key(|(_, remembered)| remembered.until);
            let Some(first) = first.map(|(name, _)| name.clone()) else { return };
            self.requests.remove(&first);
        }
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
        self.instances.insert(key, Kept { instance: new.begun(key), history: Vec::new(), activities: BTreeMap::new() });
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
        instance.waiting = if is_final { Some(BTreeSet::new()) } else { turn.waiting };
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

    pub fn by_id(&self, id: &str) -> Option<&Kept> {
        self.ids.get(id).and_then(|key| self.instances.get(key))
    }

    pub fn remembered(&self, id: &str, key: &str) -> Option<Remembered> {
        self.requests.get(&(id.to_owned(), key.to_owned())).cloned()
    }

    pub fn messages(&self, key: InstanceKey) -> Vec<StoredMessage> {
        self.inbox.values().filter(|(owner, _)| *owner == key).map(|(_, message)| message.clone()).collect()
    }

    pub fn ended(&self) -> impl Iterator<Item = Ended> {
        self.instances.values().filter_map(|Kept { instance, .. }| {
            Some(Ended { ended: instance.ended?, key: instance.key, id: instance.id.clone() })
        })
    }

    pub fn list(&self, filter: &Filter) -> Page {
        let wanted = |instance: &Instance| {
            let waits = |name| instance.waiting.as_ref().is_none_or(|names| names.contains(name));
            filter.admits(&instance.id, &instance.name, instance.status, instance.created)
                && filter.waiting_for.as_ref().is_none_or(waits)
        };
        let after = filter.after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.instances.range((after, Bound::Unbounded)).map(|(key, kept)| (*key, wanted(&kept.instance)));
        let Ok(Walk { keys, next }) = filter.walk(rows.map(Ok::<_, Infallible>));
        let instances = keys.iter().filter_map(|key| self.instances.get(key)).map(|kept| kept.instance.clone());
        Page { instances: instances.collect(), next }
    }
}

/// The sequences of the messages that a turn puts into the inbox.
fn entering(turn: &TurnRecord) -> impl Iterator<Item = u64> {
    let start = turn.generation.iter().map(|generation| generation.start.seq);
    start.chain(turn.returned.iter().map(|message| message.seq))
}
