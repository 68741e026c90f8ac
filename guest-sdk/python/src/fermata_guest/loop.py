"""asyncio for activities. There are no sockets to wait for and no threads: what is left is waiting for time to pass.

Imported only where the project itself imports asyncio, for it takes its room.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any


class _Sleeper:
    """Stands in the place of the selector: there is nothing to select from."""

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise RuntimeError(
                "an async activity waits for what can not come: neither sockets nor threads are there, only time passes"
            )
        if timeout > 0:
            time.sleep(timeout)
        return []

    def close(self) -> None:
        """Nothing is open."""


class ActivityLoop(asyncio.BaseEventLoop):
    """An event loop with timers and tasks, and no input or output but the blocking one."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Sleeper()

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nothing else could wake the loop, for nothing else runs."""


def install() -> None:
    """Makes it the loop of `asyncio.run` too."""
    asyncio.events.new_event_loop = asyncio.new_event_loop = ActivityLoop


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine to its end."""
    with asyncio.Runner(loop_factory=ActivityLoop) as runner:
        return runner.run(coroutine)
