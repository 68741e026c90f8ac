"""Fitting a value read from JSON to the type it is asked for as."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import types
import typing
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Union


class Misfit(Exception):
    """The value does not fit; the text says where and why."""


def fit(value: Any, expected: Any) -> Any:
    """The value as the expected type. Numbers become `float` where that is asked for; `bool` is no number.

    Besides JSON's own types: `list[T]`, `dict[str, T]`, `tuple`, unions, `Literal`, enumerations, dataclasses, dates and
    `UUID` (from their text), and classes with `from_json`. What else a type may be is not looked into.
    """
    if expected is Any or expected is object:
        return value
    if expected is None or expected is type(None):
        return _checked(value, value is None, expected)
    origin = typing.get_origin(expected)
    if origin is not None:
        return _fit_generic(value, origin, typing.get_args(expected), expected)
    return _fit_class(value, expected) if isinstance(expected, type) else value


def type_name(expected: Any) -> str:
    """The name of a type for a person."""
    return expected.__name__ if isinstance(expected, type) and not typing.get_args(expected) else str(expected)


def _fit_class(value: Any, expected: type) -> Any:
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if expected in (int, float) and isinstance(value, bool):
        raise Misfit(f"it is bool, not {expected.__name__}")
    if isinstance(value, expected):
        return value
    if callable(getattr(expected, "from_json", None)):
        return _made(expected, lambda: expected.from_json(value))  # type: ignore[attr-defined]
    if dataclasses.is_dataclass(expected):
        return _fit_dataclass(value, expected)
    if issubclass(expected, enum.Enum):
        return _made(expected, lambda: expected(value))
    if issubclass(expected, (datetime.date, datetime.time)) and isinstance(value, str):
        return _made(expected, lambda: expected.fromisoformat(value))
    if expected is uuid.UUID and isinstance(value, str):
        return _made(expected, lambda: uuid.UUID(value))
    if expected is tuple and isinstance(value, list):
        return tuple(value)
    if typing.is_typeddict(expected):
        return _checked(value, isinstance(value, dict), dict)
    raise Misfit(f"it is {type(value).__name__}, not {expected.__name__}")


def _fit_generic(value: Any, origin: Any, arguments: tuple[Any, ...], expected: Any) -> Any:
    if origin is Union or origin is types.UnionType:
        return _fit_union(value, arguments, expected)
    if origin is typing.Literal:
        return _checked(value, value in arguments, expected)
    if origin is typing.Annotated:
        return fit(value, arguments[0])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        _checked(value, isinstance(value, dict), dict)
        return {key: fit(item, arguments[1]) for key, item in value.items()}
    if origin is tuple:
        return _fit_tuple(_checked(value, isinstance(value, list), list), arguments)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        _checked(value, isinstance(value, list), list)
        return [fit(item, arguments[0]) for item in value]
    return value


def _fit_union(value: Any, arguments: tuple[Any, ...], expected: Any) -> Any:
    if any(type(value) is argument for argument in arguments):
        return value
    for argument in arguments:
        try:
            return fit(value, argument)
        except Misfit:
            continue
    raise Misfit(f"it is {type(value).__name__}, none of {type_name(expected)}")


def _fit_tuple(value: list[Any], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(fit(item, arguments[0]) for item in value)
    if len(arguments) != len(value):
        raise Misfit(f"it has {len(value)} elements, not {len(arguments)}")
    return tuple(fit(item, argument) for item, argument in zip(value, arguments))


def _fit_dataclass(value: Any, expected: Any) -> Any:
    _checked(value, isinstance(value, dict), dict)
    hints = typing.get_type_hints(expected)
    known = {field.name: field for field in dataclasses.fields(expected) if field.init}
    unknown = [name for name in value if name not in known]
    if unknown:
        raise Misfit(f"{expected.__name__} has no field `{unknown[0]}`")
    fields = {}
    for name, item in value.items():
        try:
            fields[name] = fit(item, hints.get(name, Any))
        except Misfit as misfit:
            raise Misfit(f"the field `{name}`: {misfit}") from None
    return _made(expected, lambda: expected(**fields))


def _made(expected: type, make: Any) -> Any:
    """What a constructor gives; its own refusal is a misfit."""
    try:
        return make()
    except Exception as error:
        raise Misfit(f"{expected.__name__} does not take it ({type(error).__name__}: {error})") from error


def _checked(value: Any, is_fitting: bool, expected: Any) -> Any:
    if not is_fitting:
        raise Misfit(f"it is {type(value).__name__}, not {type_name(expected)}")
    return value
