//! Orchestrators as data: easy to edit, to make up at random, and to hand to a guest that is wasm, which runs them by this very code.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use fermata_replay::{Failure, Outcome, Payload, RetryPolicy, TaskId, Timestamp, kind};
use serde::{Deserialize, Serialize};

use crate::guest::{Ctx, Ended, Halt, json};

/// A number names the task created at that place, counted round; one that was cancelled is left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Stmt<S = &'static str> {
    Wait(S),
    Call(S, S),
    /// An activity that is tried again.
    Retried(S, RetryPolicy),
    /// A child, with an id of its own or not, that is tried again or not.
    Child(S, Option<S>, Option<RetryPolicy>),
    /// Due at this millisecond.
    Timer(i64),
    Timeout {
        task: usize,
        due: i64,
        default: Option<S>,
    },
    Start(S, Option<S>),
    Raise(S, S),
    /// A callback URL for this event, that expires at this millisecond. The program does not look at it.
    Url(S, i64),
    /// Its failure is the program's.
    Get(usize),
    /// Waits for every one, whatever comes; then the first failure in the list is the program's.
    Join(Vec<usize>),
    Await(usize),
    Any(Vec<usize>),
    All(Vec<usize>),
    /// Takes this many completed tasks, as long as there can be one.
    Next(usize),
    Peek(usize),
    Cancel(usize),
    Status(S),
    /// Goes on by whether the winner is the first in the list.
    Race {
        tasks: Vec<usize>,
        first: Vec<Stmt<S>>,
        other: Vec<Stmt<S>>,
    },
    Return(S),
    Fail(S),
    /// Begins anew with the same input, in the first generations; later it does nothing.
    Continue,
}

/// A program that continues as new does so this often.
pub const LAST_GENERATION: u64 = 3;

/// What a guest was given in each generation: a task and its result.
pub type Taken = Rc<RefCell<BTreeMap<u64, Vec<(TaskId, Payload)>>>>;

/// Runs the program from its beginning to its end.
pub async fn run<S: AsRef<str>>(ctx: Ctx, program: &[Stmt<S>], taken: Taken) -> Ended {
    let generation = ctx.generation();
    taken.borrow_mut().insert(generation, Vec::new());
    let mut machine = Machine { ctx, generation, tasks: Vec::new(), taken };
    match machine.run(program).await? {
        Some(ended) => ended,
        None => Ok(json("null")),
    }
}

struct Machine {
    ctx: Ctx,
    generation: u64,
    tasks: Vec<Task>,
    taken: Taken,
}

struct Task {
    id: TaskId,
    cancelled: bool,
    /// The host has named it as complete.
    told: bool,
}

impl Machine {
    /// Runs to the end of the statements, or to one that ends the program.
    async fn run<S: AsRef<str>>(&mut self, program: &[Stmt<S>]) -> Result<Option<Ended>, Halt> {
        for stmt in program {
            match stmt {
                Stmt::Wait(name) => self.created(self.ctx.wait(name.as_ref())?),
                Stmt::Call(name, input) => self.created(self.ctx.call(name.as_ref(), input.as_ref())?),
                Stmt::Retried(name, policy) => {
                    let task = self.ctx.call(name.as_ref(), "0")?;
                    self.created(task);
                    self.ctx.retry(task, policy)?;
                }
                Stmt::Child(name, instance, policy) => {
                    let task = self.ctx.child(name.as_ref(), text(instance), "0")?;
                    self.created(task);
                    if let Some(policy) = policy {
                        self.ctx.retry(task, policy)?;
                    }
                }
                Stmt::Timer(due) => self.created(self.ctx.timer_at(Timestamp::from_millis(*due))?),
                Stmt::Timeout { task, due, default } => {
                    for task in self.pick(&[*task]) {
                        self.ctx.timeout_at(task, Timestamp::from_millis(*due), text(default))?;
                    }
                }
                Stmt::Start(name, instance) => drop(self.ctx.start(name.as_ref(), text(instance), "0")?),
                Stmt::Raise(instance, name) => self.ctx.raise(instance.as_ref(), name.as_ref(), "0")?,
                Stmt::Url(event, expires) => {
                    self.ctx.callback_url(event.as_ref(), Timestamp::from_millis(*expires))?;
                }
                Stmt::Get(task) => {
                    for task in self.pick(&[*task]) {
                        let result = self.ctx.get(task).await?;
                        self.took(task, Outcome::Succeeded(result));
                    }
                }
                Stmt::Join(tasks) => {
                    let mut failure = None;
                    for task in self.pick(tasks) {
                        let outcome = self.ctx.outcome(task).await?;
                        if let Outcome::Failed(failed) = &outcome {
                            failure.get_or_insert(failed.clone());
                        }
                        self.took(task, outcome);
                    }
                    if let Some(failure) = failure {
                        return Err(Halt::Failed(failure));
                    }
                }
                Stmt::Await(task) => {
                    for task in self.pick(&[*task]) {
                        let outcome = self.ctx.outcome(task).await?;
                        self.took(task, outcome);
                    }
                }
                Stmt::Any(tasks) => drop(self.any(tasks).await?),
                Stmt::All(tasks) => self.all(tasks).await?,
                Stmt::Next(times) => {
                    for _ in 0..*times {
                        if self.tasks.iter().any(|task| !task.told && !task.cancelled) {
                            let task = self.ctx.next().await?;
                            self.tell(task);
                        }
                    }
                }
                Stmt::Peek(task) => {
                    for task in self.pick(&[*task]) {
                        if let Some(outcome) = self.ctx.peek(task)? {
                            self.took(task, outcome);
                        }
                    }
                }
                Stmt::Cancel(task) => {
                    for task in self.pick(&[*task]) {
                        self.tasks[task as usize].cancelled = self.ctx.cancel(task)?;
                    }
                }
                Stmt::Status(status) => self.ctx.status(status.as_ref()),
                Stmt::Race { tasks, first, other } => {
                    let favourite = self.pick(tasks).first().copied();
                    let branch = if self.any(tasks).await? == favourite { first } else { other };
                    if let Some(ended) = Box::pin(self.run(branch)).await? {
                        return Ok(Some(ended));
                    }
                }
                Stmt::Return(output) => return Ok(Some(Ok(json(output.as_ref())))),
                Stmt::Fail(message) => {
                    let failure = Failure::new(kind::APPLICATION, message.as_ref());
                    return Ok(Some(Err(Halt::Failed(failure))));
                }
                Stmt::Continue if self.generation < LAST_GENERATION => {
                    return Ok(Some(Err(Halt::Continued(self.ctx.input()))));
                }
                Stmt::Continue => {}
            }
        }
        Ok(None)
    }

    async fn any(&mut self, tasks: &[usize]) -> Result<Option<TaskId>, Halt> {
        let tasks = self.pick(tasks);
        if tasks.is_empty() {
            return Ok(None);
        }
        let winner = self.ctx.any(&tasks).await?;
        self.tell(winner);
        Ok(Some(winner))
    }

    async fn all(&mut self, tasks: &[usize]) -> Result<(), Halt> {
        let tasks = self.pick(tasks);
        // Of a failure the guest is not told which task it was.
        if let Ok(results) = self.ctx.all(&tasks).await? {
            tasks.into_iter().zip(results).for_each(|(task, result)| self.took(task, Outcome::Succeeded(result)));
        }
        Ok(())
    }

    fn created(&mut self, id: TaskId) {
        assert_eq!(id as usize, self.tasks.len(), "handles are dense");
        self.tasks.push(Task { id, cancelled: false, told: false });
    }

    fn pick(&self, places: &[usize]) -> Vec<TaskId> {
        let tasks = places.iter().filter_map(|place| self.tasks.get(place.checked_rem(self.tasks.len())?));
        tasks.filter(|task| !task.cancelled).map(|task| task.id).collect()
    }

    fn tell(&mut self, task: TaskId) {
        self.tasks[task as usize].told = true;
    }

    fn took(&mut self, task: TaskId, outcome: Outcome) {
        self.tell(task);
        if let Outcome::Succeeded(result) = outcome {
            self.taken.borrow_mut().entry(self.generation).or_default().push((task, result));
        }
    }
}

fn text<S: AsRef<str>>(text: &Option<S>) -> Option<&str> {
    text.as_ref().map(S::as_ref)
}
