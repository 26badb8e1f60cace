"""Look-alikes: waiting proposals that share most of their arguments, so that a person compares them instead of reading
each from the beginning. Pure.

A group has one agent and version, one action type, one set of reasons for being here, the same argument names, and at
least half of its argument values in common to all of its members. What differs is what has to be looked at."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from statistics import median
from typing import Any
from uuid import UUID

from approvals.reading import lookalikes
from approvals.reading.sheet import MAX_DEPTH, Entry, Number, spelled

FEWEST = 2
MOST_VALUES = 120
"""Proposals of more arguments are not compared: no table of them could be read."""
MOST_GROUPS = 40
"""Per agent, action type and shape; what fits none of so many groups stays by itself."""
FAR = 3
"""An amount is far off when it is so many times the group's median, or less than that part of it."""
FEWEST_AMOUNTS = 3
MOST_TWINS = 200
"""So many different values of one argument are compared with each other."""


@dataclass(frozen=True, slots=True)
class Item:
    """What the grouping knows of one proposal. `values` has each argument's typed spelling by JSON Pointer."""

    id: UUID
    agent: int
    version: str
    action: int
    rules: tuple[str, ...]
    values: Mapping[str, str]
    amount: Decimal | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Look-alikes in the order in which they came, and the pointers in which they differ."""

    items: tuple[Item, ...]
    differing: tuple[str, ...]

    @property
    def seed(self) -> UUID:
        """Its first member, by which the group is addressed."""
        return self.items[0].id


def values(arguments: Any) -> dict[str, str]:
    """Every argument's value by pointer, spelled so that 5 and "5" are two. Depth ends where the sheet's does."""
    found: dict[str, str] = {}
    if isinstance(arguments, dict):
        for name, value in arguments.items():
            _add(found, value, "/" + _escaped(name), 0)
    return found


def _add(found: dict[str, str], value: Any, pointer: str, depth: int) -> None:
    if isinstance(value, dict | list) and value and depth < MAX_DEPTH:
        pairs = (
            ((_escaped(name), item) for name, item in value.items())
            if isinstance(value, dict)
            else ((str(index), item) for index, item in enumerate(value))
        )
        for name, item in pairs:
            _add(found, item, f"{pointer}/{name}", depth + 1)
    elif isinstance(value, Number):
        found[pointer] = f"number {value}"
    elif isinstance(value, str):
        found[pointer] = f"text {value}"
    else:
        found[pointer] = f"json {spelled(value)}"


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def groups(items: Iterable[Item]) -> list[Group]:
    """All groups of at least two, each member in exactly one; the largest group first."""
    shapes: defaultdict[tuple[Any, ...], list[Item]] = defaultdict(list)
    for item in items:
        if 0 < len(item.values) <= MOST_VALUES:
            shape = (item.agent, item.version, item.action, item.rules, frozenset(item.values))
            shapes[shape].append(item)
    found = [group for members in shapes.values() if len(members) >= FEWEST for group in _parted(members)]
    return sorted(found, key=lambda group: -len(group.items))


def _parted(members: Sequence[Item]) -> list[Group]:
    """Each member goes where most stays in common, and where less than half would, into a group of its own."""
    parts: list[tuple[list[Item], set[str]]] = []
    for item in members:
        best: tuple[list[Item], set[str]] | None = None
        left: set[str] = set()
        for part in parts:
            first, common = part[0][0], part[1]
            stays = {pointer for pointer in common if first.values[pointer] == item.values[pointer]}
            if 2 * len(stays) >= len(item.values) and len(stays) > len(left):
                best, left = part, stays
        if best is not None:
            best[0].append(item)
            best[1].intersection_update(left)
        elif len(parts) < MOST_GROUPS:
            parts.append(([item], set(item.values)))
    return [
        Group(tuple(part), tuple(pointer for pointer in part[0].values if pointer not in common))
        for part, common in parts
        if len(part) >= FEWEST
    ]


def containing(found: Iterable[Group], member: UUID) -> Group | None:
    return next((group for group in found if any(item.id == member for item in group.items)), None)


def far_off(items: Sequence[Item]) -> dict[UUID, Decimal]:
    """Members whose amount is far from the group's median, with that median; each currency by itself."""
    by_currency: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        if item.amount is not None:
            by_currency[item.currency].append(item)
    found = {}
    for some in by_currency.values():
        sizes = [abs(item.amount) for item in some if item.amount is not None]
        middle = median(sizes)
        if len(sizes) < FEWEST_AMOUNTS:
            continue
        for item, size in zip(some, sizes, strict=True):
            if size > middle * FAR or size * FAR < middle:
                found[item.id] = middle
    return found


def usual_currency(items: Sequence[Item]) -> str | None:
    """The currency of more than half of those with an amount; None where there is no such majority."""
    counts = Counter(item.currency for item in items if item.amount is not None)
    if not counts:
        return ""
    currency, count = counts.most_common(1)[0]
    return currency if 2 * count > counts.total() else None


def repeated(items: Sequence[Item]) -> set[UUID]:
    """Members with exactly the arguments of another one: perhaps the same thing sent twice."""
    same: defaultdict[tuple[tuple[str, str], ...], list[UUID]] = defaultdict(list)
    for item in items:
        same[tuple(sorted(item.values.items()))].append(item.id)
    return {one for ids in same.values() if len(ids) > 1 for one in ids}


def twins(items: Sequence[Item], pointers: Iterable[str]) -> dict[tuple[UUID, str], str]:
    """Values that look like another member's and are not it, with the reason; both sides of each pair."""
    found = {}
    for pointer in pointers:
        texts = dict.fromkeys(
            item.values[pointer].removeprefix("text ")
            for item in items
            if item.values[pointer].startswith("text ")
        )
        if len(texts) > MOST_TWINS:
            continue
        words = {}
        for text in texts:
            twin = lookalikes.twin(text, [other for other in texts if other != text])
            if twin is not None:
                words[f"text {text}"] = f"looks like “{twin.known}” of another one: {twin.why}"
        for item in items:
            if item.values[pointer] in words:
                found[item.id, pointer] = words[item.values[pointer]]
    return found


def usual_value(items: Sequence[Item], pointer: str) -> str | None:
    """The value that at least two thirds of the members have, if there is one: the others are the odd ones."""
    value, count = Counter(item.values[pointer] for item in items).most_common(1)[0]
    return value if 1 < count < len(items) and 3 * count >= 2 * len(items) else None


def leaves(entries: Sequence[Entry], trail: str = "") -> dict[str, Entry]:
    """The sheet's entries that hold a value, by pointer, each labelled with the way to it."""
    found: dict[str, Entry] = {}
    for entry in entries:
        label = f"{trail} › {entry.label}" if trail else entry.label
        if entry.entries:
            found |= leaves(entry.entries, label)
        else:
            found[entry.pointer] = replace(entry, label=label)
    return found


def without(entries: Sequence[Entry], pointers: Iterable[str]) -> list[Entry]:
    """The sheet without the arguments at these pointers. What is left of a list keeps its numbers."""
    gone = frozenset(pointers)
    found = []
    for entry in entries:
        if entry.pointer in gone:
            continue
        if not entry.entries:
            found.append(entry)
            continue
        inner = without(entry.entries, gone)
        if inner == entry.entries:
            found.append(entry)
        elif inner:
            found.append(replace(entry, kind="group", entries=inner))
    return found
