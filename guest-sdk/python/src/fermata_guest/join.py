"""Waiting for nested groups, in the exact order of the history.

A group is complete at the moment of one of the host's tasks: an `any` at that of its first child, an `all` at that of its
last, or of its first failure. The wait goes through the leaves in the order in which they completed and propagates each
through its parents, so that a join of n leaves costs n calls. Leaves that are known to be complete stand in no known order;
as long as there are such, the host is asked for the first of all leaves. From then on what it hands over next is next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .host import calls
from .task import FAILED, RUNNING, SUCCEEDED, AtomicTask, Task, noted

if TYPE_CHECKING:
    from .group import GroupTask


def resolve(root: GroupTask) -> None:
    """Blocks until the group is complete."""
    join = _Join()
    join.add(root)
    join.run(root)


def latest(moments: Iterable[int | None]) -> int | None:
    """The task that completed last, of tasks that are complete; `None` stands for the beginning."""
    last = None
    for moment in moments:
        if last is None or (moment is not None and moment != last and calls.task_any([last, moment]) == last):
            last = moment
    return last


class _Join:
    """One wait for one tree of groups."""

    def __init__(self) -> None:
        # Complete already, by the task of the host's at whose moment they are: the tasks whose turn that is.
        self.known: dict[int | None, list[Task]] = {}
        self.open: dict[int, AtomicTask] = {}
        self.parents: dict[Task, list[GroupTask]] = {}
        # Of an `all`: how many children it still waits for, and when those completed that it need not wait for.
        self.missing: dict[GroupTask, int] = {}
        self.counted: dict[GroupTask, list[int | None]] = {}

    def add(self, task: Task) -> None:
        """Takes in a task with all that is below it."""
        if isinstance(task, AtomicTask):
            self._add_leaf(task)
            return
        group: GroupTask = task  # type: ignore[assignment]
        if group._state is not RUNNING:
            self.known.setdefault(group.moment(), []).append(group)
        elif group not in self.counted:
            self._add_group(group)

    def _add_leaf(self, leaf: AtomicTask) -> None:
        if leaf._state is RUNNING:
            leaf.check_waitable()
            leaf.look()
        if leaf._state is RUNNING:
            self.open[leaf.handle] = leaf
        elif leaf not in self.known.get(leaf.handle, ()):
            self.known.setdefault(leaf.handle, []).append(leaf)

    def _add_group(self, group: GroupTask) -> None:
        is_all = group.what == "task_all"
        counted = self.counted[group] = []
        missing = 0
        for child in group.children:
            if is_all and isinstance(child, AtomicTask):
                child.look()
            if is_all and child._state is SUCCEEDED:
                counted.append(moment_of(child))
                continue
            missing += 1
            parents = self.parents.setdefault(child, [])
            parents.append(group)
            if len(parents) == 1:
                self.add(child)
        self.missing[group] = missing
        if missing == 0:
            self.known.setdefault(latest(counted), []).append(group)

    def run(self, root: Task) -> None:
        """Hands the leaves over in order until the root is complete."""
        for task in self.known.pop(None, ()):
            self._complete(task, None)
        while root._state is RUNNING:
            if self.known:
                first = calls.task_any([*self.known, *self.open])  # type: ignore[list-item]
            else:
                first = calls.next_completed()
            if first in self.known:
                for task in self.known.pop(first):
                    self._complete(task, first)
            elif first in self.open:
                leaf = self.open.pop(first)
                leaf.take()
                self._complete(leaf, first)
            else:
                noted.add(first)

    def _complete(self, task: Task, moment: int | None) -> None:
        """A task's turn has come: it completes the groups that wait for no more than it."""
        if task._state is RUNNING:
            # An `all` whose children were all complete.
            group: GroupTask = task  # type: ignore[assignment]
            group.finish(SUCCEEDED, [child._result for child in group.children], moment)
        for parent in self.parents.pop(task, ()):
            if parent._state is RUNNING:
                self._hear(parent, task, moment)

    def _hear(self, parent: GroupTask, child: Task, moment: int | None) -> None:
        if parent.what == "task_any":
            parent.finish(SUCCEEDED, child, moment)
        elif child._state is FAILED:
            parent.finish(FAILED, child._result, moment)
        else:
            self.missing[parent] -= 1
            if self.missing[parent]:
                return
            last = latest([moment, *self.counted[parent]])
            if last != moment:
                self.known.setdefault(last, []).append(parent)
                return
            parent.finish(SUCCEEDED, [each._result for each in parent.children], moment)
        self._complete(parent, moment)


def moment_of(task: Task) -> int | None:
    """The task of the host's at whose completion this one, which is complete, was complete."""
    return task.handle if isinstance(task, AtomicTask) else task.moment()  # type: ignore[attr-defined]
