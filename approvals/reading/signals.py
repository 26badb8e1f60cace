"""What on a proposal deserves a second look, in plain words. Pure.

Every signal stands twice on the page: in the list at the top of the sheet and where it belongs. A signal accuses nobody
and decides nothing; there are few kinds, each with a rule of its own, so that a list says something."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from approvals.reading import persuasion, untrusted
from approvals.reading.untrusted import Findings

LABELS = {
    "twin": "Looks like another",
    "recipient": "Changed recipient",
    "new_value": "Never seen here",
    "amount": "Unusual amount",
    "repeated": "Done before?",
    "mismatch": "Summary and action disagree",
    "direction": "Direction or control characters",
    "hidden": "Hidden characters",
    "mixed": "Letters that pass for others",
    "host": "Disguised address",
    "folded": "Folded lines",
    "unexpected": "Not in the schema",
    "addressed": "Speaks to you",
}

ARGUMENTS, SUMMARY, REASONING, CONTEXT = "", "summary", "reasoning", "context"
REPLY, WORDS = "answer", "words"
"""Where a signal belongs: a JSON Pointer (the empty one is all arguments), or a part of the agent's words."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing to look at. `where` as above; `text` is one sentence, `earlier` a proposal it speaks of; `place` names
    the text that something hides in."""

    kind: str
    where: str
    text: str
    earlier: UUID | None = None
    place: str = ""

    @property
    def label(self) -> str:
        return LABELS[self.kind]


def in_arguments(value: Any, labels: dict[str, str]) -> list[Signal]:
    """What a quick eye would miss in the arguments, leaf by leaf; `labels` are the names of the leaves by pointer."""
    found = []
    for pointer, text in _texts(value, ""):
        name = labels.get(pointer) or pointer.rpartition("/")[2]
        found += _of_text(untrusted.findings(text), pointer, name)
    return found


def in_words(parts: Sequence[tuple[str, Any]]) -> list[Signal]:
    """The same for the agent's words; `parts` are (where, text or JSON value)."""
    found = []
    for where, value in parts:
        found += _of_text(
            untrusted.findings(value), where, f"The {where}" if where != WORDS else "What it says"
        )
        if phrase := persuasion.addressed(value, spoken_by_others=where == CONTEXT):
            found.append(
                Signal(
                    "addressed",
                    where,
                    f"Its {where} is addressed to whoever reviews it: “{phrase}”. It proves nothing.",
                )
            )
    return found


def addressed_in_arguments(value: Any, labels: dict[str, str]) -> list[Signal]:
    """Arguments that speak to the reviewer instead of the system they are meant for."""
    return [
        Signal("addressed", pointer, f"{labels.get(pointer, 'It')} speaks to whoever reviews it: “{phrase}”.")
        for pointer, text in _texts(value, "")
        if (phrase := persuasion.addressed(text))
    ]


def _of_text(findings: Findings, where: str, name: str) -> list[Signal]:
    found = []
    hidden = findings.hidden - findings.benign
    if findings.direction:
        verb = "steers" if findings.direction == 1 else "steer"
        count = _count(findings.direction, "character")
        words = f"{name} has {count} that {verb} the direction of writing or the screen"
        more = f", and {_count(hidden, 'hidden one')}" if hidden else ""
        found.append(Signal("direction", where, f"{words}{more}.", place=name))
    elif hidden:
        words = f"{name} has {_count(hidden, 'hidden or composed character')}, shown as chips."
        found.append(Signal("hidden", where, words, place=name))
    if findings.mixed:
        words = f"{name} has letters that pass for others: {_quoted(findings.mixed)}."
        found.append(Signal("mixed", where, words, place=name))
    if findings.disguised:
        words = f"{name} names a host that is not what it seems: {_quoted(findings.disguised)}."
        found.append(Signal("host", where, words, place=name))
    if findings.folds:
        words = f"{name} has {_count(findings.folds, 'long run')} of blank lines, with text after it."
        found.append(Signal("folded", where, words, place=name))
    return found


def gathered(found: Sequence[Signal]) -> list[Signal]:
    """One line for each kind of thing that hides in texts, however many texts it hides in; the others as they are."""
    lines: list[Signal] = []
    for one in found:
        alike = [other for other in found if other.kind == one.kind]
        if not one.place or len(alike) == 1:
            lines.append(one)
        elif one is alike[0]:
            places = [other.place for other in alike]
            named = ", ".join(places[:4]) + (f" and {len(places) - 4} more places" if len(places) > 4 else "")
            lines.append(Signal(one.kind, one.where, f"In {len(places)} places, marked there: {named}."))
    return lines


def _quoted(words: Sequence[str]) -> str:
    shown = ", ".join(f"“{word[:60]}”" for word in words[:3])
    return shown if len(words) <= 3 else f"{shown} and {len(words) - 3} more"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _texts(value: Any, pointer: str) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(pointer, value)]
    found: list[tuple[str, str]] = []
    if isinstance(value, dict):
        for name, item in value.items():
            below = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            if not (name.isascii() and name.isprintable()):
                found.append((below, name))
            found += _texts(item, below)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _texts(item, f"{pointer}/{index}")
    return found
