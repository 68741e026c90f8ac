//! What a host keeps of an instance, besides its guest.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use fermata_replay::{
    BufferedEvent, Message, MessageBody, Outgoing, OutgoingBody, Parent, ScheduledActivity, Start, Step, TaskId,
    Timestamp, Turn,
};

use super::children::Child;
use super::life::{Life, Played};
use super::world::{Log, payload};

/// The time at which every run starts.
const BEGINNING: Timestamp = Timestamp(1_600_000_000_000_000);

#[derive(Clone)]
pub(super) struct Instance {
    pub(super) orchestrator: String,
    pub(super) id: Rc<str>,
    pub(super) parent: Option<Parent>,
    /// How many executions there were, of this instance and of its children.
    pub(super) executions: Rc<Cell<u32>>,
    pub(super) now: Timestamp,
    /// The place of the latest message in the order of arrival.
    seq: u64,
    unread: Vec<Message>,
    pub(super) history: Vec<Step>,
    /// The generations before this one.
    pub(super) past: Vec<Played>,
    pub(super) activities: BTreeMap<TaskId, Attempt>,
    pub(super) children: BTreeMap<TaskId, Child>,
    /// Events for other instances: the id, the name, the payload.
    pub(super) sent: Vec<(String, String, String)>,
    /// Instances that nobody waits for: the name, the id, the input.
    pub(super) started: Vec<(String, String, String)>,
    pub(super) log: Log,
}

/// An attempt at an activity that is under way.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) activity: ScheduledActivity,
    /// When it has taken longer than it might.
    pub(super) until: Option<Timestamp>,
}

impl Instance {
    pub(super) fn new(orchestrator: &str, id: &str, parent: Option<Parent>, executions: Rc<Cell<u32>>) -> Self {
        Self {
            orchestrator: orchestrator.to_owned(),
            id: id.into(),
            parent,
            executions,
            now: BEGINNING,
            seq: 0,
            unread: Vec::new(),
            history: Vec::new(),
            past: Vec::new(),
            activities: BTreeMap::new(),
            children: BTreeMap::new(),
            sent: Vec::new(),
            started: Vec::new(),
            log: Log::default(),
        }
    }

    /// The same instance on another host, which has logged nothing.
    pub(super) fn twin(&self) -> Self {
        let executions = Rc::new(Cell::new(self.executions.get()));
        Self { executions, log: Log::default(), ..self.clone() }
    }

    /// Begins a generation, which reads what the one before has left unread.
    pub(super) fn begin(&mut self, input: &str, generation: u64, carried: Vec<BufferedEvent>) -> Life {
        self.executions.set(self.executions.get() + 1);
        let start = Start {
            name: self.orchestrator.clone(),
            input: payload(input),
            execution: format!("execution-{}", self.executions.get()),
            module: "0".repeat(64),
            seed: "0".repeat(64),
            parent: self.parent.clone(),
            generation,
            carried,
            limits: Default::default(),
        };
        let message = self.number(MessageBody::Started(Box::new(start)));
        self.unread.insert(0, message);
        self.revive()
    }

    /// Brings the guest back from its history.
    pub(super) fn revive(&self) -> Life {
        let life = Life::new(self.id.clone(), self.history.clone(), self.log.clone());
        self.unread.iter().for_each(|message| life.push(message.clone()));
        life
    }

    /// Accepts a message.
    pub(super) fn receive(&mut self, body: MessageBody) -> Message {
        let message = self.number(body);
        self.unread.push(message.clone());
        message
    }

    pub(super) fn number(&mut self, body: MessageBody) -> Message {
        self.seq += 1;
        Message { seq: self.seq, at: self.now, body }
    }

    /// Enters a turn, and returns the messages that the instance has sent to itself.
    pub(super) fn enter(&mut self, turn: Turn) -> Vec<MessageBody> {
        self.history.extend(turn.steps);
        self.unread.retain(|message| !turn.consumed.contains(&message.seq));
        self.unread.extend(turn.returned);
        turn.settled.iter().for_each(|task| drop(self.activities.remove(task)));
        if turn.status.is_final() || turn.next.is_some() {
            self.activities.clear();
            self.children.clear();
        }
        for activity in turn.activities {
            let until = activity.timeout.map(|timeout| self.now + timeout);
            self.activities.insert(activity.task, Attempt { activity, until });
        }
        turn.outgoing.into_iter().filter_map(|outgoing| self.send(outgoing)).collect()
    }

    fn send(&mut self, Outgoing { to, body }: Outgoing) -> Option<MessageBody> {
        match body {
            OutgoingBody::Start(start) | OutgoingBody::Revive(start) => {
                let (name, input) = (start.name, start.input.as_str().to_owned());
                match start.caller {
                    Some(caller) => {
                        let child = Child { name, instance: to, input, caller, sent_before: self.sent.len() };
                        self.children.insert(child.caller.task, child);
                    }
                    None => self.started.push((name, to, input)),
                }
                None
            }
            OutgoingBody::Message(event @ MessageBody::EventRaised { .. }) if to == *self.id => Some(event),
            OutgoingBody::Message(MessageBody::EventRaised { name, input }) => {
                self.sent.push((to, name, input.as_str().to_owned()));
                None
            }
            // What parents and children tell each other: a child runs to its end at once, and its parent looks at it.
            OutgoingBody::Message(_) => None,
        }
    }
}
