"""Running an activity: its arguments, its context, and the loop of one that is `async`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ActivityContext:
    """What an activity is told about the task it performs."""

    # The name of the activity.
    function_name: str
    # The same for every attempt at one task, and for no other task anywhere: an idempotency key.
    task_key: str
    # The instance whose task it is.
    instance_id: str
    # 1 for the first attempt.
    attempt: int

    @property
    def invocation_id(self) -> str:
        """One attempt at one task: what Durable Functions calls an invocation."""
        return f"{self.task_key}-{self.attempt}"


_current: ActivityContext | None = None


def activity_context() -> ActivityContext:
    """The context of the activity that runs. Raises `RuntimeError` outside of one."""
    if _current is None:
        raise RuntimeError("activity_context() is for activities: there is none where no activity runs")
    return _current


def run_activity(function: Callable[..., Any], parameter: str | None, value: Any, context: ActivityContext) -> Any:
    """Runs an activity to its end and gives what it returns. A parameter `context` gets the context."""
    global _current
    _current = context
    loop = sys.modules.get("fermata_guest.loop")
    if loop is not None:
        loop.install()
    try:
        result = _call(function, parameter, value, context)
        return _finish(result) if inspect.iscoroutine(result) else result
    finally:
        _current = None


def _call(function: Callable[..., Any], parameter: str | None, value: Any, context: ActivityContext) -> Any:
    named: dict[str, Any] = {}
    parameters = inspect.signature(function).parameters
    if "context" in parameters and parameter != "context" and (parameter is not None or len(parameters) > 1):
        named["context"] = context
    if parameter is not None:
        named[parameter] = value
        return function(**named)
    return function(value, **named)


def _finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Runs an async activity: on the loop, where the project has asyncio, else as far as it goes, which is to its end."""
    loop = sys.modules.get("fermata_guest.loop")
    if loop is not None:
        return loop.run(coroutine)
    try:
        waits_for = coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise TypeError(
        f"the async activity awaits a {type(waits_for).__name__}: it can await other coroutines, and what asyncio has where "
        "the project imports that"
    )
