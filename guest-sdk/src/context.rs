//! [`Context`]: what an orchestrator is given. [`ActivityContext`]: what an activity is given.

use std::cell::RefCell;
use std::fmt::{self, Display};
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::all::{AllOf, TaskAll};
use crate::any::{AnyOf, TaskAny};
use crate::error::Result;
use crate::execution::Shared;
use crate::host::Host;
use crate::table::Kind;
use crate::{Level, Task, Timestamp, payload};

/// What an orchestrator asks the host for. A clone is the same context.
#[derive(Clone)]
pub struct Context {
    shared: Shared,
    start: Rc<Start>,
}

struct Start {
    orchestrator: &'static str,
    input: String,
}

impl Context {
    pub(crate) fn new(shared: Shared, orchestrator: &'static str, input: String) -> Self {
        Self { shared, start: Rc::new(Start { orchestrator, input }) }
    }

    /// The input that the instance was started with; JSON `null` where there was none.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T> {
        payload::decode(&self.start.input, || format!("input of orchestrator `{}`", self.start.orchestrator))
    }

    /// Waits for one external event of this name. Names compare without regard to case.
    ///
    /// An event that came before the wait has been kept: the oldest is taken first. Where several waits for one name are open, the
    /// newest gets the event. Await it as the type that the sender sends;
    /// [`serde::de::IgnoredAny`] fits whatever it is.
    ///
    /// # Panics
    /// Where the name is empty or longer than 256 bytes.
    pub fn wait_external_event<T: DeserializeOwned>(&self, name: &str) -> Task<T> {
        let handle = self.shared.borrow_mut().wait_external_event(name);
        Task::new(self.shared.clone(), handle, Kind::Wait, name)
    }

    /// Calls the activity of this name, of the same module. It runs at least once. An activity without input is given `&()`.
    ///
    /// # Panics
    /// Where the name is empty or longer than 256 bytes, or the input cannot be written as JSON (a map whose keys
    /// are not strings, say).
    pub fn call_activity<T: DeserializeOwned>(&self, name: &str, input: &(impl Serialize + ?Sized)) -> Task<T> {
        let input = payload::encode(input)
            .unwrap_or_else(|error| panic!("the input of activity `{name}` cannot be written as JSON: {error}"));
        let handle = self.shared.borrow_mut().call_activity(name, &input);
        Task::new(self.shared.clone(), handle, Kind::Activity, name)
    }

    /// Waits until one of the tasks is complete, and tells which one was first. The result is still with the task: await it.
    ///
    /// ```
    /// # use fermata_guest::*;
    /// # #[orchestrator("First")]
    /// # async fn first(ctx: Context) -> Result<f64> {
    /// let offers: Vec<Task<f64>> = ["Anna", "Ben"].map(|name| ctx.wait_external_event(name)).into();
    /// let winner = ctx.task_any(&offers).await;
    /// let price = offers.into_iter().nth(winner.index()).unwrap().await?;
    /// # Ok(price)
    /// # }
    /// # let mut run = testing::start("First", ());
    /// # run.raise("Ben", 12.5);
    /// # assert_eq!(run.output::<f64>().unwrap(), 12.5);
    /// ```
    ///
    /// # Panics
    /// Where there is no task.
    pub fn task_any<'a>(&self, tasks: impl AnyOf<'a>) -> TaskAny<'a> {
        TaskAny::new(self.shared.clone(), &tasks)
    }

    /// Waits until every task has succeeded, or one has failed. The results come in the order of the tasks; the failure is that
    /// of the task which failed first.
    pub fn task_all<S: AllOf>(&self, tasks: S) -> TaskAll<S> {
        TaskAll::new(self.shared.clone(), tasks)
    }

    /// The id of this instance.
    pub fn instance_id(&self) -> String {
        self.shared.borrow_mut().host.instance_id()
    }

    /// The time of the current step: it stands still while the code runs, and is the same on replay.
    pub fn current_utc_time(&self) -> Timestamp {
        self.shared.borrow_mut().host.current_utc_time()
    }

    /// A fresh random UUID, the same on replay.
    pub fn new_guid(&self) -> String {
        self.shared.borrow_mut().host.new_guid()
    }

    /// Whether the code running now has run before. For what is for people only: what an orchestrator decides must not
    /// depend on it.
    pub fn is_replaying(&self) -> bool {
        self.shared.borrow_mut().host.is_replaying()
    }

    /// Replaces the custom status that the instance shows.
    ///
    /// # Panics
    /// Where the status cannot be written as JSON, or has more than 16 KiB.
    pub fn set_custom_status(&self, status: impl Serialize) {
        let status = payload::encode(&status)
            .unwrap_or_else(|error| panic!("the custom status cannot be written as JSON: {error}"));
        self.shared.borrow_mut().host.set_custom_status(&status);
    }

    /// Adds a line to the log of the instance. What is replayed is not logged again.
    pub fn log(&self, level: Level, message: impl Display) {
        let message = message.to_string();
        self.shared.borrow_mut().host.log(level, &message);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("orchestrator", &self.start.orchestrator).finish_non_exhaustive()
    }
}

/// What an activity is told about the task it performs.
#[derive(Clone)]
pub struct ActivityContext {
    pub(crate) host: Rc<RefCell<dyn Host>>,
    pub(crate) activity: Rc<ActivityTask>,
}

#[derive(Debug)]
pub(crate) struct ActivityTask {
    pub(crate) name: String,
    pub(crate) input: String,
    pub(crate) task_key: String,
    pub(crate) instance_id: String,
    pub(crate) attempt: u32,
}

impl ActivityContext {
    /// The input that the orchestrator gave.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T> {
        payload::decode(&self.activity.input, || format!("input of activity `{}`", self.activity.name))
    }

    /// The same for every attempt at one task, and for no other task anywhere: what to hand on as an idempotency key.
    pub fn task_key(&self) -> &str {
        &self.activity.task_key
    }

    /// The instance whose task it is.
    pub fn instance_id(&self) -> &str {
        &self.activity.instance_id
    }

    /// 1 for the first attempt.
    pub fn attempt(&self) -> u32 {
        self.activity.attempt
    }

    /// Adds a line to the log of the instance.
    pub fn log(&self, level: Level, message: impl Display) {
        let message = message.to_string();
        self.host.borrow_mut().log(level, &message);
    }
}

impl fmt::Debug for ActivityContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.activity.fmt(f)
    }
}

macro_rules! log_methods {
    ($($context:ty),*) => {$(
        impl $context {
            /// Logs at this level, as [`log`](Self::log) does.
            pub fn info(&self, message: impl Display) {
                self.log(Level::Info, message);
            }

            /// Logs at this level, as [`log`](Self::log) does.
            pub fn warn(&self, message: impl Display) {
                self.log(Level::Warn, message);
            }

            /// Logs at this level, as [`log`](Self::log) does.
            pub fn error(&self, message: impl Display) {
                self.log(Level::Error, message);
            }
        }
    )*};
}

log_methods!(Context, ActivityContext);
