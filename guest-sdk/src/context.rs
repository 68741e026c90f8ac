//! [`Context`]: what an orchestrator is given.

use std::borrow::Borrow;
use std::fmt::{self, Display};
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::all::{AllOf, Member, TaskAll};
use crate::any::{AnyOf, TaskAny};
use crate::error::Result;
use crate::execution::Shared;
use crate::generation::ContinueAsNew;
use crate::host::{Handle, Host, NextGeneration};
use crate::join::JoinAll;
use crate::log::log_methods;
use crate::table::Kind;
use crate::{Level, RetryPolicy, Task, Timestamp, When, payload};

/// How long a callback URL is good where nothing else is said.
const A_WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

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
    /// [`serde::de::IgnoredAny`] fits whatever it is. It may have a [timeout](Task::timeout).
    ///
    /// # Panics
    /// Where the name is empty or longer than 256 bytes.
    pub fn wait_external_event<T: DeserializeOwned>(&self, name: &str) -> Task<T> {
        self.task(Kind::Wait, name, |host| host.wait_external_event(name))
    }

    /// Calls the activity of this name: that of the same module, where the operator says nothing else. It runs at least once. An activity
    /// without input is given `&()`.
    ///
    /// # Panics
    /// Where the name is empty or longer than 256 bytes, or the input cannot be written as JSON (a map whose keys
    /// are not strings, say).
    pub fn call_activity<T: DeserializeOwned>(&self, name: &str, input: &(impl Serialize + ?Sized)) -> Task<T> {
        let input = json(input, || format!("input of activity `{name}`"));
        self.task(Kind::Activity, name, |host| host.call_activity(name, &input))
    }

    /// Calls an activity, again where it fails: as [`call_activity`](Self::call_activity) and [`Task::retry`].
    ///
    /// # Panics
    /// As `call_activity` does.
    pub fn call_activity_with_retry<T: DeserializeOwned>(
        &self,
        name: &str,
        policy: impl Borrow<RetryPolicy>,
        input: &(impl Serialize + ?Sized),
    ) -> Task<T> {
        self.call_activity(name, input).retry(policy)
    }

    /// Starts the orchestrator of this name as a child of this instance. Its task has what the child returns, or fails with.
    ///
    /// The child runs the newest module that holds the name, with an id of its own, which no other instance has. It goes on, whatever
    /// becomes of this instance.
    ///
    /// ```
    /// # use fermata_guest::*;
    /// #[orchestrator]
    /// async fn provision(ctx: Context, device: String) -> Result<String> {
    ///     Ok(format!("{device} is ready"))
    /// }
    ///
    /// #[orchestrator]
    /// async fn provision_both(ctx: Context) -> Result<Vec<String>> {
    ///     let children = ["lamp", "lock"].map(|device| ctx.call_sub_orchestrator("provision", device));
    ///     ctx.task_all(children).await
    /// }
    /// # fn main() {
    /// # let mut run = testing::start("provision_both", ());
    /// # run.run_sub_orchestrations();
    /// # assert_eq!(run.output::<Vec<String>>().unwrap(), ["lamp is ready", "lock is ready"]);
    /// # }
    /// ```
    ///
    /// # Panics
    /// Where the name is empty or longer than 256 bytes, or the input cannot be written as JSON.
    pub fn call_sub_orchestrator<T: DeserializeOwned>(&self, name: &str, input: &(impl Serialize + ?Sized)) -> Task<T> {
        self.child(name, None, input)
    }

    /// Starts a child with an id of your choice, so that events can be raised for it: as
    /// [`call_sub_orchestrator`](Self::call_sub_orchestrator).
    ///
    /// The task fails with the kind `conflict` where an instance with the id has not ended.
    ///
    /// # Panics
    /// Where the name or the id is empty or longer than 256 bytes, where the id has a character that ids have not, or where the input
    /// cannot be written as JSON.
    pub fn call_sub_orchestrator_with_id<T: DeserializeOwned>(
        &self,
        name: &str,
        instance_id: &str,
        input: &(impl Serialize + ?Sized),
    ) -> Task<T> {
        self.child(name, Some(instance_id), input)
    }

    /// Starts a child, again where it fails: as [`call_sub_orchestrator`](Self::call_sub_orchestrator) and [`Task::retry`].
    ///
    /// # Panics
    /// As `call_sub_orchestrator` does.
    pub fn call_sub_orchestrator_with_retry<T: DeserializeOwned>(
        &self,
        name: &str,
        policy: impl Borrow<RetryPolicy>,
        input: &(impl Serialize + ?Sized),
    ) -> Task<T> {
        self.call_sub_orchestrator(name, input).retry(policy)
    }

    /// Creates a timer: a task that is complete at this moment, or after this time, and at once where that is past.
    ///
    /// It is never early by the host's clock, and as late as the host is busy, or down. To drop it is to cancel it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use fermata_guest::*;
    /// #[orchestrator]
    /// async fn remind(ctx: Context) -> Result<&'static str> {
    ///     let answer = ctx.wait_external_event::<bool>("Answer");
    ///     let week = ctx.create_timer(Duration::from_secs(7 * 24 * 3600));
    ///     let winner = ctx.task_any((&answer, &week)).await;
    ///     Ok(if winner == week { "nobody answered" } else { "somebody answered" })
    /// }
    ///
    /// # fn main() {
    /// let mut run = testing::start("remind", ());
    /// run.advance(Duration::from_secs(8 * 24 * 3600));
    /// assert_eq!(run.output::<String>().unwrap(), "nobody answered");
    /// # }
    /// ```
    ///
    /// # Panics
    /// Where the moment is not a number.
    pub fn create_timer(&self, at: impl Into<When>) -> Task<()> {
        let due = at.into().resolve(self.current_utc_time());
        self.task(Kind::Timer, "", |host| host.create_timer(due))
    }

    /// Starts an instance that nobody waits for, and returns its id, which no other instance has.
    ///
    /// It happens once, when this step is durable; nothing tells whether there is such an orchestrator.
    ///
    /// # Panics
    /// Where the name is empty or longer than 256 bytes, or the input cannot be written as JSON.
    pub fn start_orchestrator(&self, name: &str, input: &(impl Serialize + ?Sized)) -> String {
        self.start_detached(name, None, input)
    }

    /// Starts an instance with an id of your choice that nobody waits for, and returns the id: as
    /// [`start_orchestrator`](Self::start_orchestrator). Nothing is started where an instance with the id has not ended.
    ///
    /// # Panics
    /// Where the name or the id is empty or longer than 256 bytes, where the id has a character that ids have not, or where the input
    /// cannot be written as JSON.
    pub fn start_orchestrator_with_id(
        &self,
        name: &str,
        instance_id: &str,
        input: &(impl Serialize + ?Sized),
    ) -> String {
        self.start_detached(name, Some(instance_id), input)
    }

    /// Raises an external event for another instance, or for this one. It happens once, when this step is durable; where there is no such
    /// instance, or it has ended, nothing happens.
    ///
    /// # Panics
    /// Where a name or id is empty or longer than 256 bytes, or the payload cannot be written as JSON.
    pub fn raise_event(&self, instance_id: &str, name: &str, payload: &(impl Serialize + ?Sized)) {
        let payload = json(payload, || format!("payload of event `{name}`"));
        self.shared.borrow_mut().host.raise_event(instance_id, name, &payload);
    }

    /// Ends this execution, and begins the orchestrator anew with this input and an empty history. This keeps an instance that lives
    /// for years, or for ever, short to replay.
    ///
    /// Awaited, it never comes back, so it stands at the end of an orchestrator whatever that returns. Events that were not taken are kept for
    /// the next generation, in order; open waits and timers are closed, and the results of activities and children that are under way
    /// are ignored. The next generation runs the newest module that holds the orchestrator.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use fermata_guest::*;
    /// #[orchestrator("CleanUp")]
    /// async fn clean_up(ctx: Context, round: u32) -> Result<()> {
    ///     ctx.call_activity::<()>("DoCleanup", &round).await?;
    ///     // sleep for one hour between clean-ups
    ///     ctx.create_timer(Duration::from_secs(3600)).await?;
    ///     ctx.continue_as_new(&(round + 1)).await
    /// }
    ///
    /// # fn main() {
    /// let mut run = testing::start("CleanUp", 1);
    /// run.complete("DoCleanup", ());
    /// run.advance(Duration::from_secs(3600));
    /// assert_eq!(run.generation(), 1);
    /// assert_eq!(run.open_activities(), [("DoCleanup".to_owned(), "2".to_owned())]);
    /// # }
    /// ```
    ///
    /// # Panics
    /// Where the input cannot be written as JSON.
    pub fn continue_as_new<T>(&self, input: &(impl Serialize + ?Sized)) -> ContinueAsNew<T> {
        self.next_generation(input, false)
    }

    /// Continues as new with the code of this very module, not the newest: as [`continue_as_new`](Self::continue_as_new).
    ///
    /// # Panics
    /// Where the input cannot be written as JSON.
    pub fn continue_as_new_on_same_module<T>(&self, input: &(impl Serialize + ?Sized)) -> ContinueAsNew<T> {
        self.next_generation(input, true)
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
    /// of the task which failed first. To learn of each how it ended, see [`join_all`](Self::join_all).
    pub fn task_all<S: AllOf>(&self, tasks: S) -> TaskAll<S> {
        TaskAll::new(self.shared.clone(), tasks)
    }

    /// Waits until every task is complete, those that fail included, and gives the result of each, in the order of the tasks.
    ///
    /// Where [`task_all`](Self::task_all) stops at the first failure, this one goes on: for work of which a part may fail.
    ///
    /// ```
    /// # use fermata_guest::*;
    /// #[orchestrator]
    /// async fn notify_all(ctx: Context, people: Vec<String>) -> usize {
    ///     let calls = people.iter().map(|person| ctx.call_activity::<()>("Notify", person));
    ///     ctx.join_all(calls).await.iter().filter(|result| result.is_ok()).count()
    /// }
    ///
    /// # fn main() {
    /// let mut run = testing::start("notify_all", ["Anna", "Ben", "Cleo"]);
    /// run.complete("Notify", ());
    /// run.fail("Notify", Failure::new("NoSuchNumber", "Ben has no telephone"));
    /// run.complete("Notify", ());
    /// assert_eq!(run.output::<usize>().unwrap(), 2);
    /// # }
    /// ```
    pub fn join_all<M: Member>(&self, tasks: impl IntoIterator<Item = M>) -> JoinAll<M> {
        JoinAll::new(self.shared.clone(), tasks.into_iter().collect())
    }

    /// The id of this instance.
    pub fn instance_id(&self) -> String {
        self.shared.borrow_mut().host.instance_id()
    }

    /// The id of the instance whose child this one is; none where it is nobody's.
    pub fn parent_instance_id(&self) -> Option<String> {
        self.shared.borrow_mut().host.parent_instance_id()
    }

    /// Names this execution: the life of an instance from its start, or from where it continued as new. No other has the same.
    pub fn execution_id(&self) -> String {
        self.shared.borrow_mut().host.execution_id()
    }

    /// The name of this orchestrator, as the module spells it.
    pub fn orchestrator_name(&self) -> String {
        self.shared.borrow_mut().host.orchestrator_name()
    }

    /// The SHA-256 of the module that runs, in lower-case hex.
    pub fn module_digest(&self) -> String {
        self.shared.borrow_mut().host.module_digest()
    }

    /// A URL with which whoever has it may raise this event for this instance, and do nothing else: for a link in a message to a person. It is
    /// good for seven days; see [`callback_url_until`](Self::callback_url_until) for another time.
    ///
    /// Opened in a browser, it shows a page that asks for the answer; a program sends its payload there with `POST`. No key is needed: to
    /// have the URL is to be allowed, so give it to whom you ask and nobody else. It is good for all generations of the instance, and the
    /// same on replay.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use fermata_guest::*;
    /// #[orchestrator("Expense")]
    /// async fn expense(ctx: Context, what: String) -> Result<&'static str> {
    ///     let link = ctx.callback_url("Approval");
    ///     ctx.call_activity::<()>("SendMail", &format!("May we buy {what}? {link}")).await?;
    ///     let approval = ctx.wait_external_event::<bool>("Approval").timeout(Duration::from_secs(7 * 24 * 3600));
    ///     Ok(if approval.or_default(false).await? { "bought" } else { "not bought" })
    /// }
    ///
    /// # fn main() {
    /// let mut run = testing::start("Expense", "a lamp");
    /// run.complete("SendMail", ());
    /// let (event, link) = run.callback_urls().remove(0);
    /// assert_eq!(event, "Approval");
    /// run.answer(&link, true);
    /// assert_eq!(run.output::<String>().unwrap(), "bought");
    /// # run.check_replay();
    /// # }
    /// ```
    ///
    /// # Panics
    /// Where the name is empty or longer than 256 bytes.
    pub fn callback_url(&self, event: &str) -> String {
        self.callback_url_until(event, A_WEEK)
    }

    /// A URL to raise this event with that is good until this moment, or for this time: as [`callback_url`](Self::callback_url).
    ///
    /// # Panics
    /// Where the name is empty or longer than 256 bytes, or the moment is not a number.
    pub fn callback_url_until(&self, event: &str, expires: impl Into<When>) -> String {
        let expires = expires.into().resolve(self.current_utc_time());
        self.shared.borrow_mut().host.callback_url(event, expires)
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
        let status = json(&status, || "custom status".to_owned());
        self.shared.borrow_mut().host.set_custom_status(&status);
    }

    /// Adds a line to the log of the instance. What is replayed is not logged again.
    pub fn log(&self, level: Level, message: impl Display) {
        let message = message.to_string();
        self.shared.borrow_mut().host.log(level, &message);
    }

    fn task<T>(&self, kind: Kind, name: &str, call: impl FnOnce(&mut dyn Host) -> Handle) -> Task<T> {
        let handle = self.shared.borrow_mut().create(kind, call);
        Task::new(self.shared.clone(), handle, kind, name)
    }

    fn child<T>(&self, name: &str, instance_id: Option<&str>, input: &(impl Serialize + ?Sized)) -> Task<T> {
        let input = json(input, || format!("input of sub-orchestration `{name}`"));
        self.task(Kind::Child, name, |host| host.call_sub_orchestrator(name, &input, instance_id))
    }

    fn start_detached(&self, name: &str, instance_id: Option<&str>, input: &(impl Serialize + ?Sized)) -> String {
        let input = json(input, || format!("input of orchestrator `{name}`"));
        self.shared.borrow_mut().host.start_orchestrator(name, &input, instance_id)
    }

    fn next_generation<T>(&self, input: &(impl Serialize + ?Sized), same_module: bool) -> ContinueAsNew<T> {
        let input = json(input, || "input of the next generation".to_owned());
        ContinueAsNew::new(self.shared.clone(), NextGeneration { input, same_module })
    }
}

/// A value of the orchestrator's own, on its way to the host.
pub(crate) fn json(value: &(impl Serialize + ?Sized), subject: impl FnOnce() -> String) -> String {
    payload::encode(value).unwrap_or_else(|error| panic!("the {} cannot be written as JSON: {error}", subject()))
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("orchestrator", &self.start.orchestrator).finish_non_exhaustive()
    }
}

log_methods!(Context);
