//! [`Task`]: the future of one event, timer, activity or sub-orchestration.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as Polled, Poll};

use futures_core::FusedFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::json;
use crate::error::{Error, Result};
use crate::execution::Shared;
use crate::host::{Handle, Outcome};
use crate::table::Kind;
use crate::{RetryPolicy, Timestamp, When, payload};

/// Something an orchestrator waits for: an external event, a timer, or the result of an activity or a sub-orchestration.
///
/// Await it, or hand it to [`task_any`](crate::Context::task_any), [`task_all`](crate::Context::task_all) or any combinator of the
/// `futures` crate. It has begun already: the host knows of it from the moment it is made.
///
/// To drop the wait for an event, or a timer, is to [cancel](Self::cancel) it. To drop the task of an activity or a sub-orchestration is to
/// lose sight of it: it runs all the same.
#[must_use = "a task is waited for only where it is awaited; a wait or timer that is dropped is cancelled"]
pub struct Task<T> {
    shared: Shared,
    handle: Handle,
    kind: Kind,
    /// Of the event, activity or orchestrator; a timer has none.
    name: Box<str>,
    timeout: Option<Timestamp>,
    taken: bool,
    result: PhantomData<fn() -> T>,
}

impl<T> Task<T> {
    pub(crate) fn new(shared: Shared, handle: Handle, kind: Kind, name: &str) -> Self {
        Self { shared, handle, kind, name: name.into(), timeout: None, taken: false, result: PhantomData }
    }

    /// The number of the task: 0, 1, 2, … in the order of creation.
    pub fn id(&self) -> u32 {
        self.handle
    }

    /// Gives the task up. An event that has reached it, and has not been taken, goes back to the buffer, to the next wait
    /// for its name; an activity or sub-orchestration is not stopped, but its result is ignored.
    ///
    /// Returns false where it comes too late: the result has been taken.
    pub fn cancel(self) -> bool {
        self.shared.borrow_mut().cancel(self.handle)
    }

    /// Ends the task at this moment, or after this time, where it is open then: with an error that
    /// [is a timeout](Error::is_timeout). What has come before that moment beats it. A wait is closed, and takes no event any more; an
    /// activity is given up, a sub-orchestration goes on unheard.
    ///
    /// It replaces a timeout set before, and does nothing where the task is complete.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use fermata_guest::*;
    /// #[orchestrator]
    /// async fn approve(ctx: Context) -> Result<&'static str> {
    ///     match ctx.wait_external_event::<bool>("Approval").timeout(Duration::from_secs(72 * 3600)).await {
    ///         Ok(true) => Ok("approved"),
    ///         Ok(false) => Ok("rejected"),
    ///         Err(error) if error.is_timeout() => Ok("escalated"),
    ///         Err(error) => Err(error),
    ///     }
    /// }
    ///
    /// # fn main() {
    /// let mut run = testing::start("approve", ());
    /// run.advance(Duration::from_secs(72 * 3600));
    /// assert_eq!(run.output::<String>().unwrap(), "escalated");
    /// # }
    /// ```
    ///
    /// # Panics
    /// Where the moment is not a number.
    pub fn timeout(mut self, at: impl Into<When>) -> Self {
        let mut shared = self.shared.borrow_mut();
        let due = at.into().resolve(shared.host.current_utc_time());
        shared.set_timeout(self.handle, due, None);
        drop(shared);
        self.timeout = Some(due);
        self
    }

    /// Lets the task end with this value, not with an error, when its timeout comes.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use fermata_guest::*;
    /// #[orchestrator]
    /// async fn ask(ctx: Context) -> Result<bool> {
    ///     ctx.wait_external_event("Approval").timeout(Duration::from_secs(60)).or_default(false).await
    /// }
    ///
    /// # fn main() {
    /// let mut run = testing::start("ask", ());
    /// run.advance(Duration::from_secs(60));
    /// assert!(!run.output::<bool>().unwrap());
    /// # }
    /// ```
    ///
    /// # Panics
    /// Where the task has no [`timeout`](Self::timeout), or the value cannot be written as JSON.
    pub fn or_default(self, value: T) -> Self
    where
        T: Serialize,
    {
        let due = self.timeout.unwrap_or_else(|| panic!("the default of {self} needs a timeout before it"));
        let default = json(&value, || format!("default of {self}"));
        self.shared.borrow_mut().set_timeout(self.handle, due, Some(&default));
        self
    }

    /// Has an activity or a sub-orchestration tried again when it fails. It is to be said where the task is made, before anything is awaited.
    ///
    /// # Panics
    /// Where the task is an event or a timer, or was made in an earlier step.
    pub fn retry(self, policy: impl Borrow<RetryPolicy>) -> Self {
        assert!(self.kind.is_work(), "a retry policy is for activities and sub-orchestrations, and this is {self}");
        self.shared.borrow_mut().host.set_retry(self.handle, policy.borrow());
        self
    }

    /// Turns what the host gave into what the author asked for.
    pub(crate) fn read(&self, outcome: Outcome) -> Result<T>
    where
        T: DeserializeOwned,
    {
        match outcome {
            Ok(json) => self.decode(&json),
            Err(mut failure) => {
                failure.add_detail(&format!("in {self}"));
                Err(Error::Failure(failure))
            }
        }
    }

    pub(crate) fn decode(&self, json: &str) -> Result<T>
    where
        T: DeserializeOwned,
    {
        payload::decode(json, || match self.kind {
            Kind::Wait => format!("payload of {self}"),
            Kind::Timer | Kind::Activity | Kind::Child => format!("result of {self}"),
        })
    }
}

impl<T: DeserializeOwned> Future for Task<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, polled: &mut Polled<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        assert!(!this.taken, "the task of {this} is polled again after it was ready");
        let polled = this.shared.borrow_mut().poll_task(this.handle, polled.waker());
        polled.map(|outcome| {
            this.taken = true;
            this.read(outcome)
        })
    }
}

impl<T: DeserializeOwned> FusedFuture for Task<T> {
    fn is_terminated(&self) -> bool {
        self.taken
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.shared.borrow_mut().dropped(self.handle);
    }
}

/// What the task waits for, as an author calls it.
impl<T> fmt::Display for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Wait => write!(f, "event `{}`", self.name),
            Kind::Timer => f.write_str("timer"),
            Kind::Activity => write!(f, "activity `{}`", self.name),
            Kind::Child => write!(f, "sub-orchestration `{}`", self.name),
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({}, {self})", self.handle)
    }
}
