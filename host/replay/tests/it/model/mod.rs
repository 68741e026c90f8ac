//! What a program must do, told in another way: it is run from top to bottom, and where it waits it takes the next input. All is
//! searched in plain lists. Nothing here knows of the core's decisions, steps or turns.

mod inputs;
mod program;

use std::collections::{BTreeMap, VecDeque};

use fermata_replay::{
    BufferedEvent, Deadline, Failure, Message, MessageBody, Outcome, Payload, RetryPolicy, TaskEnded, Timestamp,
};

use crate::guest::json;
use crate::program::Stmt;

/// What became of an instance.
#[derive(Debug, PartialEq)]
pub struct Fate {
    pub end: End,
    pub generation: u64,
    pub now: Timestamp,
    pub suspended: bool,
    pub status: Option<Payload>,
    pub module: String,
    pub taken: BTreeMap<u64, Vec<(u32, Payload)>>,
    pub buffered: Vec<BufferedEvent>,
    pub open: Vec<Open>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum End {
    None,
    Returned(Payload),
    Failed(Failure),
    Terminated,
}

/// An open task: its number, the attempt under way, when the next one begins, when it times out.
pub type Open = (u32, Option<u32>, Option<Timestamp>, Option<Timestamp>);

/// What the program comes to with these messages, when time goes on until `until` after the last of them.
pub fn foretell(program: &[Stmt], messages: &[Message], until: Timestamp) -> Fate {
    let [started, rest @ ..] = messages else { panic!("the first message starts it") };
    let mut model = Model { inputs: rest.iter().cloned().collect(), until, ..Model::default() };
    let mut begins = started.at;
    loop {
        let end = model.generation(program, begins);
        if !matches!(end, Halt::Continue) {
            return model.fate(end);
        }
        begins = model.now;
        model.generation += 1;
    }
}

#[derive(Default)]
struct Model {
    /// Messages that have not been read.
    inputs: VecDeque<Message>,
    /// Messages that a rewind gave back, and that overtake the others.
    urgent: VecDeque<Message>,
    /// The numbers of results that a rewind gave back: they are of the attempt that is under way after it.
    returned: Vec<u64>,
    until: Timestamp,
    generation: u64,
    taken: BTreeMap<u64, Vec<(u32, Payload)>>,
    /// Events that no task has.
    buffer: Vec<BufferedEvent>,
    /// What this generation took over from the one before.
    carried: Vec<BufferedEvent>,

    now: Timestamp,
    tasks: Vec<Task>,
    completions: Vec<usize>,
    suspended: bool,
    status: Option<Payload>,
    module: Option<String>,
    /// What was applied so far, and is to be applied anew after a rewind.
    log: Vec<Applied>,
    script: VecDeque<Applied>,
}

#[derive(Clone)]
struct Applied {
    what: What,
    now: Timestamp,
    /// The program did something about it besides waiting.
    acted: bool,
    /// It failed a task.
    broke: Option<Failure>,
}

#[derive(Clone)]
enum What {
    Start,
    Message(Message),
    Deadline(usize, Deadline),
    Rewound(BTreeMap<usize, u32>),
}

struct Task {
    kind: Kind,
    state: State,
    taken: bool,
    handed: bool,
    /// The program gave it up, and leaves it alone.
    dropped: bool,
    /// The program knows that it is complete.
    told: bool,
    attempt: u32,
    uncounted: u32,
    first: Timestamp,
    policy: Option<RetryPolicy>,
    due: Option<Timestamp>,
    retry: Option<Timestamp>,
    timeout: Option<Timestamp>,
    default: Option<Payload>,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Wait(String),
    Timer,
    Activity(String),
    Child(String),
}

#[derive(Clone)]
enum State {
    Open,
    Done(Outcome, Option<BufferedEvent>),
    Gone,
}

/// Why the program goes no further.
enum Halt {
    /// There is no more input.
    Starved,
    Terminated,
    Return(Payload),
    Fail(Failure),
    Continue,
}

type Run<T> = Result<T, Halt>;

impl Model {
    fn generation(&mut self, program: &[Stmt], begins: Timestamp) -> Halt {
        self.carried = std::mem::take(&mut self.buffer);
        loop {
            self.begin(begins);
            let halt = match self.run(program) {
                Ok(()) => Halt::Return(json("null")),
                Err(halt) => halt,
            };
            if let Halt::Return(_) | Halt::Fail(_) | Halt::Continue = halt {
                self.give_events_back();
            }
            match &halt {
                Halt::Continue | Halt::Starved => return halt,
                Halt::Fail(failure) => {
                    if !self.after_the_end(Some(failure)) {
                        return halt;
                    }
                }
                Halt::Return(_) | Halt::Terminated => {
                    self.after_the_end(None);
                    return halt;
                }
            }
        }
    }

    fn begin(&mut self, now: Timestamp) {
        (self.tasks, self.completions, self.log) = Default::default();
        (self.suspended, self.status, self.module) = Default::default();
        self.taken.insert(self.generation, Vec::new());
        self.buffer = self.carried.clone();
        self.now = now;
        let start = self.script.pop_front().unwrap_or(Applied { what: What::Start, now, acted: false, broke: None });
        self.log.push(Applied { acted: false, ..start });
    }

    /// Reads what comes after the end; true where a rewind makes the instance go on.
    fn after_the_end(&mut self, failure: Option<&Failure>) -> bool {
        self.suspended = false;
        let last = self.log.len() - 1;
        while let Some(message) = self.inputs.pop_front() {
            match (&message.body, failure) {
                (MessageBody::EventRaised { name, input }, _) => {
                    self.buffer.push(BufferedEvent { seq: message.seq, name: name.clone(), input: input.clone() });
                    self.now = self.now.max(message.at);
                    self.log.push(Applied { what: What::Message(message), now: self.now, acted: false, broke: None });
                }
                (MessageBody::Rewound(control), Some(failure)) if control.by.is_none() => {
                    self.rewind(last, failure, message.at);
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    fn rewind(&mut self, last: usize, failure: &Failure, at: Timestamp) {
        let mut earliest = last;
        while earliest > 0 && !self.log[earliest - 1].acted {
            earliest -= 1;
        }
        let brought = |applied: &Applied| {
            applied.broke.as_ref().is_some_and(|f| f.message == failure.message && f.error_type == failure.error_type)
        };
        let from = (earliest..=last).find(|index| brought(&self.log[*index])).unwrap_or(last);
        let now = self.log.last().expect("the start").now.max(at);
        let undone = self.log.split_off(from);
        self.script = std::mem::take(&mut self.log).into();

        // Attempts that were begun in what is undone are not begun again. The tasks are those before it.
        let mut attempts = BTreeMap::new();
        for applied in undone.iter().rev() {
            if let What::Deadline(task, Deadline::Retry) = applied.what {
                attempts.entry(task).or_insert(self.tasks[task].attempt);
            }
        }
        if from > 0 {
            self.script.push_back(Applied { what: What::Rewound(attempts), now, acted: true, broke: None });
        }
        for applied in undone.into_iter().rev() {
            if let What::Message(message) = applied.what {
                match &message.body {
                    MessageBody::ActivityEnded(TaskEnded { outcome: Outcome::Failed(_), .. })
                    | MessageBody::ChildEnded(TaskEnded { outcome: Outcome::Failed(_), .. }) => continue,
                    MessageBody::ActivityEnded(_) | MessageBody::ChildEnded(_) => self.returned.push(message.seq),
                    _ => {}
                }
                match message.body {
                    MessageBody::Migrated { .. } => self.urgent.push_front(message),
                    _ => self.inputs.push_front(message),
                }
            }
        }
    }

    fn fate(self, end: Halt) -> Fate {
        let end = match end {
            Halt::Starved => End::None,
            Halt::Terminated => End::Terminated,
            Halt::Return(output) => End::Returned(output),
            Halt::Fail(failure) => End::Failed(failure),
            Halt::Continue => unreachable!("another generation follows"),
        };
        let mut buffered = self.buffer;
        buffered.sort_by_key(|event| event.seq);
        let is_work = |task: &Task| matches!(task.kind, Kind::Activity(_) | Kind::Child(_));
        let open = (0..)
            .zip(&self.tasks)
            .filter(|(_, task)| end == End::None && task.is_open())
            .map(|(number, task)| (number, is_work(task).then_some(task.attempt), task.retry, task.timeout));
        Fate {
            open: open.collect(),
            end,
            generation: self.generation,
            now: self.now,
            suspended: self.suspended,
            status: self.status,
            module: self.module.unwrap_or("ab".repeat(32)),
            taken: self.taken,
            buffered,
        }
    }
}

impl Task {
    fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    fn is_done(&self) -> bool {
        self.outcome().is_some()
    }

    fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            State::Done(outcome, _) => Some(outcome),
            _ => None,
        }
    }
}
