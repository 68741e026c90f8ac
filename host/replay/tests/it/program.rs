//! Orchestrators as data: easy to edit, and to make up at random.

use std::cell::RefCell;
use std::rc::Rc;

use fermata_replay::{Outcome, Payload, TaskId};

use crate::guest::{Ctx, Ended, Guest, Halt, guest, json};
use crate::history::application;

/// A number names the task created at that place, counted round; one that was cancelled is left out.
#[derive(Clone, Debug)]
pub enum Stmt {
    Wait(&'static str),
    Call(&'static str, &'static str),
    Await(usize),
    Any(Vec<usize>),
    All(Vec<usize>),
    /// Takes this many completed tasks, as long as there can be one.
    Next(usize),
    Peek(usize),
    Cancel(usize),
    Status(&'static str),
    /// Goes on by whether the winner is the first in the list.
    Race {
        tasks: Vec<usize>,
        first: Vec<Stmt>,
        other: Vec<Stmt>,
    },
    Return(&'static str),
    Fail(&'static str),
}

/// What a guest was given: a task and its result.
pub type Taken = Rc<RefCell<Vec<(TaskId, Payload)>>>;

/// A guest that runs the program, and what it took in its latest life.
pub fn load(program: &[Stmt]) -> (Guest, Taken) {
    let taken = Taken::default();
    let (program, given): (Rc<[Stmt]>, _) = (program.into(), taken.clone());
    let guest = guest(async move |ctx| {
        given.borrow_mut().clear();
        let mut machine = Machine { ctx, tasks: Vec::new(), taken: given.clone() };
        match machine.run(&program).await? {
            Some(ended) => ended,
            None => Ok(json("null")),
        }
    });
    (guest, taken)
}

struct Machine {
    ctx: Ctx,
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
    async fn run(&mut self, program: &[Stmt]) -> Result<Option<Ended>, Halt> {
        for stmt in program {
            match stmt {
                Stmt::Wait(name) => self.created(self.ctx.wait(name)?),
                Stmt::Call(name, input) => self.created(self.ctx.call(name, input)?),
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
                Stmt::Status(status) => self.ctx.status(status),
                Stmt::Race { tasks, first, other } => {
                    let favourite = self.pick(tasks).first().copied();
                    let branch = if self.any(tasks).await? == favourite { first } else { other };
                    if let Some(ended) = Box::pin(self.run(branch)).await? {
                        return Ok(Some(ended));
                    }
                }
                Stmt::Return(output) => return Ok(Some(Ok(json(output)))),
                Stmt::Fail(message) => return Ok(Some(Err(Halt::Failed(application(message))))),
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
        match self.ctx.all(&tasks).await? {
            Ok(results) => {
                tasks.into_iter().zip(results).for_each(|(task, result)| self.took(task, Outcome::Succeeded(result)));
            }
            // Activities here fail with the number of their task.
            Err(failure) => self.tell(failure.message.parse().expect("a task's number")),
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
            self.taken.borrow_mut().push((task, result));
        }
    }
}
