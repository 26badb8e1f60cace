"""Tell the log that the database was restored: record what it has and the database has not, and let it go on.

Nothing is taken out of the log. Leaves whose events are gone stay, and an event names them; events that had no leaf yet
are sealed first; new events get numbers that no leaf has used. Needs the connection of the database's owner."""

from collections.abc import Iterable
from pathlib import Path

from django.db import connection, transaction

from audit import recording
from audit.events import Kind, Target, system
from audit.sealer_files import Ranges, Refused, Restore, SealerFiles, ranges
from audit.tlog import leaves, notes
from audit.tlog.folder import Folder

MOST_OPEN = "1 hour"
"""No transaction of ours is open for longer, so a restore loses no leaf that is so much older than one it kept."""

_SEALED = """
CREATE TEMPORARY TABLE sealed (number bigint, event bigint, commitment bytea, time timestamptz) ON COMMIT DROP
"""
_LOST = """
SELECT s.number, s.time < (
    SELECT max(k.time) FROM sealed k JOIN audit_auditevent e ON e.id = k.event AND e.commitment = k.commitment
) - %s::interval
FROM sealed s LEFT JOIN audit_auditevent e ON e.id = s.event AND e.commitment = s.commitment
WHERE e.id IS NULL ORDER BY s.number
"""
_LEFT = """
SELECT e.id FROM audit_auditevent e LEFT JOIN sealed s ON e.id = s.event AND e.commitment = s.commitment
WHERE s.number IS NULL ORDER BY e.id
"""
_FLOOR = """
SELECT greatest((SELECT max(event) FROM sealed), (SELECT max(id) FROM audit_auditevent), 0)
"""
_BUMP = """
SELECT setval(s.name, greatest(%s, nextval(s.name)))
FROM (SELECT pg_get_serial_sequence('audit_auditevent', 'id')::regclass AS name) s
"""


def after_restore(*, files: SealerFiles, log: Path, why: str) -> str:
    """What was found and recorded, in a sentence. Raises Refused where nothing is to be told.

    Writers wait for as long as this takes: seconds for a million events."""
    why = " ".join(why.split())[:500]
    if not why:
        raise Refused("Say who tells it, and why.")
    with files.alone():
        note = files.last()
        if note is None:
            raise Refused("Nothing was ever sealed, so nothing can be missing.")
        size = notes.opened(note, files.signer("", log_exists=True).verifier).size
        restore, lost = _tell(files, log, size, why)
        files.tell(restore)
    return _words(restore, lost)


def _tell(files: SealerFiles, log: Path, size: int, why: str) -> tuple[Restore, list[tuple[int, bool]]]:
    """Find out and record, while no writer is under way; returns the leaves lost now, and whether each is too old."""
    before = files.restore()
    with transaction.atomic(durable=True):
        last = _load(log, size)
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE audit_auditevent IN SHARE ROW EXCLUSIVE MODE")
            cursor.execute(_LOST, [MOST_OPEN])
            found = [(int(number), bool(old)) for number, old in cursor.fetchall()]
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            anew = size > before.size + before.count and cursor.fetchone()[0] <= last
            lost = [(number, old) for number, old in found if not before.has_lost(number)]
            if not lost and not anew:
                raise Refused("The database has every event that the log has. There is nothing to tell.")
            cursor.execute(_LEFT)
            left = ranges([int(event) for (event,) in cursor.fetchall()])
            cursor.execute(_FLOOR)
            floor = int(cursor.fetchone()[0])
            cursor.execute(_BUMP, [floor])
        restore = Restore(
            size=size,
            floor=floor,
            left=left,
            count=_count(left),
            lost=ranges(sorted({*_numbers(before.lost), *(number for number, _ in lost)})),
        )
        _record(restore, lost, why)
    return restore, lost


def _load(log: Path, size: int) -> int:
    """Every leaf into a table of this transaction; returns the last one's transaction."""
    last = 0
    with connection.cursor() as cursor:
        cursor.execute(_SEALED)
        with cursor.copy("COPY sealed FROM STDIN") as copy:
            for number, data in Folder(log, size).entries():
                leaf = leaves.read(data)
                copy.write_row((number, leaf.event, bytes.fromhex(leaf.commitment), leaf.time))
                last = leaf.transaction
        cursor.execute("CREATE INDEX ON sealed (event)")
        cursor.execute("ANALYZE sealed")
    return last


def _record(restore: Restore, lost: list[tuple[int, bool]], why: str) -> None:
    now_lost = ranges([number for number, _ in lost])
    unexplained = ranges([number for number, old in lost if old])
    recording.record(
        actor=system("seal"),
        kind=Kind.LOG_RESTORED,
        target=Target("log", "log"),
        detail={
            "why": why,
            "leaves": restore.size,
            "lost": [list(one) for one in now_lost],
            "lost_count": len(lost),
            "unexplained": [list(one) for one in unexplained],
            "unexplained_count": sum(old for _, old in lost),
            "left": [list(one) for one in restore.left],
            "left_count": restore.count,
            "floor": restore.floor,
        },
    )


def _words(restore: Restore, lost: list[tuple[int, bool]]) -> str:
    text = (
        f"Recorded: {len(lost)} of {restore.size} leaves name events that this database has lost; "
        f"{restore.count} events without a leaf are sealed now. New events are numbered from {restore.floor + 1}."
    )
    old = [number for number, is_old in lost if is_old]
    if old:
        text += (
            f" {len(old)} of the lost ones (the first is leaf {old[0]}) are older than a restore explains: "
            "somebody may have removed or changed them. The event says so too."
        )
    return text


def _numbers(found: Ranges) -> Iterable[int]:
    for first, last in found:
        yield from range(first, last + 1)


def _count(found: Ranges) -> int:
    return sum(last - first + 1 for first, last in found)
