"""What happened to each record, and whether it adds up to the ground truth. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from config.replay.records import TRUTHS, Record, Truth

Fate = Literal["approve", "edit", "reject", "refused", "waiting"]
"""How a record ended: a reviewer's verdict, refused by the action type's schema, or not decided (`--decide none`)."""


@dataclass(slots=True)
class Row:
    """One agent's records of one action type. `refused` is by ground truth; `waits` are seconds."""

    agent: str
    action_type: str
    proposed: int = 0
    truth: dict[Truth, int] = field(default_factory=lambda: dict.fromkeys(TRUTHS, 0))
    decided: dict[Truth, int] = field(default_factory=lambda: dict.fromkeys(TRUTHS, 0))
    refused: dict[Truth, int] = field(default_factory=lambda: dict.fromkeys(TRUTHS, 0))
    waits: list[float] = field(default_factory=list)

    @property
    def accuracy(self) -> float | None:
        """Share approved as proposed, of all that were judged; a proposal that its schema refused counts as wrong."""
        judged = sum(self.decided.values()) + sum(self.refused.values())
        return self.decided["approve"] / judged if judged else None

    @property
    def agrees(self) -> bool:
        """Whether decided and refused ones together are the ground truth exactly."""
        return all(self.decided[truth] + self.refused[truth] == self.truth[truth] for truth in TRUTHS)

    def add(self, other: "Row") -> None:
        self.proposed += other.proposed
        for truth in TRUTHS:
            self.truth[truth] += other.truth[truth]
            self.decided[truth] += other.decided[truth]
            self.refused[truth] += other.refused[truth]
        self.waits += other.waits


class Tally:
    """Counts fates as they become known; one record counts once, however often it is reported."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = {record.id: record for record in records}
        self.fates: dict[str, Fate] = {}
        self.waits: dict[str, float] = {}
        self.errors: list[tuple[str, str]] = []

    def settle(self, record: Record, fate: Fate, *, waited: float | None = None) -> None:
        self.fates[record.id] = fate
        if waited is not None:
            self.waits[record.id] = waited

    def error(self, record_id: str, message: str) -> None:
        self.errors.append((record_id, message))

    def rows(self) -> list[Row]:
        """A row for each agent and action type, sorted."""
        rows: dict[tuple[str, str], Row] = {}
        for record in self.records.values():
            key = (record.agent, record.action_type)
            self._count(rows.setdefault(key, Row(*key)), record)
        return [rows[key] for key in sorted(rows)]

    def total(self) -> Row:
        return sum_of(self.rows())

    def _count(self, row: Row, record: Record) -> None:
        row.truth[record.truth] += 1
        fate = self.fates.get(record.id)
        if fate is None:
            return
        row.proposed += 1
        if fate == "refused":
            row.refused[record.truth] += 1
        elif fate != "waiting":
            row.decided[fate] += 1
        if record.id in self.waits:
            row.waits.append(self.waits[record.id])

    def verdict(self, *, deciding: bool) -> tuple[bool, str]:
        """The check line: whether every record went through and, when deciding, equals its ground truth.

        Each record is compared, not only the sums: two mistakes that cancel out are still two mistakes."""
        total = self.total()
        count = len(self.records)
        if total.proposed != count:
            return (
                False,
                f"{total.proposed:,} of {count:,} records went through; run the same command again to go on",
            )
        if not deciding:
            waiting = sum(fate == "waiting" for fate in self.fates.values())
            refused = sum(total.refused.values())
            return True, f"all {count:,} posted: {waiting:,} accepted, {refused:,} refused by their schema"
        wrong = [
            record.id
            for record in self.records.values()
            if self.fates[record.id] not in ("refused", record.truth)
        ]
        parts = " · ".join(
            f"{truth} {total.decided[truth]:,} + {total.refused[truth]:,} refused = {total.truth[truth]:,}"
            for truth in TRUTHS
        )
        if wrong or not all(row.agrees for row in self.rows()):
            first = ", ".join(wrong[:5])
            return False, f"{len(wrong):,} records differ from the ground truth (first: {first}); {parts}"
        return True, f"all {count:,} equal the ground truth: {parts}"


def sum_of(rows: Iterable[Row]) -> Row:
    total = Row("all", "")
    for row in rows:
        total.add(row)
    return total


def quantile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of the values do not exceed (nearest rank); None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
