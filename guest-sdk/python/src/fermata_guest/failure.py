"""Exceptions and failures: what a task that failed raises, and what an exception becomes where it leaves the guest."""

from __future__ import annotations

from .frames import describe
from .host import Failure

APPLICATION = "application"
PAYLOAD = "payload"
TIMEOUT = "timeout"


class TaskFailedError(Exception):
    """A task failed. Raised where the task is yielded or awaited.

    `kind` says what went wrong, of an open set: `application` (the code raised), `payload` (JSON that does not fit), and
    from the host `trap`, `not-found`, `limit`, `timeout`, `terminated`, `conflict`, `unavailable`. `message` is a sentence
    for a person, `error_type` the name of the exception that was raised there, `details` more for a person, and
    `non_retryable` is true where trying again cannot help.
    """

    def __init__(
        self, kind: str, message: str, error_type: str = "", details: str = "", non_retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.error_type = error_type
        self.details = details
        self.non_retryable = non_retryable

    def __str__(self) -> str:
        return self.message


class TaskTimeoutError(TaskFailedError, TimeoutError):
    """A task took longer than it might: kind `timeout`. It is a `TimeoutError` too."""


class PayloadError(TaskFailedError):
    """A value that is not JSON, or JSON that does not fit the type it was asked for as: kind `payload`."""

    def __init__(self, message: str) -> None:
        super().__init__(PAYLOAD, message, "PayloadMismatch")


class TaskMisuseError(TypeError):
    """A task was used as if it were its result, or something that is no task was waited for: most often, a `yield` is
    missing."""


class NotSupportedError(NotImplementedError):
    """Something of Durable Functions that is not there; the message says what to use."""


def error_of(failure: Failure) -> TaskFailedError:
    """The exception for a task's failure."""
    kind = TaskTimeoutError if failure.kind == TIMEOUT else TaskFailedError
    return kind(failure.kind, failure.message, failure.error_type, failure.details, failure.non_retryable)


def failure_of(error: BaseException) -> Failure:
    """The failure with which an orchestrator or an activity ends that did not catch this."""
    trace = describe(error)
    if isinstance(error, TaskFailedError):
        return _passed_on(error, trace)
    details = [trace, *_details_of_causes(error)]
    return Failure(
        APPLICATION,
        str(error) or type(error).__name__,
        _error_type(error),
        "\n".join(details),
        bool(getattr(error, "non_retryable", False)),
    )


def _passed_on(error: TaskFailedError, trace: str) -> Failure:
    """A task's failure that nobody caught. Kinds of the host's are the application's from here on; the details tell."""
    is_own = error.kind in (APPLICATION, PAYLOAD)
    details = [part for part in (error.details, "" if is_own else f"kind: {error.kind}", trace) if part]
    kind = error.kind if is_own else APPLICATION
    return Failure(kind, error.message, error.error_type, "\n".join(details), error.non_retryable)


def _details_of_causes(error: BaseException) -> list[str]:
    """The details of the tasks' failures that led to this exception; a traceback does not show them."""
    found = []
    seen = {id(error)}
    cause = error.__cause__ or error.__context__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, TaskFailedError) and cause.details:
            found.append(f"Details of the task's failure ({cause.message}):\n{cause.details}")
        cause = cause.__cause__ or cause.__context__
    return found


def _error_type(error: BaseException) -> str:
    """The name of the class, where it tells anything."""
    name = type(error).__name__
    return "" if name in ("Exception", "BaseException") else name
