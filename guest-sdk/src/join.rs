//! [`JoinAll`]: the result of each of several tasks.

use std::pin::Pin;
use std::task::{Context as Polled, Poll};

use futures_core::FusedFuture;

use crate::Member;
use crate::any::Group;
use crate::error::Result;
use crate::execution::Shared;

/// The future of [`Context::join_all`](crate::Context::join_all).
#[must_use = "the tasks are waited for only where this is awaited"]
#[derive(Debug)]
pub struct JoinAll<M> {
    waiting: Group,
    done: bool,
    tasks: Vec<M>,
}

impl<M: Member> JoinAll<M> {
    pub(crate) fn new(shared: Shared, tasks: Vec<M>) -> Self {
        let members = tasks.iter().map(Member::handle).collect();
        Self { waiting: Group { shared, members, id: None }, done: false, tasks }
    }
}

impl<M: Member + Unpin> Future for JoinAll<M> {
    type Output = Vec<Result<M::Item>>;

    fn poll(self: Pin<&mut Self>, polled: &mut Polled<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        assert!(!this.done, "a join_all is polled again after it was ready");
        let Group { shared, members, id } = &mut this.waiting;
        let Some(outcomes) = shared.borrow_mut().poll_join(members, id, polled) else {
            return Poll::Pending;
        };
        this.done = true;
        Poll::Ready(this.tasks.iter().zip(outcomes).map(|(task, outcome)| task.result(outcome)).collect())
    }
}

impl<M: Member + Unpin> FusedFuture for JoinAll<M> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}
