"""What ties the log to people and clocks outside: timestamps of an authority, cosignatures of witnesses.

The sealer calls `attend` every few seconds in a thread beside its work, and is the only one who does: it alone writes
the log's folder. Nothing here may stop the sealing."""

import json
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from audit import cosigning, stamping
from audit.stamping import NoTimestamp
from audit.tlog import folder, notes, timestamps
from audit.tlog.notes import BadNote, Checkpoint

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
"""Between two timestamps, while the log grows. A log that has not grown needs none: the older stamp says more."""
LATE = timedelta(hours=2)
"""After a timestamp was due. With EVERY: three hours after the last one that succeeded."""
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Attempts:
    """How asking the authority goes: since when a stamp is due, and what failed. Times are ISO 8601, or empty."""

    due_since: str = ""
    tried_at: str = ""
    failures: int = 0
    problem: str = ""

    def is_pausing(self, now: datetime) -> bool:
        """Twice as long after each failure."""
        if not self.tried_at or not self.failures:
            return False
        pause = min(_FIRST_PAUSE * (1 << min(self.failures - 1, 10)), _LONGEST_PAUSE)
        return timedelta() <= now - datetime.fromisoformat(self.tried_at) < pause


@dataclass(frozen=True, slots=True)
class Overdue:
    """No timestamp succeeded for so long that somebody has to look: since when one is due, and why there is none."""

    since: datetime
    problem: str


def attend() -> None:
    """Do what is due. Raises what it cannot foresee; the caller writes that down and calls again."""
    close_old_connections()
    try:
        collect_cosignatures()
    finally:
        path, now = Path(settings.LOG_DIR), timezone.now()
        if due(path, now):
            with suppress(NoTimestamp):  # written down by `stamp`
                stamp(path, now)


def collect_cosignatures() -> int:
    """Put what witnesses have handed in into the folder; how many lines were new."""
    return cosigning.collect(Path(settings.LOG_DIR))


def due(path: Path, now: datetime) -> bool:
    """Whether the authority is to be asked now: the log has grown, the last stamp is an hour old, no pause runs."""
    attempts = _attempts(path)
    return _is_due(path, now) and not attempts.is_pausing(now)


def _is_due(path: Path, now: datetime) -> bool:
    newest = _newest(path) if settings.TIMESTAMP_URL else None
    if newest is None or newest.size == 0:
        return False
    last = latest_stamp(path)
    if last is None:
        return True
    size, time = last
    return newest.size > size and abs(now - time) >= EVERY


def stamp(path: Path, now: datetime) -> timestamps.Stamp:
    """Have the newest checkpoint stamped and put the timestamp into the folder.

    Raises NoTimestamp, after writing down why; the pages show it once the stamp is late."""
    newest = _newest(path)
    if newest is None:
        raise NoTimestamp("There is no checkpoint yet.")
    before = _attempts(path)
    since = before.due_since or now.isoformat()
    text = newest.text.encode()
    try:
        roots = stamping.roots(Path(settings.TIMESTAMP_ROOTS))
        response, found = stamping.stamp(text, url=settings.TIMESTAMP_URL, roots=roots)
    except NoTimestamp as error:
        failed = Attempts(since, now.isoformat(), before.failures + 1, str(error))
        _note(path, failed)
        if failed.problem != before.problem:
            log.warning("no_timestamp: %s", error)
        raise
    _drop_lonely_texts(path)
    folder.write(path / f"timestamps/{newest.size}.txt", text)
    folder.write(path / f"timestamps/{newest.size}.tsr", response)
    _note(path, Attempts())
    return found


def overdue(path: Path, now: datetime) -> Overdue | None:
    """An alarm where an authority is configured and has not stamped for three hours what it should have."""
    attempts = _attempts(path)
    if not settings.TIMESTAMP_URL or not attempts.due_since:
        return None
    since = datetime.fromisoformat(attempts.due_since)
    return Overdue(since, attempts.problem) if now - since >= LATE else None


def latest_stamp(path: Path) -> tuple[int, datetime] | None:
    """For how many leaves the newest timestamp is, and its time; one that does not hold is passed over."""
    sizes = [int(file.stem) for file in (path / "timestamps").glob("*.tsr") if file.stem.isdecimal()]
    for size in sorted(sizes, reverse=True):
        with suppress(OSError, timestamps.BadTimestamp):
            text = (path / f"timestamps/{size}.txt").read_bytes()
            response = (path / f"timestamps/{size}.tsr").read_bytes()
            return size, timestamps.check(response, text, None).time
    return None


def _newest(path: Path) -> Checkpoint | None:
    with suppress(OSError, BadNote, UnicodeDecodeError):
        key = notes.verifier((path / "key").read_text(encoding="utf-8"))
        return notes.opened((path / "checkpoint").read_text(encoding="utf-8"), key)
    return None


def _attempts(path: Path) -> Attempts:
    try:
        found = Attempts(**json.loads((path / "timestamps/state.json").read_text(encoding="utf-8")))
        for time in (found.due_since, found.tried_at):
            if time:
                datetime.fromisoformat(time).astimezone()
    except (OSError, ValueError, TypeError):
        return Attempts()
    return found


def _note(path: Path, attempts: Attempts) -> None:
    folder.write(path / "timestamps/state.json", json.dumps(asdict(attempts), indent=1).encode())


def _drop_lonely_texts(path: Path) -> None:
    """What a crash between text and timestamp left."""
    for text in (path / "timestamps").glob("*.txt"):
        if not text.with_suffix(".tsr").exists():
            text.unlink(missing_ok=True)
