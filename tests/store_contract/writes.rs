//! Random writes, good and bad, and what there is to see of what they did.

use std::collections::BTreeSet;

use fermata::store::{
    Change, Filter, Lease, Module, NewActivity, NewGeneration, NewInstance, Once, Outgoing, StoreError, StoredMessage,
    TurnRecord,
};
use fermata_replay::{RuntimeStatus, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::kit::{World, steps};

pub const IDS: u64 = 6;
pub const MODULES: u64 = 3;
/// Keys of requests, and names of events that are waited for.
const KEYS: u64 = 4;

pub fn module(digest: &str) -> Module {
    Module {
        digest: digest.to_owned(),
        bytes: digest.as_bytes().into(),
        orchestrators: Vec::new(),
        activities: Vec::new(),
        deployed: Timestamp(0),
    }
}

/// All that reads tell, piece by piece, however history is cut into rows.
pub async fn contents(world: &World, writes: &Writes) -> Vec<Result<String, StoreError>> {
    let mut all = Vec::new();
    for key in &writes.keys {
        let loaded = world.store.load(*key).await;
        all.push(told(
            loaded.map(|loaded| loaded.map(|loaded| (loaded.instance, steps(&loaded.history), loaded.unread))),
        ));
    }
    for id in 0..IDS {
        all.push(told(world.store.find(&id.to_string()).await));
        all.push(told(world.store.snapshot(&id.to_string()).await.map(|snapshot| {
            snapshot.map(|snapshot| {
                let first = snapshot.first.map(|first| steps(&[first]));
                let last = snapshot.last.map(|last| steps(&[last])).or(first.clone());
                let ends = (first.map(|steps| steps[0].clone()), last.and_then(|mut steps| steps.pop()));
                (snapshot.instance, ends, snapshot.unread)
            })
        })));
    }
    for request in 0..IDS * KEYS {
        let (id, key) = (request / KEYS, request % KEYS);
        let remembered = world.store.remembered(&id.to_string(), &format!("k{key}")).await;
        // What has expired may be there still.
        all.push(told(remembered.map(|remembered| remembered.filter(|remembered| remembered.until > writes.now()))));
    }
    all.push(told(world.store.list(Filter::default()).await));
    all.push(told(world.store.unread().await));
    all.push(told(world.store.open_activities().await));
    all.push(told(world.store.outbox().await));
    let due = world.store.due(None, usize::MAX).await;
    let middle = due.as_ref().ok().and_then(|due| due.get(due.len() / 2)).map(|due| (due.due, due.key));
    all.push(told(due));
    all.push(told(world.store.due(middle, 2).await));
    all.push(told(world.store.ended(3).await));
    all.push(told(world.store.count_ended().await));
    all.push(told(world.store.modules().await));
    for number in 0..MODULES {
        all.push(told(world.store.module_bytes(&format!("d{number}")).await));
    }
    all
}

fn told<T: std::fmt::Debug>(read: Result<T, StoreError>) -> Result<String, StoreError> {
    read.map(|value| format!("{value:?}"))
}

/// A random series of writes. Each builds on what those before it have made of the model.
pub struct Writes {
    random: StdRng,
    pub leases: Vec<Lease>,
    /// Of all instances there ever were.
    keys: Vec<u64>,
    last: u64,
    /// How long a step is, at most.
    longest_step: u64,
}

impl Writes {
    pub fn new(seed: u64, leases: Vec<Lease>) -> Self {
        Writes { random: StdRng::seed_from_u64(seed), leases, keys: Vec::new(), last: 0, longest_step: 60 }
    }

    pub fn with_steps_up_to(self, longest_step: u64) -> Self {
        Writes { longest_step, ..self }
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.random.random_range(0..end)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn number_or_taken(&mut self) -> u64 {
        if self.chance(97) { self.number() } else { 1 + self.below(self.last + 1) }
    }

    pub async fn next(&mut self, model: &World) -> (Lease, u64, Change) {
        let partition = self.below(64) as usize;
        let mut lease = self.leases[partition];
        if self.chance(2) {
            lease.epoch -= 1;
        }
        // Those made before the latest are gone.
        let back = self.below(IDS + 1) as usize;
        let key = self.keys.iter().rev().nth(back).copied().unwrap_or(0);
        match self.below(100) {
            0..6 => {
                let (key, change) = self.create(model).await;
                (lease, key, change)
            }
            6..45 => {
                let (message, once) = (self.message(), self.once());
                (lease, key, Change::Accept { message, sent: self.sent(model).await, once })
            }
            45..90 => (lease, key, Change::Turn(self.turn(model, key).await)),
            90..93 => (lease, key, Change::Discard { sent: self.sent(model).await.unwrap_or(self.last) }),
            93..95 => (lease, key, Change::Remove),
            _ => (lease, key, Change::Park { reason: self.chance(50).then(|| "r".to_owned()) }),
        }
    }

    async fn create(&mut self, model: &World) -> (u64, Change) {
        let id = self.below(IDS).to_string();
        let holder = model.store.find(&id).await.unwrap().map(|instance| instance.key);
        let replaces = if self.chance(80) { holder } else { self.keys.first().copied() };
        let key = if self.chance(95) { self.number() } else { self.keys.last().copied().unwrap_or(1) };
        let instance = NewInstance {
            id,
            name: format!("N{}", self.below(3)),
            module: self.module(),
            execution: format!("e{key}"),
            created: Timestamp(self.below(1_000) as i64),
        };
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
        let (message, once) = (self.message(), self.once());
        (key, Change::Create { instance, replaces, message, sent: self.sent(model).await, once })
    }

    /// The time goes on with each number, so that what has expired once has expired for good.
    fn now(&self) -> Timestamp {
        Timestamp(self.last as i64)
    }

    fn once(&mut self) -> Option<Once> {
        let key = format!("k{}", self.below(KEYS));
        let until = Timestamp(self.now().0 + self.below(300) as i64);
        self.chance(30).then(|| Once { key, request: [self.below(256) as u8; 32], until })
    }

    fn names(&mut self) -> BTreeSet<String> {
        (0..self.below(4)).map(|_| format!("k{}", self.below(KEYS))).collect()
    }

    pub fn filter(&mut self) -> Filter {
        let instant = |at: u64| Some(Timestamp(at as i64));
        Filter {
            id_prefix: self.chance(30).then(|| self.below(IDS).to_string()),
            name: self.chance(40).then(|| format!("N{}", self.below(3))),
            allowed: (0..self.below(3))
                .map(|_| ["N1", "*2", "N*", "x"][self.below(4) as usize].parse().unwrap())
                .collect(),
            statuses: (0..self.below(3)).map(|_| RuntimeStatus::ALL[self.below(8) as usize]).collect(),
            created_from: self.chance(30).then(|| instant(self.below(1_000))).flatten(),
            created_to: self.chance(30).then(|| instant(self.below(1_000))).flatten(),
            waiting_for: self.chance(30).then(|| format!("k{}", self.below(KEYS))),
            after: None,
            limit: self.below(4) as usize,
            look_at: 1 + self.below(8) as usize,
        }
    }

    fn module(&mut self) -> String {
        format!("d{}", self.below(MODULES))
    }

    /// What a message may come from: nothing, an entry of the outbox, or one that is gone.
    async fn sent(&mut self, model: &World) -> Option<u64> {
        let sent = model.store.outbox().await.unwrap();
        match self.below(10) {
            0..5 => None,
            5..9 => sent.get(self.below(sent.len() as u64 + 1) as usize).map(|sent| sent.seq),
            _ => Some(1 + self.below(self.last + 1)),
        }
    }

    fn old_message(&mut self) -> StoredMessage {
        let seq = 1 + self.below(self.last + 1);
        StoredMessage { seq, at: Timestamp(0), body: "{\"old\":1}".to_owned() }
    }

    fn message(&mut self) -> StoredMessage {
        let seq = self.number_or_taken();
        StoredMessage { seq, at: self.now(), body: format!("{{\"b\":{seq}}}") }
    }

    async fn turn(&mut self, model: &World, key: u64) -> TurnRecord {
        let loaded = model.store.load(key).await.unwrap();
        let (version, unread) = loaded.map_or((0, Vec::new()), |loaded| (loaded.instance.version, loaded.unread));
        let mut consumed: Vec<u64> = unread.iter().map(|message| message.seq).filter(|_| self.chance(60)).collect();
        if self.chance(3) {
            consumed.push(1 + self.below(self.last + 1));
        }
        let steps = self.chance(90).then(|| {
            let steps: Vec<String> = (0..=self.below(3))
                .map(|_| format!("\"{}\"", "x".repeat(self.below(self.longest_step) as usize)))
                .collect();
            format!("[{}]", steps.join(","))
        });
        // Now and then one that a turn before consumed, or seems to have.
        let returned = if self.chance(5) { vec![self.old_message()] } else { Vec::new() };
        let generation = if self.chance(8) { Some(self.generation(&consumed)) } else { None };
        let outgoing = (0..self.below(3)).map(|_| self.outgoing()).collect();
        let status = if self.chance(90) { RuntimeStatus::Running } else { RuntimeStatus::ALL[self.below(8) as usize] };
        TurnRecord {
            expected_version: if self.chance(95) { version } else { version + 1 },
            steps,
            consumed,
            returned,
            status,
            updated: Timestamp(self.below(1_000) as i64),
            waiting: self.chance(90).then(|| self.names()),
            due: self.chance(40).then(|| Timestamp(self.below(10) as i64)),
            module: self.chance(5).then(|| self.module()),
            custom_status: self.chance(10).then(|| self.last.to_string()),
            activities: (0..self.below(3))
                .map(|_| {
                    let task = self.below(10) as u32;
                    let (attempt, timeout) = (self.below(3) as u32, self.chance(50).then_some(self.last));
                    NewActivity { task, name: format!("A{task}"), input: self.last.to_string(), attempt, timeout }
                })
                .collect(),
            settled: (0..self.below(3)).map(|_| self.below(10) as u32).collect::<BTreeSet<_>>().into_iter().collect(),
            outgoing,
            generation,
        }
    }

    fn outgoing(&mut self) -> Outgoing {
        let seq = self.number_or_taken();
        Outgoing { seq, to: self.below(IDS).to_string(), body: format!("{{\"o\":{seq}}}") }
    }

    fn generation(&mut self, consumed: &[u64]) -> NewGeneration {
        let mut start = self.message();
        if self.chance(70) {
            start.seq = consumed.first().copied().unwrap_or(start.seq);
        }
        NewGeneration { execution: format!("e{}", self.number()), module: self.module(), start }
    }
}
