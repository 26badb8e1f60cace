"""Events as the lines of an export: what `manage.py audit_verify` reads, on any machine.

An export is a copy of the log's folder as of one checkpoint, the rows of its events in the order of their leaves, and a
manifest that is written last. Nothing of it is secret but what the events and texts say."""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypedDict

from django.db import connection, transaction
from msgspec import json

from audit import exported_content, recording
from audit.events import Actor, Kind, Target
from audit.models import AuditEvent
from audit.tlog import leaves, notes, tiles
from audit.tlog.rows import PER_FILE, file_name
from audit.tlog.signed import sizes_in
from audit.tlog.verify import MANIFEST, UNFINISHED

PATIENCE = 10.0
"""Seconds for the sealer to note in the database what its files already have."""

_COLUMNS = (
    "e.id, e.transaction::text,"
    """ to_char(e.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), e.kind, e.actor_kind, e.actor_id,"""
    " e.object_type, e.object_id, e.object_version, e.content, encode(e.salt, 'hex'), encode(e.commitment, 'hex')"
)
_LINES = f"""
SELECT l.number, {_COLUMNS} FROM audit_auditleaf l JOIN audit_auditevent e ON e.id = l.event
WHERE l.number >= %s AND l.number < %s ORDER BY l.number
"""  # noqa: S608 - constants only
_LEAFLESS = f"""
SELECT NULL, {_COLUMNS} FROM audit_auditevent e
WHERE NOT EXISTS (SELECT FROM audit_auditleaf l WHERE l.event = e.id AND l.number >= 0 AND l.number < %s)
AND (e.transaction, e.id) {{}} (%s, %s) ORDER BY e.id
"""  # noqa: S608
_NOTE = re.compile(rb"[^\n]+\n(\d+)\n[^\n]+\n\n(?:\xe2\x80\x94 [^\n]+\n)+")


class Line(TypedDict):
    """One event. `leaf` is its number in the tree, None while it has none; `content` is the exact text that
    `commitment` = SHA-256(salt ‖ content) covers; bytes are in hexadecimal, numbers beyond 2^53 in decimal text."""

    leaf: int | None
    event: int
    transaction: str
    recorded_at: str
    kind: str
    actor_kind: str
    actor_id: str
    object_type: str
    object_id: str
    object_version: int | None
    content: str
    salt: str
    commitment: str


_FIELDS = tuple(Line.__annotations__)


def line(event: AuditEvent, leaf: int | None) -> Line:
    """The line of one event; `leaf` is `AuditLeaf.number`."""
    return Line(
        leaf=leaf,
        event=event.pk,
        transaction=str(event.transaction),
        recorded_at=leaves.written(event.recorded_at),
        kind=event.kind,
        actor_kind=event.actor_kind,
        actor_id=event.actor_id,
        object_type=event.object_type,
        object_id=event.object_id,
        object_version=event.object_version,
        content=event.content,
        salt=bytes(event.salt).hex(),
        commitment=bytes(event.commitment).hex(),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """Which events: leaves `first` up to and with `last` (None: to the end), or those recorded from the day `since` up
    to and with the day `until`, in UTC. `content`: kept texts too, as far as they can still be opened."""

    first: int = 0
    last: int | None = None
    since: date | None = None
    until: date | None = None
    content: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """Leaves `first` up to, not including, `end`, of `size`. `unsealed` rows have no leaf and should have one;
    `pending` ones were too new."""

    size: int
    first: int
    end: int
    events: int
    unsealed: int
    pending: int
    contents: int


class Refused(Exception):
    """Its text says why nothing was exported, and what to do."""


def export(*, log: Path, into: Path, asked: Asked, actor: Actor) -> Exported:
    """Write the log's files and the events' lines into a new directory; memory does not grow with the log.

    That it was asked for is recorded first, so an export that breaks off is known too. Raises Refused, OSError."""
    note, checkpoint = _checkpoint(log)
    size = checkpoint.size
    _await_index(size)
    first, end = _range(asked, size)
    _make(into)
    with transaction.atomic(durable=True):
        recording.record(
            actor=actor,
            kind=Kind.LOG_EXPORTED,
            target=Target("log", "log"),
            detail={
                "first": first,
                "last": end - 1,
                "size": size,
                "content": asked.content,
                "form": "directory",
            },
        )
    _copy_log(log, into, note, size)
    named: set[str] = set()
    events = sum(
        _write(into / file_name(start // PER_FILE), _lines(start, stop), named if asked.content else None)
        for start, stop in _spans(first, end)
    )
    unsealed, pending = _leafless(into, log, size)
    contents = exported_content.write(into / "content", named) if asked.content else 0
    manifest = {
        "version": 1,
        "made_at": leaves.written(datetime.now(UTC)),
        "origin": checkpoint.origin,
        "size": size,
        "root": checkpoint.root.hex(),
        "events": {
            "first": first,
            "count": end - first,
            "written": events,
            "unsealed": unsealed,
            "pending": pending,
        },
        "with_content": asked.content,
        "contents": contents,
    }
    (into / MANIFEST).write_bytes(json.format(json.encode(manifest)) + b"\n")
    (into / UNFINISHED).unlink()
    return Exported(size, first, end, events, unsealed, pending, contents)


def _checkpoint(log: Path) -> tuple[bytes, notes.Checkpoint]:
    """The newest, whose signature is the verifier's to check. Raises Refused."""
    try:
        note = (log / "checkpoint").read_bytes()
        return note, notes.checkpoint(notes.split(note.decode())[0])
    except FileNotFoundError as error:
        raise Refused(
            f"There is no checkpoint in {log}: nothing was sealed yet. Start the sealer (manage.py seal; `make run` "
            "does), or set COUNTERSIGN_LOG_DIR to where it writes."
        ) from error
    except (notes.BadNote, UnicodeDecodeError) as error:
        raise Refused(
            f"{log / 'checkpoint'} is damaged ({error}). Bring it back; see manage.py seal."
        ) from error


def _make(into: Path) -> None:
    """Raises Refused where something is there already."""
    try:
        into.mkdir(parents=True)
    except FileExistsError as error:
        if (into / UNFINISHED).exists():
            raise Refused(
                f"{into} holds an export that was interrupted. Remove it (rm -r {into}) and export again."
            ) from error
        raise Refused(f"{into} is there already. Name a directory that is not there yet.") from error
    (into / UNFINISHED).write_text(
        "This export was interrupted, or is still being written. It cannot be verified.\n", encoding="utf-8"
    )


def _await_index(size: int) -> None:
    """The sealer publishes first and fills the index after; what is still missing then, the verifier will tell."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT coalesce(max(number) + 1, 0) FROM audit_auditleaf")
            if cursor.fetchone()[0] >= size:
                return
        time.sleep(0.05)


def _range(asked: Asked, size: int) -> tuple[int, int]:
    """First leaf, and the one after the last. Raises Refused for none at all."""
    first, end = asked.first, size if asked.last is None else min(asked.last + 1, size)
    if asked.since or asked.until:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT min(l.number), max(l.number) + 1 FROM audit_auditleaf l JOIN audit_auditevent e"
                " ON e.id = l.event WHERE e.recorded_at >= (%s::date)::timestamp AT TIME ZONE 'UTC'"
                " AND e.recorded_at < (%s::date + 1)::timestamp AT TIME ZONE 'UTC'",
                [asked.since or date(1970, 1, 1), asked.until or date(9999, 12, 30)],
            )
            low, high = cursor.fetchone()
        first, end = max(first, low if low is not None else size), min(end, high or 0)
    if not 0 <= first < end:
        raise Refused(f"No event is there to export: the log has the leaves 0 to {size - 1}.")
    return first, end


def _spans(first: int, end: int) -> Iterator[tuple[int, int]]:
    """The same stretches as the files."""
    while first < end:
        stop = min(end, first - first % PER_FILE + PER_FILE)
        yield first, stop
        first = stop


def _lines(start: int, stop: int) -> Iterator[bytes]:
    """One query by the index for one file: no transaction stays open, whatever else the export waits for."""
    with connection.cursor() as cursor:
        cursor.execute(_LINES, [start, stop])
        yield from _encoded(cursor.fetchall())


def _encoded(rows: list[tuple[Any, ...]]) -> Iterator[bytes]:
    encode = json.Encoder().encode
    for row in rows:
        yield encode(dict(zip(_FIELDS, row, strict=True)))


def _write(path: Path, lines: Iterator[bytes], named: set[str] | None = None) -> int:
    """How many lines. Texts that they name are noted in `named`."""
    path.parent.mkdir(exist_ok=True)
    count = 0
    with path.open("wb") as file:
        for data in lines:
            count += 1
            file.write(data + b"\n")
            if named is not None and b'\\"commitment\\":' in data:
                named.update(exported_content.named_in(data))
    return count


def _leafless(into: Path, log: Path, size: int) -> tuple[int, int]:
    """Rows older than the last leaf that have none: no honest log has any. And how many were too new to be sealed."""
    last = _last_leaf(log, size)
    with connection.cursor() as cursor:
        cursor.execute(_LEAFLESS.format("<="), [size, *last])
        unsealed = _write(into / "events" / "unsealed.jsonl", _encoded(cursor.fetchall()))
        cursor.execute(f"SELECT count(*) FROM ({_LEAFLESS.format('>')}) newer", [size, *last])  # noqa: S608
        pending = int(cursor.fetchone()[0])
    if not unsealed:
        (into / "events" / "unsealed.jsonl").unlink()
    return unsealed, pending


def _last_leaf(log: Path, size: int) -> tuple[int, int]:
    """(transaction, event), from the files: the database's own index may be what was tampered with."""
    number, offset = divmod(size - 1, tiles.WIDTH)
    width = min(tiles.WIDTH, size - number * tiles.WIDTH)
    for name in (tiles.entries_path(number, width), tiles.entries_path(number)):
        with suppress(OSError, ValueError, IndexError):
            leaf = leaves.read(list(tiles.unbundle((log / name).read_bytes()))[offset])
            return leaf.transaction, leaf.event
    return 0, 0


def _copy_log(log: Path, into: Path, note: bytes, size: int) -> None:
    """What belongs to this checkpoint; the sealer may be at work. A file that is missing is missing in the export too,
    and the verifier says so."""
    (into / "checkpoint").write_bytes(note)
    _copy(log / "key", into / "key")
    for number in range(-(-size // tiles.WIDTH)):
        width = min(tiles.WIDTH, size - number * tiles.WIDTH)
        _copy_bundle(log, into, number, width)
    count, level = size, 0
    while count:
        for number in range(-(-count // tiles.WIDTH)):
            _copy_tile(log, into, level, number, min(tiles.WIDTH, count - number * tiles.WIDTH))
        count, level = count >> tiles.HEIGHT, level + 1
    for day in sorted((log / "checkpoints").glob("[0-9]*")):
        _copy_day(day, into / "checkpoints" / day.name, size)
    for kind, suffixes in (("timestamps", (".txt", ".tsr")), ("cosignatures", ("",))):
        for suffix in suffixes:
            for at in sizes_in(log / kind, suffix):
                if at <= size:
                    _copy(log / kind / f"{at}{suffix}", into / kind / f"{at}{suffix}")


def _copy(source: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        shutil.copyfile(source, target)
        return True
    return False


def _copy_bundle(log: Path, into: Path, number: int, width: int) -> None:
    """A partial bundle may be gone by now, its full one there; then its beginning is written."""
    name, whole = tiles.entries_path(number, width), tiles.entries_path(number)
    if not _copy(log / name, into / name) and width < tiles.WIDTH:
        with suppress(OSError, ValueError):
            part = list(tiles.unbundle((log / whole).read_bytes()))[:width]
            (into / name).write_bytes(tiles.bundle(part))


def _copy_tile(log: Path, into: Path, level: int, number: int, width: int) -> None:
    name, whole = tiles.tile_path(level, number, width), tiles.tile_path(level, number)
    if not _copy(log / name, into / name) and width < tiles.WIDTH:
        with suppress(OSError):
            (into / name).write_bytes((log / whole).read_bytes()[: width * tiles.HASH])


def _copy_day(day: Path, target: Path, size: int) -> None:
    """A day's checkpoints as far as they are not newer than the export's."""
    data = day.read_bytes()
    newer = next((match.start() for match in _NOTE.finditer(data) if int(match[1]) > size), len(data))
    if newer:
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(data[:newer])
