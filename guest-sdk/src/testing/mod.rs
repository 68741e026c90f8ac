//! Run an orchestrator in an ordinary test: feed it events, script its activities, look at what it does.
//!
//! ```
//! use fermata_guest::*;
//!
//! #[orchestrator]
//! async fn greet(ctx: Context) -> Result<String> {
//!     let name = ctx.wait_external_event::<String>("Name").await?;
//!     ctx.call_activity("Compose", &name).await
//! }
//!
//! # fn main() {
//! let mut run = testing::start("greet", ());
//! run.raise("Name", "Ada");
//! assert_eq!(run.open_activities(), [("Compose".to_owned(), "\"Ada\"".to_owned())]);
//! run.complete("Compose", "Good morning, Ada");
//! assert_eq!(run.output::<String>().unwrap(), "Good morning, Ada");
//! run.check_replay();
//! # }
//! ```

mod world;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::{ActivityContext, ActivityTask};
use crate::error::Error;
use crate::executor::{Executor, Step};
use crate::host::Block;
use crate::{Failure, Result, payload, registry};
use world::{SharedWorld, World};

/// What has happened to a run from outside, in order: the part of a history that a replay needs.
#[derive(Clone, Debug)]
enum Message {
    Event { name: String, payload: String },
    Activity { task: u32, outcome: Result<String, Box<Failure>> },
    Time(Duration),
}

/// A run of one orchestrator of this program, in a host that lives in memory.
///
/// Misuse of the kit panics with a sentence, as an assertion does.
pub struct Run {
    orchestrator: String,
    input: String,
    world: SharedWorld,
    executor: Option<Executor>,
    blocked: Option<Block>,
    result: Option<Result<String, Failure>>,
    messages: Vec<Message>,
}

/// Starts the orchestrator of this name, and runs it until it waits or ends.
pub fn start(orchestrator: &str, input: impl Serialize) -> Run {
    Run::launch(orchestrator, json(&input), false)
}

/// The names of the orchestrators that this program holds, sorted.
pub fn orchestrators() -> Vec<&'static str> {
    registry::orchestrators()
}

/// The names of the activities that this program holds, sorted.
pub fn activities() -> Vec<&'static str> {
    registry::activities()
}

impl Run {
    fn launch(orchestrator: &str, input: String, replaying: bool) -> Self {
        let mut run = Self {
            orchestrator: orchestrator.to_owned(),
            input: input.clone(),
            world: World::shared(replaying),
            executor: None,
            blocked: None,
            result: None,
            messages: Vec::new(),
        };
        match Executor::start(orchestrator, input, Box::new(run.world.clone())) {
            Ok(executor) => run.executor = Some(executor),
            Err(failure) => run.result = Some(Err(failure)),
        }
        run.step();
        run
    }

    /// Raises an external event.
    pub fn raise(&mut self, name: &str, payload: impl Serialize) {
        self.raise_json(name, &json(&payload));
    }

    /// Raises an external event with a payload that is JSON already.
    pub fn raise_json(&mut self, name: &str, payload: &str) {
        self.apply(Message::Event { name: name.to_owned(), payload: payload.to_owned() });
    }

    /// Lets time pass for the orchestrator.
    pub fn advance(&mut self, duration: Duration) {
        self.apply(Message::Time(duration));
    }

    /// The activities that have been called and not completed, oldest first: their names and inputs, as JSON.
    pub fn open_activities(&self) -> Vec<(String, String)> {
        let world = self.world.borrow();
        world.open_activities().map(|task| world.activity(task)).collect()
    }

    /// Completes the oldest open call of this activity.
    pub fn complete(&mut self, activity: &str, result: impl Serialize) {
        let (task, outcome) = (self.open_activity(activity), Ok(json(&result)));
        self.apply(Message::Activity { task, outcome });
    }

    /// Fails the oldest open call of this activity.
    pub fn fail(&mut self, activity: &str, failure: Failure) {
        let (task, outcome) = (self.open_activity(activity), Err(Box::new(failure)));
        self.apply(Message::Activity { task, outcome });
    }

    /// Performs open activities with this program's own functions, oldest first, until none is open.
    pub fn run_activities(&mut self) {
        loop {
            let Some(task) = self.world.borrow().open_activities().next() else {
                return;
            };
            let outcome = self.perform(task).map_err(Box::new);
            self.apply(Message::Activity { task, outcome });
        }
    }

    fn perform(&self, task: u32) -> Result<String, Failure> {
        let (name, input) = self.world.borrow().activity(task);
        let entry = registry::activity(&name).unwrap_or_else(|| panic!("this program holds no activity `{name}`"));
        let activity = ActivityTask {
            name,
            input,
            task_key: format!("{}:{task}", World::INSTANCE_ID),
            instance_id: World::INSTANCE_ID.to_owned(),
            attempt: 1,
        };
        let context = ActivityContext { host: Rc::new(RefCell::new(self.world.clone())), activity: Rc::new(activity) };
        (entry.run)(context).map_err(Error::into_outgoing)
    }

    fn open_activity(&self, name: &str) -> u32 {
        let world = self.world.borrow();
        let found = world.open_activities().find(|task| world.activity(*task).0 == name);
        found.unwrap_or_else(|| panic!("no call of activity `{name}` is open"))
    }

    /// Whether the orchestrator has not ended.
    pub fn is_running(&self) -> bool {
        self.result.is_none()
    }

    /// What the orchestrator returned.
    pub fn output<T: DeserializeOwned>(&self) -> Result<T> {
        match &self.result {
            None => panic!("orchestrator `{}` is still running: it waits at {:?}", self.orchestrator, self.blocked),
            Some(Err(failure)) => Err(failure.clone().into()),
            Some(Ok(json)) => payload::decode(json, || format!("output of orchestrator `{}`", self.orchestrator)),
        }
    }

    /// The custom status, as JSON, where the orchestrator has set one.
    pub fn custom_status(&self) -> Option<String> {
        self.world.borrow().custom_status.clone()
    }

    /// The lines that orchestrator and activities have logged, such as `info: done`.
    pub fn logged(&self) -> Vec<String> {
        self.world.borrow().logged.clone()
    }

    /// Every call to the host so far that a history records or that waits, in order, in words such as `0 = wait Approval`.
    pub fn calls(&self) -> Vec<String> {
        self.world.borrow().calls.clone()
    }

    /// Brings the orchestrator back from what has happened so far, as a host does after a restart.
    pub fn replay(&self) -> Self {
        self.replay_of(self.messages.len())
    }

    /// Replays what has happened, and every beginning of it, and compares what the orchestrator asks of the host.
    ///
    /// # Panics
    /// Where one of them differs: the orchestrator depends on something besides its history.
    pub fn check_replay(&self) {
        let calls = self.calls();
        for length in 0..=self.messages.len() {
            let replayed = self.replay_of(length).calls();
            let same = if length == self.messages.len() { replayed == calls } else { calls.starts_with(&replayed) };
            assert!(
                same,
                "orchestrator `{}` is not deterministic: after {length} messages it did\n  {}\nand at first\n  {}",
                self.orchestrator,
                replayed.join("\n  "),
                calls.join("\n  "),
            );
        }
    }

    fn replay_of(&self, length: usize) -> Self {
        let mut replayed = Self::launch(&self.orchestrator, self.input.clone(), true);
        for message in &self.messages[..length] {
            replayed.apply(message.clone());
        }
        replayed.world.borrow_mut().replaying = false;
        replayed
    }

    fn apply(&mut self, message: Message) {
        let mut world = self.world.borrow_mut();
        match message.clone() {
            Message::Event { name, payload } => world.raise(name, payload),
            Message::Activity { task, outcome } => world.complete_activity(task, outcome),
            Message::Time(duration) => world.now = world.now + duration,
        }
        drop(world);
        self.messages.push(message);
        self.step();
    }

    /// Runs the orchestrator until the world has no answer for it.
    fn step(&mut self) {
        let Some(executor) = &mut self.executor else {
            return;
        };
        if let Some(block) = self.blocked.take() {
            let Some(answer) = self.world.borrow_mut().answer(&block) else {
                self.blocked = Some(block);
                return;
            };
            executor.resume(block, answer);
        }
        loop {
            match executor.step() {
                Step::Done(result) => {
                    self.result = Some(result);
                    self.executor = None;
                    return;
                }
                Step::Blocked(block) => {
                    self.world.borrow_mut().blocked(&block);
                    let Some(answer) = self.world.borrow_mut().answer(&block) else {
                        self.blocked = Some(block);
                        return;
                    };
                    executor.resume(block, answer);
                }
            }
        }
    }
}

/// A guest that is dropped is evicted, which no part of it notices: what its destructors would ask of the host is not heard.
impl Drop for Run {
    fn drop(&mut self) {
        self.world.borrow_mut().evicted = true;
    }
}

fn json(value: &impl Serialize) -> String {
    payload::encode(value).unwrap_or_else(|error| panic!("this value cannot be written as JSON: {error}"))
}
