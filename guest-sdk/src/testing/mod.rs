//! Run an orchestrator in an ordinary test: feed it events, script its activities, let time pass, look at what it does.
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
//!
//! Nothing here sleeps: time stands still until the test lets it pass, with [`Run::advance`] or [`Run::skip_to_next_timer`].
//!
//! ```
//! use std::time::Duration;
//!
//! use fermata_guest::*;
//!
//! #[orchestrator]
//! async fn nag(ctx: Context) -> Result<u32> {
//!     let mut reminders = 0;
//!     loop {
//!         let paid = ctx.wait_external_event::<()>("Paid").timeout(Duration::from_secs(86_400));
//!         match paid.await {
//!             Err(error) if error.is_timeout() => reminders += 1,
//!             result => return result.map(|()| reminders),
//!         }
//!     }
//! }
//!
//! # fn main() {
//! let mut run = testing::start("nag", ());
//! run.advance(Duration::from_secs(3 * 86_400));
//! assert_eq!(run.waiting_for(), ["event Paid, timeout in 86400s"]);
//! run.raise("Paid", ());
//! assert_eq!(run.output::<u32>().unwrap(), 3);
//! # }
//! ```
//!
//! What keeps the history here, and decides which task is complete, is the core of the host itself.

mod activities;
mod callbacks;
mod children;
mod control;
mod convert;
mod instance;
mod life;
mod look;
mod time;
mod words;
mod world;

use std::cell::Cell;
use std::rc::Rc;

use fermata_replay::MessageBody;
use serde::Serialize;

use crate::registry;
use instance::Instance;
use life::Life;

/// A run of one orchestrator of this program, in a host that lives in memory.
///
/// Misuse of the kit panics with a sentence, as an assertion does. So does what a host would trap a guest for.
pub struct Run {
    instance: Instance,
    life: Life,
}

/// Starts the orchestrator of this name, and runs it until it waits or ends. The clock stands at 2020-09-13T12:26:40Z.
pub fn start(orchestrator: &str, input: impl Serialize) -> Run {
    let executions = Rc::new(Cell::new(0));
    Run::launch(Instance::new(orchestrator, "test-instance", None, executions), &json(&input))
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
    fn launch(mut instance: Instance, input: &str) -> Self {
        let life = instance.begin(input, 0, Vec::new());
        let mut run = Self { instance, life };
        run.go_on();
        run
    }

    /// Raises an external event. Nothing happens where the orchestrator has ended, as a host refuses it then.
    pub fn raise(&mut self, name: &str, payload: impl Serialize) {
        self.raise_json(name, &json(&payload));
    }

    /// Raises an external event with a payload that is JSON already.
    pub fn raise_json(&mut self, name: &str, payload: &str) {
        if self.is_running() {
            self.deliver(MessageBody::EventRaised { name: name.to_owned(), input: world::payload(payload) });
        }
    }

    /// Brings the orchestrator back from what has happened so far, as a host does after a restart.
    pub fn replay(&self) -> Self {
        let instance = self.instance.twin();
        let life = instance.revive();
        let mut run = Self { instance, life };
        run.go_on();
        run
    }

    /// Replays what has happened, and every beginning of it, and compares what the orchestrator asks of the host; the generations
    /// before this one as well.
    ///
    /// # Panics
    /// Where one of them differs: the orchestrator depends on something besides its history.
    pub fn check_replay(&self) {
        let current = life::Played { history: self.instance.history.clone(), calls: self.life.calls() };
        for played in self.instance.past.iter().chain([&current]) {
            played.check(&self.instance.orchestrator, &self.instance.id);
        }
    }

    /// Gives the instance a message, and lets it go on.
    fn deliver(&mut self, body: MessageBody) {
        let message = self.instance.receive(body);
        self.life.push(message);
        self.go_on();
    }

    /// Runs the guest, and its next generations, until they have used up all messages.
    fn go_on(&mut self) {
        // One that waits for anything from outside gets here only as often as the test does something.
        const RESTLESS: u32 = 10_000;
        for _ in 0..RESTLESS {
            let turn = self.life.resume(Some(self.instance.now));
            let next = turn.next.clone();
            let to_itself = self.instance.enter(turn);
            if to_itself.is_empty() && next.is_none() {
                return;
            }
            if let Some(next) = next {
                let played = std::mem::take(&mut self.instance.history);
                self.instance.past.push(life::Played { history: played, calls: self.life.calls() });
                let generation = self.instance.past.len() as u64;
                self.life = self.instance.begin(next.input.as_str(), generation, next.carried);
            }
            for event in to_itself {
                let message = self.instance.receive(event);
                self.life.push(message);
            }
        }
        panic!("orchestrator `{}` continues as new for ever, and waits for nothing", self.instance.orchestrator);
    }
}

fn json(value: &impl Serialize) -> String {
    crate::payload::encode(value).unwrap_or_else(|error| panic!("this value cannot be written as JSON: {error}"))
}
