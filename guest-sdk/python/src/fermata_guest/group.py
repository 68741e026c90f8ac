"""Groups: `task_any` and `task_all`, of tasks and of groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .failure import TaskMisuseError
from .host import Err, calls
from .join import latest, moment_of, resolve
from .task import FAILED, RUNNING, SUCCEEDED, AtomicTask, Task


class GroupTask(Task):
    """Several tasks as one."""

    __slots__ = ("children", "_is_flat", "_decided")
    what = "group"

    def __init__(self, tasks: Iterable[Task]) -> None:
        super().__init__()
        self.children = _members(tasks, self.what)
        self._is_flat = all(isinstance(child, AtomicTask) for child in self.children)
        self._decided: int | None = None

    @property
    def is_flat(self) -> bool:
        """Whether all its children are the host's own tasks, so that the host can wait for them itself."""
        return self._is_flat

    def finish(self, state: Any, result: Any, decided: int | None) -> None:
        """Completes the group, by the completion of this task of the host's."""
        self._state, self._result, self._decided = state, result, decided

    def moment(self) -> int | None:
        """The task of the host's whose completion completed the group; `None` where it was complete from the start."""
        return self._decided

    def wait(self) -> Any:
        if self._state is RUNNING:
            if self._is_flat:
                self.wait_flat()
            else:
                resolve(self)
        if self._state is FAILED:
            raise self._result
        return self._result

    def wait_flat(self) -> None:
        """Has the host wait for the children."""
        raise NotImplementedError

    def handles(self) -> list[int]:
        """The handles of the children of a flat group. Raises where one was cancelled."""
        handles = []
        for child in self.children:
            assert isinstance(child, AtomicTask)
            child.check_waitable()
            handles.append(child.handle)
        return handles

    def cancel(self) -> bool:
        """Gives up every child that is not complete; true where there was one."""
        open_children = [child for child in self.children if not child.is_completed]
        return any([child.cancel() for child in open_children])

    def __str__(self) -> str:
        return f"the {self.what} of {len(self.children)} tasks"


class WhenAllTask(GroupTask):
    """Complete when every child has succeeded, with their results in order; failed when the first of them fails."""

    __slots__ = ()
    what = "task_all"

    def __init__(self, tasks: Iterable[Task]) -> None:
        super().__init__(tasks)
        if not self.children:
            self.finish(SUCCEEDED, [], None)

    def look(self) -> None:
        if any(child.is_faulted for child in self.children) or all(child.is_completed for child in self.children):
            resolve(self)

    def moment(self) -> int | None:
        if self._decided is None and self.children:
            self._decided = latest(moment_of(child) for child in self.children)
        return self._decided

    def wait_flat(self) -> None:
        try:
            texts = calls.task_all(self.handles())
        except Err:
            self._find_the_failure()
            return
        failed = None
        for child, text in zip(self.children, texts):
            assert isinstance(child, AtomicTask)
            if child._state is RUNNING:
                child.succeed(text)
            if child._state is FAILED and failed is None:
                failed = child
        if failed is None:
            self.finish(SUCCEEDED, [child._result for child in self.children], None)
        else:
            self.finish(FAILED, failed._result, None)

    def _find_the_failure(self) -> None:
        """The host tells what the failure is, not whose: the first in history order among those that have failed."""
        failed = {}
        for child in self.children:
            assert isinstance(child, AtomicTask)
            child.take()
            if child._state is FAILED:
                failed[child.handle] = child
        first = calls.task_any(list(failed))
        self.finish(FAILED, failed[first]._result, first)


class WhenAnyTask(GroupTask):
    """Complete when the first child is, whether that succeeded or failed. The result is the child, not its result."""

    __slots__ = ()
    what = "task_any"

    def __init__(self, tasks: Iterable[Task]) -> None:
        super().__init__(tasks)
        if not self.children:
            raise ValueError("task_any of no tasks would wait for ever: give it at least one")

    def look(self) -> None:
        if any(child.is_completed for child in self.children):
            resolve(self)

    def wait_flat(self) -> None:
        first = calls.task_any(self.handles())
        for child in self.children:
            assert isinstance(child, AtomicTask)
            if child.handle == first:
                child.take()
                self.finish(SUCCEEDED, child, first)
                return

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if self._state is RUNNING and any(child is other for child in self.children):
            raise TaskMisuseError(
                f"{self} is not its winner: wait for it before you compare, as in `winner = yield context.task_any([…])`"
            )
        return False

    __hash__ = Task.__hash__


def _members(tasks: Iterable[Task], what: str) -> list[Task]:
    """The tasks of a group, each checked to be one."""
    if isinstance(tasks, Task):
        raise TaskMisuseError(f"{what} takes a list of tasks: write `context.{what}([first, second])`")
    members = list(tasks)
    for member in members:
        if not isinstance(member, Task):
            raise TaskMisuseError(
                f"{what} takes tasks, as context.wait_for_external_event(…) gives them; {type(member).__name__} is none"
            )
    return members
