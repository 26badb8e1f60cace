"""What a verification found wrong, in sentences, and what each check means. Pure.

Values come from files that somebody may have tampered with, so `shown` makes them harmless for a terminal."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

LONGEST = 100
"""Characters of a foreign value in a sentence."""
KEPT = 20
"""Findings that are told in full; the rest is counted."""

MEANING = {
    "export": "The export is not whole. Make it again; nothing can be said from a part.",
    "key": "Somebody else signed this log than the one whose key you trust.",
    "checkpoint": "The newest signed statement about the log cannot be believed.",
    "history": "The log once signed something that its files no longer say: it was rewritten, cut or tidied up.",
    "older": "The log is not the continuation of the one you saw before: it was cut, rewritten or restored.",
    "timestamp": "What the timestamp authority confirmed and what the log says now are not the same.",
    "cosignature": "What a witness signed and what the log says now are not the same.",
    "bundle": "A sealed leaf was changed, or its file is damaged; the tiles still hold the hash of the original.",
    "tile": "A file of hashes was changed or is damaged; the leaves themselves still lead to the signed root.",
    "root": "The leaves are not the ones that were signed: the tree was rebuilt, or leaves and tiles were changed.",
    "order": "Events were sealed in another order than they were committed, or one was pushed in.",
    "twice": "One event stands in the log more than once.",
    "missing": "The row was deleted after it was sealed, or left out of the export.",
    "extra": "A line stands where no sealed event belongs: it was added, or put in twice.",
    "unsealed": "A row was put into the table behind the log's back: it claims a time that was sealed without it.",
    "commitment": "The event was changed after it was sealed.",
    "columns": "The row's columns say something else than the content that was sealed.",
    "sealed": "The row says something else than the leaf that was sealed for it.",
    "signature": "An approval was not signed by whom, over what, or for the decision that the event says.",
    "content": "A prompt, output or other kept text is not the one that was sealed.",
}
"""Every check with what its failing means; docs/audit.md has a section for each."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`text` is a sentence that names event and leaf; `found` and `expected` may be empty."""

    check: str
    text: str
    found: str = ""
    expected: str = ""


@dataclass(slots=True)
class Findings:
    """Bounded: the first ones in full, all of them counted by check."""

    kept: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(
        self, check: str, text: str, found: object = "", expected: object = "", *, times: int = 1
    ) -> None:
        """`times`: how many like it this one stands for."""
        self.counts[check] += times
        if len(self.kept) < KEPT:
            self.kept.append(Finding(check, text, shown(found), shown(expected)))

    def merge(self, other: "Findings") -> None:
        self.counts.update(other.counts)
        self.kept += other.kept[: KEPT - len(self.kept)]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def untold(self) -> list[tuple[str, int]]:
        """How many of each check are not among those kept."""
        rest = self.counts - Counter(finding.check for finding in self.kept)
        return sorted(rest.items())


def shown(value: object) -> str:
    """A value on one line, short, and without anything that a terminal would obey."""
    text = value.hex() if isinstance(value, bytes) else str(value)
    short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in short)


def upper(text: str) -> str:
    """As the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def numbered(values: Iterable[int]) -> str:
    """1, 2, 3 and 17 more."""
    every = list(values)
    first = ", ".join(str(value) for value in every[:5])
    return first if len(every) <= 5 else f"{first} and {len(every) - 5} more"
