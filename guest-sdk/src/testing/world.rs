//! The host of the testing kit: events, tasks and their order of completion.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::host::{Answer, Block, Handle, Host, Outcome};
use crate::{Failure, Level, Timestamp};

pub(super) type SharedWorld = Rc<RefCell<World>>;

struct TaskRecord {
    subject: Subject,
    result: Option<Completion>,
    /// One of the waiting calls has returned it.
    handed_over: bool,
    taken: bool,
    cancelled: bool,
}

#[derive(Clone)]
enum Subject {
    Wait { name: String },
    Activity { name: String, input: String },
}

struct Completion {
    number: usize,
    outcome: Outcome,
    /// The place of the event in the order of arrival.
    event: usize,
}

struct Event {
    place: usize,
    name: String,
    payload: String,
}

pub(super) struct World {
    tasks: Vec<TaskRecord>,
    /// Completed tasks, in order, to be handed over.
    completed: VecDeque<Handle>,
    completions: usize,
    /// Open waits by the name of their event in lower case, oldest first; some of them are closed by now.
    waits: HashMap<String, Vec<Handle>>,
    /// Events that no wait has, in the order of arrival.
    buffer: Vec<Event>,
    events: usize,
    guids: u32,
    pub(super) now: Timestamp,
    pub(super) replaying: bool,
    pub(super) evicted: bool,
    pub(super) calls: Vec<String>,
    pub(super) logged: Vec<String>,
    pub(super) custom_status: Option<String>,
}

impl World {
    pub(super) const INSTANCE_ID: &str = "test-instance";

    pub(super) fn shared(replaying: bool) -> SharedWorld {
        Rc::new(RefCell::new(Self {
            tasks: Vec::new(),
            completed: VecDeque::new(),
            completions: 0,
            waits: HashMap::new(),
            buffer: Vec::new(),
            events: 0,
            guids: 0,
            now: Timestamp::from_millis(1_600_000_000_000.0),
            replaying,
            evicted: false,
            calls: Vec::new(),
            logged: Vec::new(),
            custom_status: None,
        }))
    }

    pub(super) fn raise(&mut self, name: String, payload: String) {
        let place = self.events;
        self.events += 1;
        self.offer(Event { place, name, payload });
    }

    /// Binds an event to the newest open wait for its name, or keeps it at its place in the order of arrival.
    fn offer(&mut self, event: Event) {
        let waits = self.waits.entry(event.name.to_lowercase()).or_default();
        while let Some(wait) = waits.pop() {
            if self.tasks[wait as usize].is_open() {
                return self.complete(wait, Ok(event.payload), event.place);
            }
        }
        let place = self.buffer.partition_point(|kept| kept.place < event.place);
        self.buffer.insert(place, event);
    }

    pub(super) fn complete_activity(&mut self, task: Handle, outcome: Outcome) {
        if self.tasks[task as usize].is_open() {
            self.complete(task, outcome, 0);
        }
    }

    fn complete(&mut self, task: Handle, outcome: Outcome, event: usize) {
        self.tasks[task as usize].result = Some(Completion { number: self.completions, outcome, event });
        self.completions += 1;
        self.completed.push_back(task);
    }

    pub(super) fn open_activities(&self) -> impl Iterator<Item = Handle> + '_ {
        let open =
            |(_, task): &(usize, &TaskRecord)| task.is_open() && matches!(task.subject, Subject::Activity { .. });
        self.tasks.iter().enumerate().filter(open).map(|(handle, _)| handle as Handle)
    }

    /// The name and the input of an activity.
    pub(super) fn activity(&self, task: Handle) -> (String, String) {
        match &self.tasks[task as usize].subject {
            Subject::Activity { name, input } => (name.clone(), input.clone()),
            Subject::Wait { name } => panic!("task {task} is the wait for event `{name}`"),
        }
    }

    /// Notes a call that waits.
    pub(super) fn blocked(&mut self, block: &Block) {
        self.calls.push(match block {
            Block::Await(task) => format!("await {task}"),
            Block::Any(_, tasks) => format!("any of {tasks:?}"),
            Block::All(_, tasks) => format!("all of {tasks:?}"),
            Block::Next => "next".to_owned(),
        });
    }

    /// The answer to a call that waits, once there is one.
    pub(super) fn answer(&mut self, block: &Block) -> Option<Answer> {
        match block {
            Block::Await(task) => {
                self.tasks[*task as usize].result.as_ref()?;
                self.hand_over(*task);
                Some(Answer::Outcome(self.take(*task)?))
            }
            Block::Any(_, tasks) => self.first(tasks).map(Answer::Task),
            Block::All(_, tasks) => self.all(tasks).map(Answer::Payloads),
            Block::Next => self.next().map(Answer::Task),
        }
    }

    fn first(&mut self, tasks: &[Handle]) -> Option<Handle> {
        let completed = |task: &Handle| Some((self.tasks[*task as usize].result.as_ref()?.number, *task));
        let (_, winner) = tasks.iter().filter_map(completed).min()?;
        self.hand_over(winner);
        Some(winner)
    }

    fn all(&mut self, tasks: &[Handle]) -> Option<Result<Vec<String>, Box<Failure>>> {
        let results = || tasks.iter().map(|task| self.tasks[*task as usize].result.as_ref());
        let failed = results().flatten().filter_map(|result| Some((result.number, result.outcome.as_ref().err()?)));
        if let Some((_, failure)) = failed.min_by_key(|(number, _)| *number) {
            return Some(Err(failure.clone()));
        }
        if results().any(|result| result.is_none()) {
            return None;
        }
        tasks.iter().for_each(|task| self.hand_over(*task));
        tasks.iter().map(|task| self.take(*task)).collect()
    }

    fn next(&mut self) -> Option<Handle> {
        loop {
            let task = self.completed.pop_front()?;
            let record = &mut self.tasks[task as usize];
            if !record.handed_over && !record.cancelled {
                record.handed_over = true;
                return Some(task);
            }
        }
    }

    fn hand_over(&mut self, task: Handle) {
        self.tasks[task as usize].handed_over = true;
    }

    fn take(&mut self, task: Handle) -> Option<Outcome> {
        let record = &mut self.tasks[task as usize];
        let outcome = record.result.as_ref()?.outcome.clone();
        record.taken = true;
        Some(outcome)
    }

    fn record(&mut self, call: impl Into<String>) {
        if !self.evicted {
            self.calls.push(call.into());
        }
    }

    fn create(&mut self, subject: Subject) -> Handle {
        self.tasks.push(TaskRecord { subject, result: None, handed_over: false, taken: false, cancelled: false });
        (self.tasks.len() - 1) as Handle
    }
}

impl TaskRecord {
    fn is_open(&self) -> bool {
        self.result.is_none() && !self.cancelled
    }
}

impl Host for SharedWorld {
    fn wait_external_event(&mut self, name: &str) -> Handle {
        check_name("event", name);
        let world = &mut *self.borrow_mut();
        let handle = world.create(Subject::Wait { name: name.to_owned() });
        world.record(format!("{handle} = wait {name}"));
        let key = name.to_lowercase();
        match world.buffer.iter().position(|event| event.name.to_lowercase() == key) {
            Some(index) => {
                let event = world.buffer.remove(index);
                world.complete(handle, Ok(event.payload), event.place);
            }
            None => world.waits.entry(key).or_default().push(handle),
        }
        handle
    }

    fn call_activity(&mut self, name: &str, input: &str) -> Handle {
        check_name("activity", name);
        let world = &mut *self.borrow_mut();
        let handle = world.create(Subject::Activity { name: name.to_owned(), input: input.to_owned() });
        world.record(format!("{handle} = call {name} {input}"));
        handle
    }

    fn task_any(&mut self, tasks: &[Handle]) -> Handle {
        let world = &mut *self.borrow_mut();
        world.record(format!("any of {tasks:?}"));
        world.first(tasks).expect("the executor asks only where a task is complete")
    }

    fn task_result(&mut self, task: Handle) -> Option<Outcome> {
        let world = &mut *self.borrow_mut();
        world.record(format!("result of {task}"));
        world.take(task)
    }

    fn cancel_task(&mut self, task: Handle) -> bool {
        let world = &mut *self.borrow_mut();
        world.record(format!("cancel {task}"));
        let record = &mut world.tasks[task as usize];
        if record.taken || record.cancelled || world.evicted {
            return false;
        }
        record.cancelled = true;
        if let (Subject::Wait { name }, Some(bound)) = (&record.subject, record.result.take()) {
            let payload = bound.outcome.expect("a wait cannot fail");
            let event = Event { place: bound.event, name: name.clone(), payload };
            world.offer(event);
        }
        true
    }

    fn instance_id(&mut self) -> String {
        World::INSTANCE_ID.to_owned()
    }

    fn current_utc_time(&mut self) -> Timestamp {
        self.borrow().now
    }

    fn new_guid(&mut self) -> String {
        let mut world = self.borrow_mut();
        world.guids += 1;
        format!("00000000-0000-4000-8000-{:012x}", world.guids)
    }

    fn is_replaying(&mut self) -> bool {
        self.borrow().replaying
    }

    fn set_custom_status(&mut self, status: &str) {
        self.borrow_mut().custom_status = Some(status.to_owned());
    }

    fn log(&mut self, level: Level, message: &str) {
        let mut world = self.borrow_mut();
        if !world.replaying {
            world.logged.push(format!("{}: {message}", format!("{level:?}").to_lowercase()));
        }
    }
}

fn check_name(what: &str, name: &str) {
    assert!(!name.is_empty() && name.len() <= 256, "the name of an {what} has 1 to 256 bytes");
}
