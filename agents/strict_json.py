"""Strict JSON for what agents send (I-JSON, RFC 7493, and DESIGN.md §4). Pure.

Refused: duplicate member names, NaN and infinities, numbers beyond a double, integers of 2^53 and more (from there on
two of them share one double, and RFC 8785 has no form for them), numbers that a double would round to an integer,
lone surrogates, NUL, nesting deeper than 64, bytes that are not UTF-8."""

import json
import math
from decimal import Decimal
from typing import Any

MAX_DEPTH = 64
MAX_INTEGER = 2**53 - 1


class NotStrictJson(ValueError):
    """The text is not acceptable JSON; the message says where the fault is and what to send."""


def loads(data: bytes, *, wide: bool = False) -> Any:
    """The parsed value; `wide` lets numbers of 64 bits pass, which protobuf's JSON has. Raises `NotStrictJson`."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotStrictJson(f"the body is not UTF-8 (byte {error.start})") from error
    try:
        value = (_wide_decoder if wide else _decoder).decode(text)
    except NotStrictJson:
        raise
    except RecursionError as error:
        raise NotStrictJson(f"nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:
        raise NotStrictJson(f"not JSON: {error}") from error
    _check(value, escapes="\\u" in text)
    return value


def check_strings(value: Any) -> None:
    """Raise `NotStrictJson` for NUL, lone surrogates and too deep nesting in a value that did not come through here."""
    _check(value, escapes=True)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise NotStrictJson(f"the member {name[:80]!r} stands twice in one object")
            seen.add(name)
    return result


def _integer(digits: str) -> int:
    if len(digits) <= 17:
        number = int(digits)
        if -MAX_INTEGER <= number <= MAX_INTEGER:
            return number
    raise _loses_digits(digits)


def _wide_integer(digits: str) -> int:
    if len(digits) <= 20:
        return int(digits)
    raise NotStrictJson(f"the number {digits[:24]} has more than 64 bits")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number) or (
        number.is_integer() and (abs(number) > MAX_INTEGER or Decimal(text) != int(number))
    ):
        raise _loses_digits(text)
    return 0.0 if number == 0 else number


def _wide_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise NotStrictJson(f"the number {text[:24]} is beyond a double")
    return number


def _loses_digits(text: str) -> NotStrictJson:
    return NotStrictJson(
        f"the number {text[:24]} is 2^53 or more, or too precise, and would lose digits: send it as a string"
    )


def _constant(name: str) -> Any:
    raise NotStrictJson(f"{name} is not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)

_wide_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_wide_integer, parse_float=_wide_float, parse_constant=_constant
)


def _check(value: Any, *, escapes: bool) -> None:
    """Depth of everything; strings only where the text had `\\u` escapes, the one way to smuggle these in."""
    level: list[Any] = [value]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise NotStrictJson(f"nested deeper than {MAX_DEPTH} levels")
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                if escapes:
                    for name in item:
                        _check_string(name)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif escapes and isinstance(item, str):
                _check_string(item)
        level = below


def _check_string(text: str) -> None:
    if "\x00" in text:
        raise NotStrictJson("a string contains NUL (\\u0000)")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotStrictJson("a string contains a lone surrogate") from error
