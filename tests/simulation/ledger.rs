//! All that was written, in order, and what must hold of it whatever was asked: it knows nothing of the workload, and nothing of how a
//! store keeps things.

use std::collections::{BTreeMap, BTreeSet};

use fermata::store::memory::Memory;
use fermata::store::{Change, InstanceKey, NewInstance, Outgoing, Sent, Store as _, StoredMessage, TurnRecord, Write};
use fermata_replay::{Decision, MessageBody, OutgoingBody, RuntimeStatus, State, Step};
use futures_executor::block_on;

use super::clients::client_of;

#[derive(Default)]
pub struct Ledger {
    kept: BTreeMap<InstanceKey, Kept>,
    ids: BTreeMap<String, InstanceKey>,
    /// Every message that was ever accepted, and for whom.
    accepted: BTreeMap<u64, InstanceKey>,
    /// Events of clients: each came once.
    events: BTreeMap<u64, u64>,
    /// How often something was written for an instance id.
    counts: BTreeMap<(String, &'static str), u64>,
    outbox: BTreeMap<u64, Sent>,
    /// Attempts at activities that began, by execution, task and attempt.
    began: BTreeSet<(String, u32, u32)>,
    /// Of each client the latest event.
    latest: BTreeMap<u64, u64>,
    /// The digests of those that are stored.
    modules: BTreeSet<String>,
}

struct Kept {
    id: String,
    version: u64,
    execution: String,
    module: String,
    status: RuntimeStatus,
    steps: Vec<Step>,
    inbox: BTreeMap<u64, StoredMessage>,
}

impl Ledger {
    /// Takes note of a write that has taken effect.
    pub fn note(&mut self, write: &Write) {
        let key = write.key;
        match &write.change {
            Change::Create { instance, replaces, message, sent, .. } => {
                if let Some(old) = replaces.filter(|old| self.ids.get(&instance.id) == Some(old)) {
                    assert!(self.kept[&old].status.is_final(), "{} takes the place of one that goes on", instance.id);
                    self.remove(old);
                }
                self.create(key, instance, message);
                self.delivered(*sent, &instance.id);
            }
            Change::Accept { message, sent, .. } => {
                let id = self.kept[&key].id.clone();
                self.accept(key, message);
                self.delivered(*sent, &id);
            }
            Change::Turn(turn) => self.turn(key, turn),
            Change::Park { reason: Some(reason) } => panic!("{} is parked: {reason}", self.kept[&key].id),
            Change::Park { reason: None } => panic!("{} was never parked", self.kept[&key].id),
            Change::Discard { sent } => drop(self.outbox.remove(sent).expect("it was sent, and not delivered")),
            Change::Remove => {
                self.count(key, "removed");
                self.remove(key);
            }
        }
    }

    /// How many messages that resume an instance are unread.
    pub fn unread_resumes(&self) -> usize {
        let unread = self.kept.values().flat_map(|kept| kept.inbox.values());
        unread.filter(|message| matches!(body(message), MessageBody::Resumed(_))).count()
    }

    /// Whether something is unread that an operator has asked of the instance.
    pub fn is_controlled(&self, id: &str) -> bool {
        let kept = self.key(id).and_then(|key| self.kept.get(&key));
        let is_control = |body| {
            use MessageBody::{Migrated, Resumed, Rewound, Suspended, Terminated};
            matches!(body, Suspended(_) | Resumed(_) | Terminated(_) | Rewound(_) | Migrated { .. })
        };
        kept.is_some_and(|kept| kept.inbox.values().any(|message| is_control(body(message))))
    }

    /// The key of the instance that a message was accepted for.
    pub fn accepted(&self, seq: u64) -> Option<InstanceKey> {
        self.accepted.get(&seq).copied()
    }

    /// The sequence of the message that a client's event became.
    pub fn event(&self, event: u64) -> Option<u64> {
        self.events.get(&event).copied()
    }

    pub fn key(&self, id: &str) -> Option<InstanceKey> {
        self.ids.get(id).copied()
    }

    /// How often this was written for the instance id.
    pub fn times(&self, id: &str, what: &'static str) -> u64 {
        self.counts.get(&(id.to_owned(), what)).copied().unwrap_or(0)
    }

    /// Whether a turn has begun this attempt.
    pub fn has_begun(&self, execution: &str, task: u32, attempt: u32) -> bool {
        self.began.contains(&(execution.to_owned(), task, attempt))
    }

    /// What is stored is what was written.
    pub fn check(&self, memory: &Memory) {
        for (key, kept) in &self.kept {
            let loaded = block_on(memory.load(*key)).unwrap().unwrap_or_else(|| panic!("{} is lost", kept.id));
            let chunks = loaded.history.iter().map(|chunk| serde_json::from_str::<Vec<Step>>(chunk).unwrap());
            let (instance, steps) = (&loaded.instance, chunks.flatten().collect::<Vec<_>>());
            assert_eq!(steps, kept.steps, "{}: the history", kept.id);
            assert_eq!(loaded.unread, kept.inbox.values().cloned().collect::<Vec<_>>(), "{}: the inbox", kept.id);
            assert_eq!(
                (instance.version, instance.status, &instance.execution, &instance.module),
                (kept.version, kept.status, &kept.execution, &kept.module),
                "{}",
                kept.id
            );
        }
        let sent = block_on(memory.outbox()).unwrap();
        assert_eq!(sent, self.outbox.values().cloned().collect::<Vec<_>>(), "the outbox");
    }

    fn count(&mut self, key: InstanceKey, what: &'static str) {
        *self.counts.entry((self.kept[&key].id.clone(), what)).or_default() += 1;
    }

    fn create(&mut self, key: InstanceKey, instance: &NewInstance, message: &StoredMessage) {
        let before = self.ids.insert(instance.id.clone(), key);
        assert_eq!(before, None, "{} exists", instance.id);
        self.check_stored(&instance.id, &instance.module);
        let kept = Kept {
            id: instance.id.clone(),
            version: 0,
            execution: instance.execution.clone(),
            module: instance.module.clone(),
            status: RuntimeStatus::Pending,
            steps: Vec::new(),
            inbox: BTreeMap::new(),
        };
        assert!(self.kept.insert(key, kept).is_none(), "the key {key} was given twice");
        self.accept(key, message);
    }

    fn accept(&mut self, key: InstanceKey, message: &StoredMessage) {
        assert!(self.accepted.insert(message.seq, key).is_none(), "the number {} was given twice", message.seq);
        let what = match body(message) {
            MessageBody::Started(_) => "started",
            MessageBody::EventRaised { input, .. } => {
                self.note_event(&input.as_str().parse().unwrap_or(0), message.seq);
                "raised"
            }
            MessageBody::Suspended(_) => "suspended",
            MessageBody::Resumed(_) => "resumed",
            MessageBody::Terminated(_) => "terminated",
            MessageBody::Rewound(_) => "rewound",
            MessageBody::Migrated { module } => {
                assert!(!self.kept[&key].status.is_final(), "{key} has ended, and is moved");
                self.check_stored(&self.kept[&key].id, &module);
                "moved"
            }
            _ => "other",
        };
        self.count(key, what);
        self.kept.get_mut(&key).unwrap().inbox.insert(message.seq, message.clone());
    }

    /// A client waits for the answer to one request before it sends the next.
    fn note_event(&mut self, event: &u64, seq: u64) {
        let Some(client) = client_of(*event) else { return };
        assert!(self.events.insert(*event, seq).is_none(), "the event {event} takes effect twice");
        let before = self.latest.insert(client, *event);
        assert!(before.is_none_or(|before| before < *event), "{event} comes after {before:?} of the same client");
    }

    fn delivered(&mut self, sent: Option<u64>, id: &str) {
        let Some(sent) = sent else { return };
        let entry = self.outbox.remove(&sent).expect("it was sent, and not delivered");
        assert!(entry.to == id || entry.from_id == id, "what {entry:?} says came to {id}");
    }

    fn remove(&mut self, key: InstanceKey) {
        let kept = self.kept.remove(&key).unwrap();
        self.ids.remove(&kept.id);
    }

    pub fn deployed(&mut self, digest: &str) {
        self.modules.insert(digest.to_owned());
        *self.counts.entry((digest.to_owned(), "deployed")).or_default() += 1;
    }

    pub fn deleted(&mut self, digest: &str) {
        assert!(self.modules.remove(digest), "{digest} is deleted, and was not there");
        *self.counts.entry((digest.to_owned(), "deleted")).or_default() += 1;
        let moves = |body: &MessageBody| matches!(body, MessageBody::Migrated { module } if module == digest);
        for Kept { id, module, status, inbox, .. } in self.kept.values() {
            let may_go_on = !status.is_final() || *status == RuntimeStatus::Failed;
            assert!(!may_go_on || module != digest, "{id} needs {digest}, which is deleted");
            let is_moved = !status.is_final() && inbox.values().any(|message| moves(&body(message)));
            assert!(!is_moved, "{id} is about to be moved to {digest}, which is deleted");
        }
    }

    fn check_stored(&self, id: &str, module: &str) {
        assert!(self.modules.contains(module), "{id} is to run {module}, which is not stored");
    }

    fn turn(&mut self, key: InstanceKey, turn: &TurnRecord) {
        if let Some(module) = turn.module.as_ref().or(turn.generation.as_ref().map(|next| &next.module)) {
            self.check_stored(&self.kept[&key].id, module);
        }
        let kept = self.kept.get_mut(&key).unwrap();
        let id = kept.id.clone();
        assert_eq!(turn.expected_version, kept.version, "{id}");
        let mut consumed = BTreeMap::new();
        for seq in &turn.consumed {
            let message = kept.inbox.remove(seq).unwrap_or_else(|| panic!("{id}: {seq} is consumed, and is not there"));
            consumed.insert(*seq, body(&message));
        }
        let steps: Vec<Step> = turn.steps.as_deref().map_or(Vec::new(), |steps| serde_json::from_str(steps).unwrap());
        let is_rewound = steps.iter().any(|step| matches!(step.message, MessageBody::Rewound(_)));
        for step in &steps {
            let recorded = consumed.get(&step.seq);
            let fits = matches!(step.message, MessageBody::TimerFired { .. }) || recorded == Some(&step.message);
            assert!(fits, "{id}: a step is not the message {}: {step:?}, {recorded:?}", step.seq);
        }
        if turn.generation.is_none() {
            for (seq, message) in consumed.iter().filter(|(_, message)| is_event(message)) {
                let times = steps.iter().filter(|step| step.seq == *seq && is_event(&step.message)).count();
                assert_eq!(times, 1, "{id}: {seq} is consumed, and is not in history once: {message:?}");
            }
            check_sent(&id, &steps, &turn.outgoing);
            check_moves(kept, &consumed, &steps, turn);
        }
        let end = kept.steps.last().map(|step| step.at);
        let times = end.into_iter().chain(steps.iter().map(|step| step.at));
        assert!(times.is_sorted(), "{id}: time goes back in its history");
        kept.version += 1;
        kept.steps.extend(steps);
        if turn.status.is_final() {
            *self.counts.entry((id.clone(), "ended")).or_default() += 1;
        }
        kept.status = turn.status;
        kept.inbox.extend(turn.returned.iter().map(|message| (message.seq, message.clone())));
        for activity in &turn.activities {
            let began = self.began.insert((kept.execution.clone(), activity.task, activity.attempt));
            assert!(began || is_rewound, "{id}: an attempt begins twice: {activity:?}");
        }
        match &turn.generation {
            Some(generation) => {
                assert!(turn.steps.is_none() && generation.execution != kept.execution, "{id}");
                kept.execution.clone_from(&generation.execution);
                kept.module.clone_from(&generation.module);
                *self.counts.entry((id.clone(), "renewed")).or_default() += 1;
                kept.steps.clear();
                let before = kept.inbox.insert(generation.start.seq, generation.start.clone());
                assert!(before.is_none(), "{id}: the start of a generation takes the place of {before:?}");
            }
            None => check_derived(kept, turn),
        }
        for Outgoing { seq, to, body } in &turn.outgoing {
            let sent = Sent { seq: *seq, from: key, from_id: id.clone(), to: to.clone(), body: body.clone() };
            assert!(self.outbox.insert(*seq, sent).is_none(), "{id}: {seq} is sent twice");
        }
    }
}

/// Each move that was accepted is made, unless the instance has ended or is there already; and the module is the one it was last moved to.
fn check_moves(kept: &mut Kept, consumed: &BTreeMap<u64, MessageBody>, steps: &[Step], turn: &TurnRecord) {
    let id = &kept.id;
    let moved_to = |message: &MessageBody| match message {
        MessageBody::Migrated { module } => Some(module.clone()),
        _ => None,
    };
    let moves: Vec<(u64, String)> =
        steps.iter().filter_map(|step| Some((step.seq, moved_to(&step.message)?))).collect();
    for (seq, module) in consumed.iter().filter_map(|(seq, message)| Some((seq, moved_to(message)?))) {
        let is_there = module == kept.module || moves.iter().any(|(_, other)| *other == module);
        let is_made = moves.iter().any(|(made, _)| made == seq);
        assert!(is_made || is_there || turn.status.is_final(), "{id} is not moved to {module}");
    }
    let last = moves.into_iter().last().map(|(_, module)| module);
    assert_eq!(turn.module, last, "{id}: the module that it is moved to");
    kept.module = last.unwrap_or_else(|| kept.module.clone());
}

/// What stands beside a history is what follows from it.
fn check_derived(kept: &Kept, turn: &TurnRecord) {
    let state = State::of(&kept.steps);
    let id = &kept.id;
    assert_eq!(turn.status, state.runtime_status(), "{id}: the status is the fold of the history");
    assert_eq!(turn.due, state.next_due(), "{id}: when it is due");
    assert_eq!(turn.waiting, state.awaited_events(), "{id}: what it waits for");
}

/// What the steps decided to send is sent.
fn check_sent(id: &str, steps: &[Step], outgoing: &[Outgoing]) {
    let sent: Vec<OutgoingBody> = outgoing.iter().map(|sent| serde_json::from_str(&sent.body).unwrap()).collect();
    let decisions = || steps.iter().flat_map(|step| &step.decisions);
    let events = decisions().filter(|decision| matches!(decision, Decision::EventSent { .. })).count();
    let sent_events = sent.iter().filter(|body| matches!(body, OutgoingBody::Message(message) if is_event(message)));
    assert_eq!(sent_events.count(), events, "{id}: events that it raises for others");
    for decision in decisions() {
        let (Decision::ChildStarted { instance, .. } | Decision::InstanceStarted { instance, .. }) = decision else {
            continue;
        };
        let starts = outgoing.iter().zip(&sent).filter(|(sent, body)| {
            sent.to == *instance && matches!(body, OutgoingBody::Start(_) | OutgoingBody::Revive(_))
        });
        assert!(starts.count() >= 1, "{id}: {instance} is not started");
    }
}

fn is_event(message: &MessageBody) -> bool {
    matches!(message, MessageBody::EventRaised { .. })
}

fn body(message: &StoredMessage) -> MessageBody {
    serde_json::from_str(&message.body).unwrap()
}
