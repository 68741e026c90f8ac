//! Writes a history by hand, a line for each message and what the guest did about it.

use fermata_replay::{
    BlockedOn, Decision, Failure, Message, MessageBody, Outcome, Start, Step, TaskId, Timestamp, kind,
};

use crate::guest::json;

/// The messages an instance gets, and the steps they are to make. Messages are numbered from 1, and arrive a second apart.
pub struct History {
    pub messages: Vec<Message>,
    pub steps: Vec<Step>,
    tasks: TaskId,
}

/// Begins with the start of the instance.
pub fn started() -> History {
    let start = Start {
        name: "Orchestrator".into(),
        input: json("null"),
        execution: "0192".into(),
        module: "ab".repeat(32),
        seed: "00".repeat(32),
    };
    History { messages: Vec::new(), steps: Vec::new(), tasks: 0 }.step(MessageBody::Started(Box::new(start)))
}

impl History {
    // ---- Messages, each of which begins a step

    pub fn event(self, name: &str, input: &str) -> History {
        self.step(MessageBody::EventRaised { name: name.into(), input: json(input) })
    }

    pub fn result(self, task: TaskId, output: &str) -> History {
        self.step(MessageBody::ActivityEnded { task, outcome: Outcome::Succeeded(json(output)) })
    }

    pub fn failure(self, task: TaskId, message: &str) -> History {
        self.step(MessageBody::ActivityEnded { task, outcome: Outcome::Failed(application(message)) })
    }

    /// The result of an activity that changes nothing: it is consumed, and makes no step.
    pub fn ignored_result(mut self, task: TaskId, output: &str) -> History {
        self.receive(MessageBody::ActivityEnded { task, outcome: Outcome::Succeeded(json(output)) });
        self
    }

    /// The latest message was accepted at this time, and its step happens at that one.
    pub fn accepted_at(mut self, accepted: Timestamp, seen: Timestamp) -> History {
        self.messages.last_mut().expect("there is a message").at = accepted;
        self.latest().at = seen;
        self
    }

    // ---- Decisions of the latest step

    pub fn wait(mut self, name: &str) -> History {
        let task = self.next_task();
        self.decide(Decision::WaitStarted { task, name: name.into() })
    }

    pub fn call(mut self, name: &str, input: &str) -> History {
        let task = self.next_task();
        self.decide(Decision::ActivityScheduled { task, name: name.into(), input: json(input) })
    }

    pub fn cancel(self, task: TaskId) -> History {
        self.decide(Decision::TaskCancelled { task, returned: None })
    }

    /// The task is a wait whose event, the message of this number, goes back.
    pub fn cancel_returning(self, task: TaskId, seq: u64) -> History {
        self.decide(Decision::TaskCancelled { task, returned: Some(seq) })
    }

    pub fn block(self, task: TaskId) -> History {
        self.decide(Decision::Blocked { on: BlockedOn::Task(task) })
    }

    pub fn block_any(self, tasks: &[TaskId]) -> History {
        self.decide(Decision::Blocked { on: BlockedOn::Any(tasks.into()) })
    }

    pub fn block_all(self, tasks: &[TaskId]) -> History {
        self.decide(Decision::Blocked { on: BlockedOn::All(tasks.into()) })
    }

    pub fn block_next(self) -> History {
        self.decide(Decision::Blocked { on: BlockedOn::Next })
    }

    pub fn completed(self, output: &str) -> History {
        self.decide(Decision::Completed { output: json(output) })
    }

    pub fn failed(self, failure: Failure) -> History {
        self.decide(Decision::Failed { failure })
    }

    /// The guest did what no program can mean.
    pub fn trapped(self, reason: &str) -> History {
        self.failed(Failure::new(kind::TRAP, reason))
    }

    pub fn status(mut self, status: &str) -> History {
        self.latest().custom_status = Some(json(status));
        self
    }

    fn step(mut self, body: MessageBody) -> History {
        let Message { seq, at, body: message } = self.receive(body).clone();
        self.steps.push(Step { seq, at, message, decisions: Vec::new(), custom_status: None });
        self
    }

    fn receive(&mut self, body: MessageBody) -> &Message {
        let number = self.messages.len() as u64 + 1;
        self.messages.push(Message { seq: number, at: second(number as i64), body });
        self.messages.last().expect("it was just added")
    }

    fn decide(mut self, decision: Decision) -> History {
        self.latest().decisions.push(decision);
        self
    }

    fn latest(&mut self) -> &mut Step {
        self.steps.last_mut().expect("a history begins with a step")
    }

    fn next_task(&mut self) -> TaskId {
        self.tasks += 1;
        self.tasks - 1
    }
}

pub fn application(message: &str) -> Failure {
    Failure::new(kind::APPLICATION, message)
}

pub fn second(number: i64) -> Timestamp {
    Timestamp::from_millis(number * 1_000)
}
