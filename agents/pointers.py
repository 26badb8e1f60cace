"""JSON Pointers (RFC 6901) and title templates over an action's arguments. Pure."""

import re
from decimal import Decimal
from typing import Any

MISSING = object()
_BEYOND = Decimal(10) ** 16
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_PLACEHOLDER = re.compile(r"\{(/[^{}]*|[A-Za-z0-9_.-]+)\}")


def parse(pointer: str) -> list[str]:
    """Reference tokens of a pointer; ValueError when it does not start with `/`."""
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is not a JSON Pointer: it must be empty or start with '/'")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def resolve(document: Any, pointer: str) -> Any:
    """The value the pointer names, or `MISSING`."""
    value = document
    for token in parse(pointer):
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            return MISSING
    return value


def amount_at(arguments: Any, pointer: str) -> Decimal | None:
    """The amount of money the pointer names, to the cent, or None when absent or not a finite number below 10^16.

    Strings of digits count too: agents send large amounts as strings (DESIGN.md §4). Only what every executor reads
    alike is a number: no underscores, spaces or digits of other scripts, which Python's Decimal would take."""
    if not pointer:
        return None
    value = resolve(arguments, pointer)
    if value is MISSING or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    amount = Decimal(str(value))
    if not amount.is_finite() or abs(amount) >= _BEYOND:
        return None
    cents = amount.quantize(Decimal("0.01"))
    return cents if abs(cents) < _BEYOND else None


def placeholders(template: str) -> list[str]:
    """The pointers a title template uses; `{order_id}` is short for `{/order_id}`."""
    return [_as_pointer(name) for name in _PLACEHOLDER.findall(template)]


def title(template: str, arguments: Any) -> str:
    """The title of one proposal, from its arguments alone. Missing values read as `…`."""
    return _PLACEHOLDER.sub(lambda match: text(resolve(arguments, _as_pointer(match[1]))), template)[:300]


def pieces(template: str) -> list[tuple[str, str]]:
    """A title template cut into (words, "") and ("", pointer), in order."""
    found: list[tuple[str, str]] = []
    end = 0
    for match in _PLACEHOLDER.finditer(template):
        if match.start() > end:
            found.append((template[end : match.start()], ""))
        found.append(("", _as_pointer(match[1])))
        end = match.end()
    return [*found, (template[end:], "")] if template[end:] else found


def _as_pointer(name: str) -> str:
    return name if name.startswith("/") else "/" + name.replace(".", "/")


def text(value: Any) -> str:
    """A value as a title says it; what is missing reads as `…`."""
    if value is MISSING or value is None:
        return "…"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return f"{len(value)} items" if len(value) != 1 else text(value[0])
    if isinstance(value, dict):
        return f"{len(value)} fields"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # as RFC 8785 writes it
    return str(value)[:120]
