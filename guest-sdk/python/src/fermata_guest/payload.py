"""Payloads: from values to JSON text and back.

Objects with `to_json` and `from_json` travel as Durable Functions has them: `{"__class__", "__module__", "__data__"}`.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import sys
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from .failure import PayloadError
from .fit import Misfit, fit, type_name

_ENVELOPE = ("__class__", "__module__", "__data__")

# How much of a payload an error message shows, characters.
_SHOWN = 200

_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class Wanted(NamedTuple):
    """The type that a payload is asked for as."""

    type: Any
    # Where it is only an annotation, a value that does not fit is given as it is, as Durable Functions does.
    is_strict: bool = True


def wanted(expected_type: Any) -> Wanted | None:
    """What `expected_type=` asks for."""
    return None if expected_type is None else Wanted(expected_type)


def encode(value: Any, subject: str) -> str:
    """Writes a value as JSON text; `subject` names it for the error."""
    try:
        text = _encoder.encode(value)
        if not text.isascii():
            text.encode()
    except PayloadError:
        raise
    except UnicodeEncodeError:
        raise PayloadError(f"the {subject} is no JSON: it has half of a surrogate pair in a string") from None
    except RecursionError:
        raise PayloadError(f"the {subject} is no JSON: it is nested too deep") from None
    except (TypeError, ValueError) as error:
        reason = "NaN and infinity have no form there" if "Out of range float" in str(error) else error
        raise PayloadError(f"the {subject} is no JSON: {reason}") from None
    return text


def decode(text: str, want: Wanted | None, subject: Callable[[], str]) -> Any:
    """Reads a value from JSON text, as the type that is wanted; `subject` names it for the error."""
    try:
        value = loads(text)
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise PayloadError(f"the {subject()} can not be read: {error}; it is {_shortened(text)}") from error
    if want is None:
        return value
    try:
        return fit(value, want.type)
    except Misfit as misfit:
        if not want.is_strict:
            return value
        inner = _quoted(value, want.type)
        if inner is not _NOTHING:
            return inner
        raise PayloadError(
            f"the {subject()} does not fit the type {type_name(want.type)}: {misfit}; it is {_shortened(text)}"
        ) from None


def loads(text: str) -> Any:
    """Reads JSON text. What the host hands over has no white space around it, which is why the scanner alone will do."""
    if '"__class__"' in text:
        return json.loads(text, object_hook=_revived)
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        end = -1
    return value if end == len(text) else json.loads(text)


_NOTHING = object()


def _quoted(value: Any, expected: Any) -> Any:
    """The courtesy to clients that send `"true"` for `true`: the JSON inside a JSON string, where that fits."""
    if not isinstance(value, str):
        return _NOTHING
    try:
        return fit(json.loads(value), expected)
    except (ValueError, Misfit, RecursionError):
        return _NOTHING


def _plain(value: Any) -> Any:
    """What stands for a value that JSON has no form for."""
    kind = type(value)
    if callable(getattr(kind, "to_json", None)):
        return {"__class__": kind.__name__, "__module__": kind.__module__, "__data__": kind.to_json(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    hint = "make it of dict, list, str, int, float, bool and None, or give its class `to_json` and `from_json`"
    if hasattr(value, "is_completed"):
        hint = "wait for it with `yield` (or `await`), and use its result"
    raise TypeError(f"a value of the type {kind.__name__} is in it; {hint}")


_encoder = json.JSONEncoder(default=_plain, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _revived(found: dict[str, Any]) -> Any:
    """The object that an envelope holds. Its class is looked up among the modules that are imported, never imported."""
    if not all(key in found for key in _ENVELOPE):
        return found
    class_name, module_name, data = (found[key] for key in _ENVELOPE)
    module = sys.modules.get(module_name)
    if module is None:
        raise ValueError(f"its class {class_name} is of the module {module_name}, which is not imported here")
    cls: Any = getattr(module, class_name, None)
    if not callable(getattr(cls, "from_json", None)):
        raise TypeError(f"the module {module_name} has no class {class_name} with `from_json`")
    return cls.from_json(data)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
