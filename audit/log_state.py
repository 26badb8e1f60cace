"""How the log is: what it says of itself, what is wrong with it and what to do about it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from audit import anchoring, log_reader, watch
from audit.models import AuditEvent, AuditLeaf, Cosignature, SealerState
from audit.search import LATE
from audit.tlog import notes

WITNESSED = timedelta(days=1)
"""How old a witness's newest cosignature may be, before somebody should look."""
COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, what that means, what to do."""

    what: str
    means: str
    do: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Events that are younger than the last leaf: how many (counted up to COUNTED) and since when the oldest waits."""

    count: int
    oldest: datetime | None

    @property
    def is_more(self) -> bool:
        return self.count >= COUNTED


@dataclass(frozen=True, slots=True)
class Witness:
    """One whose cosignatures are taken, and the newest that came."""

    name: str
    latest: Cosignature | None


@dataclass(slots=True)
class LogState:
    """Everything the page says; `files` is None where the log's files are not here or do not hold."""

    now: datetime
    waiting: Waiting
    leaves: int
    sealer: SealerState | None
    files: log_reader.OpenLog | None = None
    files_fault: str = ""
    stamps: list[log_reader.Stamped] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def brief() -> list[Problem]:
    """What is wrong, for the line above the explorer: the sealer and the events that wait, no files."""
    now = timezone.now()
    return [*_of_sealer(_sealer(), now), *_of_waiting(_waiting(), now)]


def whole() -> LogState:
    """Everything. Reads the log's files, a few queries and no event's content."""
    now = timezone.now()
    state = LogState(now, _waiting(), AuditLeaf.objects.count(), _sealer())
    state.problems = [*_of_sealer(state.sealer, now), *_of_waiting(state.waiting, now)]
    path = Path(settings.LOG_DIR)
    try:
        state.files = log_reader.opened(path)
    except log_reader.NotReadable as error:
        state.files_fault = str(error)
        state.problems.append(_of_files(state, path))
    state.stamps = log_reader.timestamps(path)
    state.witnesses = _witnesses()
    state.problems += [*_of_size(state), *_of_stamps(path, now), *_of_witnesses(state, now)]
    return state


def _sealer() -> SealerState | None:
    return SealerState.objects.filter(pk=1).first()


_LAST = """
SELECT e.transaction, e.id FROM audit_auditleaf l JOIN audit_auditevent e ON e.id = l.event
ORDER BY l.number DESC LIMIT 1
"""
_WAITING = """
SELECT count(*), min(recorded_at) FROM (
  SELECT recorded_at FROM audit_auditevent e WHERE (e.transaction, e.id) > (%s, %s)
  ORDER BY e.transaction, e.id LIMIT %s) waiting
"""


def _waiting() -> Waiting:
    with connection.cursor() as cursor:
        cursor.execute(_LAST)
        last = cursor.fetchone() or (0, 0)
        cursor.execute(_WAITING, [*last, COUNTED])
        count, oldest = cursor.fetchone()
    return Waiting(count, oldest)


def _witnesses() -> list[Witness]:
    newest = {
        one.witness: one for one in Cosignature.objects.order_by("witness", "-size").distinct("witness")
    }
    names = []
    for vkey in settings.WITNESSES:
        try:
            names.append(notes.verifier(vkey).name)
        except notes.BadNote:
            names.append(vkey[:80])
    return [Witness(name, newest.get(name)) for name in names]


def _of_sealer(sealer: SealerState | None, now: datetime) -> list[Problem]:
    if sealer is None:
        return [
            Problem(
                "No sealer has ever reported",
                "Events are recorded, but nothing puts them into the log that others can verify.",
                "Start the sealer: manage.py seal. Where make run supervises, it belongs to it.",
            )
        ]
    found = []
    if sealer.problem:
        found.append(
            Problem(
                f"The sealer cannot go on: {sealer.problem}",
                "Nothing is sealed, and decisions are refused until it can write again.",
                "Remove the cause. After a restore from a backup, an admin runs manage.py seal --after-restore.",
            )
        )
    if now - sealer.beat_at > watch.SILENT:
        found.append(
            Problem(
                "The sealer is silent",
                "It writes a sign of life all the time; now it is dead, or cut off from the database.",
                "Look at its output on the host where it runs, and start it again.",
            )
        )
    return found


def _of_waiting(waiting: Waiting, now: datetime) -> list[Problem]:
    if waiting.oldest is None or now - waiting.oldest <= LATE:
        return []
    stall = watch.behind()
    return [
        Problem(
            "Events have waited for more than five minutes",
            "Until they are sealed, whoever owns the database could change them unseen.",
            stall.why if stall else "They have been sealed while this page was made: look again.",
        )
    ]


def _of_files(state: LogState, path: Path) -> Problem:
    if state.leaves and not (path / "key").exists():
        return Problem(
            state.files_fault,
            "Proofs cannot be shown here. Elsewhere the log may be in good order.",
            "Set COUNTERSIGN_LOG_DIR to where the sealer writes, or read the pages on the sealer's host.",
        )
    if not (path / "checkpoint").exists():
        return Problem(
            state.files_fault,
            "Nothing has been sealed yet, as far as this host can see.",
            "A sealer that runs writes the first checkpoint within seconds.",
        )
    return Problem(
        state.files_fault,
        "Somebody or something has changed the log's files, or a disk has failed.",
        "Keep everything as it is, copy the folder and run manage.py audit_verify on the copy.",
    )


def _of_size(state: LogState) -> list[Problem]:
    if state.files is None or state.leaves >= state.files.checkpoint.size:
        return []
    return [
        Problem(
            f"The checkpoint has {state.files.checkpoint.size} leaves, the database knows {state.leaves}",
            "Rows of the index are missing: the database is older than the log's files, or was cut.",
            "Do not restart anything. Compare by manage.py audit_verify; after a restore say so to the sealer.",
        )
    ]


def _of_stamps(path: Path, now: datetime) -> list[Problem]:
    """A log that has not grown needs no new timestamp; the sealer writes down what is due and what failed."""
    late = anchoring.overdue(path, now)
    if late is None:
        return []
    return [
        Problem(
            f"A timestamp has been due since {late.since:%Y-%m-%d %H:%M} UTC: {late.problem}",
            "Nobody outside vouches for when the log became what it is now.",
            "See whether the timestamp authority can be reached from the sealer's host, and whether "
            "COUNTERSIGN_TIMESTAMP_ROOTS names its root. Trying goes on by itself.",
        )
    ]


def _of_witnesses(state: LogState, now: datetime) -> list[Problem]:
    return [
        Problem(
            f"The witness {one.name} has not cosigned for a day",
            "Nobody outside has confirmed since then that the log only grows.",
            "Ask whoever runs it. A witness that refuses may have found a contradiction: take that seriously.",
        )
        for one in state.witnesses
        if state.files and (one.latest is None or now - one.latest.signed_at > WITNESSED)
    ]


def latest(kind: str) -> AuditEvent | None:
    """The newest event of this kind about the log. Readings of it are about another object and not in the way."""
    return AuditEvent.objects.filter(object_type="log", object_id="log", kind=kind).order_by("-id").first()
