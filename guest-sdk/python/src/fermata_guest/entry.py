"""The class that a module exports to the contract, and what the generated entry file calls when it is built."""

from __future__ import annotations

from typing import Any

from . import log, sandbox
from .activity import ActivityContext, run_activity
from .context import DurableOrchestrationContext
from .driver import drive
from .failure import failure_of
from .host import Err, Failure, Manifest
from .payload import decode, encode
from .registry import registry
from .task import noted


class Guest:
    """The interface `guest` of the contract."""

    def describe(self) -> Manifest:
        """The names of what the module holds."""
        return Manifest(sorted(registry.orchestrators), sorted(registry.activities))

    def run_orchestrator(self, name: str, input: str) -> str:
        """Runs an orchestrator to its end. Raises `Err` with a failure."""
        entry = registry.orchestrators.get(name)
        if entry is None:
            raise Err(_unknown("orchestrator", name))
        _begin()
        sandbox.enter_orchestrator()
        try:
            context = DurableOrchestrationContext(name, input, entry.input_type)
            return encode(drive(entry.function, context), f"output of the orchestrator `{name}`")
        except BaseException as error:
            failure = failure_of(error)
        finally:
            sandbox.leave_orchestrator()
            log.end_lines()
        raise Err(failure)

    def run_activity(self, name: str, input: str, context: Any) -> str:
        """Runs an activity once. Raises `Err` with a failure."""
        entry = registry.activities.get(name)
        if entry is None:
            raise Err(_unknown("activity", name))
        _begin()
        told = ActivityContext(name, context.task_key, context.instance_id, context.attempt)
        try:
            value = decode(input, None, lambda: f"input of the activity `{name}`")
            result = run_activity(entry.function, entry.parameter, value, told)
            return encode(result, f"result of the activity `{name}`")
        except BaseException as error:
            failure = failure_of(error)
        finally:
            log.end_lines()
        raise Err(failure)


def _begin() -> None:
    noted.clear()
    log.install()
    sandbox.reseed()


def _unknown(what: str, name: str) -> Failure:
    return Failure("not-found", f"the module holds no {what} `{name}`", "", "", True)
