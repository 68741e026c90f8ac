//! Writes a history by hand, a line for each message and what the guest did about it.

use fermata_replay::{
    BlockedOn, BufferedEvent, Caller, Control, Deadline, Decision, Failure, Message, MessageBody, Outcome, Parent,
    RetryPolicy, Start, Step, TaskEnded, TaskId, Timestamp, kind,
};

use crate::guest::{json, seconds};

/// The execution that histories are of.
pub const EXECUTION: &str = "0192";

/// The messages an instance gets, and the steps they are to make. Messages are numbered from 1, and arrive a second apart.
#[derive(Clone)]
pub struct History {
    pub messages: Vec<Message>,
    pub steps: Vec<Step>,
    tasks: TaskId,
}

/// Begins with the start of the instance.
pub fn started() -> History {
    started_with(start())
}

pub fn started_with(start: Start) -> History {
    History { messages: Vec::new(), steps: Vec::new(), tasks: 0 }.step(MessageBody::Started(Box::new(start)))
}

pub fn start() -> Start {
    Start {
        name: "Orchestrator".into(),
        input: json("null"),
        execution: EXECUTION.into(),
        module: "ab".repeat(32),
        seed: "00".repeat(32),
        parent: None,
        generation: 0,
        carried: Vec::new(),
        limits: Default::default(),
    }
}

/// The start of a child: task 3 of its parent.
pub fn start_of_child() -> Start {
    let caller = Caller { execution: "parent's".into(), task: 3, attempt: 1, depth: 0 };
    Start { parent: Some(Parent { instance: "parent".into(), caller }), ..start() }
}

impl History {
    // ---- Messages, each of which begins a step

    pub fn event(self, name: &str, input: &str) -> History {
        self.step(MessageBody::EventRaised { name: name.into(), input: json(input) })
    }

    pub fn result(self, task: TaskId, output: &str) -> History {
        self.step(MessageBody::ActivityEnded(ended(task, 1, succeeded(output))))
    }

    pub fn failure(self, task: TaskId, message: &str) -> History {
        self.step(MessageBody::ActivityEnded(ended(task, 1, failed(message))))
    }

    /// What an attempt at an activity came to.
    pub fn attempt(self, task: TaskId, attempt: u32, outcome: Outcome) -> History {
        self.step(MessageBody::ActivityEnded(ended(task, attempt, outcome)))
    }

    pub fn child(self, task: TaskId, attempt: u32, outcome: Outcome) -> History {
        self.step(MessageBody::ChildEnded(ended(task, attempt, outcome)))
    }

    pub fn terminated(self, reason: &str) -> History {
        self.step(MessageBody::Terminated(because(reason)))
    }

    pub fn suspended(self) -> History {
        self.step(MessageBody::Suspended(Control::default()))
    }

    pub fn resumed(self) -> History {
        self.step(MessageBody::Resumed(Control::default()))
    }

    pub fn migrated(self, module: &str) -> History {
        self.step(MessageBody::Migrated { module: module.into() })
    }

    /// The instance goes on before this one of the steps that count.
    pub fn rewound(self, from: usize) -> History {
        self.rewound_after(from, &[])
    }

    /// What is undone had begun these attempts.
    pub fn rewound_after(self, from: usize, attempts: &[(TaskId, u32)]) -> History {
        let step = self.step(MessageBody::Rewound(Control::default()));
        step.decide(Decision::Undone { from, attempts: attempts.into() })
    }

    /// A message that was rewound, and is applied again at this second.
    pub fn again(self, seq: u64, at: f64) -> History {
        let body = self.messages[seq as usize - 1].body.clone();
        self.again_as(seq, at, body)
    }

    /// The task awaits another attempt by now.
    pub fn again_as_attempt(self, seq: u64, at: f64, attempt: u32) -> History {
        let mut body = self.messages[seq as usize - 1].body.clone();
        let (MessageBody::ActivityEnded(ended) | MessageBody::ChildEnded(ended)) = &mut body else {
            panic!("the result of a task")
        };
        ended.attempt = attempt;
        self.again_as(seq, at, body)
    }

    fn again_as(mut self, seq: u64, at: f64, message: MessageBody) -> History {
        let (at, accepted) = (seconds(at), self.messages[seq as usize - 1].at);
        let accepted = (accepted < at).then_some(accepted);
        self.steps.push(Step { seq, at, accepted, message, decisions: Vec::new(), custom_status: None });
        self
    }

    /// A deadline passes, and is seen at this second. It is no message.
    pub fn fired(mut self, task: TaskId, deadline: Deadline, at: f64) -> History {
        let (seq, message) = (self.latest().seq, MessageBody::TimerFired { task, deadline });
        let at = seconds(at);
        self.steps.push(Step { seq, at, accepted: None, message, decisions: Vec::new(), custom_status: None });
        self
    }

    /// The result of an activity that changes nothing: it is consumed, and makes no step.
    pub fn ignored_result(self, task: TaskId, output: &str) -> History {
        self.ignored(MessageBody::ActivityEnded(ended(task, 1, succeeded(output))))
    }

    pub fn ignored(mut self, body: MessageBody) -> History {
        self.receive(body);
        self
    }

    /// A message that waits; its step comes later, by `apply`.
    pub fn unread(self, body: MessageBody) -> History {
        self.ignored(body)
    }

    /// A message that has waited is applied at this second.
    pub fn apply(self, seq: u64, at: f64) -> History {
        self.again(seq, at)
    }

    /// The latest message was accepted at this time, and its step happens at that one.
    pub fn accepted_at(mut self, accepted: Timestamp, seen: Timestamp) -> History {
        self.messages.last_mut().expect("there is a message").at = accepted;
        let step = self.latest();
        (step.at, step.accepted) = (seen, (accepted < seen).then_some(accepted));
        self
    }

    /// The latest message was accepted at this second, and its step happens then.
    pub fn at(self, second: f64) -> History {
        self.accepted_at(seconds(second), seconds(second))
    }

    /// The latest message, which has no step of its own yet, was accepted at this second.
    pub fn received_at(mut self, second: f64) -> History {
        self.messages.last_mut().expect("there is a message").at = seconds(second);
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

    pub fn timer(self, due: f64) -> History {
        self.timer_at(seconds(due))
    }

    pub fn timer_at(mut self, due: Timestamp) -> History {
        let task = self.next_task();
        self.decide(Decision::TimerCreated { task, due })
    }

    pub fn start_child(mut self, name: &str, instance: &str, input: &str) -> History {
        let task = self.next_task();
        self.decide(Decision::ChildStarted { task, name: name.into(), instance: instance.into(), input: json(input) })
    }

    pub fn retry(self, task: TaskId, policy: &RetryPolicy) -> History {
        self.decide(Decision::RetrySet { task, policy: policy.clone() })
    }

    pub fn timeout(self, task: TaskId, due: f64, default: Option<&str>) -> History {
        self.decide(Decision::TimeoutSet { task, due: seconds(due), default: default.map(json) })
    }

    pub fn start(self, name: &str, instance: &str, input: &str) -> History {
        self.decide(Decision::InstanceStarted { name: name.into(), instance: instance.into(), input: json(input) })
    }

    pub fn raise(self, instance: &str, name: &str, input: &str) -> History {
        self.decide(Decision::EventSent { instance: instance.into(), name: name.into(), input: json(input) })
    }

    pub fn callback_url(self, event: &str, expires: f64, url: &str) -> History {
        self.decide(Decision::CallbackUrlMade { event: event.into(), expires: seconds(expires), url: url.into() })
    }

    pub fn continued(self, input: &str) -> History {
        self.decide(Decision::ContinuedAsNew { input: json(input), same_module: false })
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

    pub fn step(mut self, body: MessageBody) -> History {
        let Message { seq, at, body: message } = self.receive(body).clone();
        self.steps.push(Step { seq, at, accepted: None, message, decisions: Vec::new(), custom_status: None });
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

/// How an attempt at a task of this execution ended.
pub fn ended(task: TaskId, attempt: u32, outcome: Outcome) -> TaskEnded {
    TaskEnded { task, outcome, execution: EXECUTION.into(), attempt }
}

pub fn event(name: &str, input: &str) -> MessageBody {
    MessageBody::EventRaised { name: name.into(), input: json(input) }
}

pub fn buffered(seq: u64, name: &str, input: &str) -> BufferedEvent {
    BufferedEvent { seq, name: name.into(), input: json(input) }
}

pub fn because(reason: &str) -> Control {
    Control { reason: Some(reason.into()), ..Control::default() }
}

pub fn succeeded(output: &str) -> Outcome {
    Outcome::Succeeded(json(output))
}

pub fn failed(message: &str) -> Outcome {
    Outcome::Failed(application(message))
}

pub fn application(message: &str) -> Failure {
    Failure::new(kind::APPLICATION, message)
}

pub fn second(number: i64) -> Timestamp {
    Timestamp::from_millis(number * 1_000)
}
