"""`DurableOrchestrationContext`: what an orchestrator asks for and creates tasks with."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from typing import Any, NoReturn
from uuid import UUID

from . import log as _log
from .app import ACTIVITY, ORCHESTRATOR, FunctionBuilder
from .failure import NotSupportedError
from .group import WhenAllTask, WhenAnyTask
from .host import calls
from .payload import Wanted, decode, encode, wanted
from .retry import RetryOptions
from .task import ActivityTask, EventTask, SubOrchestratorTask, Task, TimerTask
from .when import When, instant, now

# A custom status, bytes of JSON.
_STATUS_BYTES = 16 << 10

_NOT_GIVEN: Any = object()

Named = str | FunctionBuilder | Callable[..., Any]


class FunctionContext:
    """What is known of the function that runs."""

    def __init__(self, function_name: str) -> None:
        self.function_name = function_name


class DurableOrchestrationContext:
    """One run of an orchestrator. Methods that create a task do so at once; the task is waited for where it is yielded."""

    def __init__(self, name: str, input_: str, input_type: Any = None) -> None:
        self.name = name
        self._input = input_
        self._input_type = input_type
        self._custom_status: Any = None
        self._next_input: str | None = None
        self.function_context = FunctionContext(name)

    # ---- Tasks

    def wait_for_external_event(
        self,
        name: str,
        expected_type: Any = None,
        *,
        timeout: When | None = None,
        default: Any = _NOT_GIVEN,
    ) -> EventTask:
        """Waits for one external event of this name, in whatever case. The result is its payload.

        With a timeout (how long, or until when) the task then ends with the default, or with `TaskTimeoutError` where
        none is given. An event accepted before that beats it.
        """
        if timeout is None and default is not _NOT_GIVEN:
            raise ValueError("a default is the result after a timeout: give wait_for_external_event a timeout too")
        task = EventTask(calls.wait_external_event(_text(name, "event")), name, wanted(expected_type))
        if timeout is not None:
            task.set_timeout(instant(timeout), None if default is _NOT_GIVEN else encode(default, "default"))
        return task

    def call_activity(self, name: Named, input_: Any = None, expected_type: Any = None) -> ActivityTask:
        """Runs an activity, given by its name or as its decorated function. The result is what it returns."""
        name, want = _resolved(name, ACTIVITY, expected_type)
        return ActivityTask(calls.call_activity(name, encode(input_, f"input of the activity `{name}`")), name, want)

    def call_activity_with_retry(
        self, name: Named, retry_options: RetryOptions, input_: Any = None, expected_type: Any = None
    ) -> ActivityTask:
        """Runs an activity, and again where it fails. The whole is one task, which fails as the last attempt does."""
        policy = _policy(retry_options)
        task = self.call_activity(name, input_, expected_type)
        calls.set_retry(task.handle, policy)
        return task

    def call_sub_orchestrator(
        self,
        name: Named,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: Any = None,
    ) -> SubOrchestratorTask:
        """Starts an orchestrator as a child. The result is what it returns. It goes on, whatever becomes of this one."""
        _refuse_version(version)
        name, want = _resolved(name, ORCHESTRATOR, expected_type)
        payload = encode(input_, f"input of the sub-orchestration `{name}`")
        return SubOrchestratorTask(calls.call_sub_orchestrator(name, payload, instance_id), name, want)

    def call_sub_orchestrator_with_retry(
        self,
        name: Named,
        retry_options: RetryOptions,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: Any = None,
    ) -> SubOrchestratorTask:
        """Starts an orchestrator as a child, and again where it fails."""
        policy = _policy(retry_options)
        task = self.call_sub_orchestrator(name, input_, instance_id, version, expected_type)
        calls.set_retry(task.handle, policy)
        return task

    def create_timer(self, fire_at: When) -> TimerTask:
        """A timer that is due at this moment (UTC where it has no zone), or after this `timedelta`."""
        due = instant(fire_at)
        return TimerTask(calls.create_timer(due), str(fire_at))

    def task_all(self, activities: Iterable[Task]) -> WhenAllTask:
        """A task for all of several: the list of their results, or the failure of the first that fails."""
        return WhenAllTask(activities)

    def task_any(self, activities: Iterable[Task]) -> WhenAnyTask:
        """A task for the first of several. The result is that task; its own result is at `.result`, or at a `yield` of it."""
        return WhenAnyTask(activities)

    # ---- Other instances

    def start_orchestrator(self, name: Named, input_: Any = None, instance_id: str | None = None) -> str:
        """Starts an instance that nobody waits for, and gives its id. Nothing where one with the id has not ended."""
        name, _ = _resolved(name, ORCHESTRATOR, None)
        return calls.start_orchestrator(name, encode(input_, f"input of the orchestrator `{name}`"), instance_id)

    def raise_event(self, instance_id: str, event_name: str, event_data: Any = None) -> None:
        """Raises an external event for an instance. Nothing happens where there is none, or it has ended."""
        calls.raise_event(
            _text(instance_id, "instance"), _text(event_name, "event"), encode(event_data, f"event `{event_name}`")
        )

    def callback_url(self, event: str, expires: When) -> str:
        """A URL with which whoever has it may raise this event for this instance until then: for a link in a message."""
        return calls.callback_url(_text(event, "event"), instant(expires))

    # ---- This instance

    def get_input(self, expected_type: Any = None) -> Any:
        """The input; `None` where the instance was started without one."""
        want = wanted(expected_type if expected_type is not None else self._input_type)
        return decode(self._input, want, lambda: f"input of the orchestrator `{self.name}`")

    def continue_as_new(self, input_: Any = None) -> None:
        """Begins anew with this input and an empty history, at the end of the orchestrator or where it next waits."""
        self._next_input = encode(input_, "input of the next generation")

    @property
    def will_continue_as_new(self) -> bool:
        """Whether `continue_as_new` was called."""
        return self._next_input is not None

    def _leave(self) -> None:
        """Continues as new. Does not return. The driver's."""
        assert self._next_input is not None
        calls.continue_as_new(self._next_input, False)

    def set_custom_status(self, status: Any) -> None:
        """Sets what the instance shows as its custom status: JSON, at most 16 KiB."""
        text = encode(status, "custom status")
        if len(text.encode()) > _STATUS_BYTES:
            raise ValueError(f"the custom status is longer than {_STATUS_BYTES} bytes of JSON")
        calls.set_custom_status(text)
        self._custom_status = status

    @property
    def custom_status(self) -> Any:
        """What `set_custom_status` was last given here."""
        return self._custom_status

    @property
    def instance_id(self) -> str:
        """The id of this instance."""
        return calls.instance_id()

    @property
    def parent_instance_id(self) -> str | None:
        """The id of the instance whose child this one is."""
        return calls.parent_instance_id()

    @property
    def current_utc_datetime(self) -> datetime.datetime:
        """The time of the current step, UTC, with its zone. The same on replay."""
        return now()

    @property
    def is_replaying(self) -> bool:
        """Whether the code running now has run before. For effects that are for people only."""
        return calls.is_replaying()

    @property
    def version(self) -> str:
        """The SHA-256 of the module that runs: what tells one version of the code from another."""
        return calls.module_digest()

    def new_guid(self) -> UUID:
        """A fresh UUID, the same on replay."""
        return UUID(calls.new_guid())

    def new_uuid(self) -> str:
        """A fresh UUID as text, the same on replay."""
        return calls.new_guid()

    def log(self, message: str, level: str = "info") -> None:
        """Adds a line to the host's log, once: not on replay. Levels: trace, debug, info, warn, error."""
        _log.write(level, message)

    # ---- What is not there

    def call_http(self, *_: Any, **__: Any) -> NoReturn:
        """Not there: an activity makes the request."""
        raise NotSupportedError("context.call_http is not there: make the request in an activity, and call that")

    def call_entity(self, *_: Any, **__: Any) -> NoReturn:
        """Not there: there are no entities."""
        raise NotSupportedError(
            "context.call_entity is not there, for there are no entities: keep the state in an orchestrator that waits for "
            "events and continues as new"
        )

    def signal_entity(self, *_: Any, **__: Any) -> NoReturn:
        """Not there: there are no entities."""
        raise NotSupportedError(
            "context.signal_entity is not there, for there are no entities: keep the state in an orchestrator, and send it "
            "events with context.raise_event"
        )

    @property
    def histories(self) -> NoReturn:
        """Not there: the history is the host's."""
        raise NotSupportedError(
            "context.histories is not there, for the history is the host's: GET …/instances/{id}?showHistory=true has it"
        )


def _resolved(name: Named, trigger: str, expected_type: Any) -> tuple[str, Wanted | None]:
    """The name of a function, and the type that its result is wanted as."""
    if isinstance(name, FunctionBuilder):
        hint = name.result_type
        return name.name_for(trigger), wanted(expected_type) or (Wanted(hint, is_strict=False) if hint else None)
    if not isinstance(name, str) and callable(name):
        raise ValueError(
            f"`{getattr(name, '__name__', name)}` has no {trigger}_trigger decorator: give it one, or give its name as a string"
        )
    return _text(name, trigger), wanted(expected_type)


def _text(name: Any, what: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of an {what} is a string, not {type(name).__name__}")
    return name


def _policy(options: Any) -> Any:
    if not isinstance(options, RetryOptions):
        raise TypeError(f"retry_options is a RetryOptions, not {type(options).__name__}: it comes before the input")
    return options._policy


def _refuse_version(version: str | None) -> None:
    if version is not None:
        raise NotSupportedError(
            "call_sub_orchestrator takes no version: a child runs the newest module that holds its name"
        )
