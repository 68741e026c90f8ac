"""A host that plays the contract for tests: tasks, the order of their completion, failures, cancelling.

`import fake_host` puts it in the place of the generated bindings, so it comes before anything of `fermata_guest`.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from fermata_guest import no_host  # noqa: E402  (the records are the contract's)

MISSING = object()


class Blocked(BaseException):
    """The guest waits, and the script has nothing more for it."""


class Stopped(BaseException):
    """The guest continued as new, or did what no program can mean."""


class FakeHost:
    """One execution. `script` is what happens, in order: each is applied when the guest waits and nothing is there."""

    def __init__(self, *script: Any, now: float = 1_700_000_000_000.0) -> None:
        self.script = list(script)
        self.now = now
        self.tasks: list[tuple[str, str, Any]] = []
        self.outcomes: dict[int, Any] = {}
        self.order: list[int] = []
        self.handed: set[int] = set()
        self.cancelled: set[int] = set()
        self.buffer: list[tuple[str, str]] = []
        self.retries: dict[int, Any] = {}
        self.timeouts: dict[int, Any] = {}
        self.lines: list[tuple[str, str]] = []
        self.sent: list[tuple[Any, ...]] = []
        self.calls: list[str] = []
        self.status: str | None = None
        self.next_input: str | None = None
        self.misuse: str | None = None
        self.is_blocked = False
        self.guids = 0

    # ---- What a script does

    def complete(self, task: int, outcome: Any) -> None:
        if task not in self.cancelled and task not in self.outcomes:
            self.outcomes[task] = outcome
            self.order.append(task)

    def raise_(self, name: str, payload: str) -> None:
        for task in reversed(range(len(self.tasks))):
            kind, waits_for, _ = self.tasks[task]
            is_open = task not in self.outcomes and task not in self.cancelled
            if kind == "event" and waits_for.lower() == name.lower() and is_open:
                return self.complete(task, no_host.Ok(payload))
        self.buffer.append((name, payload))

    # ---- Creating

    def _new(self, kind: str, name: str, detail: Any = None) -> int:
        self.tasks.append((kind, name, detail))
        return len(self.tasks) - 1

    def wait_external_event(self, name: str) -> int:
        task = self._new("event", name)
        for index, (buffered, payload) in enumerate(self.buffer):
            if buffered.lower() == name.lower():
                del self.buffer[index]
                self.complete(task, no_host.Ok(payload))
                break
        return task

    def call_activity(self, name: str, input: str) -> int:
        return self._new("activity", name, input)

    def call_sub_orchestrator(self, name: str, input: str, instance_id: str | None) -> int:
        return self._new("child", name, (input, instance_id))

    def create_timer(self, due: float) -> int:
        return self._new("timer", "", due)

    def set_retry(self, task: int, policy: Any) -> None:
        self.retries[task] = policy

    def set_timeout(self, task: int, due: float, default: str | None) -> None:
        self.timeouts[task] = (due, default)

    def start_orchestrator(self, name: str, input: str, instance_id: str | None) -> str:
        self.sent.append(("start", name, input, instance_id))
        return instance_id or "made-up"

    def raise_event(self, instance_id: str, name: str, input: str) -> None:
        self.sent.append(("raise", instance_id, name, input))

    # ---- Waiting

    def _until(self, is_there: Any) -> None:
        while not is_there():
            if not self.script:
                self.is_blocked = True
                raise Blocked
            self.script.pop(0)(self)

    def _check(self, tasks: list[int]) -> None:
        for task in tasks:
            if task in self.cancelled or not 0 <= task < len(self.tasks):
                self.misuse = f"task {task} can not be waited for"
                raise Stopped

    def await_task(self, task: int) -> str:
        self.calls.append("await-task")
        self._check([task])
        self._until(lambda: task in self.outcomes)
        return self._give(task)

    def _give(self, task: int) -> str:
        self.handed.add(task)
        outcome = self.outcomes[task]
        if isinstance(outcome, no_host.Err):
            raise no_host.Err(outcome.value)
        return outcome.value

    def task_any(self, tasks: list[int]) -> int:
        self.calls.append("task-any")
        self._check(tasks)
        assert tasks
        self._until(lambda: any(task in self.outcomes for task in tasks))
        first = next(task for task in self.order if task in tasks)
        self.handed.add(first)
        return first

    def task_all(self, tasks: list[int]) -> list[str]:
        self.calls.append("task-all")
        self._check(tasks)

        def failed() -> list[int]:
            return [task for task in self.order if task in tasks and isinstance(self.outcomes[task], no_host.Err)]

        self._until(lambda: failed() or all(task in self.outcomes for task in tasks))
        return [self._give(task) for task in failed()[:1] or tasks]

    def next_completed(self) -> int:
        self.calls.append("next-completed")

        def fresh() -> list[int]:
            return [task for task in self.order if task not in self.handed]

        self._until(fresh)
        first = fresh()[0]
        self.handed.add(first)
        return first

    def task_result(self, task: int) -> Any:
        self.calls.append("task-result")
        if task in self.outcomes:
            self.handed.add(task)
        return self.outcomes.get(task)

    def cancel_task(self, task: int) -> bool:
        if task in self.cancelled or task in self.handed:
            return False
        self.cancelled.add(task)
        return True

    # ---- The instance

    def instance_id(self) -> str:
        return "instance-1"

    def parent_instance_id(self) -> str | None:
        return None

    def module_digest(self) -> str:
        return "d1"

    def callback_url(self, event: str, expires: float) -> str:
        return f"http://host/{event}/{expires}"

    def current_utc_time(self) -> float:
        return self.now

    def new_guid(self) -> str:
        self.guids += 1
        return f"00000000-0000-5000-8000-{self.guids:012}"

    def is_replaying(self) -> bool:
        return False

    def set_custom_status(self, status: str) -> None:
        self.status = status

    def log(self, level: Any, message: str) -> None:
        self.lines.append((level.name.lower(), message))

    def continue_as_new(self, input: str, same_module: bool) -> None:
        self.next_input = input
        raise Stopped


class _Calls(types.ModuleType):
    """The module of the host's calls: those of the host at hand."""

    host = FakeHost()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.host, name)


def _install() -> _Calls:
    calls = _Calls("wit_world.imports.host")
    made = {name: types.ModuleType(name) for name in ("wit_world", "wit_world.imports", "wit_world.exports")}
    made["componentize_py_types"] = _module("componentize_py_types", "Ok", "Err")
    made["wit_world.imports.types"] = _module("wit_world.imports.types", "Failure", "RetryPolicy", "LogLevel")
    made["wit_world.exports.guest"] = _module("wit_world.exports.guest", "Manifest")
    made["wit_world.imports.host"] = calls
    made["wit_world.imports"].host = calls  # type: ignore[attr-defined]
    for name in [name for name in sys.modules if name.startswith("fermata_guest")]:
        del sys.modules[name]
    sys.modules.update(made)
    return calls


def _module(name: str, *records: str) -> types.ModuleType:
    module = types.ModuleType(name)
    for record in records:
        setattr(module, record, getattr(no_host, record))
    return module


calls = _install()


# ---- What happens, for scripts


def event(name: str, payload: Any) -> Any:
    """An external event with this value."""
    return lambda host: host.raise_(name, json.dumps(payload))


def done(task: int, value: Any = None) -> Any:
    """The task succeeds with this value."""
    return lambda host: host.complete(task, no_host.Ok(json.dumps(value)))


def failed(
    task: int, message: str = "it broke", kind: str = "application", error_type: str = "Broken", **more: Any
) -> Any:
    """The task fails."""
    failure = no_host.Failure(kind, message, error_type, more.get("details", ""), more.get("non_retryable", False))
    return lambda host: host.complete(task, no_host.Err(failure))


def at_once(*happenings: Any) -> Any:
    """Several, before the guest goes on."""

    def happen(host: FakeHost) -> None:
        for each in happenings:
            each(host)

    return happen


class Run:
    """How an orchestrator went."""

    def __init__(self, host: FakeHost, output: Any, failure: Any) -> None:
        self.host = host
        self.output = output
        self.failure = failure


def run(
    function: Any,
    *script: Any,
    input: Any = None,
    host: FakeHost | None = None,
    name: str = "Tested",
    input_type: Any = None,
) -> Run:
    """Runs a function as an orchestrator through the class that a module exports."""
    from fermata_guest.entry import Guest
    from fermata_guest.registry import Entry, registry

    host = host or FakeHost(*script)
    calls.host = host
    registry.orchestrators[name] = Entry(function, input_type=input_type)
    try:
        return Run(host, json.loads(Guest().run_orchestrator(name, json.dumps(input))), None)
    except no_host.Err as error:
        stopped = host.is_blocked or host.next_input is not None or host.misuse is not None
        return Run(host, None, None if stopped else error.value)
    finally:
        del registry.orchestrators[name]


def run_activity(function: Any, input: Any = None, parameter: str | None = None) -> Run:
    """Runs a function as an activity through the class that a module exports."""
    from fermata_guest.entry import Guest
    from fermata_guest.registry import Entry, registry

    context = types.SimpleNamespace(task_key="key-1", instance_id="instance-1", attempt=2)
    calls.host = FakeHost()
    registry.activities["Tested"] = Entry(function, parameter)
    try:
        return Run(calls.host, json.loads(Guest().run_activity("Tested", json.dumps(input), context)), None)
    except no_host.Err as error:
        return Run(calls.host, None, error.value)
    finally:
        del registry.activities["Tested"]
