"""What stands in the tree for one event: RFC 8785 JSON that names no person. Pure.

The commitment is SHA-256(salt ‖ content) (audit/chain.py); who holds the row can open it, nobody can guess it."""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone

LONGEST = 1024
"""Bytes."""
_FIELDS = {"commitment", "event", "kind", "time", "transaction", "v"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class BadLeaf(ValueError):
    """Its text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """`event` is the row's number, `time` the database's clock in UTC, `transaction` PostgreSQL's 64-bit number."""

    event: int
    kind: str
    time: str
    transaction: int
    commitment: str

    @property
    def data(self) -> bytes:
        """Keys in order, no spaces, ASCII only, and integers below 2^53: here JSON's plain writing is RFC 8785's."""
        values = {
            "commitment": self.commitment,
            "event": self.event,
            "kind": self.kind,
            "time": self.time,
            "transaction": str(self.transaction),
            "v": 1,
        }
        return json.dumps(values, separators=(",", ":"), sort_keys=True).encode()


def leaf(*, event: int, kind: str, time: datetime, transaction: int, commitment: bytes) -> Leaf:
    """Raises BadLeaf for a kind that is not plain ASCII or a leaf of more than 1 KB."""
    if not kind.isascii() or not kind.isprintable():
        raise BadLeaf(f"event {event}: its kind is not plain text")
    made = Leaf(event, kind, written(time), transaction, commitment.hex())
    if len(made.data) > LONGEST:
        raise BadLeaf(f"event {event}: its leaf would be longer than {LONGEST} bytes")
    return made


def written(time: datetime) -> str:
    """Six decimals, always, so that one moment has one spelling."""
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: UP017 - 3.10


def read(data: bytes) -> Leaf:
    """Raises BadLeaf where the bytes are not exactly what `Leaf.data` writes."""
    try:
        values = json.loads(data)
        if not isinstance(values, dict) or set(values) != _FIELDS or values["v"] != 1:
            raise BadLeaf("it has not the fields of version 1")
        found = Leaf(
            int(values["event"]),
            str(values["kind"]),
            str(values["time"]),
            int(values["transaction"]),
            str(values["commitment"]),
        )
    except (ValueError, TypeError) as error:
        raise error if isinstance(error, BadLeaf) else BadLeaf(f"it cannot be read: {error}") from error
    if found.data != data or not _TIME.fullmatch(found.time):
        raise BadLeaf("it is not written canonically")
    return found
