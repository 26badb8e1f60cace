"""Arguments as a person reads them: the schema's labels, the stored bytes' values, nothing left out. Pure.

Numbers are shown as the canonical bytes spell them, never through a float."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from agents import pointers
from approvals.reading import figures

MAX_DEPTH = 12
LONG = 120
"""Texts of more characters carry their length."""


class Number(str):
    """A number as the bytes spell it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One argument. `kind` chooses the look: text, code, amount, number, bool, none, group or list.

    `note` is a remark of ours; `unexpected` marks what the schema does not know. `before` is what the agent says it is
    now, unverified, where it said anything; `is_new` when that is another."""

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
    before: str | None = None
    is_new: bool = False


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


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside the arguments: the state as the agent describes it, and the reader's clock."""

    state: Any = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the title: our words, or a value of the arguments, which has to be told from them."""

    text: str
    is_value: bool


def parse(canonical: bytes | memoryview) -> Any:
    """The value of canonical bytes, its numbers kept as they are spelled."""
    return json.loads(bytes(canonical), parse_float=Number, parse_int=Number)


def entries(
    schema: dict[str, Any], value: Any, *, material: list[str], money: Money, beside: Beside | None = None
) -> list[Entry]:
    """The arguments, what matters most first; what the schema does not name follows, marked."""
    return _Reader(schema, frozenset(material), money, beside or Beside()).group(schema, value, "", 0)


def labels(found: Sequence[Entry], trail: str = "") -> dict[str, str]:
    """The names of all leaves by their pointers, with the groups they stand in."""
    return {pointer: label for pointer, (label, _) in _leaves(list(found), trail)}


def label(schema: dict[str, Any], pointer: str) -> str:
    """The name of an argument for people, given or not."""
    part, name = resolved(schema, schema), ""
    for name in pointers.parse(pointer):
        inner = part.get("properties", {}).get(name)
        part = resolved(schema, part.get("items") if inner is None and name.isdigit() else inner)
    return _label(name, part)


def title(template: str, value: Any, money: Money) -> list[Part]:
    """The title from the stored bytes: the action type's words, the arguments' values set apart, money with its
    currency unless the title names that by itself."""
    parts: list[Part] = []
    elsewhere = pointers.title(template, value)
    for text, pointer in pointers.pieces(template):
        if not pointer:
            parts.append(Part(text, False))
            continue
        found = pointers.resolve(value, pointer)
        amount = pointer == money.pointer and isinstance(found, str)
        spelled_out = figures.money(found, money.currency) if amount else pointers.text(found)
        unit = f" {money.currency}" if amount and money.currency and money.currency not in elsewhere else ""
        parts.append(Part(spelled_out + unit, True))
    return parts


def outside(value: Any, state: Any) -> list[tuple[str, str]]:
    """What the agent says of the present state that belongs to none of the arguments: name and value."""
    if not isinstance(state, dict):
        return [("state", spelled(state))] if state is not None else []
    return [
        (name, found if isinstance(found, str) else spelled(found))
        for name, found in list(state.items())[:60]
        if not (isinstance(value, dict) and name in value)
    ]


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
    def __init__(self, root: dict[str, Any], material: frozenset[str], money: Money, beside: Beside) -> None:
        self.root = root
        self.material = material
        self.money = money
        self.beside = beside

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
            **self.before(value, pointer),
        }
        if depth >= MAX_DEPTH and isinstance(value, dict | list):
            return Entry(kind="code", text=spelled(value), **common)
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

    def before(self, value: Any, pointer: str) -> dict[str, Any]:
        """What the agent says it is now, where its account has this argument; groups speak through their parts."""
        if self.beside.state is None or isinstance(value, dict):
            return {}
        found = pointers.resolve(self.beside.state, pointer)
        if found is pointers.MISSING:
            return {}
        if isinstance(found, dict | list) or isinstance(value, list):
            text = spelled(found)
            return {"before": text, "is_new": text != spelled(value)}
        if pointer == self.money.pointer:
            text = figures.money(_plain(found), self.money.currency)
            return {"before": text, "is_new": text != figures.money(_plain(value), self.money.currency)}
        return {"before": _plain(found), "is_new": _plain(found) != _plain(value)}

    def scalar(self, part: dict[str, Any], value: Any, pointer: str) -> dict[str, Any]:
        if value is None:
            return {"kind": "none", "text": "", "note": "nothing (null)"}
        if isinstance(value, bool):
            return {"kind": "bool", "text": "yes" if value else "no"}
        if pointer and pointer == self.money.pointer:
            return _money(str(value), self.money.currency)
        if isinstance(value, Number):
            if isinstance(part.get("x-currency"), str):
                return _money(str(value), part["x-currency"])
            return {"kind": "number", "text": str(value), "unit": str(part.get("x-unit", ""))}
        text = str(value)
        if not text:
            return {"kind": "none", "text": "", "note": "empty text"}
        return {
            "kind": "code" if _is_code(text) else "text",
            "text": text,
            "note": _note(part, text, self.beside.now),
        }


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


def amount(spelled: str, currency: str = "") -> str:
    """An amount with its thousands parted and its currency's decimals; what is no plain number stays as spelled."""
    return figures.money(spelled, currency)


def _money(spelled: str, currency: str) -> dict[str, Any]:
    if figures.number(spelled) is None:
        return {"kind": "text", "text": spelled, "unit": currency, "note": "not a plain number"}
    return {
        "kind": "amount",
        "text": figures.money(spelled, currency),
        "unit": currency,
        "note": figures.magnitude(spelled),
    }


def _plain(value: Any) -> str:
    """A scalar as text: numbers as they are spelled, text as it is."""
    return str(value) if isinstance(value, str) else spelled(value)


def _note(part: dict[str, Any], text: str, now: datetime) -> str:
    """What helps to read a text: the day of a date, the length of a long one."""
    form = part.get("format")
    found = figures.day(text, now) or figures.moment(text, now)
    if found is not None:
        return found
    if form in ("date", "date-time"):
        return "not a date" if form == "date" else "not a date and time"
    lines = text.count("\n") + 1
    if len(text) > LONG or lines > 5:
        return f"{len(text):,} characters" + (f", {lines:,} lines" if lines > 1 else "")
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
    """A value in JSON, its numbers as the bytes spell them."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        inner = ", ".join(f"{spelled(str(name))}: {spelled(item)}" for name, item in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(spelled(item) for item in value)}]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # as RFC 8785 writes it
    return json.dumps(value, ensure_ascii=False)
