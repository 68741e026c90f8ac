"""What an orchestrator must not do, each with a sentence that says so, and randomness that is the execution's own.

The host keeps the promise in any case (an orchestrator has no files, network, threads or real clock); this is about the
words. An activity may do what the host allows it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn


class OutsideWorldError(RuntimeError):
    """An orchestrator reached for the world outside, which would not come out the same on replay."""


def reseed() -> None:
    """Seeds `random` anew, where the project has it: its state was fixed when the module was built.

    In an orchestrator the seed is the execution's. A number is used at once; bytes would be hashed first.
    """
    random = sys.modules.get("random")
    if random is not None:
        random.seed(int.from_bytes(os.urandom(32), "little"))


def enter_orchestrator() -> None:
    """Puts sentences in the place of what can not work."""
    for module, name, refusal in _REFUSALS:
        holder = _holder(module)
        if holder is not None and hasattr(holder, name):
            _replaced.append((holder, name, getattr(holder, name)))
            setattr(holder, name, refusal)


def leave_orchestrator() -> None:
    """Puts back what `enter_orchestrator` replaced."""
    while _replaced:
        holder, name, was = _replaced.pop()
        setattr(holder, name, was)


_replaced: list[tuple[Any, str, Any]] = []


def _holder(module: str) -> Any:
    """The module, where it is imported, or the class in it."""
    name, _, cls = module.partition(":")
    found: Any = sys.modules.get(name)
    return getattr(found, cls) if found is not None and cls else found


def _refusal(sentence: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise OutsideWorldError(sentence)

    return refuse


_NO_SLEEP = _refusal("an orchestrator can not sleep: `yield context.create_timer(…)` waits without running")
_NO_THREAD = _refusal("an orchestrator can not start a thread: tasks are what runs at the same time")
_NO_FILE = _refusal("an orchestrator has no files: read and write them in an activity")
_NO_LOOP = _refusal("an orchestrator can not run an asyncio loop: it awaits the context's tasks only")
_NO_NETWORK = _refusal("an orchestrator has no network: talk to others in an activity")
_NO_PROGRAM = _refusal("an orchestrator can not run programs: that is for an activity")

# Made when the module is built: what a guest makes itself takes room in each guest that waits.
_REFUSALS = (
    ("time", "sleep", _NO_SLEEP),
    ("threading:Thread", "start", _NO_THREAD),
    ("builtins", "open", _NO_FILE),
    ("asyncio", "run", _NO_LOOP),
    ("asyncio.runners", "run", _NO_LOOP),
    ("asyncio", "new_event_loop", _NO_LOOP),
    ("socket", "socket", _NO_NETWORK),
    ("socket", "create_connection", _NO_NETWORK),
    ("socket", "getaddrinfo", _NO_NETWORK),
    ("subprocess", "Popen", _NO_PROGRAM),
)
