"""What the fake server takes: the same fields as the real one, refused with the same codes and the field's pointer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from countersign.testing.book import Refusal

MAX_BODY_BYTES = 256 * 1024
_Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _or_null(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _one_of(*values: str) -> _Check:
    return lambda value: value in values


PROPOSE: Mapping[str, _Check] = {
    "action_type": lambda value: _text(value) and 1 <= len(value) <= 80,
    "arguments": _object,
    "summary": _text,
    "reasoning": _text,
    "confidence": _or_null(lambda value: _number(value) and 0 <= value <= 1),
    "context": lambda value: isinstance(value, list) and all(map(_object, value)),
    "subject": _or_null(_object),
    "trace_id": _text,
    "parent_id": _or_null(_text),
    "priority": _one_of("low", "normal", "high", "urgent"),
    "expires_in": _or_null(lambda value: isinstance(value, int) and 10 <= value <= 30 * 86400),
    "current_state": _or_null(_object),
    "metadata": _or_null(_object),
    "agent_version": _or_null(_object),
}
ITEM: Mapping[str, _Check] = {**PROPOSE, "key": lambda value: _text(value) and 1 <= len(value) <= 200}
BATCH: Mapping[str, _Check] = {"items": lambda value: isinstance(value, list) and 1 <= len(value) <= 500}
REDEEM: Mapping[str, _Check] = {
    "digest": lambda value: _text(value) and re.fullmatch("sha256:[0-9a-f]{64}", value) is not None,
    "grant": _or_null(_text),
}
OUTCOME: Mapping[str, _Check] = {
    "status": _one_of("succeeded", "failed", "unknown"),
    "result": lambda value: True,
    "external_id": _text,
    "cost": _or_null(lambda value: _number(value) and value >= 0),
    "occurred_at": _or_null(_text),
}
WITHDRAW: Mapping[str, _Check] = {"reason": _text}
REVISE: Mapping[str, _Check] = {"arguments": _object, "reply": _text}
_REQUIRED = ("action_type", "arguments", "digest", "status", "items", "key")


def parse(content: bytes, fields: Mapping[str, _Check]) -> dict[str, Any]:
    """The body, checked. Raises `Refusal`."""
    if len(content) > MAX_BODY_BYTES * (8 if fields is BATCH else 1):
        raise Refusal(413, "body_too_large", f"The body has {len(content)} bytes.")
    try:
        value = json.loads(
            content or (b"{}" if fields is WITHDRAW else b""),
            object_pairs_hook=_once,
            parse_constant=_no_constant,
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise Refusal(400, "bad_request", f"The body is not acceptable: {error}.") from error
    return checked(value, fields)


def checked(value: Any, fields: Mapping[str, _Check]) -> dict[str, Any]:
    """The value, if it has these fields and no others. Raises `Refusal`."""
    if not isinstance(value, dict):
        raise _refused("/", "must be an object")
    for name in value:
        if name not in fields:
            raise _refused(f"/{name}", "unknown field")
        if not fields[name](value[name]):
            raise _refused(f"/{name}", "not acceptable")
    for name in fields:
        if name in _REQUIRED and name not in value:
            raise _refused(f"/{name}", "missing required field")
    return value


def _refused(field: str, message: str) -> Refusal:
    return Refusal(
        422, "fields_invalid", "A field was refused.", errors=[{"field": field, "message": message}]
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
