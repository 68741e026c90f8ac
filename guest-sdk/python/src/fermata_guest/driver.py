"""Drives an orchestrator: a generator that yields tasks, or a coroutine that awaits them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any

from .failure import TaskMisuseError
from .task import Task

if TYPE_CHECKING:
    from .context import DurableOrchestrationContext

Routine = Generator[Any, Any, Any] | Coroutine[Any, Any, Any]


class MissingYieldError(TaskMisuseError):
    """An orchestrator that can not wait, for it has neither `yield` nor `async def`."""

    def __init__(self, name: str) -> None:
        super().__init__(missing_yield(name))


def missing_yield(name: str) -> str:
    """The sentence about an orchestrator that can not wait."""
    return (
        f"the orchestrator `{name}` waits for nothing, for there is no `yield` in it: write "
        "`approved = yield context.wait_for_external_event('Approval')`, or make it `async def` and write `await`"
    )


def can_wait(function: Callable[..., Any]) -> bool:
    """Whether a function has something to wait with; true where a decorator hides it."""
    kinds = (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    if any(is_kind(function) for is_kind in kinds):
        return True
    return not inspect.isfunction(function) or hasattr(function, "__wrapped__")


def drive(function: Callable[..., Any], context: DurableOrchestrationContext) -> Any:
    """Runs an orchestrator to its end and gives what it returns. Does not return where it continues as new."""
    routine = _begin(function, context)
    send = routine.send
    value: Any = None
    try:
        while True:
            task = send(value)
            while True:
                if context.will_continue_as_new:
                    context._leave()
                try:
                    value = task.wait() if isinstance(task, Task) else _refuse(task, context)
                    break
                except Exception as error:
                    task = routine.throw(error)
    except StopIteration as end:
        value = end.value
    if context.will_continue_as_new:
        context._leave()
    if isinstance(value, Task):
        raise TaskMisuseError(
            f"the orchestrator `{context.name}` returns {value}, not its result: write `return (yield …)` "
            "(in an `async def`: `return await …`)"
        )
    return value


def _begin(function: Callable[..., Any], context: DurableOrchestrationContext) -> Routine:
    if not can_wait(function):
        raise MissingYieldError(context.name)
    routine = function(context)
    if inspect.isgenerator(routine) or inspect.iscoroutine(routine):
        return routine
    if inspect.isasyncgen(routine):
        raise TaskMisuseError(
            f"the orchestrator `{context.name}` is `async def` and has a `yield`: write `await` instead of `yield`"
        )
    raise MissingYieldError(context.name)


def _refuse(yielded: Any, context: DurableOrchestrationContext) -> Any:
    what = f"the orchestrator `{context.name}` waits for a value of the type {type(yielded).__name__}"
    if isinstance(yielded, (list, tuple)) and any(isinstance(item, Task) for item in yielded):
        raise TaskMisuseError(f"{what}: write `yield context.task_all([…])`, or `task_any`")
    raise TaskMisuseError(
        f"{what}; it can wait for tasks only, such as context.wait_for_external_event(…) and context.create_timer(…): "
        "neither asyncio nor any other loop runs here"
    )
