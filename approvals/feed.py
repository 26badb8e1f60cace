"""What has happened to one agent's proposals since it last looked: the source of events, derived from stored rows.

A cursor is a snapshot of PostgreSQL (`pg_current_snapshot()`): it says exactly which transactions its holder has seen.
Every change of a proposal writes one audit event in its own transaction, with the transaction's number (I6), so "since"
is: the event's transaction is visible now and was not in the cursor's snapshot. Nothing is lost, because nothing is
compared by id or clock, which are given out in another order than transactions commit in: what began early and
commits late is still invisible in every cursor handed out before its commit, however low its id. And nothing waits for
the slowest writer, as it would behind `pg_snapshot_xmin`.

Of each changed proposal the newest version counts: versions of one proposal are written under its lock, one after the
other, so if its newest event was seen, all earlier ones were. A page that does not hold everything ends in a cursor
with a second snapshot and a place: "not in the first, in the second, and up to this event: seen". What commits between
two pages is in neither and comes afterwards.

What is handed out is sealed for its agent, by a key that every process of the installation has. A made-up snapshot
could have everybody's log searched, and one from before a restore of the database would call events seen that never
were: so the seal names the database too (`_EPOCH`), and one of another time is refused."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.encoding import force_bytes

from agents.http import FieldsInvalid
from approvals import selectors
from approvals.exceptions import CursorGone
from approvals.models import Proposal
from audit.events import Kind

PAGE = 100
"""Events at once; more come with the next page."""
KEPT = timedelta(days=7)
"""A cursor that is older is refused: finding out what came since would mean to read a week of everybody's log."""
LONGEST = 1000
"""Characters of a snapshot in an event's id. A longer one, of some hundred transactions under way, is rounded down to
what had all ended: who resumes from it hears a second time of what ended since."""
ROLLBACK = "rollback.requested"
_SNAPSHOT = re.compile(r"([0-9]{1,18}):([0-9]{1,18}):((?:[0-9]{1,18}(?:,[0-9]{1,18})*)?)\Z")
_UNSEEN = """
FROM audit_auditevent e
JOIN approvals_proposal p
  ON p.id = CASE e.object_type WHEN 'proposal' THEN e.object_id::uuid END AND e.object_id = p.id::text
WHERE e.object_type = 'proposal' AND e.object_version = p.version AND NOT p.planted
  AND e.transaction >= pg_snapshot_xmin(%(since)s::pg_snapshot)::text::bigint
  AND e.transaction < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
  AND NOT pg_visible_in_snapshot(e.transaction::text::xid8, %(since)s::pg_snapshot)
"""
_CHANGED = f"""
SELECT e.id, p.id, e.kind, e.object_version {_UNSEEN}
  AND p.agent_id = %(agent)s AND e.id > %(after)s
  AND (%(until)s::text IS NULL OR pg_visible_in_snapshot(e.transaction::text::xid8, %(until)s::pg_snapshot))
ORDER BY e.id LIMIT %(limit)s
"""
_EPOCH = """
concat_ws('.',
    (SELECT system_identifier FROM pg_control_system()),
    left(pg_walfile_name(pg_current_wal_lsn()), 8),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    'audit_auditevent'::regclass::oid,
    (SELECT max(id) FROM audit_auditevent
     WHERE object_type = 'log' AND object_id = 'log' AND kind = 'log.restored'))
"""
"""Which database this is, and which of its lives: another server, its recovery to an earlier moment (a new timeline), a
dump that was loaded into a new database or over this one, and whatever else the sealer was told of (docs/operations.md)
each make it another one."""
_NOW = f"SELECT pg_current_snapshot()::text, {_EPOCH}"
_AGENTS = f"SELECT DISTINCT p.agent_id {_UNSEEN} AND p.agent_id = ANY (%(agents)s::bigint[])"
_KNOWN = """
SELECT greatest(pg_snapshot_xmax(%(since)s::pg_snapshot), pg_snapshot_xmax(%(until)s::pg_snapshot))
        <= pg_snapshot_xmax(pg_current_snapshot()),
    (SELECT recorded_at FROM audit_auditevent
     WHERE transaction >= pg_snapshot_xmin(%(since)s::pg_snapshot)::text::bigint
       AND NOT pg_visible_in_snapshot(transaction::text::xid8, %(since)s::pg_snapshot)
     ORDER BY transaction, id LIMIT 1)
"""


@dataclass(frozen=True, slots=True)
class Cursor:
    """What its holder has seen: all in `since`; and of what is in `until` as well, what stands up to event `place`.
    `epoch` says in which database (`_EPOCH`)."""

    since: str
    until: str = ""
    place: int = 0
    agent_id: int = 0
    epoch: str = ""

    def __str__(self) -> str:
        """Opaque to agents: they only hand it back."""
        since, until = _rounded(self.since), _rounded(self.until)
        text = f"{since}/{until}/{self.place}" if until else since
        sealed = f"{text}.{_seal(text, self.agent_id, self.epoch, settings.SECRET_KEY)}"
        return base64.urlsafe_b64encode(sealed.encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Event:
    """One changed proposal as it is now; `cursor` is where to go on after it."""

    cursor: Cursor
    type: str
    proposal: Proposal


@dataclass(frozen=True, slots=True)
class News:
    """A page of events, oldest first. `cursor` is where to go on after all of it; `more`: there is more already."""

    events: list[Event]
    cursor: Cursor
    more: bool


def read_cursor(text: str, *, agent_id: int) -> Cursor:
    """Raises `FieldsInvalid` for what is no cursor, `CursorGone` for one that is too old, of another agent, or of a
    database that is gone: after a restore from a backup transactions are numbered anew from there."""
    cursor, words, seal = _decoded(text)
    cursor = replace(cursor, agent_id=agent_id, epoch=now().epoch)
    keys = [settings.SECRET_KEY, *map(str, settings.SECRET_KEY_FALLBACKS)]
    if not any(hmac.compare_digest(seal, _seal(words, agent_id, cursor.epoch, key)) for key in keys):
        raise CursorGone(f"It was not given to this agent, or the database was restored since. {_REMEDY}")
    with connection.cursor() as asked:
        asked.execute(_KNOWN, {"since": cursor.since, "until": cursor.until or cursor.since})
        is_of_here, oldest = asked.fetchone()
    if not is_of_here:
        raise CursorGone(f"The database was restored since. {_REMEDY}")
    if oldest is not None and oldest < timezone.now() - KEPT:
        raise CursorGone(f"It is older than {KEPT.days} days. {_REMEDY}")
    return cursor


def _seal(words: str, agent_id: int, epoch: str, secret: str | bytes) -> str:
    key = hmac.digest(force_bytes(secret), b"place in the events", hashlib.sha256)
    return hmac.digest(key, f"{agent_id}/{epoch}/{words}".encode(), hashlib.sha256).hex()[:32]


_REMEDY = "List your proposals to see how they stand, then listen without Last-Event-ID."


def _decoded(text: str) -> tuple[Cursor, str, str]:
    """A cursor as it says of itself, the words that its seal is for, and the seal. None had a seal once."""
    try:
        words = base64.b64decode(
            text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
        stated, _, seal = words.decode("ascii").partition(".")
        since, *rest = stated.split("/")
        if not rest:
            return Cursor(_checked(since)), stated, seal
        until, place = rest
        if not place.isdigit() or len(place) > 18:
            raise ValueError(place)
        return Cursor(_checked(since), _checked(until), int(place)), stated, seal
    except ValueError as error:
        raise FieldsInvalid(
            "That is no id of an event. Send the last one you received, or none.",
            errors=[{"field": "Last-Event-ID", "message": "must be the id of an event"}],
        ) from error


def _checked(snapshot: str) -> str:
    """What PostgreSQL takes as a snapshot. Raises ValueError."""
    found = _SNAPSHOT.match(snapshot)
    if found is None:
        raise ValueError(snapshot)
    low, high = int(found[1]), int(found[2])
    running = [int(one) for one in found[3].split(",") if one]
    if not 0 < low <= high or running != sorted(running) or any(not low <= one < high for one in running):
        raise ValueError(snapshot)
    return snapshot


def now(agent_id: int = 0) -> Cursor:
    """Everything that is committed counts as seen."""
    with connection.cursor() as cursor:
        cursor.execute(_NOW)
        snapshot, epoch = cursor.fetchone()
    return Cursor(snapshot, agent_id=agent_id, epoch=epoch)


def news(agent_id: int, cursor: Cursor) -> News:
    """What the agent has not seen yet, the newest version of each proposal. Raises `CursorGone` where the database has
    become another one under an open stream.

    The snapshot is taken before the rows are read; what commits between the two is not in it, and so is left for the
    next time, with the newest version of its proposal."""
    present = now(agent_id)
    if present.epoch != cursor.epoch:
        raise CursorGone(f"The database was restored since. {_REMEDY}")
    until = cursor.until or present.since
    with connection.cursor() as asked:
        asked.execute(
            _CHANGED,
            {
                "since": cursor.since,
                "until": until,
                "agent": agent_id,
                "after": cursor.place,
                "limit": PAGE + 1,
            },
        )
        rows = asked.fetchall()
    page, more = rows[:PAGE], len(rows) > PAGE
    proposals = {one.pk: one for one in selectors.own_by_id(agent_id, [row[1] for row in page])}
    within = replace(cursor, until=until, agent_id=agent_id)
    events = [
        Event(replace(within, place=place), _type(kind, version, proposals[pk]), proposals[pk])
        for place, pk, kind, version in page
        if pk in proposals
    ]
    if more:
        return News(events, replace(within, place=page[-1][0]), more=True)
    seen = replace(present, since=until)
    if events:
        events[-1] = Event(seen, events[-1].type, events[-1].proposal)
    return News(events, seen, more=bool(cursor.until))


def _type(kind: str, version: int, proposal: Proposal) -> str:
    """`rollback.requested` while that is the last that happened to it, else the state it is in."""
    if kind == Kind.ROLLBACK_ASKED and proposal.version == version:
        return ROLLBACK
    return type_of(proposal)


def type_of(proposal: Proposal) -> str:
    """The event that tells of the state a proposal is in: `proposal.approved`."""
    return f"proposal.{proposal.state}"


def agents_with_news(agent_ids: Iterable[int], cursor: Cursor) -> tuple[set[int], Cursor]:
    """Those of them to whom something happened since, and the cursor for the next time: one look for all who listen.
    Everybody where the database has become another one."""
    seen = now()
    if seen.epoch != cursor.epoch:
        return set(agent_ids), seen
    with connection.cursor() as asked:
        asked.execute(_AGENTS, {"since": cursor.since, "agents": list(agent_ids)})
        return {int(agent_id) for (agent_id,) in asked.fetchall()}, seen


def _rounded(snapshot: str) -> str:
    if len(snapshot) <= LONGEST:
        return snapshot
    low = snapshot.partition(":")[0]
    return f"{low}:{low}:"
