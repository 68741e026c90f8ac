//! The table of tasks: which are live, who waits for them, and so which host call to block on.
//!
//! Everything here costs the same whatever the number of tasks: a join of 10,000 stays linear.

use std::task::Waker;

use crate::Timestamp;
use crate::host::{Answer, Block, Handle, Outcome};

/// The place of a [`Group`] in the table.
pub(crate) type GroupId = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Wait,
    Timer,
    Activity,
    Child,
}

impl Kind {
    /// Whether it is done elsewhere, and goes on when nobody waits for it.
    pub(crate) fn is_work(self) -> bool {
        matches!(self, Self::Activity | Self::Child)
    }
}

#[derive(Debug)]
pub(crate) enum State {
    /// The task has not been delivered: its future is pending.
    Live,
    /// The host has handed the task over as complete; its result is still with the host.
    Delivered,
    /// Delivered, and its result fetched ahead of the future.
    Fetched(Outcome),
    /// Delivered, and its result taken.
    Taken,
    /// Cancelled, or its future was dropped before it was delivered.
    Gone,
}

pub(crate) struct Slot {
    pub(crate) kind: Kind,
    pub(crate) state: State,
    /// When the task fails for having taken too long; none where it cannot, or can no more.
    pub(crate) times_out: Option<Timestamp>,
    /// Of the task's own future, where that has been polled.
    waker: Option<Waker>,
    groups: Vec<GroupId>,
}

impl Slot {
    /// Whether the task is one that may fail. Others are never looked into ahead of time, for to fetch the payload of a wait is to
    /// take its event.
    pub(crate) fn may_fail(&self) -> bool {
        self.kind.is_work() || self.times_out.is_some()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupKind {
    Any,
    All,
    Join,
}

/// A pending `TaskAny`, `TaskAll` or `JoinAll`.
pub(crate) struct Group {
    kind: GroupKind,
    members: Vec<Handle>,
    /// An event or a timer among the members may time out.
    has_timeout: bool,
    /// How many distinct members are live.
    pub(crate) live: usize,
    /// The members that were delivered since the group last looked, in order.
    pub(crate) arrived: Vec<Handle>,
    /// What the host answered, where it was asked for just this group.
    pub(crate) answer: Option<Answer>,
    waker: Waker,
}

/// Wakers to be called once the table is no longer borrowed.
#[derive(Default)]
#[must_use]
pub(crate) struct Wakers {
    own: Option<Waker>,
    groups: Vec<Waker>,
}

impl Wakers {
    pub(crate) fn of_group(group: &Group) -> Self {
        Self { own: Some(group.waker.clone()), groups: Vec::new() }
    }

    pub(crate) fn wake(self) {
        self.own.into_iter().chain(self.groups).for_each(Waker::wake);
    }
}

#[derive(Default)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    groups: Vec<Option<Group>>,
    free_groups: Vec<GroupId>,
    /// How many slots are live.
    live: usize,
    /// The handles of the live slots, xor-ed: the handle itself where one is live.
    live_handles: Handle,
    /// How many live slots have a waker of their own.
    awaited: usize,
}

impl Table {
    pub(crate) fn insert(&mut self, handle: Handle, kind: Kind) {
        assert_eq!(handle as usize, self.slots.len(), "the host's task handles are not dense");
        self.slots.push(Slot { kind, state: State::Live, times_out: None, waker: None, groups: Vec::new() });
        self.live += 1;
        self.live_handles ^= handle;
    }

    pub(crate) fn slot(&mut self, handle: Handle) -> &mut Slot {
        &mut self.slots[handle as usize]
    }

    pub(crate) fn is_complete(&self, handle: Handle) -> bool {
        !matches!(self.slots[handle as usize].state, State::Live | State::Gone)
    }

    /// Notes that the future of a live task waits for it.
    pub(crate) fn wait(&mut self, handle: Handle, waker: &Waker) {
        match &mut self.slots[handle as usize].waker {
            Some(known) => known.clone_from(waker),
            unknown => {
                *unknown = Some(waker.clone());
                self.awaited += 1;
            }
        }
    }

    /// Marks a live task as complete, in `state`, and tells who waits for it. Does nothing where the task is not live: the
    /// host hands over detached activities, too.
    pub(crate) fn deliver(&mut self, handle: Handle, state: State) -> Wakers {
        let Some(own) = self.leave_live(handle, state) else {
            return Wakers::default();
        };
        let groups = std::mem::take(&mut self.slot(handle).groups);
        let wake = |id: GroupId| {
            let group = self.groups[id].as_mut().expect("a slot knows only the groups there are");
            group.live -= 1;
            group.arrived.push(handle);
            (group.kind != GroupKind::Join || group.live == 0).then(|| group.waker.clone())
        };
        Wakers { own, groups: groups.into_iter().filter_map(wake).collect() }
    }

    /// Gives a live task up.
    pub(crate) fn give_up(&mut self, handle: Handle) {
        self.leave_live(handle, State::Gone);
    }

    /// The waker of the task's own future; none of either where the task is not live.
    fn leave_live(&mut self, handle: Handle, state: State) -> Option<Option<Waker>> {
        let slot = &mut self.slots[handle as usize];
        if !matches!(slot.state, State::Live) {
            return None;
        }
        slot.state = state;
        let waker = slot.waker.take();
        self.live -= 1;
        self.live_handles ^= handle;
        self.awaited -= usize::from(waker.is_some());
        Some(waker)
    }

    /// Enters a group that waits for these tasks.
    pub(crate) fn open_group(&mut self, kind: GroupKind, members: &[Handle], waker: &Waker) -> GroupId {
        let id = self.free_groups.pop().unwrap_or_else(|| {
            self.groups.push(None);
            self.groups.len() - 1
        });
        let (mut live, mut has_timeout) = (0, false);
        for member in members {
            let slot = &mut self.slots[*member as usize];
            // A task may stand in the list twice.
            if matches!(slot.state, State::Live) && slot.groups.last() != Some(&id) {
                slot.groups.push(id);
                live += 1;
                has_timeout |= !slot.kind.is_work() && slot.times_out.is_some();
            }
        }
        let (members, arrived, waker) = (members.to_vec(), Vec::new(), waker.clone());
        self.groups[id] = Some(Group { kind, members, has_timeout, live, arrived, answer: None, waker });
        id
    }

    pub(crate) fn group(&mut self, id: GroupId) -> &mut Group {
        self.groups[id].as_mut().expect("a group is asked for while it is open")
    }

    pub(crate) fn wait_group(&mut self, id: GroupId, waker: &Waker) {
        self.group(id).waker.clone_from(waker);
    }

    pub(crate) fn close_group(&mut self, id: GroupId) {
        let Some(group) = self.groups[id].take() else {
            return;
        };
        for member in group.members {
            self.slot(member).groups.retain(|other| *other != id);
        }
        self.free_groups.push(id);
    }

    /// The host call to block on, now that nothing can go on; none where nothing waits for a task.
    ///
    /// Each answers the same question. `await-task` and `task-all` save the calls that fetch the results, and with
    /// `task-any` they tell the host what the orchestrator waits for; they are right only where they cover everything
    /// that a completion could wake. A `task-all` that fails does not say which task it was: where that may be an event, which must
    /// not be fetched to find out, each is handed over by itself.
    pub(crate) fn block(&self) -> Option<Block> {
        let open_groups = self.groups.len() - self.free_groups.len();
        match (self.awaited, open_groups) {
            (0, 0) => None,
            (1, 0) if self.live == 1 => Some(Block::Await(self.live_handles)),
            (0, 1) => {
                let (id, group) = self.groups.iter().enumerate().find_map(|(id, group)| Some((id, group.as_ref()?)))?;
                Some(match group.kind {
                    _ if group.live != self.live => Block::Next,
                    GroupKind::Any => Block::Any(id, group.members.clone()),
                    GroupKind::All if !group.has_timeout => Block::All(id, group.members.clone()),
                    GroupKind::All | GroupKind::Join => Block::Next,
                })
            }
            _ => Some(Block::Next),
        }
    }

    /// The members of a group that are live activities and sub-orchestrations.
    pub(crate) fn live_work(&self, id: GroupId) -> Vec<Handle> {
        let members = self.groups[id].iter().flat_map(|group| &group.members);
        let live = |handle: &&Handle| {
            let slot = &self.slots[**handle as usize];
            slot.kind.is_work() && matches!(slot.state, State::Live)
        };
        members.filter(live).copied().collect()
    }
}
