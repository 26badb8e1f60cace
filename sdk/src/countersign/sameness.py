"""Whether a value of Python says what the approved JSON says, so that nothing runs that nobody approved. Pure.

Loading may fill up what is not there (a field's default), drop what it does not know, or make one value of another
("7" → 7). None of that was seen by who approved."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import PurePath
from typing import Any
from uuid import UUID

from countersign import canonical, json_values


def changed(value: Any, approved: Any, name: str) -> str | None:
    """The path of the first thing in which they differ, beginning with `name`; None where they say the same.

    What is absent may be an empty value (None, "", 0, no items), never another one."""
    if isinstance(value, enum.Enum):
        return changed(value.value, approved, name)
    if isinstance(value, Mapping):
        return _fields(dict(value), approved, name)
    if isinstance(value, (list, tuple)):
        return _items(value, approved, name)
    if isinstance(value, (set, frozenset)):
        same = isinstance(approved, list) and len(approved) == len(value)
        return None if same and all(_is_among(one, value) for one in approved) else name
    if _is_model(value):
        return _of_model(value, approved, name)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(
            {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}, approved, name
        )
    return None if _is_same(value, approved) else name


def _is_same(value: Any, approved: Any) -> bool:
    if value is None or isinstance(value, bool):
        return approved is value
    if isinstance(value, str):
        return isinstance(approved, str) and value == approved
    if isinstance(approved, bool):
        return False
    if isinstance(value, (int, float)):
        return isinstance(approved, (int, float)) and value == approved
    try:
        return _is_same_by_text(value, approved)
    except (ValueError, InvalidOperation, TypeError):
        return False


def _is_same_by_text(value: Any, approved: Any) -> bool:
    """Of what JSON has no own form for. Raises `ValueError` and the like where it cannot be compared."""
    if isinstance(value, Decimal):
        return isinstance(approved, (int, float, str)) and Decimal(str(approved)) == value
    if not isinstance(approved, str):
        return bool(canonical.dumps(json_values.dump(value)) == canonical.dumps(approved))
    if isinstance(value, datetime):
        return datetime.fromisoformat(approved.replace("Z", "+00:00")) == value
    if isinstance(value, (date, time)):
        return type(value).fromisoformat(approved) == value
    if isinstance(value, UUID):
        return UUID(approved) == value
    if isinstance(value, PurePath):
        return type(value)(approved) == value
    return bool(json_values.dump(value) == approved)


def _fields(found: Mapping[str, Any], approved: Any, name: str) -> str | None:
    if not isinstance(approved, Mapping):
        return name
    for field, value in found.items():
        at = f"{name}.{field}" if name else field
        if field not in approved:
            if value:
                return at
        elif (where := changed(value, approved[field], at)) is not None:
            return where
    more = next((field for field in approved if field not in found), None)
    return None if more is None else f"{name}.{more}" if name else str(more)


def _items(found: Iterable[Any], approved: Any, name: str) -> str | None:
    values = list(found)
    if not isinstance(approved, list) or len(approved) != len(values):
        return name
    pairs = enumerate(zip(values, approved, strict=True))
    return next((where for at, (one, of) in pairs if (where := changed(one, of, f"{name}[{at}]"))), None)


def _is_model(value: Any) -> bool:
    """One of pydantic's, without needing pydantic."""
    return callable(getattr(value, "model_dump", None)) and not isinstance(value, type)


def _of_model(model: Any, approved: Any, name: str) -> str | None:
    """By its fields, or where the model writes one in a way of its own, by what it writes."""
    dumped = model.model_dump(mode="json")
    fields = getattr(type(model), "model_fields", None)
    if fields is None or not isinstance(approved, Mapping) or not isinstance(dumped, Mapping):
        return None if _are_equal(dumped, approved) else name
    left = dict(approved)
    for field, of in fields.items():
        at = f"{name}.{field}" if name else field
        names = [one for one in (field, of.alias, of.validation_alias) if isinstance(one, str)]
        given = next((one for one in names if one in left), None)
        value = getattr(model, field)
        if given is None:
            if value:
                return at
            continue
        said = left.pop(given)
        where = changed(value, said, at)
        if where is not None and not (field in dumped and _are_equal(dumped[field], said)):
            return where
    rest = dict(getattr(model, "model_extra", None) or {}) | {
        field: getattr(model, field) for field in getattr(type(model), "model_computed_fields", {})
    }
    return _fields({field: value for field, value in rest.items() if field in left}, left, name)


def _is_among(approved: Any, values: Iterable[Any]) -> bool:
    return any(changed(one, approved, "it") is None for one in values)


def _are_equal(dumped: Any, approved: Any) -> bool:
    try:
        return canonical.dumps(dumped) == canonical.dumps(approved)
    except ValueError:
        return False
