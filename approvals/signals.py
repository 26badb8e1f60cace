"""What on a proposal deserves a second look, in plain words. Pure.

Every signal stands twice on the page: in the list at the top of the sheet and where it belongs. A signal accuses nobody
and decides nothing; there are few kinds, each with a rule of its own, so that a list says something."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from approvals import persuasion, untrusted
from approvals.untrusted import Findings

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

ARGUMENTS, SUMMARY, REASONING, CONTEXT, WORDS = "", "summary", "reasoning", "context", "words"
"""Where a signal belongs: a JSON Pointer (the empty one is all arguments), or a part of the agent's words."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing to look at. `where` as above; `text` is one sentence, `earlier` a proposal it speaks of."""

    kind: str
    where: str
    text: str
    earlier: UUID | None = None

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
    if findings.direction:
        count = _count(findings.direction, "character")
        words = f"{name} has {count} that change the direction of writing or control a screen."
        found.append(Signal("direction", where, words))
    if findings.hidden > findings.benign:
        count = _count(findings.hidden - findings.benign, "hidden or composed character")
        words = f"{name} has {count}, shown as chips."
        found.append(Signal("hidden", where, words))
    if findings.mixed:
        words = f"{name} has letters that pass for others: {_quoted(findings.mixed)}."
        found.append(Signal("mixed", where, words))
    if findings.disguised:
        words = f"{name} names a host that is not what it seems: {_quoted(findings.disguised)}."
        found.append(Signal("host", where, words))
    if findings.folds:
        words = f"{name} has {_count(findings.folds, 'long run')} of blank lines, with text after it."
        found.append(Signal("folded", where, words))
    return found


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
