//! Keeps an instance as the owner of its partition does, and holds what must hold after every turn.

use std::collections::{BTreeMap, BTreeSet};

use fermata_replay::{
    Message, MessageBody, NextGeneration, OpenKind, OpenTask, Outgoing, ScheduledActivity, Start, State, Step, Stop,
    TaskEnded, TaskId, Timestamp, Turn, WAITING_NAMES, fold_name, rewind,
};

use crate::guest::{Guest, Life};
use crate::play::{Shown, shown, stored};

/// One life of a guest, as its owner sees it.
pub trait Running {
    /// Lets the guest go as far as it can with these messages besides its history.
    fn resume(&mut self, messages: Vec<Message>) -> Result<Turn, Stop>;
    fn tick(&mut self, now: Timestamp);
    fn shown(&self) -> Shown;
    fn take_inbox(&mut self) -> Vec<Message>;
    /// All that the guest was told in this life, where that is known.
    fn journal(&self) -> Vec<String>;
    /// What the guest was told in new steps, since this was last asked.
    fn take_told(&mut self) -> Vec<String>;
}

/// Begins a life that goes on after a history.
pub type Begin = Box<dyn Fn(Vec<Step>) -> Box<dyn Running>>;

pub struct Owner {
    begin: Begin,
    pub life: Box<dyn Running>,
    /// Of this generation.
    pub history: Vec<Step>,
    /// The generations before, each with what its guest was told.
    pub past: Vec<(Vec<Step>, Vec<String>)>,
    /// Messages that were accepted, and are not used up.
    pub inbox: Vec<Message>,
    /// Activities under way, each with its attempt.
    pub table: BTreeMap<TaskId, u32>,
    pub consumed: Vec<u64>,
    pub outgoing: Vec<Outgoing>,
    /// Attempts at activities, in the order in which they began.
    pub performed: Vec<ScheduledActivity>,
    pub turns: Vec<Turn>,
    /// What the guest was told, in all generations; after a rewind, it is told some of it again.
    pub told: Vec<String>,
    time: Option<Timestamp>,
}

impl Owner {
    pub fn new(guest: &Guest) -> Owner {
        let guest = guest.clone();
        Owner::of(Box::new(move |history| Box::new(Life::new(&guest, history))))
    }

    pub fn of(begin: Begin) -> Owner {
        Owner {
            life: begin(Vec::new()),
            begin,
            history: Vec::new(),
            past: Vec::new(),
            inbox: Vec::new(),
            table: BTreeMap::new(),
            consumed: Vec::new(),
            outgoing: Vec::new(),
            performed: Vec::new(),
            turns: Vec::new(),
            told: Vec::new(),
            time: None,
        }
    }

    pub fn state(&self) -> State {
        State::of(&self.history)
    }

    pub fn deliver(&mut self, messages: impl IntoIterator<Item = Message>) {
        let messages: Vec<Message> = messages.into_iter().collect();
        match &messages[..] {
            [message] if matches!(message.body, MessageBody::Rewound(_)) => self.rewind(message),
            _ => {
                self.inbox.extend(messages.iter().cloned());
                self.resume(messages);
            }
        }
    }

    pub fn tick(&mut self, now: Timestamp) {
        self.time = self.time.max(Some(now));
        self.life.tick(now);
        self.resume([]);
    }

    /// Drops the guest and brings it back, which changes nothing and tells the guest nothing new.
    pub fn evict(&mut self) {
        let before = self.life.journal();
        self.replay();
        assert_eq!(before, self.life.journal(), "a guest brought back is told what it was told before");
        let turn = self.life.resume(self.inbox.clone()).expect("the guest that wrote this history");
        assert!(turn.steps.is_empty() && turn.consumed.is_empty(), "what was left unread waits: {:?}", turn.steps);
    }

    fn rewind(&mut self, message: &Message) {
        let Some(turn) = rewind(&self.history, message) else {
            return self.consumed.push(message.seq);
        };
        assert_eq!(turn.consumed, [message.seq]);
        assert!(self.table.is_empty() && turn.settled.is_empty() && turn.next.is_none(), "it had failed");
        self.inbox.extend(turn.returned.iter().cloned());
        self.inbox.sort_by_key(|message| message.seq);
        // What is returned will be used up once more.
        self.consumed.retain(|seq| turn.returned.iter().all(|message| message.seq != *seq));
        self.inbox.push(message.clone());
        self.history.extend(turn.steps.iter().cloned());
        self.replay();
        self.settle(turn);
        self.resume(self.inbox.clone());
    }

    fn replay(&mut self) {
        self.life = (self.begin)(stored(&self.history));
        let turn = self.life.resume(Vec::new()).expect("the guest that wrote this history");
        assert!(turn.steps.is_empty(), "replay made new steps: {:?}", turn.steps);
        if let Some(time) = self.time {
            self.life.tick(time);
        }
    }

    fn resume(&mut self, messages: impl IntoIterator<Item = Message>) {
        let mut messages: Vec<Message> = messages.into_iter().collect();
        loop {
            let turn = self.life.resume(messages).expect("a guest that fits its history");
            assert!(turn.returned.is_empty(), "only a rewind gives messages back");
            self.history.extend(turn.steps.iter().cloned());
            let next = turn.next.clone();
            self.settle(turn);
            match next {
                Some(next) => messages = self.begin_next(next),
                None => return,
            }
        }
    }

    /// Commits a turn whose steps are in the history.
    fn settle(&mut self, turn: Turn) {
        for seq in &turn.consumed {
            let place = self.inbox.iter().position(|message| message.seq == *seq);
            let message = self.inbox.remove(place.expect("a message is used up once"));
            match message.body {
                MessageBody::Started(start) if start.generation > 0 => {}
                _ => self.consumed.push(*seq),
            }
        }
        let state = self.state();
        assert_eq!(self.life.shown(), shown(&state));
        assert_eq!(turn.due, state.next_due());
        let awaited = awaited(&state);
        assert_eq!(turn.waiting, (awaited.len() <= WAITING_NAMES).then(|| awaited.clone()));
        for name in awaited.iter().map(String::as_str).chain(["nobody waits for this"]) {
            assert_eq!(state.awaits_event(&name.to_uppercase()), awaited.contains(name), "{name}");
        }
        assert_eq!(turn.status, state.runtime_status());
        let moved = |step: &Step| match &step.message {
            MessageBody::Migrated { module } => Some(module.clone()),
            _ => None,
        };
        assert_eq!(turn.module, turn.steps.iter().rev().find_map(moved));

        let is_settled = |activity: &ScheduledActivity| turn.settled.contains(&activity.task);
        assert!(!turn.activities.iter().any(is_settled), "an owner could not tell which came last");
        self.table.extend(turn.activities.iter().map(|activity| (activity.task, activity.attempt)));
        self.table.retain(|task, _| !turn.settled.contains(task));
        if turn.status.is_final() || turn.next.is_some() {
            self.table.clear();
        } else {
            assert_eq!(self.table, self.under_way(&state), "open activities");
        }
        self.performed.extend(turn.activities.iter().cloned());
        self.outgoing.extend(turn.outgoing.iter().cloned());
        self.told.extend(self.life.take_told());
        self.turns.push(turn);
    }

    /// Open activities that do not rest, but for those whose result came before a rewind and waits to be read again.
    fn under_way(&self, state: &State) -> BTreeMap<TaskId, u32> {
        let has_result = |task: TaskId, attempt: u32| {
            let is_it = |ended: &TaskEnded| ended.task == task && ended.attempt == attempt;
            let in_inbox =
                |message: &Message| matches!(&message.body, MessageBody::ActivityEnded(ended) if is_it(ended));
            !self.table.contains_key(&task) && self.inbox.iter().any(in_inbox)
        };
        let under_way = |kind: OpenKind, task| match kind {
            OpenKind::Activity { attempt, retry: None, .. } if !has_result(task, attempt) => Some((task, attempt)),
            _ => None,
        };
        state.open_tasks().into_iter().filter_map(|open| under_way(open.kind, open.task)).collect()
    }

    /// The next generation has an execution and a history of its own, and the messages that are left.
    fn begin_next(&mut self, next: NextGeneration) -> Vec<Message> {
        let state = self.state();
        let before = state.start().expect("it has run");
        let left = self.life.take_inbox();
        assert_eq!(left, self.inbox, "what was not read is for the next generation");
        assert_eq!(next.carried, state.buffered_events(), "and so are events that nobody took");
        let start = Start {
            execution: format!("{}+", before.execution),
            input: next.input,
            carried: next.carried,
            generation: before.generation + 1,
            ..before.clone()
        };
        let last = self.history.last().expect("the step that continued as new");
        let started = Message { seq: last.seq, at: last.at, body: MessageBody::Started(Box::new(start)) };
        self.past.push((std::mem::take(&mut self.history), self.life.journal()));
        self.life = (self.begin)(Vec::new());
        if let Some(time) = self.time {
            self.life.tick(time);
        }
        self.inbox.insert(0, started);
        self.inbox.clone()
    }
}

/// The names of the events that are shown as awaited.
pub fn awaited(state: &State) -> BTreeSet<String> {
    let name = |open: OpenTask| match open.kind {
        OpenKind::Event { name } => Some(fold_name(&name)),
        _ => None,
    };
    state.waiting_for().into_iter().filter_map(name).collect()
}
