"""Tasks: what an orchestrator can wait for.

A task is yielded (or awaited) to get its result; it is never its result. The states and results kept here depend only on
what the host has handed over to this orchestrator, in that order, and so come out the same on replay.
"""

from __future__ import annotations

import enum
from collections.abc import Generator
from typing import Any, NoReturn

from .failure import TaskFailedError, TaskMisuseError, error_of
from .host import Err, calls
from .payload import Wanted, decode, loads


class TaskState(enum.Enum):
    """The states of a task, as far as the orchestrator has been told."""

    RUNNING = 0
    SUCCEEDED = 1
    FAILED = 2


RUNNING = TaskState.RUNNING
SUCCEEDED = TaskState.SUCCEEDED
FAILED = TaskState.FAILED

# Handles of tasks that are complete in the history, and were handed over while others were waited for. A module's instance
# runs one execution.
noted: set[int] = set()


class Task:
    """Something to wait for: `result = yield task`, or `result = await task`. Two tasks are equal where they are the same."""

    __slots__ = ("_state", "_result", "__weakref__")

    def __init__(self) -> None:
        self._state = RUNNING
        self._result: Any = None

    def wait(self) -> Any:
        """Blocks until the task is complete, and gives its result or raises. The driver's: orchestrators yield."""
        raise NotImplementedError

    def look(self) -> None:
        """Brings the state up to date with what the host has handed over. Never blocks."""

    @property
    def state(self) -> TaskState:
        """Whether it runs, has succeeded or has failed, as far as this orchestrator has been told."""
        if self._state is RUNNING:
            self.look()
        return self._state

    @property
    def is_completed(self) -> bool:
        """Whether it has succeeded or failed, as far as this orchestrator has been told."""
        return self.state is not RUNNING

    @property
    def is_faulted(self) -> bool:
        """Whether it has failed, as far as this orchestrator has been told."""
        return self.state is FAILED

    @property
    def result(self) -> Any:
        """The result of a task that has succeeded, the exception of one that has failed, `None` for one that runs."""
        if self._state is RUNNING:
            self.look()
        return self._result

    def cancel(self) -> bool:
        """Gives the task up and returns true; false where its result has been taken already.

        A wait takes no event any more. An activity is not stopped, but its result is ignored.
        """
        raise NotImplementedError

    def __await__(self) -> Generator[Task, Any, Any]:
        return (yield self)

    def __bool__(self) -> NoReturn:
        raise TaskMisuseError(
            f"{self} is neither true nor false: wait for its result first, as in `approved = yield …` "
            "(in an `async def`: `approved = await …`)"
        )

    def __iter__(self) -> NoReturn:
        raise TaskMisuseError(
            f"{self} has nothing to iterate over: wait for its result first, as in `results = yield …`"
        )

    def __getitem__(self, _: Any) -> NoReturn:
        raise TaskMisuseError(f"{self} has no elements: wait for its result first, as in `result = yield …`")

    def __repr__(self) -> str:
        return f"<{self}, {self._state.name.lower()}>"


class AtomicTask(Task):
    """A task of the host's."""

    __slots__ = ("handle", "is_cancelled", "_name", "_want")

    # What the task is, for a person; the class says it.
    what = "task"
    subject = "result of the task"

    def __init__(self, handle: int, name: str, want: Wanted | None = None) -> None:
        self._state = RUNNING
        self._result = None
        self.handle = handle
        self.is_cancelled = False
        self._name = name
        self._want = want

    def wait(self) -> Any:
        if self._state is RUNNING:
            self.check_waitable()
            try:
                text = calls.await_task(self.handle)
            except Err as failed:
                self.fail(failed.value)
            else:
                self.succeed(text)
        if self._state is SUCCEEDED:
            return self._result
        raise self._result

    def look(self) -> None:
        if self.handle in noted:
            self.take()

    def take(self) -> None:
        """Takes the result of a task that is complete in the history."""
        if self._state is not RUNNING:
            return
        outcome = calls.task_result(self.handle)
        if outcome is None:
            return
        if isinstance(outcome, Err):
            self.fail(outcome.value)
        else:
            self.succeed(outcome.value)

    def succeed(self, text: str) -> None:
        """Takes the payload. One that does not fit the wanted type makes the task a failed one."""
        try:
            if self._want is None and '"__class__"' not in text:
                self._result = loads(text)
            else:
                self._result = self.read(text)
            self._state = SUCCEEDED
        except TaskFailedError as misfit:
            self._state, self._result = FAILED, misfit

    def read(self, text: str) -> Any:
        """The value of a payload that wants more than reading."""
        return decode(text, self._want, lambda: f"{self.subject} `{self._name}`")

    def fail(self, failure: Any) -> None:
        """Takes the failure."""
        self._state, self._result = FAILED, error_of(failure)

    def check_waitable(self) -> None:
        """Raises where the task was cancelled: it never completes."""
        if self.is_cancelled:
            raise TaskMisuseError(f"{self} was cancelled, so it can not be waited for: leave it out")

    def cancel(self) -> bool:
        if self._state is not RUNNING or not calls.cancel_task(self.handle):
            return False
        self.is_cancelled = True
        return True

    def __str__(self) -> str:
        return f"the {self.what} `{self._name}`"


class EventTask(AtomicTask):
    """A wait for one external event. The result is its payload."""

    __slots__ = ("_default",)
    what = "wait for the event"
    subject = "event"

    def __init__(self, handle: int, name: str, want: Wanted | None = None) -> None:
        super().__init__(handle, name, want)
        self._default: str | None = None

    def set_timeout(self, due: float, default: str | None) -> None:
        """Ends the wait at this instant, in milliseconds, with the default or as a failure."""
        self._default = default
        calls.set_timeout(self.handle, due, default)

    def read(self, text: str) -> Any:
        # The author's own default need not fit the type that the event is to have.
        if text == self._default:
            try:
                return super().read(text)
            except TaskFailedError:
                return loads(text)
        return super().read(text)


class ActivityTask(AtomicTask):
    """An activity under way. The result is what it returns."""

    __slots__ = ()
    what = "activity"
    subject = "result of the activity"


class SubOrchestratorTask(AtomicTask):
    """A sub-orchestration under way. The result is what it returns."""

    __slots__ = ()
    what = "sub-orchestration"
    subject = "result of the sub-orchestration"


class TimerTask(AtomicTask):
    """A timer. The result is `None`."""

    __slots__ = ()
    what = "timer for"
    subject = "result of the timer"

    def cancel(self) -> bool:
        """Gives the timer up. Raises `ValueError` where the orchestrator knows already that it has fired."""
        if self.is_completed:
            raise ValueError("Cannot cancel a completed task.")
        return super().cancel()
