"""What the sealer reads and writes in PostgreSQL: plain statements on one autocommitting session, no Django.

Each statement is a transaction of its own, so that the sealer never holds back what it waits for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from audit.sealer_files import Refused, Restore
from audit.tlog import leaves, merkle

LEADER = 0x5EA1_106
"""The advisory lock of the one sealer that works."""

COLUMNS = """
SELECT id, transaction, recorded_at, kind, commitment,
       sha256(salt || convert_to(content, 'UTF8')) = commitment AS fits
FROM audit_auditevent
"""
_LEFT = f"""{COLUMNS}
JOIN unnest(%(lows)s::bigint[], %(highs)s::bigint[]) AS r(low, high) ON id BETWEEN r.low AND r.high
ORDER BY transaction, id OFFSET %(done)s LIMIT %(limit)s
"""
_NEW = f"""{COLUMNS}
WHERE (transaction, id) > (%(transaction)s, %(event)s)
  AND transaction < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
  AND id > %(floor)s
ORDER BY transaction, id LIMIT %(limit)s
"""
_INDEX = """
INSERT INTO audit_auditleaf (number, event, hash)
SELECT * FROM unnest(%(numbers)s::bigint[], %(events)s::bigint[], %(hashes)s::bytea[])
ON CONFLICT DO NOTHING
"""
_INDEXED = """
SELECT count(*)
FROM unnest(%(numbers)s::bigint[], %(events)s::bigint[], %(hashes)s::bytea[]) AS w(number, event, hash)
JOIN audit_auditleaf USING (number, event, hash)
"""
_SAY = """
INSERT INTO audit_sealerstate (id, size, problem, since, beat_at)
VALUES (1, %(size)s, %(problem)s, clock_timestamp(), clock_timestamp())
ON CONFLICT (id) DO UPDATE SET
  size = excluded.size, problem = excluded.problem, beat_at = excluded.beat_at,
  since = CASE WHEN audit_sealerstate.problem = excluded.problem THEN audit_sealerstate.since ELSE excluded.since END
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One event to be sealed. `fits`: its commitment is that of its content, by PostgreSQL's own hashing."""

    event: int
    transaction: int
    time: datetime
    kind: str
    commitment: bytes
    fits: bool

    def leaf(self) -> bytes:
        """Raises Refused: sealing a row that was changed since it was written would seal a lie."""
        if not self.fits:
            raise Refused(
                f"Event {self.event} ({self.kind}) was changed after it was written: its commitment does not fit its "
                "content. Nothing from it on is sealed until the row is what it was."
            )
        return leaves.leaf(
            event=self.event,
            kind=self.kind,
            time=self.time,
            transaction=self.transaction,
            commitment=self.commitment,
        ).data


@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf of the log with its number."""

    number: int
    data: bytes

    @property
    def hash(self) -> bytes:
        return merkle.leaf_hash(self.data)

    @property
    def leaf(self) -> leaves.Leaf:
        return leaves.read(self.data)


class Database:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """The connection has to be in autocommit."""
        self.connection = connection

    def lead(self) -> bool:
        """Whether this session is now the one that seals; it stays so until it ends."""
        return bool(self._value("SELECT pg_try_advisory_lock(%(key)s)", key=LEADER))

    def left(self, restore: Restore, *, done: int, limit: int) -> list[Row]:
        """Events that had no leaf when a restore was told; all writers were waited for then, so none can join them."""
        lows, highs = [low for low, _ in restore.left], [high for _, high in restore.left]
        return self._rows(_LEFT, lows=lows, highs=highs, done=done, limit=limit)

    def new(self, *, after: tuple[int, int], floor: int, limit: int) -> list[Row]:
        """The next events behind (transaction, event) whose order can no longer change."""
        return self._rows(_NEW, transaction=after[0], event=after[1], floor=floor, limit=limit)

    def commitments(self, events: Sequence[int]) -> dict[int, bytes]:
        rows = self.connection.execute(
            "SELECT id, commitment FROM audit_auditevent WHERE id = ANY(%s)", [list(events)]
        )
        return {int(event): bytes(commitment) for event, commitment in rows}

    def oldest_transaction(self) -> int:
        """Everything below this number has ended."""
        return int(self._value("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"))

    def newest_indexed(self) -> tuple[int, int, bytes] | None:
        """Number, event and hash of the last row of the index."""
        row = self.connection.execute(
            "SELECT number, event, hash FROM audit_auditleaf ORDER BY number DESC LIMIT 1"
        ).fetchone()
        return (int(row[0]), int(row[1]), bytes(row[2])) if row else None

    def index(self, entries: Sequence[Entry]) -> None:
        """Rows for these leaves. Raises Refused where another row stands in a leaf's place."""
        values = {
            "numbers": [entry.number for entry in entries],
            "events": [entry.leaf.event for entry in entries],
            "hashes": [entry.hash for entry in entries],
        }
        if self.connection.execute(_INDEX, values).rowcount == len(entries):
            return
        if self._value(_INDEXED, **values) != len(entries):
            raise Refused(
                f"The table audit_auditleaf contradicts the log between leaves {entries[0].number} and "
                f"{entries[-1].number}: somebody wrote it who is not the sealer. The log's files are right; remove the "
                "wrong rows as the owner of the database."
            )

    def say(self, *, size: int, problem: str) -> None:
        self.connection.execute(_SAY, {"size": size, "problem": problem})

    def _rows(self, statement: str, **values: object) -> list[Row]:
        return [
            Row(int(event), int(transaction), time, str(kind), bytes(commitment), bool(fits))
            for event, transaction, time, kind, commitment, fits in self.connection.execute(statement, values)
        ]

    def _value(self, statement: str, **values: object) -> Any:
        row = self.connection.execute(statement, values).fetchone()
        assert row is not None
        return row[0]
