"""Python values as JSON and back by annotation: money, times, ids, enumerations, records. Pure.

Strict both ways: a number never becomes a text, and what has no one meaning raises `ValueError`."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import PurePath
from typing import Any
from uuid import UUID

_TEXTS: dict[type, Callable[[str], Any]] = {
    UUID: UUID,
    datetime: lambda text: datetime.fromisoformat(text.replace("Z", "+00:00")),
    date: date.fromisoformat,
    time: time.fromisoformat,
}


def dump(value: Any) -> Any:
    """As JSON. A Decimal is a number where a double holds it exactly. Raises `ValueError`."""
    if isinstance(value, enum.Enum):
        return dump(value.value)
    if value is None or isinstance(value, (bool, str, int, float)):
        return value
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (UUID, PurePath)):
        return str(value)
    if isinstance(value, Mapping):
        return {_name(name): dump(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [dump(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: dump(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if callable(getattr(value, "model_dump", None)):  # pydantic's models, without needing pydantic
        return value.model_dump(mode="json")
    raise ValueError(f"a {type(value).__name__} has no form in JSON")


def load(value: Any, kind: Any) -> Any:
    """The approved value as the annotation wants it. Raises `ValueError` where it is something else."""
    origin = typing.get_origin(kind)
    if kind is Any or kind is object or isinstance(kind, (str, typing.TypeVar)):
        return value
    if kind is None or kind is types.NoneType:
        return _must(value, value is None, "null")
    if origin is typing.Annotated:
        return load(value, kind.__origin__)
    if origin in (typing.Union, types.UnionType):
        return _first(value, typing.get_args(kind))
    if origin is typing.Literal:
        same = [one for one in typing.get_args(kind) if dump(one) == value and type(dump(one)) is type(value)]
        return _must(same[0] if same else value, bool(same), f"one of {typing.get_args(kind)}")
    if hasattr(kind, "__supertype__"):  # a NewType
        return load(value, kind.__supertype__)
    if isinstance(origin or kind, type):
        return _of_class(value, origin or kind, typing.get_args(kind))
    return value


def _of_class(value: Any, kind: type, inner: tuple[Any, ...]) -> Any:
    if kind in _PLAIN:
        return _PLAIN[kind](value)
    if issubclass(kind, enum.Enum):
        return _member(value, kind)
    if kind in _TEXTS:
        return _TEXTS[kind](_must(value, isinstance(value, str), "a text"))
    if issubclass(kind, PurePath):
        return kind(_must(value, isinstance(value, str), "a text"))
    if issubclass(kind, tuple) or (issubclass(kind, Sequence) and not issubclass(kind, (str, bytes))):
        return _sequence(value, kind, inner)
    if typing.is_typeddict(kind):
        return _must(value, isinstance(value, dict), "an object")
    if issubclass(kind, Mapping):
        _must(value, isinstance(value, dict), "an object")
        of = inner[1] if len(inner) == 2 else Any
        return {name: load(item, of) for name, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _record(value, kind)
    if callable(getattr(kind, "model_validate", None)):
        return kind.model_validate(value)  # type: ignore[attr-defined]  # just looked
    return _must(value, isinstance(value, kind), f"a {kind.__name__}")


def _float(value: Any) -> float:
    return float(_must(value, isinstance(value, (int, float)) and not isinstance(value, bool), "a number"))


def _decimal(value: Any) -> Decimal:
    """From a number's shortest digits, or a text."""
    _must(value, isinstance(value, (int, float, str)) and not isinstance(value, bool), "a number")
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is no number") from error


_PLAIN: dict[type, Callable[[Any], Any]] = {
    str: lambda value: _must(value, isinstance(value, str), "a text"),
    bool: lambda value: _must(value, isinstance(value, bool), "true or false"),
    int: lambda value: _must(value, isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    float: _float,
    Decimal: _decimal,
}


def _number(value: Decimal) -> int | float:
    if not value.is_finite():
        raise ValueError(f"{value} is no number of JSON")
    if value == value.to_integral_value():
        return int(value)
    if Decimal(repr(float(value))) != value:
        raise ValueError(f"{value} has more digits than a number of JSON keeps: make it a text")
    return float(value)


def _member(value: Any, kind: type[enum.Enum]) -> enum.Enum:
    for one in kind:
        if dump(one) == value and type(dump(one)) is type(value):
            return one
    raise ValueError(f"{value!r} is none of {kind.__name__}")


def _first(value: Any, kinds: tuple[Any, ...]) -> Any:
    """By the first of a union's members that takes it; `Optional` takes null first."""
    if value is None and types.NoneType in kinds:
        return None
    for kind in kinds:
        try:
            return load(value, kind)
        except ValueError:
            continue
    raise ValueError(f"{value!r} is none of what is taken")


def _sequence(value: Any, kind: type, inner: tuple[Any, ...]) -> Any:
    _must(value, isinstance(value, list), "a list")
    if issubclass(kind, tuple):
        if not inner:
            return tuple(value)
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(load(item, inner[0]) for item in value)
        _must(value, len(value) == len(inner), f"a list of {len(inner)}")
        return tuple(load(item, of) for item, of in zip(value, inner, strict=True))
    return [load(item, inner[0] if inner else Any) for item in value]


def _record(value: Any, kind: Any) -> Any:
    _must(value, isinstance(value, dict), "an object")
    names = {one.name for one in dataclasses.fields(kind) if one.init}
    _must(value, set(value) <= names, f"an object with {', '.join(sorted(names))}")
    hints = typing.get_type_hints(kind, include_extras=True)
    try:
        return kind(**{name: load(item, hints.get(name, Any)) for name, item in value.items()})
    except TypeError as error:
        raise ValueError(str(error)) from error


def _name(name: Any) -> str:
    return str(_must(name, isinstance(name, str), "a text as a name"))


def _must(value: Any, holds: bool, what: str) -> Any:
    if not holds:
        raise ValueError(f"{value!r} is not {what}")
    return value
