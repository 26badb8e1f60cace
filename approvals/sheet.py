"""Arguments as a person reads them: the schema's labels, the stored bytes' values, nothing left out. Pure.

Numbers are shown as the canonical bytes spell them, never through a float."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_DEPTH = 12
LONG = 240


class Number(str):
    """A number as the bytes spell it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One argument. `kind` chooses the look: text, code, amount, number, bool, none, group or list.

    `note` is a remark of ours; `unexpected` marks what the schema does not know."""

    pointer: str
    label: str
    help: str
    kind: str
    text: str = ""
    unit: str = ""
    note: str = ""
    material: bool = False
    unexpected: bool = False
    entries: list["Entry"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Change:
    """One argument that differs between two revisions; an empty side means it was not there."""

    label: str
    before: str
    after: str
    material: bool


@dataclass(frozen=True, slots=True)
class Money:
    """Where an action type keeps its amount, and in which currency it is."""

    pointer: str = ""
    currency: str = ""


def parse(canonical: bytes | memoryview) -> Any:
    """The value of canonical bytes, its numbers kept as they are spelled."""
    return json.loads(bytes(canonical), parse_float=Number, parse_int=Number)


def entries(schema: dict[str, Any], value: Any, *, material: list[str], money: Money) -> list[Entry]:
    """The arguments, what matters most first; what the schema does not name follows, marked."""
    return _Reader(schema, frozenset(material), money).group(schema, value, "", 0)


def missing(schema: dict[str, Any], value: Any) -> list[str]:
    """Labels of the optional arguments that the agent did not give."""
    properties = schema.get("properties", {})
    return [
        _label(name, part)
        for name, part in properties.items()
        if isinstance(value, dict) and name not in value
    ]


def changes(schema: dict[str, Any], before: Any, after: Any, *, material: list[str]) -> list[Change]:
    """What differs between two revisions, argument by argument."""
    old = dict(_leaves(entries(schema, before, material=material, money=Money())))
    new = dict(_leaves(entries(schema, after, material=material, money=Money())))
    found = []
    for pointer in [*new, *(pointer for pointer in old if pointer not in new)]:
        was, now = old.get(pointer), new.get(pointer)
        if was and now and (was[1].text, was[1].kind) == (now[1].text, now[1].kind):
            continue
        found.append(
            Change(
                (now or was or ("",))[0],
                was[1].text or "(empty)" if was else "",
                now[1].text or "(empty)" if now else "",
                any(pointer == one or pointer.startswith(one + "/") for one in material),
            )
        )
    return found


def _leaves(found: list[Entry], trail: str = "") -> Iterator[tuple[str, tuple[str, Entry]]]:
    for entry in found:
        label = f"{trail} › {entry.label}" if trail else entry.label
        if entry.entries:
            yield from _leaves(entry.entries, label)
        else:
            yield entry.pointer, (label, entry)


class _Reader:
    def __init__(self, root: dict[str, Any], material: frozenset[str], money: Money) -> None:
        self.root = root
        self.material = material
        self.money = money

    def group(self, schema: Any, value: Any, pointer: str, depth: int) -> list[Entry]:
        if not isinstance(value, dict):
            return [self.entry({}, value, pointer, "Arguments", depth)]
        part = resolved(self.root, schema)
        properties = part.get("properties", {})
        known = [(name, properties[name]) for name in ordered(part, pointer, self.material) if name in value]
        others = [name for name in value if name not in properties]
        found = [
            self.entry(part, value[name], _below(pointer, name), _label(name, part), depth)
            for name, part in known
        ]
        open_ended = not properties
        found += [
            self.entry({}, value[name], _below(pointer, name), name, depth, unexpected=not open_ended)
            for name in others
        ]
        return found

    def entry(
        self, schema: Any, value: Any, pointer: str, label: str, depth: int, *, unexpected: bool = False
    ) -> Entry:
        part = resolved(self.root, schema)
        common: dict[str, Any] = {
            "pointer": pointer,
            "label": label,
            "help": str(part.get("description", "")),
            "material": pointer in self.material,
            "unexpected": unexpected,
        }
        if depth >= MAX_DEPTH and isinstance(value, dict | list):
            return Entry(kind="code", text=json.dumps(value, ensure_ascii=False), **common)
        if isinstance(value, dict):
            inner = self.group(part, value, pointer, depth + 1)
            return Entry(kind="group", entries=inner, note="" if inner else "empty group", **common)
        if isinstance(value, list):
            items = part.get("items", {})
            inner = [
                self.entry(items, item, f"{pointer}/{index}", str(index + 1), depth + 1)
                for index, item in enumerate(value)
            ]
            return Entry(kind="list", entries=inner, note=_count(len(value)), **common)
        return Entry(**common, **self.scalar(part, value, pointer))

    def scalar(self, part: dict[str, Any], value: Any, pointer: str) -> dict[str, Any]:
        if value is None:
            return {"kind": "none", "text": "", "note": "nothing (null)"}
        if isinstance(value, bool):
            return {"kind": "bool", "text": "yes" if value else "no"}
        if pointer and pointer == self.money.pointer:
            return {"kind": "amount", "text": amount(str(value)), "unit": self.money.currency}
        if isinstance(value, Number):
            return {"kind": "number", "text": str(value), "unit": str(part.get("x-unit", ""))}
        text = str(value)
        if not text:
            return {"kind": "none", "text": "", "note": "empty text"}
        return {"kind": "code" if _is_code(text) else "text", "text": text, "note": _note(part, text)}


def resolved(root: dict[str, Any], schema: Any, *, hops: int = 8) -> dict[str, Any]:
    """The schema itself, or what its local `$ref` points to; nothing is ever fetched."""
    part = schema if isinstance(schema, dict) else {}
    while hops and isinstance(part.get("$ref"), str) and part["$ref"].startswith("#/"):
        target: Any = root
        for token in part["$ref"][2:].split("/"):
            target = (
                target.get(token.replace("~1", "/").replace("~0", "~"), {})
                if isinstance(target, dict)
                else {}
            )
        part, hops = (target if isinstance(target, dict) else {}), hops - 1
    return part


def ordered(part: dict[str, Any], pointer: str, material: frozenset[str]) -> list[str]:
    """Properties as they matter: material ones first, then required ones, then the rest.

    The order in which a schema was written is lost: PostgreSQL's jsonb keeps none."""
    needed = part.get("required", [])
    return sorted(
        part.get("properties", {}),
        key=lambda name: (_below(pointer, name) not in material, name not in needed),
    )


def amount(spelled: str) -> str:
    """An amount with separators and at least two decimals; what is not a plain number stays as it is spelled."""
    try:
        value = Decimal(spelled)
    except InvalidOperation:
        return spelled
    if not value.is_finite() or abs(value) >= Decimal(10) ** 18:
        return spelled
    exponent = value.as_tuple().exponent
    decimals = max(2, -exponent if isinstance(exponent, int) else 2)
    return f"{value:,.{min(decimals, 12)}f}"


def _note(part: dict[str, Any], text: str) -> str:
    if len(text) > LONG:
        return f"{len(text):,} characters"
    try:
        if part.get("format") == "date":
            return date.fromisoformat(text).strftime("%A, %d %B %Y")
        if part.get("format") == "date-time":
            return datetime.fromisoformat(text).strftime("%A, %d %B %Y, %H:%M %Z").strip()
    except ValueError:
        return "not a date"
    return ""


def _is_code(text: str) -> bool:
    """Account numbers, order numbers, addresses of things: read character by character, so set in equal widths."""
    compact = text.replace(" ", "")
    return (
        len(compact) <= 64
        and any(c.isdigit() for c in compact)
        and text.count(" ") <= 8
        and not _has_words(text)
    )


def _has_words(text: str) -> bool:
    return any(len(word) > 3 and word.isalpha() for word in text.split()) or "\n" in text


def _label(name: str, part: Any) -> str:
    title = part.get("title") if isinstance(part, dict) else None
    return str(title) if title else name.replace("_", " ").strip().capitalize() or name


def _count(number: int) -> str:
    return "empty list" if number == 0 else "1 item" if number == 1 else f"{number} items"


def _below(pointer: str, name: str) -> str:
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"


def spelled(value: Any) -> str:
    """A value that is not text, in JSON."""
    return json.dumps(value, ensure_ascii=False)
