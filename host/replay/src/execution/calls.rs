//! What the guest calls: each call is a decision, or a question to the state.

use std::task::Poll;

use super::{Asked, Current, Execution, Stop};
use crate::task::Progress;
use crate::{BlockedOn, Decision, Failure, Outcome, Payload, RetryPolicy, State, TaskId, Timestamp};

impl Execution {
    // ---- Creating and cancelling tasks

    pub fn wait_external_event(&mut self, name: &str) -> Asked<TaskId> {
        let task = self.next_task();
        self.decide(Decision::WaitStarted { task, name: name.to_owned() })?;
        Ok(task)
    }

    pub fn call_activity(&mut self, name: &str, input: Payload) -> Asked<TaskId> {
        let task = self.next_task();
        self.decide(Decision::ActivityScheduled { task, name: name.to_owned(), input })?;
        Ok(task)
    }

    /// Starts a child. Without an id of its own it gets one that names this execution and the task.
    pub fn call_sub_orchestrator(&mut self, name: &str, instance: Option<&str>, input: Payload) -> Asked<TaskId> {
        let task = self.next_task();
        let instance = instance.map_or_else(|| format!("{}:{task}", self.execution_id()), str::to_owned);
        self.decide(Decision::ChildStarted { task, name: name.to_owned(), instance, input })?;
        Ok(task)
    }

    /// A timer that is due at this instant; at once, where that is past.
    pub fn create_timer(&mut self, due: Timestamp) -> Asked<TaskId> {
        let task = self.next_task();
        self.decide(Decision::TimerCreated { task, due })?;
        Ok(task)
    }

    /// How attempts at an activity or a child go; only in the step that created it, for its first attempt goes out with that step.
    pub fn set_retry(&mut self, task: TaskId, policy: RetryPolicy) -> Asked<()> {
        self.check_known(task)?;
        let entry = &self.state.tasks[task as usize];
        if entry.work().is_none() {
            return Err(Stop::Misuse(format!(
                "task {task} is no activity and no sub-orchestration: nothing of it is retried"
            )));
        }
        if !self.state.is_new(task) {
            return Err(Stop::Misuse(format!("the retry policy of task {task} comes too late: it has begun already")));
        }
        self.decide(Decision::RetrySet { task, policy })
    }

    /// Ends the task at this instant, if it is open then: with the default where there is one, else with a failure of the kind
    /// `timeout`. Replaces a timeout set before. Does nothing where the task is complete or cancelled.
    pub fn set_timeout(&mut self, task: TaskId, due: Timestamp, default: Option<Payload>) -> Asked<()> {
        self.check_known(task)?;
        if !self.state.is_open(task) {
            return Ok(());
        }
        self.decide(Decision::TimeoutSet { task, due, default })
    }

    /// Gives a task up; false where its result was taken, or it was given up before.
    pub fn cancel(&mut self, task: TaskId) -> Asked<bool> {
        self.check_known(task)?;
        match &self.state.tasks[task as usize].progress {
            Progress::Cancelled => return Ok(false),
            Progress::Complete(completion) if completion.taken => return Ok(false),
            _ => {}
        }
        let returned = self.state.returnable(task);
        self.decide(Decision::TaskCancelled { task, returned })?;
        Ok(true)
    }

    // ---- Other instances

    /// Starts an instance that nobody waits for; returns its id.
    pub fn start_orchestrator(&mut self, name: &str, instance: Option<&str>, input: Payload) -> Asked<String> {
        let own = || format!("{}:n{}", self.execution_id(), self.state.detached);
        let instance = instance.map_or_else(own, str::to_owned);
        self.decide(Decision::InstanceStarted { name: name.to_owned(), instance: instance.clone(), input })?;
        Ok(instance)
    }

    /// Raises an external event for another instance, or this one.
    pub fn raise_event(&mut self, instance: &str, name: &str, input: Payload) -> Asked<()> {
        self.decide(Decision::EventSent { instance: instance.to_owned(), name: name.to_owned(), input })
    }

    // ---- The instance's own events

    /// A URL with which whoever has it may raise this event for this instance, until it expires. On replay it is the recorded one; `make` is
    /// called for one that is new. Where that fails nothing is recorded.
    pub fn callback_url<E>(
        &mut self,
        event: &str,
        expires: Timestamp,
        make: impl FnOnce() -> Result<String, E>,
    ) -> Asked<Result<String, E>> {
        let url = match self.recorded() {
            Some(Decision::CallbackUrlMade { url, .. }) => url.clone(),
            // History says something else, which is found out below.
            _ if self.is_replaying() => String::new(),
            _ => match make() {
                Ok(url) => url,
                Err(error) => return Ok(Err(error)),
            },
        };
        self.decide(Decision::CallbackUrlMade { event: event.to_owned(), expires, url: url.clone() })?;
        Ok(Ok(url))
    }

    // ---- Waiting

    pub fn poll_task(&mut self, task: TaskId) -> Poll<Asked<Outcome>> {
        if let Err(stop) = self.check_waitable(task) {
            return Poll::Ready(Err(stop));
        }
        self.poll(|| BlockedOn::Task(task), |state| take(state, task))
    }

    /// The task that completed first among `tasks`.
    pub fn poll_any(&mut self, tasks: &[TaskId]) -> Poll<Asked<TaskId>> {
        if tasks.is_empty() {
            return misuse("task-any was called with no tasks: it would wait for ever");
        }
        if let Err(stop) = self.check_all_waitable(tasks) {
            return Poll::Ready(Err(stop));
        }
        self.poll(
            || BlockedOn::Any(tasks.to_vec()),
            |state| {
                let first = state.first_completed(tasks)?;
                state.tasks[first as usize].handed_over = true;
                Some(first)
            },
        )
    }

    /// The results of all `tasks` in their order, or the failure that came first.
    pub fn poll_all(&mut self, tasks: &[TaskId]) -> Poll<Asked<Result<Vec<Payload>, Failure>>> {
        if let Err(stop) = self.check_all_waitable(tasks) {
            return Poll::Ready(Err(stop));
        }
        let answer = |state: &mut State| {
            // Only the failure reaches the guest, so only that task is taken: events of the others can still be given back.
            if let Some(failed) = state.first_failed(tasks) {
                return take(state, failed).and_then(failure).map(Err);
            }
            if tasks.iter().any(|task| state.is_open(*task)) {
                return None;
            }
            Some(Ok(tasks.iter().filter_map(|task| succeeded(take(state, *task)?)).collect()))
        };
        self.poll(|| BlockedOn::All(tasks.to_vec()), answer)
    }

    /// The next completed task that was not handed over yet.
    pub fn poll_next(&mut self) -> Poll<Asked<TaskId>> {
        if !self.blocked {
            if let Some(task) = self.state.hand_over_next() {
                return Poll::Ready(Ok(task));
            }
            if self.state.open() == 0 {
                return misuse("next-completed was called with no task open: it would wait for ever");
            }
        }
        self.poll(|| BlockedOn::Next, State::hand_over_next)
    }

    /// The outcome of a complete task; none while it is open.
    pub fn task_result(&mut self, task: TaskId) -> Asked<Option<Outcome>> {
        self.check_waitable(task)?;
        Ok(take(&mut self.state, task))
    }

    // ---- The instance

    /// Replaces the custom status.
    pub fn set_custom_status(&mut self, status: Payload) {
        if let Current::Live(step) = &mut self.step {
            step.custom_status = Some(status.clone());
            self.state.apply_status(Some(&status));
        }
    }

    fn execution_id(&self) -> &str {
        self.state.start().map_or("", |start| &start.execution)
    }

    fn next_task(&self) -> TaskId {
        self.state.tasks.len() as TaskId
    }

    fn poll<R>(&mut self, on: impl Fn() -> BlockedOn, answer: impl Fn(&mut State) -> Option<R>) -> Poll<Asked<R>> {
        match self.run_until(on, answer) {
            Ok(Some(answer)) => Poll::Ready(Ok(answer)),
            Ok(None) => Poll::Pending,
            Err(stop) => Poll::Ready(Err(stop)),
        }
    }

    /// Applies messages until there is an answer; none when they are used up.
    fn run_until<R>(
        &mut self,
        on: impl Fn() -> BlockedOn,
        answer: impl Fn(&mut State) -> Option<R>,
    ) -> Asked<Option<R>> {
        if !self.blocked {
            if let Some(answer) = answer(&mut self.state) {
                return Ok(Some(answer));
            }
            self.decide(Decision::Blocked { on: on() })?;
            self.blocked = true;
        }
        // The state knows cheaply whether the answer is there; asking for it may cost a look at every task.
        if !self.absorb()? {
            return Ok(None);
        }
        self.blocked = false;
        match answer(&mut self.state) {
            Some(answer) => Ok(Some(answer)),
            None => Err(Stop::Misuse("the guest, resumed, asked for something else than it was blocked on".into())),
        }
    }

    fn check_known(&self, task: TaskId) -> Asked<()> {
        if (task as usize) < self.state.tasks.len() {
            return Ok(());
        }
        Err(Stop::Misuse(format!("there is no task {task}: handles are those that this execution was given")))
    }

    /// A guest that is resumed asks again for what was found waitable when it was suspended.
    fn check_all_waitable(&self, tasks: &[TaskId]) -> Asked<()> {
        if self.blocked {
            return Ok(());
        }
        tasks.iter().try_for_each(|task| self.check_waitable(*task))
    }

    fn check_waitable(&self, task: TaskId) -> Asked<()> {
        self.check_known(task)?;
        match self.state.tasks[task as usize].progress {
            Progress::Cancelled => Err(Stop::Misuse(format!("task {task} was cancelled and can not be waited for"))),
            _ => Ok(()),
        }
    }
}

/// Gives the outcome of a complete task to the guest.
fn take(state: &mut State, task: TaskId) -> Option<Outcome> {
    let entry = &mut state.tasks[task as usize];
    let Progress::Complete(completion) = &mut entry.progress else { return None };
    completion.taken = true;
    entry.handed_over = true;
    Some(completion.outcome.clone())
}

fn succeeded(outcome: Outcome) -> Option<Payload> {
    match outcome {
        Outcome::Succeeded(payload) => Some(payload),
        Outcome::Failed(_) => None,
    }
}

fn failure(outcome: Outcome) -> Option<Failure> {
    match outcome {
        Outcome::Succeeded(_) => None,
        Outcome::Failed(failure) => Some(failure),
    }
}

fn misuse<T>(message: &str) -> Poll<Asked<T>> {
    Poll::Ready(Err(Stop::Misuse(message.into())))
}
