//! A guest played by an async Rust function: suspended it is a pending future, so it can stay *resident* as a wasm guest
//! does; dropping the future evicts it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use fermata_replay::{
    Execution, Failure, Message, Outcome, Payload, RetryPolicy, Start, Step, Stop, TaskId, Timestamp, Turn, kind,
};

use crate::owner::Running;
use crate::play::{Shown, shown};
use crate::program::{self, Stmt, Taken};

/// Why an orchestrator ends without a result.
#[derive(Debug)]
pub enum Halt {
    /// The host stopped it: a trap, in wasm.
    Stop(Stop),
    Failed(Failure),
    /// It begins anew, with this input.
    Continued(Payload),
}

pub type Ended = Result<Payload, Halt>;
type Run = Pin<Box<dyn Future<Output = Ended>>>;
pub type Guest = Rc<dyn Fn(Ctx) -> Run>;

pub fn guest(orchestrator: impl AsyncFn(Ctx) -> Ended + 'static) -> Guest {
    let orchestrator = Rc::new(orchestrator);
    Rc::new(move |ctx| {
        let orchestrator = orchestrator.clone();
        Box::pin(async move { (*orchestrator)(ctx).await })
    })
}

/// A guest that runs the program, and what it took in its latest life.
pub fn load(program: &[Stmt]) -> (Guest, Taken) {
    let taken = Taken::default();
    let (program, given): (Rc<[Stmt]>, _) = (program.into(), taken.clone());
    (guest(async move |ctx| program::run(ctx, &program, given.clone()).await), taken)
}

pub fn json(text: &str) -> Payload {
    Payload::parse(text).expect("a test's payload is JSON")
}

pub fn seconds(number: f64) -> Timestamp {
    Timestamp::from_millis_f64(number * 1_000.0).expect("it is a number")
}

/// `[a,b,…]`
pub fn list(payloads: &[Payload]) -> Payload {
    let texts: Vec<&str> = payloads.iter().map(Payload::as_str).collect();
    json(&format!("[{}]", texts.join(",")))
}

/// The host, as an orchestrator sees it. Writes down every answer.
#[derive(Clone)]
pub struct Ctx(Rc<RefCell<Seen>>);

struct Seen {
    execution: Execution,
    journal: Vec<String>,
    /// The same, of new steps alone; until it is asked for.
    told: Vec<String>,
}

impl Ctx {
    pub fn wait(&self, name: &str) -> Result<TaskId, Halt> {
        self.ask("wait", name, |execution| execution.wait_external_event(name))
    }

    pub fn call(&self, name: &str, input: &str) -> Result<TaskId, Halt> {
        self.ask("call", name, |execution| execution.call_activity(name, json(input)))
    }

    /// A timer that is due at this second.
    pub fn timer(&self, due: f64) -> Result<TaskId, Halt> {
        self.timer_at(seconds(due))
    }

    pub fn timer_at(&self, due: Timestamp) -> Result<TaskId, Halt> {
        self.ask("timer", due, |execution| execution.create_timer(due))
    }

    pub fn child(&self, name: &str, instance: Option<&str>, input: &str) -> Result<TaskId, Halt> {
        self.ask("child", name, |execution| execution.call_sub_orchestrator(name, instance, json(input)))
    }

    pub fn retry(&self, task: TaskId, policy: &RetryPolicy) -> Result<(), Halt> {
        self.ask("retry", task, |execution| execution.set_retry(task, policy.clone()))
    }

    /// The task times out at this second.
    pub fn timeout(&self, task: TaskId, due: f64, default: Option<&str>) -> Result<(), Halt> {
        self.timeout_at(task, seconds(due), default)
    }

    pub fn timeout_at(&self, task: TaskId, due: Timestamp, default: Option<&str>) -> Result<(), Halt> {
        self.ask("timeout", task, |execution| execution.set_timeout(task, due, default.map(json)))
    }

    pub fn start(&self, name: &str, instance: Option<&str>, input: &str) -> Result<String, Halt> {
        self.ask("start", name, |execution| execution.start_orchestrator(name, instance, json(input)))
    }

    pub fn raise(&self, instance: &str, name: &str, input: &str) -> Result<(), Halt> {
        self.ask("raise", name, |execution| execution.raise_event(instance, name, json(input)))
    }

    /// The URL is what it was asked for; on replay nobody may ask for one to be made.
    pub fn callback_url(&self, event: &str, expires: Timestamp) -> Result<String, Halt> {
        let replaying = self.is_replaying();
        let make = || {
            assert!(!replaying, "the recorded URL holds");
            Ok::<_, Infallible>(format!("{event}, until {}", expires.as_millis_f64()))
        };
        let mut made = String::new();
        // Another host makes other URLs, so that they are not noted.
        self.ask("callback", event, |execution| {
            let Ok(url) = execution.callback_url(event, expires, make)?;
            made = url;
            Ok(())
        })?;
        Ok(made)
    }

    pub fn cancel(&self, task: TaskId) -> Result<bool, Halt> {
        self.ask("cancel", task, |execution| execution.cancel(task))
    }

    pub fn peek(&self, task: TaskId) -> Result<Option<Outcome>, Halt> {
        self.ask("peek", task, |execution| execution.task_result(task))
    }

    pub fn status(&self, text: &str) {
        self.0.borrow_mut().execution.set_custom_status(json(text));
    }

    pub fn now(&self) -> Timestamp {
        self.0.borrow().execution.state().now()
    }

    pub fn started(&self) -> Start {
        self.0.borrow().execution.state().start().cloned().expect("a guest that runs has been started")
    }

    pub fn generation(&self) -> u64 {
        self.started().generation
    }

    pub fn input(&self) -> Payload {
        self.started().input
    }

    pub fn module(&self) -> String {
        self.0.borrow().execution.state().module().to_owned()
    }

    pub fn is_replaying(&self) -> bool {
        self.0.borrow().execution.is_replaying()
    }

    pub async fn outcome(&self, task: TaskId) -> Result<Outcome, Halt> {
        self.block("await", task, |execution| execution.poll_task(task)).await
    }

    /// Awaits a task; its failure is the orchestrator's.
    pub async fn get(&self, task: TaskId) -> Ended {
        match self.outcome(task).await? {
            Outcome::Succeeded(payload) => Ok(payload),
            Outcome::Failed(failure) => Err(Halt::Failed(failure)),
        }
    }

    /// Waits for an event and awaits it.
    pub async fn event(&self, name: &str) -> Ended {
        self.get(self.wait(name)?).await
    }

    pub async fn any(&self, tasks: &[TaskId]) -> Result<TaskId, Halt> {
        self.block("any", tasks, |execution| execution.poll_any(tasks)).await
    }

    pub async fn all(&self, tasks: &[TaskId]) -> Result<Result<Vec<Payload>, Failure>, Halt> {
        self.block("all", tasks, |execution| execution.poll_all(tasks)).await
    }

    pub async fn next(&self) -> Result<TaskId, Halt> {
        self.block("next", "", Execution::poll_next).await
    }

    fn ask<R: Debug>(
        &self,
        what: &str,
        of: impl Debug,
        question: impl FnOnce(&mut Execution) -> Result<R, Stop>,
    ) -> Result<R, Halt> {
        let answer = question(&mut self.0.borrow_mut().execution);
        self.note(what, &of, &answer);
        answer.map_err(Halt::Stop)
    }

    async fn block<R: Debug>(
        &self,
        what: &str,
        of: impl Debug,
        question: impl Fn(&mut Execution) -> Poll<Result<R, Stop>>,
    ) -> Result<R, Halt> {
        let answer = poll_fn(|_| question(&mut self.0.borrow_mut().execution)).await;
        self.note(what, &of, &answer);
        answer.map_err(Halt::Stop)
    }

    fn note(&self, what: &str, of: &dyn Debug, answer: &Result<impl Debug, Stop>) {
        let line = format!("{}: {what} {of:?} → {answer:?}", self.now().as_millis_f64());
        let mut seen = self.0.borrow_mut();
        // A refusal stops the guest before it is told.
        if answer.is_ok() && !seen.execution.is_replaying() {
            seen.told.push(line.clone());
        }
        seen.journal.push(line);
    }
}

/// One life of a guest: from history to where it is dropped.
pub struct Life {
    ctx: Ctx,
    guest: Guest,
    /// None before the start, and after the end.
    run: Option<Run>,
}

impl Life {
    pub fn new(guest: &Guest, history: Vec<Step>) -> Life {
        let seen = Seen { execution: Execution::new(history), journal: Vec::new(), told: Vec::new() };
        Life { ctx: Ctx(Rc::new(RefCell::new(seen))), guest: guest.clone(), run: None }
    }

    /// Lets the guest go as far as it can with these messages besides its history.
    pub fn resume(&mut self, messages: impl IntoIterator<Item = Message>) -> Result<Turn, Stop> {
        self.execution(|execution| messages.into_iter().for_each(|message| execution.push(message)));
        // Where messages concern no guest, none begins.
        if self.run.is_none() && self.execution(Execution::absorb)? {
            self.execution(Execution::begin).expect("it is runnable");
            self.run = Some((self.guest)(self.ctx.clone()));
        }
        match self.run.as_mut().map(|run| run.as_mut().poll(&mut Context::from_waker(Waker::noop()))) {
            None | Some(Poll::Pending) => {}
            Some(Poll::Ready(ended)) => {
                self.run = None;
                self.end(ended)?;
            }
        }
        Ok(self.execution(Execution::take_turn))
    }

    fn end(&self, ended: Ended) -> Result<(), Stop> {
        let outcome = match ended {
            Ok(output) => Outcome::Succeeded(output),
            Err(Halt::Failed(failure)) => Outcome::Failed(failure),
            Err(Halt::Stop(Stop::Misuse(reason))) => Outcome::Failed(Failure::new(kind::TRAP, reason)),
            Err(Halt::Stop(mismatch)) => return Err(mismatch),
            Err(Halt::Continued(input)) => return self.execution(|execution| execution.continue_as_new(input, false)),
        };
        self.execution(|execution| execution.end(outcome))
    }

    pub fn execution<R>(&self, look: impl FnOnce(&mut Execution) -> R) -> R {
        look(&mut self.ctx.0.borrow_mut().execution)
    }

    /// All that the guest was told in this life.
    pub fn journal(&self) -> Vec<String> {
        self.ctx.0.borrow().journal.clone()
    }
}

impl Running for Life {
    fn resume(&mut self, messages: Vec<Message>) -> Result<Turn, Stop> {
        Life::resume(self, messages)
    }

    fn tick(&mut self, now: Timestamp) {
        self.execution(|execution| execution.tick(now));
    }

    fn shown(&self) -> Shown {
        self.execution(|execution| shown(execution.state()))
    }

    fn take_inbox(&mut self) -> Vec<Message> {
        self.execution(Execution::take_inbox)
    }

    fn journal(&self) -> Vec<String> {
        Life::journal(self)
    }

    fn take_told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.ctx.0.borrow_mut().told)
    }
}
