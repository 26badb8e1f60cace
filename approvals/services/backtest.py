"""Backtests of uploaded behaviour: take a file, run the tier model over it in a worker, keep the result for a while.

A web process only stores the file. One worker in the whole installation runs one backtest at a time, under a session
lock of PostgreSQL: whoever dies loses the lock with his connection, the clock finds the row still unfinished, and the
next one begins again from the file. A run depends on file and options alone, so beginning again changes nothing."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from accounts.exceptions import Conflict, NotAllowed, NotFound
from accounts.models import User
from agents import backtest_lines, backtest_report
from agents import selectors as agents
from agents.backtest_lines import Reading
from agents.backtest_report import Options, Report
from approvals.models import Backtest
from audit import recording
from audit.events import Kind, Target

log = structlog.get_logger(__name__)
MAX_BYTES = 10 * 1024 * 1024
KEPT = timedelta(days=30)
MOST_WAITING = 3
MOST_KEPT = 20
_LOCK = 0x6261636B74657374  # "backtest"
_PAUSE = 0.005
"""Seconds for other threads of the worker after every piece: the clock's tick must not wait for arithmetic."""
_EVERY = 0.4
"""Seconds between two looks at how far it is."""
State = Backtest.State
_OPEN = (State.WAITING, State.RUNNING)


class TooMany(Conflict):
    """This person's earlier ones have to end, or to go, first."""

    code = "too_many_backtests"
    title = "Too many backtests"


def may_backtest(user: User) -> bool:
    """Owners and managers of agents, admins, auditors."""
    return user.is_active and (user.reads_everything or agents.visible_agents(user).exists())


def check_may_backtest(user: User) -> None:
    if not may_backtest(user):
        raise NotAllowed("Backtests are for owners and managers of agents, auditors and admins.")


def own(user: User, backtest_id: int) -> Backtest:
    """One of this person's uploads, without its content. Raises `NotFound`."""
    check_may_backtest(user)
    found = Backtest.objects.defer("content").filter(owner=user, pk=backtest_id).first()
    if found is None:
        raise NotFound("There is no such backtest of yours.")
    return found


def upload(*, name: str, content: bytes, options: Options, actor: User) -> Backtest:
    """Store a file; the clock has it run."""
    check_may_backtest(actor)
    if len(content) > MAX_BYTES:
        raise Conflict(f"The file has {len(content):,} bytes; at most {MAX_BYTES:,} are taken.")
    with transaction.atomic(durable=True):
        User.objects.select_for_update(of=("self",), no_key=True).get(pk=actor.pk)
        mine = Backtest.objects.filter(owner=actor)
        if mine.filter(state__in=_OPEN).count() >= MOST_WAITING:
            raise TooMany(f"{MOST_WAITING} of yours are waiting or running. Wait for one, or remove it.")
        if mine.count() >= MOST_KEPT:
            raise TooMany(f"You keep {MOST_KEPT} of them. Remove one first.")
        made = Backtest.objects.create(
            owner=actor,
            name=_plain(name),
            content=content,
            options=options.as_json(),
            created_at=timezone.now(),
        )
        recording.record(
            actor=actor.actor(),
            kind=Kind.BACKTEST_UPLOADED,
            target=Target("backtest", str(made.pk)),
            detail={"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        )
        return made


def remove(*, backtest_id: int, actor: User) -> None:
    """Take one's own upload away, finished or not; a run that is under way notices and ends."""
    with transaction.atomic(durable=True):
        found = Backtest.objects.select_for_update(of=("self",)).filter(pk=backtest_id, owner=actor).first()
        if found is None:
            raise NotFound("There is no such backtest of yours.")
        found.delete()
        recording.record(
            actor=actor.actor(), kind=Kind.BACKTEST_REMOVED, target=Target("backtest", str(backtest_id))
        )


def _plain(name: str) -> str:
    """A file's name as it can be shown: the last part, printable, never empty."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(char for char in last if char.isprintable()).strip()[:200] or "file.jsonl"


# ── The clock and the worker ──────────────────────────────────────────────────────────────────────────────────────────


def sweep(*, now: datetime) -> int:
    """Uploads older than 30 days go, whatever became of them."""
    return Backtest.objects.filter(created_at__lt=now - KEPT).delete()[0]


def is_waiting() -> bool:
    """Whether there is one to run and nobody runs any: never begun, or its worker was killed."""
    if not Backtest.objects.filter(state__in=_OPEN).exists():
        return False
    with _alone() as alone:
        return alone


def run_waiting() -> int:
    """Run what waits, the oldest first, until nothing does; nothing where another worker is at it already."""
    count = 0
    with _alone() as alone:
        while alone and (found := Backtest.objects.filter(state__in=_OPEN).order_by("id").first()):
            _run(found)
            count += 1
    return count


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether this connection holds the one lock, for the time of the block; it ends with the connection at latest."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        row = cursor.fetchone()
    alone = bool(row and row[0])
    try:
        yield alone
    finally:
        if alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


class _Gone(Exception):
    """The row was removed while it ran."""


def _run(row: Backtest) -> None:
    try:
        _computed(row)
    except _Gone:
        return
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - a file that the model cannot digest must not be begun for ever
        log.error("backtest_failed", backtest=row.pk, error=repr(error)[:300])
        _finish(row, State.FAILED, error="It could not be computed; the log says why.")


def _computed(row: Backtest) -> None:
    content, options = bytes(row.content), Options.from_json(row.options)
    total = max(1, content.count(b"\n")) * (1 + options.seeds)
    meter = _Meter(row.pk, total)
    reading = backtest_lines.read(backtest_lines.lines_of(content), tell=meter.tell)
    if reading.faults:
        faults = [{"line": one.line, "field": one.field, "remedy": one.remedy} for one in reading.faults]
        _finish(row, State.FAILED, error="Nothing was computed.", result={"faults": faults})
        return
    report = _reported(reading, options, meter)
    _finish(row, State.DONE, result={**backtest_report.as_json(report), "lines": reading.lines})


def _reported(reading: Reading, options: Options, meter: "_Meter") -> Report:
    actions = sum(len(found) for found in reading.keys.values())
    meter.total = reading.lines + actions * options.seeds
    going = backtest_report.backtest(reading, options)
    while True:
        try:
            meter.tell(reading.lines + next(going))
        except StopIteration as ended:
            report: Report = ended.value
            return report


class _Meter:
    """Keeps how far a run is, now and then. Raises `_Gone` when its row is no longer there."""

    def __init__(self, pk: int, total: int) -> None:
        self.pk, self.total, self.last = pk, total, 0.0
        self.tell(0)

    def tell(self, done: int) -> None:
        time.sleep(_PAUSE)
        if time.monotonic() - self.last < _EVERY:
            return
        self.last = time.monotonic()
        found = Backtest.objects.filter(pk=self.pk, state__in=_OPEN)
        if not found.update(state=State.RUNNING, progress=min(done, self.total), total=self.total):
            raise _Gone


def _finish(row: Backtest, state: str, *, result: object = None, error: str = "") -> None:
    """The end, once: who comes second (his connection was lost, and with it the lock) finds it done."""
    Backtest.objects.filter(pk=row.pk, state__in=_OPEN).update(
        state=state, result=result, error=error, finished_at=timezone.now()
    )
