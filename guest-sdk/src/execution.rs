//! One run of an orchestrator: the host and the table of its tasks, and what a poll may ask of the two.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::task::{Context as Polled, Poll, Waker};

use crate::host::{Answer, Block, Handle, Host, NextGeneration, Outcome};
use crate::table::{GroupId, GroupKind, Kind, State, Table, Wakers};
use crate::{Failure, Timestamp};

/// What the futures of one run share.
pub(crate) type Shared = Rc<RefCell<Execution>>;

pub(crate) struct Execution {
    pub(crate) host: Box<dyn Host>,
    pub(crate) table: Table,
    /// The orchestrator awaits this: it is done once it comes to rest.
    pub(crate) next_generation: Option<Rc<NextGeneration>>,
}

impl Execution {
    pub(crate) fn new(host: Box<dyn Host>) -> Shared {
        Rc::new(RefCell::new(Self { host, table: Table::default(), next_generation: None }))
    }

    /// Makes a task by a call of the host.
    pub(crate) fn create(&mut self, kind: Kind, call: impl FnOnce(&mut dyn Host) -> Handle) -> Handle {
        let handle = call(&mut *self.host);
        self.table.insert(handle, kind);
        handle
    }

    pub(crate) fn set_timeout(&mut self, handle: Handle, due: Timestamp, default: Option<&str>) {
        self.table.slot(handle).times_out = default.is_none().then_some(due);
        self.host.set_timeout(handle, due, default);
    }

    pub(crate) fn poll_task(&mut self, handle: Handle, waker: &Waker) -> Poll<Outcome> {
        match self.table.slot(handle).state {
            State::Live => {
                self.table.wait(handle, waker);
                Poll::Pending
            }
            _ => Poll::Ready(self.take(handle)),
        }
    }

    /// Gives a task up, as an author who says `cancel` wants it.
    pub(crate) fn cancel(&mut self, handle: Handle) -> bool {
        match self.table.slot(handle).state {
            State::Live => self.table.give_up(handle),
            State::Delivered => self.table.slot(handle).state = State::Gone,
            State::Fetched(_) | State::Taken | State::Gone => return false,
        }
        self.host.cancel_task(handle)
    }

    /// A task's future is dropped: a wait or timer is cancelled, what is done elsewhere goes on without anyone looking.
    pub(crate) fn dropped(&mut self, handle: Handle) {
        if self.table.slot(handle).kind.is_work() {
            self.table.give_up(handle);
        } else {
            self.cancel(handle);
        }
    }

    /// Polls a `TaskAny`: none while no member is complete.
    pub(crate) fn poll_any(
        &mut self,
        members: &[Handle],
        group: &mut Option<GroupId>,
        polled: &Polled<'_>,
    ) -> Option<(Handle, Wakers)> {
        let Some(id) = *group else {
            if members.iter().any(|member| self.table.is_complete(*member)) {
                return Some(self.first_completed(members));
            }
            *group = Some(self.table.open_group(GroupKind::Any, members, polled.waker()));
            return None;
        };
        let open = self.table.group(id);
        let won = match open.answer.take() {
            Some(Answer::Task(winner)) => (winner, Wakers::default()),
            _ if !open.arrived.is_empty() => self.first_completed(members),
            _ => {
                self.table.wait_group(id, polled.waker());
                return None;
            }
        };
        self.table.close_group(id);
        *group = None;
        Some(won)
    }

    /// Several may be complete; only the host knows which one was first.
    fn first_completed(&mut self, members: &[Handle]) -> (Handle, Wakers) {
        let winner = self.host.task_any(members);
        (winner, self.deliver(winner))
    }

    /// Delivers a task that the host has handed over. Where its deadline lies ahead, that is not why it is complete.
    fn deliver(&mut self, handle: Handle) -> Wakers {
        if let Some(due) = self.table.slot(handle).times_out
            && self.host.current_utc_time() < due
        {
            self.table.slot(handle).times_out = None;
        }
        self.table.deliver(handle, State::Delivered)
    }

    /// Polls a `TaskAll`: none while a member is live and none has failed.
    pub(crate) fn poll_all(
        &mut self,
        members: &[Handle],
        group: &mut Option<GroupId>,
        polled: &Polled<'_>,
    ) -> Option<Result<Vec<String>, Box<Failure>>> {
        let id = *group.get_or_insert_with(|| {
            let id = self.table.open_group(GroupKind::All, members, polled.waker());
            let complete = members.iter().copied().filter(|member| self.table.is_complete(*member)).collect();
            self.table.group(id).arrived = complete;
            id
        });
        let open = self.table.group(id);
        let (answer, arrived, live) = (open.answer.take(), mem::take(&mut open.arrived), open.live);
        let result = match answer {
            Some(Answer::Payloads(payloads)) => payloads,
            _ => match self.first_failure(&arrived) {
                Some(failure) => Err(failure),
                None if live == 0 => members.iter().map(|member| self.take(*member)).collect(),
                None => {
                    self.table.wait_group(id, polled.waker());
                    return None;
                }
            },
        };
        self.table.close_group(id);
        *group = None;
        Some(result)
    }

    /// Polls a `JoinAll`: none while a member is live.
    pub(crate) fn poll_join(
        &mut self,
        members: &[Handle],
        group: &mut Option<GroupId>,
        polled: &Polled<'_>,
    ) -> Option<Vec<Outcome>> {
        let id = *group.get_or_insert_with(|| self.table.open_group(GroupKind::Join, members, polled.waker()));
        if self.table.group(id).live > 0 {
            self.table.wait_group(id, polled.waker());
            return None;
        }
        self.table.close_group(id);
        *group = None;
        Some(members.iter().map(|member| self.take(*member)).collect())
    }

    /// The failure among these complete tasks, the first in history order.
    fn first_failure(&mut self, complete: &[Handle]) -> Option<Box<Failure>> {
        let mut failed = Vec::new();
        for &handle in complete {
            if self.table.slot(handle).may_fail() {
                let outcome = self.take(handle);
                failed.extend(outcome.is_err().then_some(handle));
                self.table.slot(handle).state = State::Fetched(outcome);
            }
        }
        let first = match failed.as_slice() {
            [] => return None,
            [only] => *only,
            several => self.host.task_any(several),
        };
        match &self.table.slot(first).state {
            State::Fetched(outcome) => outcome.clone().err(),
            _ => None,
        }
    }

    /// Takes the result of a complete task. The host gives it as often as it is asked.
    fn take(&mut self, handle: Handle) -> Outcome {
        match mem::replace(&mut self.table.slot(handle).state, State::Taken) {
            State::Fetched(outcome) => outcome,
            State::Delivered | State::Taken => {
                self.host.task_result(handle).expect("the host handed this task over as complete")
            }
            State::Live | State::Gone => {
                panic!("the result of task {handle} is asked for, which is not complete")
            }
        }
    }

    /// Enters what the host answered to the call that blocked, and tells who is woken by it.
    pub(crate) fn resume(&mut self, block: Block, answer: Answer) -> Wakers {
        match (block, answer) {
            (Block::Await(handle), Answer::Outcome(outcome)) => self.table.deliver(handle, State::Fetched(outcome)),
            (Block::Next, Answer::Task(handle)) => self.deliver(handle),
            (Block::Any(id, _), Answer::Task(winner)) => {
                self.table.group(id).answer = Some(Answer::Task(winner));
                self.deliver(winner)
            }
            (Block::All(id, members), Answer::Payloads(payloads)) => {
                match &payloads {
                    Ok(_) => members.iter().for_each(|member| self.deliver_to_group(*member, State::Taken)),
                    Err(_) => self.deliver_finished_work(id),
                }
                let group = self.table.group(id);
                group.answer = Some(Answer::Payloads(payloads));
                Wakers::of_group(group)
            }
            (block, answer) => unreachable!("{answer:?} is no answer to {block:?}"),
        }
    }

    /// A `task-all` that failed does not say which of its tasks are complete; some of them may be awaited again later.
    fn deliver_finished_work(&mut self, id: GroupId) {
        for handle in self.table.live_work(id) {
            if let Some(outcome) = self.host.task_result(handle) {
                self.deliver_to_group(handle, State::Fetched(outcome));
            }
        }
    }

    /// Delivers a task that nothing but one group waits for, which is woken once and not for each of its members.
    fn deliver_to_group(&mut self, handle: Handle, state: State) {
        drop(self.table.deliver(handle, state));
    }
}
