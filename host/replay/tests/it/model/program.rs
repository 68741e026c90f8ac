//! The program, from top to bottom.

use fermata_replay::{BufferedEvent, Failure, Outcome, RetryPolicy, Timestamp, kind};

use super::{Halt, Kind, Model, Run, State, Task};
use crate::guest::json;
use crate::history::{EXECUTION, application};
use crate::program::{LAST_GENERATION, Stmt};

impl Model {
    pub(super) fn run(&mut self, program: &[Stmt]) -> Run<()> {
        for stmt in program {
            match stmt {
                Stmt::Wait(name) => {
                    let task = self.create(Kind::Wait((*name).into()), None, None);
                    let is_for = |event: &&BufferedEvent| event.name.to_lowercase() == name.to_lowercase();
                    let first = self.buffer.iter().filter(is_for).map(|event| event.seq).min();
                    if let Some(place) = self.buffer.iter().position(|event| Some(event.seq) == first) {
                        let event = self.buffer.remove(place);
                        self.complete(task, Outcome::Succeeded(event.input.clone()), Some(event));
                    }
                }
                Stmt::Call(name, _) => drop(self.create(Kind::Activity((*name).into()), None, None)),
                Stmt::Retried(name, policy) => {
                    self.create(Kind::Activity((*name).into()), Some(policy.clone()), None);
                }
                Stmt::Child(_, instance, policy) => {
                    let own = format!("{EXECUTION}{}:{}", "+".repeat(self.generation as usize), self.tasks.len());
                    let instance = instance.map_or(own, str::to_owned);
                    self.create(Kind::Child(instance), policy.clone(), None);
                }
                Stmt::Timer(due) => drop(self.create(Kind::Timer, None, Some(Timestamp::from_millis(*due)))),
                Stmt::Timeout { task, due, default } => {
                    for task in self.pick(&[*task]) {
                        if self.tasks[task].is_open() {
                            self.act();
                            self.tasks[task].timeout = Some(Timestamp::from_millis(*due));
                            self.tasks[task].default = default.map(json);
                        }
                    }
                }
                Stmt::Start(..) | Stmt::Raise(..) | Stmt::Url(..) => self.act(),
                Stmt::Get(task) => {
                    for task in self.pick(&[*task]) {
                        if let Outcome::Failed(failure) = self.outcome(task)? {
                            return Err(Halt::Fail(failure));
                        }
                    }
                }
                Stmt::Join(tasks) => {
                    let mut failures = Vec::new();
                    for task in self.pick(tasks) {
                        if let Outcome::Failed(failure) = self.outcome(task)? {
                            failures.push(failure);
                        }
                    }
                    if let Some(failure) = failures.into_iter().next() {
                        return Err(Halt::Fail(failure));
                    }
                }
                Stmt::Await(task) => {
                    for task in self.pick(&[*task]) {
                        self.outcome(task)?;
                    }
                }
                Stmt::Any(tasks) => drop(self.any(tasks)?),
                Stmt::All(tasks) => self.all(tasks)?,
                Stmt::Next(times) => {
                    for _ in 0..*times {
                        if self.tasks.iter().any(|task| !task.told && !task.dropped) {
                            self.next()?;
                        }
                    }
                }
                Stmt::Peek(task) => {
                    for task in self.pick(&[*task]) {
                        if self.tasks[task].is_done() {
                            self.outcome(task)?;
                        }
                    }
                }
                Stmt::Cancel(task) => {
                    for task in self.pick(&[*task]) {
                        if !self.tasks[task].taken {
                            self.act();
                            self.give_up(task);
                            self.tasks[task].dropped = true;
                        }
                    }
                }
                Stmt::Status(status) => self.status = Some(json(status)),
                Stmt::Race { tasks, first, other } => {
                    let favourite = self.pick(tasks).first().copied();
                    let branch = if self.any(tasks)? == favourite { first } else { other };
                    self.run(branch)?;
                }
                Stmt::Return(output) => return Err(Halt::Return(json(output))),
                Stmt::Fail(message) => return Err(Halt::Fail(application(message))),
                Stmt::Continue if self.generation < LAST_GENERATION => return Err(Halt::Continue),
                Stmt::Continue => {}
            }
        }
        Ok(())
    }

    fn create(&mut self, kind: Kind, policy: Option<RetryPolicy>, due: Option<Timestamp>) -> usize {
        self.act();
        self.tasks.push(Task {
            kind,
            state: State::Open,
            taken: false,
            handed: false,
            dropped: false,
            told: false,
            attempt: 1,
            uncounted: 0,
            first: self.now,
            policy,
            due,
            retry: None,
            timeout: None,
            default: None,
        });
        self.tasks.len() - 1
    }

    /// The program does something about the latest input.
    fn act(&mut self) {
        self.log.last_mut().expect("it was started").acted = true;
    }

    fn pick(&self, places: &[usize]) -> Vec<usize> {
        let numbers = places.iter().filter_map(|place| place.checked_rem(self.tasks.len()));
        numbers.filter(|number| !self.tasks[*number].dropped).collect()
    }

    pub(super) fn outcome(&mut self, task: usize) -> Run<Outcome> {
        let outcome = self.until(|model| model.tasks[task].outcome().cloned())?;
        self.take(task);
        Ok(outcome)
    }

    /// The program is given the outcome.
    pub(super) fn take(&mut self, number: usize) {
        let task = &mut self.tasks[number];
        (task.taken, task.handed, task.told) = (true, true, true);
        if let Some(Outcome::Succeeded(result)) = task.outcome() {
            let given = (number as u32, result.clone());
            self.taken.entry(self.generation).or_default().push(given);
        }
    }

    fn any(&mut self, places: &[usize]) -> Run<Option<usize>> {
        let tasks = self.pick(places);
        if tasks.is_empty() {
            return Ok(None);
        }
        let winner = self.until(|model| model.completions.iter().find(|task| tasks.contains(task)).copied())?;
        (self.tasks[winner].handed, self.tasks[winner].told) = (true, true);
        Ok(Some(winner))
    }

    fn all(&mut self, places: &[usize]) -> Run<()> {
        let tasks = self.pick(places);
        let failed = self.until(|model| {
            let failed = |task: &&usize| {
                tasks.contains(task) && matches!(model.tasks[**task].outcome(), Some(Outcome::Failed(_)))
            };
            match model.completions.iter().find(failed) {
                Some(task) => Some(Some(*task)),
                None => tasks.iter().all(|task| model.tasks[*task].is_done()).then_some(None),
            }
        })?;
        match failed {
            // The program is not told which.
            Some(task) => (self.tasks[task].taken, self.tasks[task].handed) = (true, true),
            None => tasks.into_iter().for_each(|task| self.take(task)),
        }
        Ok(())
    }

    fn next(&mut self) -> Run<()> {
        let left = |model: &Model| {
            let is_left = |task: &&usize| model.tasks[**task].is_done() && !model.tasks[**task].handed;
            model.completions.iter().find(is_left).copied()
        };
        if left(self).is_none() && !self.tasks.iter().any(Task::is_open) {
            let why = "next-completed was called with no task open: it would wait for ever";
            return Err(Halt::Fail(Failure::new(kind::TRAP, why)));
        }
        let task = self.until(left)?;
        (self.tasks[task].handed, self.tasks[task].told) = (true, true);
        Ok(())
    }
}
