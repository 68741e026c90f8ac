//! [`TaskAny`]: which of several tasks completed first.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as Polled, Poll};

use futures_core::FusedFuture;

use crate::Task;
use crate::execution::Shared;
use crate::host::Handle;
use crate::table::GroupId;

/// Tasks to choose from: a tuple of `&Task<_>` of up to 12 types, or a slice, array or `Vec` of tasks of one type.
pub trait AnyOf<'a> {
    #[doc(hidden)]
    fn handles(&self) -> Vec<u32>;
}

/// The future of [`Context::task_any`](crate::Context::task_any).
#[must_use = "which task was first is known only where this is awaited"]
#[derive(Debug)]
pub struct TaskAny<'a> {
    waiting: Group,
    done: bool,
    tasks: PhantomData<&'a ()>,
}

/// The task that completed first: compare it with the tasks, `winner == event1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Winner {
    handle: Handle,
    index: usize,
}

impl Winner {
    /// The place of the winner among the tasks that were given, from 0.
    pub fn index(self) -> usize {
        self.index
    }
}

impl<T> PartialEq<Task<T>> for Winner {
    fn eq(&self, task: &Task<T>) -> bool {
        self.handle == task.id()
    }
}

impl<T> PartialEq<Winner> for Task<T> {
    fn eq(&self, winner: &Winner) -> bool {
        winner == self
    }
}

impl<'a> TaskAny<'a> {
    pub(crate) fn new(shared: Shared, tasks: &impl AnyOf<'a>) -> Self {
        let members = tasks.handles();
        assert!(!members.is_empty(), "task_any was given no task: it would wait for ever");
        Self { waiting: Group { shared, members, id: None }, done: false, tasks: PhantomData }
    }
}

impl Future for TaskAny<'_> {
    type Output = Winner;

    fn poll(self: Pin<&mut Self>, polled: &mut Polled<'_>) -> Poll<Winner> {
        let this = self.get_mut();
        assert!(!this.done, "a task_any is polled again after it was ready");
        let Group { shared, members, id } = &mut this.waiting;
        let Some((handle, wakers)) = shared.borrow_mut().poll_any(members, id, polled) else {
            return Poll::Pending;
        };
        wakers.wake();
        this.done = true;
        let index = members
            .iter()
            .position(|member| *member == handle)
            .expect("the host answers with one of the tasks asked for");
        Poll::Ready(Winner { handle, index })
    }
}

impl FusedFuture for TaskAny<'_> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

/// The part of a `TaskAny`, `TaskAll` or `JoinAll` that stands in the table while it is pending.
pub(crate) struct Group {
    pub(crate) shared: Shared,
    pub(crate) members: Vec<Handle>,
    pub(crate) id: Option<GroupId>,
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.borrow_mut().table.close_group(id);
        }
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.members.fmt(f)
    }
}

fn handles_of<'a, T: 'a>(tasks: impl IntoIterator<Item = &'a Task<T>>) -> Vec<u32> {
    tasks.into_iter().map(Task::id).collect()
}

impl<'a, T> AnyOf<'a> for &'a [Task<T>] {
    fn handles(&self) -> Vec<u32> {
        handles_of(self.iter())
    }
}

impl<'a, T> AnyOf<'a> for &'a Vec<Task<T>> {
    fn handles(&self) -> Vec<u32> {
        handles_of(self.iter())
    }
}

impl<'a, T, const N: usize> AnyOf<'a> for &'a [Task<T>; N] {
    fn handles(&self) -> Vec<u32> {
        handles_of(self.iter())
    }
}

impl<'a, T> AnyOf<'a> for &[&'a Task<T>] {
    fn handles(&self) -> Vec<u32> {
        handles_of(self.iter().copied())
    }
}

impl<'a, T> AnyOf<'a> for Vec<&'a Task<T>> {
    fn handles(&self) -> Vec<u32> {
        handles_of(self.iter().copied())
    }
}

impl<'a, T, const N: usize> AnyOf<'a> for [&'a Task<T>; N] {
    fn handles(&self) -> Vec<u32> {
        handles_of(self.iter().copied())
    }
}

macro_rules! any_of_tuple {
    ($($T:ident $task:ident),+) => {
        impl<'a, $($T),+> AnyOf<'a> for ($(&'a Task<$T>,)+) {
            fn handles(&self) -> Vec<u32> {
                let ($($task,)+) = self;
                vec![$($task.id()),+]
            }
        }
    };
}

crate::tuples::for_each_tuple!(any_of_tuple);
