//! [`TaskAll`]: the results of several tasks.

use std::pin::Pin;
use std::task::{Context as Polled, Poll};

use futures_core::FusedFuture;
use serde::de::DeserializeOwned;

use crate::any::Group;
use crate::error::{Error, Result};
use crate::execution::Shared;
use crate::host::Outcome;
use crate::{Failure, Task};

/// Tasks to wait for together: a tuple of up to 12 types, or a `Vec`, array or slice of one type; the tasks themselves, or
/// references to them.
pub trait AllOf {
    /// The results, in the order of the tasks: a tuple for a tuple, else a `Vec`.
    type Output;

    #[doc(hidden)]
    fn handles(&self) -> Vec<u32>;

    #[doc(hidden)]
    fn decode(&self, payloads: Vec<String>) -> Result<Self::Output>;
}

/// A task, or a reference to one.
pub trait Member {
    /// The type of its result.
    type Item;

    #[doc(hidden)]
    fn handle(&self) -> u32;

    #[doc(hidden)]
    fn item(&self, json: &str) -> Result<Self::Item>;

    #[doc(hidden)]
    fn result(&self, outcome: Result<String, Box<Failure>>) -> Result<Self::Item>;
}

impl<T: DeserializeOwned> Member for Task<T> {
    type Item = T;

    fn handle(&self) -> u32 {
        self.id()
    }

    fn item(&self, json: &str) -> Result<T> {
        self.decode(json)
    }

    fn result(&self, outcome: Outcome) -> Result<T> {
        self.read(outcome)
    }
}

impl<M: Member> Member for &M {
    type Item = M::Item;

    fn handle(&self) -> u32 {
        M::handle(self)
    }

    fn item(&self, json: &str) -> Result<M::Item> {
        M::item(self, json)
    }

    fn result(&self, outcome: Outcome) -> Result<M::Item> {
        M::result(self, outcome)
    }
}

/// The future of [`Context::task_all`](crate::Context::task_all).
#[must_use = "the tasks are waited for only where this is awaited"]
#[derive(Debug)]
pub struct TaskAll<S> {
    waiting: Group,
    done: bool,
    tasks: S,
}

impl<S: AllOf> TaskAll<S> {
    pub(crate) fn new(shared: Shared, tasks: S) -> Self {
        Self { waiting: Group { shared, members: tasks.handles(), id: None }, done: false, tasks }
    }
}

impl<S: AllOf + Unpin> Future for TaskAll<S> {
    type Output = Result<S::Output>;

    fn poll(self: Pin<&mut Self>, polled: &mut Polled<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        assert!(!this.done, "a task_all is polled again after it was ready");
        let Group { shared, members, id } = &mut this.waiting;
        let Some(result) = shared.borrow_mut().poll_all(members, id, polled) else {
            return Poll::Pending;
        };
        this.done = true;
        Poll::Ready(result.map_err(Error::Failure).and_then(|payloads| this.tasks.decode(payloads)))
    }
}

impl<S: AllOf + Unpin> FusedFuture for TaskAll<S> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

fn decode_each<M: Member>(tasks: &[M], payloads: Vec<String>) -> Result<Vec<M::Item>> {
    tasks.iter().zip(payloads).map(|(task, json)| task.item(&json)).collect()
}

impl<M: Member> AllOf for Vec<M> {
    type Output = Vec<M::Item>;

    fn handles(&self) -> Vec<u32> {
        self.iter().map(Member::handle).collect()
    }

    fn decode(&self, payloads: Vec<String>) -> Result<Self::Output> {
        decode_each(self, payloads)
    }
}

impl<M: Member, const N: usize> AllOf for [M; N] {
    type Output = Vec<M::Item>;

    fn handles(&self) -> Vec<u32> {
        self.iter().map(Member::handle).collect()
    }

    fn decode(&self, payloads: Vec<String>) -> Result<Self::Output> {
        decode_each(self, payloads)
    }
}

impl<M: Member> AllOf for &[M] {
    type Output = Vec<M::Item>;

    fn handles(&self) -> Vec<u32> {
        self.iter().map(Member::handle).collect()
    }

    fn decode(&self, payloads: Vec<String>) -> Result<Self::Output> {
        decode_each(self, payloads)
    }
}

impl<S: AllOf> AllOf for &S {
    type Output = S::Output;

    fn handles(&self) -> Vec<u32> {
        S::handles(self)
    }

    fn decode(&self, payloads: Vec<String>) -> Result<Self::Output> {
        S::decode(self, payloads)
    }
}

impl AllOf for () {
    type Output = ();

    fn handles(&self) -> Vec<u32> {
        Vec::new()
    }

    fn decode(&self, _: Vec<String>) -> Result<()> {
        Ok(())
    }
}

macro_rules! all_of_tuple {
    ($($T:ident $task:ident),+) => {
        impl<$($T: Member),+> AllOf for ($($T,)+) {
            type Output = ($($T::Item,)+);

            fn handles(&self) -> Vec<u32> {
                let ($($task,)+) = self;
                vec![$($task.handle()),+]
            }

            fn decode(&self, payloads: Vec<String>) -> Result<Self::Output> {
                let ($($task,)+) = self;
                let mut payloads = payloads.iter();
                Ok(($($task.item(payloads.next().expect("the host gives one payload for each task"))?,)+))
            }
        }
    };
}

crate::tuples::for_each_tuple!(all_of_tuple);
