//! What the program waits for: messages, and deadlines that pass.

use std::collections::BTreeMap;

use fermata_replay::{BufferedEvent, Deadline, Failure, Message, MessageBody, Outcome, TaskEnded, Timestamp, kind};

use super::{Applied, Halt, Kind, Model, Run, State, Task, What};
use crate::guest::json;
use crate::history::EXECUTION;

impl Model {
    /// Takes inputs until there is an answer.
    pub(super) fn until<T>(&mut self, answer: impl Fn(&Model) -> Option<T>) -> Run<T> {
        loop {
            if let Some(answer) = answer(self).filter(|_| !self.suspended) {
                return Ok(answer);
            }
            self.take_input()?;
        }
    }

    fn take_input(&mut self) -> Run<()> {
        if let Some(applied) = self.script.pop_front() {
            return self.apply(applied.what, applied.now);
        }
        while let Some(message) = self.urgent.pop_front() {
            if self.accepts(&message) {
                return self.apply_message(message);
            }
        }
        loop {
            if self.suspended {
                let is_for_it = |message: &Message| {
                    use MessageBody::*;
                    matches!(message.body, Suspended(_) | Resumed(_) | Terminated(_) | Migrated { .. })
                };
                // An owner refuses at once to rewind what is suspended.
                let place = self.inputs.iter().position(is_for_it);
                let seen = place.unwrap_or(self.inputs.len());
                let mut message = place.and_then(|place| self.inputs.remove(place));
                let rest = self.inputs.split_off(seen);
                self.inputs.retain(|message| !matches!(message.body, MessageBody::Rewound(_)));
                self.inputs.extend(rest);
                let Some(message) = message.take() else { return Err(Halt::Starved) };
                if self.accepts(&message) {
                    return self.apply_message(message);
                }
                continue;
            }
            if let Some((at, task, deadline)) = self.next_deadline()
                && at <= self.time()
            {
                return self.apply(What::Deadline(task, deadline), self.now.max(at));
            }
            let Some(message) = self.inputs.pop_front() else { return Err(Halt::Starved) };
            if self.accepts(&message) {
                return self.apply_message(message);
            }
        }
    }

    /// Deadlines up to here pass before the next message. What is urgent waits for what its owner's clock says.
    fn time(&self) -> Timestamp {
        let earliest = || self.inputs.iter().map(|message| message.at).min();
        match self.inputs.front() {
            None => self.until,
            Some(Message { at, body, .. }) => match body {
                MessageBody::Terminated(_) | MessageBody::Migrated { .. } | MessageBody::Rewound(_) => {
                    earliest().expect("there is one")
                }
                _ => *at,
            },
        }
    }

    fn next_deadline(&self) -> Option<(Timestamp, usize, Deadline)> {
        let open = self.tasks.iter().enumerate().filter(|(_, task)| task.is_open());
        let all = open.flat_map(|(number, task)| {
            [(task.due, Deadline::Due), (task.retry, Deadline::Retry), (task.timeout, Deadline::Timeout)]
                .into_iter()
                .filter_map(move |(at, deadline)| Some((at?, number, deadline)))
        });
        all.min()
    }

    fn accepts(&self, message: &Message) -> bool {
        match &message.body {
            MessageBody::Started(_) | MessageBody::Rewound(_) | MessageBody::TimerFired { .. } => false,
            MessageBody::EventRaised { .. } => true,
            MessageBody::ActivityEnded(ended) => self.awaits(ended, |task| matches!(task.kind, Kind::Activity(_))),
            MessageBody::ChildEnded(ended) => self.awaits(ended, |task| matches!(task.kind, Kind::Child(_))),
            MessageBody::Terminated(control) => control.by.is_none(),
            MessageBody::Suspended(control) => control.by.is_none() && !self.suspended,
            MessageBody::Resumed(control) => control.by.is_none() && self.suspended,
            MessageBody::Migrated { module } => *module != self.module.clone().unwrap_or("ab".repeat(32)),
        }
    }

    fn awaits(&self, ended: &TaskEnded, is_kind: impl Fn(&Task) -> bool) -> bool {
        let mine = format!("{EXECUTION}{}", "+".repeat(self.generation as usize));
        let task = self.tasks.get(ended.task as usize).filter(|task| task.is_open() && is_kind(task));
        let attempt = |task: &Task| ended.attempt == task.attempt && task.retry.is_none();
        task.is_some_and(attempt) && (ended.execution.is_empty() || ended.execution == mine)
    }

    fn apply_message(&mut self, message: Message) -> Run<()> {
        let now = self.now.max(message.at);
        self.apply(What::Message(message), now)
    }

    fn apply(&mut self, what: What, now: Timestamp) -> Run<()> {
        self.now = now;
        let before = self.completions.len();
        let rewound = matches!(what, What::Rewound(_));
        self.log.push(Applied { what: what.clone(), now, acted: rewound, broke: None });
        match what {
            What::Start => unreachable!("a generation starts once"),
            What::Deadline(task, deadline) => self.deadline(task, deadline),
            What::Rewound(attempts) => {
                self.work_anew(&attempts);
                if self.script.is_empty() {
                    self.results_of_this_attempt();
                }
            }
            What::Message(message) => match message.body {
                MessageBody::EventRaised { name, input } => {
                    self.deliver(BufferedEvent { seq: message.seq, name, input });
                }
                MessageBody::ActivityEnded(ended) | MessageBody::ChildEnded(ended) => {
                    self.attempt_ended(ended.task as usize, ended.outcome);
                }
                MessageBody::Terminated(_) => return Err(Halt::Terminated),
                MessageBody::Suspended(_) => self.suspended = true,
                MessageBody::Resumed(_) => self.suspended = false,
                MessageBody::Migrated { module } => self.module = Some(module),
                other => unreachable!("not accepted: {other:?}"),
            },
        }
        let came = self.completions.get(before).map(|task| &self.tasks[*task].state);
        let is_result = matches!(
            self.log.last().map(|applied| &applied.what),
            Some(What::Message(Message { body: MessageBody::ActivityEnded(_) | MessageBody::ChildEnded(_), .. }))
        );
        if let Some(State::Done(Outcome::Failed(failure), _)) = came
            && is_result
        {
            let failure = failure.clone();
            self.log.last_mut().expect("it was just added").broke = Some(failure);
        }
        Ok(())
    }

    fn deliver(&mut self, event: BufferedEvent) {
        let is_for = |task: &Task| {
            matches!(&task.kind, Kind::Wait(name) if name.to_lowercase() == event.name.to_lowercase()) && task.is_open()
        };
        match self.tasks.iter().rposition(is_for) {
            Some(task) => self.complete(task, Outcome::Succeeded(event.input.clone()), Some(event)),
            None => self.buffer.push(event),
        }
    }

    fn attempt_ended(&mut self, number: usize, outcome: Outcome) {
        let now = self.now;
        let task = &mut self.tasks[number];
        if let (Outcome::Failed(failure), Some(policy)) = (&outcome, &task.policy) {
            let counted = task.attempt - task.uncounted;
            let hopeless = failure.non_retryable || policy.non_retryable.contains(&failure.error_type);
            let mut interval = policy.first_interval.0;
            for _ in 1..counted {
                interval *= policy.backoff_coefficient as u64;
            }
            let at = Timestamp(now.0 + policy.max_interval.map_or(interval, |most| interval.min(most.0)) as i64);
            let in_time = policy.timeout.is_none_or(|timeout| at.0 < task.first.0 + timeout.0 as i64);
            if counted < policy.max_attempts && !hopeless && in_time {
                task.retry = Some(at);
                return;
            }
        }
        self.complete(number, outcome, None);
    }

    fn deadline(&mut self, number: usize, deadline: Deadline) {
        let task = &mut self.tasks[number];
        match deadline {
            Deadline::Due => self.complete(number, Outcome::Succeeded(json("null")), None),
            Deadline::Retry => {
                task.retry = None;
                task.attempt += 1;
            }
            Deadline::Timeout => {
                let message = match &task.kind {
                    Kind::Wait(name) => format!("no event {name:?} came in time"),
                    Kind::Timer => "the timer was not due in time".into(),
                    Kind::Activity(name) => format!("the activity {name:?} did not end in time"),
                    Kind::Child(id) => format!("the sub-orchestration {id:?} did not end in time"),
                };
                let outcome = match task.default.take() {
                    Some(default) => Outcome::Succeeded(default),
                    None => Outcome::Failed(Failure::new(kind::TIMEOUT, message)),
                };
                self.complete(number, outcome, None);
            }
        }
    }

    fn work_anew(&mut self, attempts: &BTreeMap<usize, u32>) {
        for (number, task) in self.tasks.iter_mut().enumerate().filter(|(_, task)| task.is_open()) {
            if let Some(attempt) = attempts.get(&number) {
                task.attempt = *attempt;
                task.retry = None;
            }
            if task.retry.is_some() {
                continue;
            }
            if matches!(task.kind, Kind::Activity(_)) {
                task.attempt += 1;
            }
            task.uncounted = task.attempt - 1;
            task.first = self.now;
        }
    }

    fn results_of_this_attempt(&mut self) {
        for message in self.inputs.iter_mut().filter(|message| self.returned.contains(&message.seq)) {
            if let MessageBody::ActivityEnded(ended) | MessageBody::ChildEnded(ended) = &mut message.body
                && let Some(task) = self.tasks.get(ended.task as usize)
            {
                ended.attempt = task.attempt;
            }
        }
        self.returned.clear();
    }

    pub(super) fn complete(&mut self, task: usize, outcome: Outcome, event: Option<BufferedEvent>) {
        self.tasks[task].state = State::Done(outcome, event);
        self.completions.push(task);
    }

    /// An event that was not taken goes back.
    pub(super) fn give_up(&mut self, task: usize) {
        let before = std::mem::replace(&mut self.tasks[task].state, State::Gone);
        if let State::Done(_, Some(event)) = before {
            self.deliver(event);
        }
    }

    pub(super) fn give_events_back(&mut self) {
        let mut number = 0;
        while let Some(task) = self.completions.get(number).copied() {
            if !self.tasks[task].taken && matches!(self.tasks[task].state, State::Done(_, Some(_))) {
                self.give_up(task);
            }
            number += 1;
        }
    }
}
