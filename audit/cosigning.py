"""Witnesses' cosignatures: taken from anybody, kept only where a known witness signed a checkpoint of this log."""

import logging
import mmap
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from audit import recording
from audit.events import Actor, Kind, Target
from audit.models import Cosignature
from audit.tlog import folder, notes
from audit.tlog.notes import BadNote, Checkpoint, Verifier

log = logging.getLogger(__name__)

LONGEST = 16 * 1024
"""Bytes of a cosigned note."""
_MOST_LINES = 64
_DAYS = 31
"""How far back a checkpoint may lie that is cosigned now."""
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(hours=1)
"""How far a witness's clock may be ahead of ours."""
_OVERLAP = 1000
"""Rows that are looked at again: one with a lower number may have been committed later."""


class Refused(Exception):
    """A cosignature that is not taken: `status` and `code` are HTTP's and the problem document's."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


_INSERT = """
INSERT INTO audit_cosignature (size, root, witness, line, signed_at) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (witness, size) DO NOTHING RETURNING id
"""


def accept(note: bytes) -> tuple[Checkpoint, int]:
    """Keep the lines of known witnesses under a checkpoint that this log signed; how many were new.

    Sending the same again is harmless. Raises Refused."""
    text, lines, checkpoint = _read(note)
    signed = _signed(text, lines)
    if not _has_signed(Path(settings.LOG_DIR), text):
        raise Refused(422, "unknown_checkpoint", "This log has signed no such checkpoint lately.")
    new = 0
    for line, key, time in signed:
        new += _keep(checkpoint, line, key, time)
    return checkpoint, new


def _read(note: bytes) -> tuple[str, list[str], Checkpoint]:
    try:
        text, lines = notes.split(note.decode())
        checkpoint = notes.checkpoint(text)
    except ValueError as error:
        raise Refused(422, "invalid", f"This is no cosigned checkpoint: {error}") from error
    if checkpoint.text != text or len(lines) > _MOST_LINES:
        raise Refused(422, "invalid", "A checkpoint of this log has three lines, and at most 64 signatures.")
    return text, lines, checkpoint


def witnesses() -> list[Verifier]:
    """The keys in settings.WITNESSES that are keys of witnesses; a mistyped one is nobody's."""
    found = []
    for vkey in settings.WITNESSES:
        with suppress(BadNote):
            found.append(notes.verifier(vkey))
    return [key for key in found if key.kind == notes.COSIGNATURE]


def _signed(text: str, lines: list[str]) -> list[tuple[str, Verifier, datetime]]:
    """The lines by witnesses whose keys are known here, all of them right."""
    found = []
    for key in witnesses():
        for line in lines:
            try:
                signature = notes.check_line(text, line, key)
            except BadNote as error:
                raise Refused(403, "bad_signature", f"A signature does not hold: {error}.") from error
            if signature is not None and signature.time is not None:
                found.append((line, key, _time(signature.time)))
                break
    if not found:
        raise Refused(403, "unknown_witness", "None of the signatures is by a witness that is known here.")
    return found


def _time(seconds: int) -> datetime:
    with suppress(ValueError, OverflowError, OSError):
        time = datetime.fromtimestamp(seconds, UTC)
        if _EARLIEST <= time <= timezone.now() + _AHEAD:
            return time
    raise Refused(422, "invalid", "The witness's clock is wrong: it signed at a time that cannot be.")


def _has_signed(path: Path, text: str) -> bool:
    """Whether this very text stands, signed, among the checkpoints that the log kept, of the last days."""
    wanted = text.encode() + "\n— ".encode()
    days = sorted((path / "checkpoints").glob("????-??-??"), reverse=True)
    return any(_is_in(day, wanted) for day in days[:_DAYS])


def _is_in(day: Path, wanted: bytes) -> bool:
    """Whether a note begins like this. A busy day has tens of megabytes, so it is searched, not read."""
    if not day.stat().st_size:
        return False
    with day.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(wanted)
        while at > 0 and data[at - 1 : at] != b"\n":
            at = data.find(wanted, at + 1)
        return at >= 0


def _keep(checkpoint: Checkpoint, line: str, key: Verifier, time: datetime) -> int:
    """1 where it was not there yet. The witness acts as the system, by its key: it is no person or agent of ours."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(_INSERT, [checkpoint.size, checkpoint.root, key.name[:200], line, time])
        if cursor.fetchone() is None:
            return 0
        recording.record(
            actor=Actor("system", f"witness {key.key_id.hex()}", key.name[:200]),
            kind=Kind.LOG_COSIGNED,
            target=Target("checkpoint", str(checkpoint.size)),
            detail={"witness": key.name, "root": checkpoint.root.hex(), "signed_at": time.isoformat()},
        )
    return 1


_done: dict[Path, set[int]] = {}
"""Rows that each folder has, the latest of them; forgotten with the process, which then looks at all again."""


def collect(path: Path) -> int:
    """Put new lines into `cosignatures/<size>`; how many. For the sealer alone.

    The files are the truth: a line in a file stays, whatever becomes of its row; a row that does not hold against the
    log's name and the witnesses' keys stays out."""
    done = _done.setdefault(path, set())
    ids = Cosignature.objects.filter(id__gt=max(done, default=0) - _OVERLAP).values_list("id", flat=True)
    rows = Cosignature.objects.filter(id__in=set(ids) - done).order_by("id")
    by_size: defaultdict[int, list[Cosignature]] = defaultdict(list)
    for row in rows:
        by_size[row.size].append(row)
    new = sum(_collect(path, size, of_size) for size, of_size in sorted(by_size.items()))
    done.update(row.pk for of_size in by_size.values() for row in of_size)
    latest = max(done, default=0)
    done.difference_update([one for one in done if one <= latest - _OVERLAP])
    return new


def _collect(path: Path, size: int, rows: list[Cosignature]) -> int:
    file = path / f"cosignatures/{size}"
    origin = notes.verifier((path / "key").read_text(encoding="utf-8")).name
    try:
        text, lines = notes.split(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        text, lines = "", []
    new = 0
    for row in rows:
        signed = Checkpoint(origin, row.size, bytes(row.root)).text
        if row.line not in lines and _holds(signed, row) and text in ("", signed):
            text, new = signed, new + 1
            lines.append(row.line)
    if new:
        folder.write(file, f"{text}\n{''.join(lines)}".encode())
    return new


def _holds(text: str, row: Cosignature) -> bool:
    try:
        if notes.check_line(text, row.line, *witnesses()) is not None:
            return True
        why = "by nobody who is known"
    except BadNote as error:
        why = str(error)
    log.warning("cosignature_left_out of %d by %s: %s", row.size, row.witness, why)
    return False
