"""Instants: from Python's to the host's, which are milliseconds since 1970, UTC."""

from __future__ import annotations

import datetime

from .host import calls

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MILLISECOND = datetime.timedelta(milliseconds=1)

When = datetime.datetime | datetime.timedelta


def instant(when: When) -> float:
    """Milliseconds since 1970. A `timedelta` is that time from now on; a `datetime` without a zone is UTC."""
    if isinstance(when, datetime.timedelta):
        return calls.current_utc_time() + when / _MILLISECOND
    if not isinstance(when, datetime.datetime):
        raise TypeError(f"when something is due is a datetime or a timedelta, not {type(when).__name__}")
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.timezone.utc)
    return (when - _EPOCH) / _MILLISECOND


def now() -> datetime.datetime:
    """The time of the step, UTC, with its zone."""
    return _EPOCH + datetime.timedelta(milliseconds=calls.current_utc_time())
