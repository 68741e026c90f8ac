"""How often, and how soon, an activity or a sub-orchestration that failed is tried again."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from .host import RetryPolicy


class RetryOptions:
    """A retry policy. The host keeps it: the guest may be unloaded between two attempts, and the whole is one task.

    All times are milliseconds. The first two arguments are Durable Functions' own. `max_number_of_attempts` counts the
    first attempt too. After `retry_timeout_in_milliseconds` from the first attempt on none begins;
    `attempt_timeout_in_milliseconds` bounds one attempt at an activity. Failures of a class named in `non_retryable` are
    not tried again (exception classes, or their names).
    """

    def __init__(
        self,
        first_retry_interval_in_milliseconds: int,
        max_number_of_attempts: int,
        *,
        backoff_coefficient: float = 1.0,
        max_retry_interval_in_milliseconds: float | None = None,
        retry_timeout_in_milliseconds: float | None = None,
        attempt_timeout_in_milliseconds: float | None = None,
        non_retryable: Iterable[str | type[BaseException]] = (),
    ) -> None:
        if first_retry_interval_in_milliseconds <= 0:
            raise ValueError("first_retry_interval_in_milliseconds must be greater than 0")
        if max_number_of_attempts < 1:
            raise ValueError("max_number_of_attempts must be at least 1, the first attempt")
        if not 1 <= backoff_coefficient < inf:
            raise ValueError("backoff_coefficient must be a number, at least 1")
        self._policy = RetryPolicy(
            max_attempts=int(max_number_of_attempts),
            first_interval=float(first_retry_interval_in_milliseconds),
            backoff_coefficient=float(backoff_coefficient),
            max_interval=_milliseconds(max_retry_interval_in_milliseconds),
            timeout=_milliseconds(retry_timeout_in_milliseconds),
            attempt_timeout=_milliseconds(attempt_timeout_in_milliseconds),
            non_retryable=[name if isinstance(name, str) else name.__name__ for name in non_retryable],
        )

    @property
    def first_retry_interval_in_milliseconds(self) -> int:
        """Between the first attempt's failure and the second attempt."""
        return int(self._policy.first_interval)

    @property
    def max_number_of_attempts(self) -> int:
        """Attempts in all, the first included."""
        return self._policy.max_attempts

    def to_json(self) -> dict[str, int]:
        """The two fields that Durable Functions has, as it writes them."""
        return {
            "firstRetryIntervalInMilliseconds": self.first_retry_interval_in_milliseconds,
            "maxNumberOfAttempts": self.max_number_of_attempts,
        }


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else float(value)
