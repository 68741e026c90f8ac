"""`Orchestrator.create`: the first programming model, one orchestrator a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn


class OrchestratorHandle:
    """What `main` is in the file of an orchestrator."""

    def __init__(self, function: Callable[..., Any], name: str | None) -> None:
        self.orchestrator_function = function
        self.name = name

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            "an orchestrator is not called: the host runs it, from POST /runtime/webhooks/durabletask/orchestrators/NAME"
        )


class Orchestrator:
    """Makes an orchestrator of a generator function or a coroutine function."""

    @classmethod
    def create(cls, fn: Callable[..., Any], *, name: str | None = None) -> OrchestratorHandle:
        """The orchestrator of this function. Its name is that of the file unless one is given; it belongs in `main`."""
        if not callable(fn):
            raise TypeError(f"Orchestrator.create takes a function, not {type(fn).__name__}")
        return OrchestratorHandle(fn, name)
