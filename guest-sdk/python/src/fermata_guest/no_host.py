"""What stands in for the host's bindings where code is imported outside a component."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, NoReturn


@dataclass
class Ok:
    """A result that is there."""

    value: Any


@dataclass(frozen=True)
class Err(Exception):
    """A result that is a failure; raised by calls and by exports."""

    value: Any


@dataclass
class Failure:
    """The record `failure` of the contract."""

    kind: str
    message: str
    error_type: str
    details: str
    non_retryable: bool


@dataclass
class RetryPolicy:
    """The record `retry-policy` of the contract; times in milliseconds."""

    max_attempts: int
    first_interval: float
    backoff_coefficient: float
    max_interval: float | None
    timeout: float | None
    attempt_timeout: float | None
    non_retryable: list[str]


@dataclass
class Manifest:
    """The record `manifest` of the contract."""

    orchestrators: list[str]
    activities: list[str]


class LogLevel(Enum):
    """How urgent a line of the log is."""

    TRACE = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4


class _NoHost:
    """Has every call, and each says why it cannot be made."""

    def __getattr__(self, name: str) -> Any:
        def refuse(*_: Any) -> NoReturn:
            raise RuntimeError(
                f"there is no host to ask for `{name}`: orchestrators run where `fermata build` has compiled them and a "
                "Fermata host has them"
            )

        return refuse


calls = _NoHost()
