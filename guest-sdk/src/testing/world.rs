//! The native twin of the host's imports: each is a call of [`Execution`], as it is for a guest in wasm.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::task::Poll;

use fermata_replay::{Execution, Message, Payload, Start, State, Step, Stop, Turn};

use super::convert::{self, instant, outcome};
use super::words;
use crate::host::{Answer, Block, Handle, Host, NextGeneration, Outcome};
use crate::{Failure, Level, RetryPolicy, Timestamp};

pub(super) type SharedWorld = Rc<RefCell<World>>;

/// Lines that were logged; one log for all the lives of a run.
pub(super) type Log = Rc<RefCell<Vec<String>>>;

/// What a guest may make its custom status of, in bytes.
const CUSTOM_STATUS_BYTES: usize = 16 << 10;

/// The longest name or id, in bytes.
const NAME_BYTES: usize = 256;

/// What one life of a guest knows of the host.
pub(super) struct World {
    pub(super) execution: Execution,
    instance_id: Rc<str>,
    guids: u32,
    /// Nothing that the guest asks is heard any more: it has ended, or is dropped.
    pub(super) evicted: bool,
    pub(super) calls: Vec<String>,
    log: Log,
}

impl World {
    pub(super) fn shared(instance_id: Rc<str>, history: Vec<Step>, log: Log) -> SharedWorld {
        let execution = Execution::new(history);
        Rc::new(RefCell::new(Self { execution, instance_id, guids: 0, evicted: false, calls: Vec::new(), log }))
    }

    pub(super) fn push(&mut self, message: Message) {
        self.execution.push(message);
    }

    pub(super) fn take_turn(&mut self) -> Turn {
        self.execution.take_turn()
    }

    pub(super) fn state(&self) -> &State {
        self.execution.state()
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
        let execution = &mut self.execution;
        match block {
            Block::Await(task) => {
                let polled = execution.poll_task(*task);
                self.ready(polled).map(outcome).map(Answer::Outcome)
            }
            Block::Any(_, tasks) => {
                let polled = execution.poll_any(tasks);
                self.ready(polled).map(Answer::Task)
            }
            Block::All(_, tasks) => {
                let polled = execution.poll_all(tasks);
                let texts =
                    |payloads: Vec<Payload>| payloads.iter().map(|payload| payload.as_str().to_owned()).collect();
                let results = self.ready(polled)?;
                Some(Answer::Payloads(results.map(texts).map_err(|failure| Box::new(failure.into()))))
            }
            Block::Next => {
                let polled = execution.poll_next();
                self.ready(polled).map(Answer::Task)
            }
        }
    }

    /// Enters how the orchestrator ended.
    pub(super) fn end(&mut self, result: Result<String, Failure>) {
        let result = result.map_err(Box::new);
        let ended = self.execution.end(convert::result(&result));
        self.heard(ended);
    }

    /// Enters that the orchestrator goes on in its next generation.
    pub(super) fn continue_as_new(&mut self, next: &NextGeneration) {
        let ended = self.execution.continue_as_new(payload(&next.input), next.same_module);
        self.heard(ended);
    }

    /// Applies the messages that concern no guest.
    pub(super) fn absorb(&mut self) {
        let absorbed = self.execution.absorb();
        self.heard(absorbed);
    }

    fn start(&self) -> &Start {
        self.state().start().expect("the guest runs, so it was started")
    }

    fn record(&mut self, call: impl FnOnce(Timestamp) -> String) {
        let now = instant(self.state().now());
        self.calls.push(call(now));
    }

    fn ready<R>(&mut self, polled: Poll<Result<R, Stop>>) -> Option<R> {
        match polled {
            Poll::Pending => None,
            Poll::Ready(answer) => Some(self.heard(answer)),
        }
    }

    /// What the host would trap the guest for, or park the instance, fails the test. The guest's destructors are not heard any more.
    fn heard<R>(&mut self, answer: Result<R, Stop>) -> R {
        answer.unwrap_or_else(|stop| {
            self.evicted = true;
            match stop {
                Stop::Misuse(reason) => panic!("{reason}"),
                Stop::Mismatch(mismatch) => {
                    panic!("orchestrator `{}` is not deterministic: {mismatch}", self.start().name)
                }
            }
        })
    }
}

impl Host for SharedWorld {
    fn wait_external_event(&mut self, name: &str) -> Handle {
        check_name("event", name);
        let world = &mut *self.borrow_mut();
        let created = world.execution.wait_external_event(name);
        let task = world.heard(created);
        world.record(|_| words::wait(task, name));
        task
    }

    fn call_activity(&mut self, name: &str, input: &str) -> Handle {
        check_name("activity", name);
        let world = &mut *self.borrow_mut();
        let created = world.execution.call_activity(name, payload(input));
        let task = world.heard(created);
        world.record(|_| words::call(task, name, input));
        task
    }

    fn call_sub_orchestrator(&mut self, name: &str, input: &str, instance_id: Option<&str>) -> Handle {
        check_name("sub-orchestration", name);
        check_id(instance_id);
        let world = &mut *self.borrow_mut();
        let created = world.execution.call_sub_orchestrator(name, instance_id, payload(input));
        let task = world.heard(created);
        world.record(|_| words::child(task, name, input));
        task
    }

    fn create_timer(&mut self, due: Timestamp) -> Handle {
        let world = &mut *self.borrow_mut();
        let created = world.execution.create_timer(convert::due(due));
        let task = world.heard(created);
        world.record(|now| words::timer(task, due, now));
        task
    }

    fn set_retry(&mut self, task: Handle, policy: &RetryPolicy) {
        let world = &mut *self.borrow_mut();
        let set = world.execution.set_retry(task, policy.into());
        world.heard(set);
        world.record(|_| words::retry(task));
    }

    fn set_timeout(&mut self, task: Handle, due: Timestamp, default: Option<&str>) {
        let world = &mut *self.borrow_mut();
        let set = world.execution.set_timeout(task, convert::due(due), default.map(payload));
        world.heard(set);
        world.record(|now| words::timeout(task, due, now, default));
    }

    fn start_orchestrator(&mut self, name: &str, input: &str, instance_id: Option<&str>) -> String {
        check_name("orchestrator", name);
        check_id(instance_id);
        let world = &mut *self.borrow_mut();
        let started = world.execution.start_orchestrator(name, instance_id, payload(input));
        let instance = world.heard(started);
        world.record(|_| words::start(name, &instance, input));
        instance
    }

    fn raise_event(&mut self, instance_id: &str, name: &str, text: &str) {
        check_name("event", name);
        check_id(Some(instance_id));
        let world = &mut *self.borrow_mut();
        let raised = world.execution.raise_event(instance_id, name, payload(text));
        world.heard(raised);
        world.record(|_| words::send(name, instance_id, text));
    }

    fn task_any(&mut self, tasks: &[Handle]) -> Handle {
        let world = &mut *self.borrow_mut();
        world.record(|_| format!("any of {tasks:?}"));
        let first = world.execution.poll_any(tasks);
        world.ready(first).expect("the executor asks only where a task is complete")
    }

    fn task_result(&mut self, task: Handle) -> Option<Outcome> {
        let world = &mut *self.borrow_mut();
        world.record(|_| format!("result of {task}"));
        let result = world.execution.task_result(task);
        world.heard(result).map(outcome)
    }

    fn cancel_task(&mut self, task: Handle) -> bool {
        let world = &mut *self.borrow_mut();
        if world.evicted {
            return false;
        }
        world.record(|_| words::cancel(task));
        let cancelled = world.execution.cancel(task);
        world.heard(cancelled)
    }

    fn instance_id(&mut self) -> String {
        self.borrow().instance_id.to_string()
    }

    fn parent_instance_id(&mut self) -> Option<String> {
        self.borrow().start().parent.as_ref().map(|parent| parent.instance.clone())
    }

    fn execution_id(&mut self) -> String {
        self.borrow().start().execution.clone()
    }

    fn orchestrator_name(&mut self) -> String {
        self.borrow().start().name.clone()
    }

    fn module_digest(&mut self) -> String {
        self.borrow().state().module().to_owned()
    }

    fn callback_url(&mut self, event: &str, expires: Timestamp) -> String {
        check_name("event", event);
        let world = &mut *self.borrow_mut();
        // It leads nowhere, and no host has signed it.
        let (id, execution, number) = (&world.instance_id, &world.start().execution, world.calls.len());
        let url = format!("https://fermata.test/callbacks/{id}/{event}?nonce={execution}-{number}");
        let made = world.execution.callback_url(event, convert::due(expires), || Ok::<_, Infallible>(url));
        let Ok(url) = world.heard(made);
        world.record(|now| words::callback(event, expires, now));
        url
    }

    fn current_utc_time(&mut self) -> Timestamp {
        instant(self.borrow().state().now())
    }

    fn new_guid(&mut self) -> String {
        let mut world = self.borrow_mut();
        world.guids += 1;
        let execution = world.start().execution.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte));
        format!("{execution:08x}-0000-5000-8000-{:012x}", world.guids)
    }

    fn is_replaying(&mut self) -> bool {
        self.borrow().execution.is_replaying()
    }

    fn set_custom_status(&mut self, status: &str) {
        assert!(status.len() <= CUSTOM_STATUS_BYTES, "a custom status has at most {CUSTOM_STATUS_BYTES} bytes");
        self.borrow_mut().execution.set_custom_status(payload(status));
    }

    fn log(&mut self, level: Level, message: &str) {
        let world = self.borrow();
        if !world.execution.is_replaying() {
            world.log.borrow_mut().push(format!("{}: {message}", format!("{level:?}").to_lowercase()));
        }
    }
}

/// JSON that serde has written, or that was read as JSON before.
pub(super) fn payload(text: &str) -> Payload {
    Payload::parse(text).unwrap_or_else(|error| panic!("a payload is {error}: {text}"))
}

fn check_name(what: &str, name: &str) {
    assert!((1..=NAME_BYTES).contains(&name.len()), "the name of an {what} has 1 to {NAME_BYTES} bytes");
}

fn check_id(id: Option<&str>) {
    let allowed = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | '#' | '?');
    let fits = |id: &str| (1..=NAME_BYTES).contains(&id.len()) && id.chars().all(allowed) && !id.starts_with('@');
    assert!(
        id.is_none_or(fits),
        "an instance id has 1 to {NAME_BYTES} bytes, no / \\ # ? or control characters, and no @ in front"
    );
}
