"""RFC 8785 (JSON Canonicalization Scheme) and the digest that a grant is bound to.

Everything this client sends is in this form too, so that a repeated request has the same bytes, by which the server
knows it for a repeat."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

_DOMAIN_TAG = b"countersign/v1/arguments\n"
MAX_INTEGER = 2**53 - 1
"""Beyond it two integers share one double, and JSON's readers disagree; the server refuses them too."""
MAX_DEPTH = 64
_SHORT = {0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}
_ESCAPES = {code: f"\\u{code:04x}" for code in range(0x20)} | _SHORT


def dumps(value: Any) -> bytes:
    """The canonical bytes. Raises `ValueError` with the JSON Pointer of what has no form in JSON."""
    try:
        return "".join(_pieces(value, "", 1)).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("a text holds a lone surrogate, which is no character") from error


def digest(*, agent: str, action_type: str, revision: int, arguments: Mapping[str, Any]) -> str:
    """`sha256:<hex>` over (agent, action type, revision, arguments): what a grant names as `digest`."""
    document = {"action_type": action_type, "agent": agent, "arguments": arguments, "revision": revision}
    return "sha256:" + hashlib.sha256(_DOMAIN_TAG + dumps(document)).hexdigest()


def _pieces(value: Any, at: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise ValueError(f"{at or '/'} is nested deeper than {MAX_DEPTH} levels")
    if value is None:
        yield "null"
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, str):
        yield _text(value)
    elif isinstance(value, int):
        yield _integer(value, at)
    elif isinstance(value, float):
        yield _number(value, at)
    elif isinstance(value, Mapping):
        yield from _object(value, at, depth)
    elif isinstance(value, (list, tuple)):
        yield "["
        for place, item in enumerate(value):
            yield "," if place else ""
            yield from _pieces(item, f"{at}/{place}", depth + 1)
        yield "]"
    else:
        raise ValueError(f"{at or '/'} is a {type(value).__name__}, which JSON does not have")


def _object(value: Mapping[Any, Any], at: str, depth: int) -> Iterator[str]:
    for name in value:
        if not isinstance(name, str):
            raise ValueError(f"{at or '/'} has a name that is a {type(name).__name__}, not a text")
    yield "{"
    for place, name in enumerate(sorted(value, key=lambda name: name.encode("utf-16-be"))):
        yield "," if place else ""
        yield _text(name)
        yield ":"
        yield from _pieces(value[name], f"{at}/{name.replace('~', '~0').replace('/', '~1')}", depth + 1)
    yield "}"


def _text(value: str) -> str:
    return f'"{value.translate(_ESCAPES)}"'


def _integer(value: int, at: str) -> str:
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise ValueError(f"{at or '/'} is an integer of 2^53 or more: send it as a text")
    return str(int(value))


def _number(value: float, at: str) -> str:
    """As ECMAScript writes a double: its shortest digits, an exponent from 1e21 on and below 1e-6."""
    if not math.isfinite(value):
        raise ValueError(f"{at or '/'} is {value}, which JSON does not have")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = float.__repr__(abs(float(value))).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{digits.rjust(len(digits) - point, '0')}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"
