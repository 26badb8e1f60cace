"""What the sealer alone does to the log's folder besides appending: publish, keep every checkpoint, tidy after a crash.

No Django in here."""

import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from audit.sealer_files import flush_directory
from audit.tlog import folder, notes, tiles
from audit.tlog.folder import Damaged
from audit.tlog.notes import BadNote, Verifier

_END = re.compile(rb"^\xe2\x80\x94 [^\n]*\n", re.MULTILINE)
_DRAFT = re.compile(r"\..+\.\d+")  # as folder.write names them
_TAIL = 16_384
"""Bytes: dozens of notes; a crash tears one."""


def published(path: Path) -> str | None:
    try:
        return (path / "checkpoint").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def publish(path: Path, note: str) -> None:
    folder.write(path / "checkpoint", note.encode())


def keep(path: Path, note: str, *, at: datetime) -> None:
    """Append to the day's checkpoints. A clock that was set back does not open an earlier day again."""
    days = path / "checkpoints"
    days.mkdir(parents=True, exist_ok=True)
    newest = _newest_day(path)
    day = days / max(at.date().isoformat(), newest.name if newest else "")
    is_new = not day.exists()
    with day.open("ab") as file:
        file.write(note.encode())
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        flush_directory(days)


def newest_kept(path: Path, known: Verifier) -> str | None:
    """The last whole note of the newest day; what a crash tore off behind it is cut away.

    Raises Damaged where the file's end holds no note of this log at all."""
    day = _newest_day(path)
    if day is None:
        return None
    size = day.stat().st_size
    with day.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    ends = [found.end() for found in _END.finditer(tail)]
    for start, end in reversed(list(zip([0, *ends], ends, strict=False))):
        note = tail[start:end].decode(errors="replace")
        with suppress(BadNote):
            notes.opened(note, known)
            if end < len(tail):
                os.truncate(day, size - len(tail) + end)
            return note
    if ends or size > _TAIL:
        raise Damaged(f"checkpoints/{day.name} does not end in a checkpoint of this log")
    day.unlink()  # the very first note of a day, torn
    return newest_kept(path, known)


def in_day(day: Path) -> list[str]:
    """The whole notes of one day, unchecked."""
    data = day.read_bytes()
    ends = [found.end() for found in _END.finditer(data)]
    return [data[start:end].decode(errors="replace") for start, end in zip([0, *ends], ends, strict=False)]


def _newest_day(path: Path) -> Path | None:
    with suppress(FileNotFoundError):
        return max((path / "checkpoints").glob("????-??-??"), default=None)
    return None


def cut(path: Path, size: int) -> None:
    """Take away what was written behind the first `size` leaves and never signed, and unfinished drafts.

    Repeated sealing would find the same leaves; after a restore that somebody told, it would not."""

    def hashes(data: bytes, width: int) -> bytes:
        return data[: width * tiles.HASH]

    def entries(data: bytes, width: int) -> bytes:
        return tiles.bundle(list(tiles.unbundle(data))[:width])

    _drop_drafts(path)
    _cut_row(path, tiles.entries_path, size, entries)
    for shelf in count():
        if not (path / "tile" / str(shelf)).is_dir():
            return
        _cut_row(
            path,
            lambda number, width=tiles.WIDTH, shelf=shelf: tiles.tile_path(shelf, number, width),
            size >> tiles.HEIGHT * shelf,
            hashes,
        )


def _cut_row(path: Path, place: Callable[..., str], total: int, first: Callable[[bytes, int], bytes]) -> None:
    """One row of files of which the first `total` items stay."""
    number, width = divmod(total, tiles.WIDTH)
    full = path / place(number)
    partial = full.with_name(f"{full.name}.p")
    _drop_drafts(full.parent)
    _drop_drafts(partial)
    if width:
        if full.exists():
            folder.write_once(partial / str(width), first(full.read_bytes(), width))
            full.unlink()
        for other in partial.iterdir() if partial.is_dir() else ():
            if int(other.name) > width:
                other.unlink()
        number += 1
    behind = []
    for later in count(number):
        full = path / place(later)
        partial = full.with_name(f"{full.name}.p")
        if not full.exists() and not partial.exists():
            break
        behind.append((full, partial))
    for full, partial in reversed(behind):  # a crash on the way leaves no gap that would hide the rest
        full.unlink(missing_ok=True)
        shutil.rmtree(partial, ignore_errors=True)


def _drop_drafts(directory: Path) -> None:
    with suppress(FileNotFoundError):
        for file in directory.iterdir():
            if _DRAFT.fullmatch(file.name):
                file.unlink()
