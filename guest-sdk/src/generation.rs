//! [`ContinueAsNew`]: the end of an execution, and the beginning of the next.

use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polled, Poll};

use futures_core::FusedFuture;

use crate::execution::Shared;
use crate::host::NextGeneration;

/// The future of [`Context::continue_as_new`](crate::Context::continue_as_new). It is never ready, so that it stands for a value of any type.
#[must_use = "the orchestrator continues as new only where this is awaited"]
pub struct ContinueAsNew<T> {
    shared: Shared,
    next: Rc<NextGeneration>,
    output: PhantomData<fn() -> T>,
}

impl<T> ContinueAsNew<T> {
    pub(crate) fn new(shared: Shared, next: NextGeneration) -> Self {
        Self { shared, next: Rc::new(next), output: PhantomData }
    }
}

impl<T> Future for ContinueAsNew<T> {
    type Output = T;

    /// Leaves word for the executor, which ends the execution once the orchestrator has come to rest.
    fn poll(self: Pin<&mut Self>, _: &mut Polled<'_>) -> Poll<T> {
        self.shared.borrow_mut().next_generation = Some(self.next.clone());
        Poll::Pending
    }
}

impl<T> FusedFuture for ContinueAsNew<T> {
    fn is_terminated(&self) -> bool {
        false
    }
}

/// One that is dropped, by a `select!` say, was not what the orchestrator went on with.
impl<T> Drop for ContinueAsNew<T> {
    fn drop(&mut self) {
        self.shared.borrow_mut().next_generation.take_if(|next| Rc::ptr_eq(next, &self.next));
    }
}

impl<T> std::fmt::Debug for ContinueAsNew<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ContinueAsNew").field(&self.next).finish()
    }
}
