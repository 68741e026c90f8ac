//! [`Task`]: the future of one event or activity.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as Polled, Poll};

use futures_core::FusedFuture;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::execution::Shared;
use crate::host::{Handle, Outcome};
use crate::payload;
use crate::table::Kind;

/// Something an orchestrator waits for: an external event, or the result of an activity.
///
/// Await it, or hand it to [`task_any`](crate::Context::task_any), [`task_all`](crate::Context::task_all) or any combinator of the
/// `futures` crate. It has begun already: the host knows of it from the moment it is made.
///
/// To drop the wait for an event is to [cancel](Self::cancel) it. To drop an activity's task is to lose sight of it:
/// the activity runs all the same.
#[must_use = "a task is waited for only where it is awaited; a wait that is dropped is cancelled"]
pub struct Task<T> {
    shared: Shared,
    handle: Handle,
    kind: Kind,
    name: Box<str>,
    taken: bool,
    result: PhantomData<fn() -> T>,
}

impl<T> Task<T> {
    pub(crate) fn new(shared: Shared, handle: Handle, kind: Kind, name: &str) -> Self {
        Self { shared, handle, kind, name: name.into(), taken: false, result: PhantomData }
    }

    /// The number of the task: 0, 1, 2, … in the order of creation.
    pub fn id(&self) -> u32 {
        self.handle
    }

    /// Gives the task up. An event that has reached it, and has not been taken, goes back to the buffer, to the next wait
    /// for its name; an activity is not stopped, but its result is ignored.
    ///
    /// Returns false where it comes too late: the result has been taken.
    pub fn cancel(self) -> bool {
        self.shared.borrow_mut().cancel(self.handle)
    }

    /// Turns what the host gave into what the author asked for.
    fn read(&self, outcome: Outcome) -> Result<T>
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
            Kind::Activity => format!("result of {self}"),
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
            Kind::Activity => write!(f, "activity `{}`", self.name),
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({}, {self})", self.handle)
    }
}
