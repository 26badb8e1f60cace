"""Searching the log: what can be asked, and pages of answers that stay bounded however long the log is.

A question has a part that an index answers (one actor, one object, or the order of time) and a rest that only reading
rows can answer (words, kind, address). The rest is tried on the newest `Wanted.looks` rows of the indexed part; where
fewer answers than a page were found in them, the page says how far back it has looked and the reader goes on."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from audit.models import AuditEvent

LOOKS_AT_WORDS = 100_000
LOOKS_AT_COLUMNS = 300_000
"""How many rows one page reads at most: where their text has to be searched, and where a column tells."""
LATE = timedelta(minutes=5)
"""An event without a leaf for longer than this is an alarm."""
_CURSOR = re.compile(r"(?:(\d{1,19})\.)?(\d{1,18})\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_READS = "log.read"
_SOURCE = """substring(e.content from '"source":[{][^{}]*[}][}]$')"""
"""Where an event came from, which RFC 8785 puts last; nobody's words can stand there."""

Params = list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked for; an empty value does not narrow. `kind` may be a family such as `agent.`.

    `actors` are (kind, id) pairs of which any will do. `until` is the first moment that is out. Readings of the log
    are left out unless they are asked for, or it could not be read for its readers."""

    words: str = ""
    kind: str = ""
    actor_kind: str = ""
    actor_id: str = ""
    actors: tuple[tuple[str, str], ...] | None = None
    object_type: str = ""
    object_id: str = ""
    policy_version: int | None = None
    request_id: str = ""
    address: str = ""
    session: str = ""
    reason: str = ""
    since: datetime | None = None
    until: datetime | None = None
    changes: bool = False
    sealed: str = ""
    reads: bool = False

    @property
    def is_by_time(self) -> bool:
        """Whether the index on the time serves it; one actor or one object has an index of its own, by number."""
        return not (self.actor_kind and self.actor_id) and not (self.object_type and self.object_id)

    @property
    def looks(self) -> int:
        reads_text = any(
            (self.words, self.policy_version, self.request_id, self.address, self.session, self.reason)
        )
        return LOOKS_AT_WORDS if reads_text or self.changes or self.sealed else LOOKS_AT_COLUMNS

    def said(self) -> dict[str, Any]:
        """The question as it stands in an event: JSON, without what does not narrow."""
        told = {name: value for name, value in asdict(self).items() if value not in ("", None, False, ())}
        return {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in told.items()
        }


@dataclass(frozen=True, slots=True)
class Page:
    """`older` continues after the last row, or after the last row that was looked at; empty where nothing is left.

    `reached` is the time back to which rows were looked at, where that ended the page."""

    events: list[AuditEvent]
    older: str = ""
    reached: datetime | None = None


def page(wanted: Wanted, *, before: str = "", limit: int = 50) -> Page:
    """One page, newest first by keyset. `before` is an earlier page's `older`; what is no such thing begins anew."""
    inner, params = _indexed(wanted, before)
    rest, more = _rest(wanted)
    order = _order(wanted)
    events = list(
        AuditEvent.objects.raw(
            f"SELECT * FROM (SELECT * FROM audit_auditevent e {inner} ORDER BY {order} LIMIT %s) e "  # noqa: S608
            f"{rest} ORDER BY {order} LIMIT %s",
            [*params, wanted.looks, *more, limit + 1],
        )
    )
    if len(events) > limit:
        return Page(events[:limit], _cursor(wanted, events[limit - 1].pk, events[limit - 1].recorded_at))
    if not rest:
        return Page(events)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, recorded_at FROM audit_auditevent e {inner} ORDER BY {order} LIMIT 1 OFFSET %s",  # noqa: S608
            [*params, wanted.looks - 1],
        )
        last = cursor.fetchone()
    return Page(events, _cursor(wanted, *last), last[1]) if last else Page(events)


def horizon() -> int:
    """Below this transaction nothing can appear any more: what was asked up to it has one answer for ever."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return int(cursor.fetchone()[0])


def count(wanted: Wanted, below: int) -> int:
    """How many events of transactions below `below` answer; reads as many rows as the index leaves."""
    where, params = _selection(wanted, below)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM audit_auditevent e {where}", params)  # noqa: S608
        return int(cursor.fetchone()[0])


def selection(wanted: Wanted, below: int, *, at_once: int = 2000) -> Iterator[list[AuditEvent]]:
    """All of them, oldest first, a few at a time. Each part is a query of its own, so that a slow reader holds neither
    a transaction nor a snapshot, and memory stays at one part."""
    where, params = _selection(wanted, below)
    columns = "(e.recorded_at, e.id)" if wanted.is_by_time else "e.id"
    order = "e.recorded_at, e.id" if wanted.is_by_time else "e.id"
    after = ""
    last: Params = []
    while True:
        part = list(
            AuditEvent.objects.raw(
                f"SELECT e.* FROM audit_auditevent e {where} {after} ORDER BY {order} LIMIT %s",  # noqa: S608
                [*params, *last, at_once],
            )
        )
        if part:
            yield part
        if len(part) < at_once:
            return
        after = f"AND {columns} > ({'%s, %s' if wanted.is_by_time else '%s'})"
        last = [part[-1].recorded_at, part[-1].pk] if wanted.is_by_time else [part[-1].pk]


def _selection(wanted: Wanted, below: int) -> tuple[str, Params]:
    inner, params = _indexed(wanted, "")
    rest, more = _rest(wanted)
    clauses = [clause.removeprefix("WHERE ") for clause in (inner, rest) if clause]
    return "WHERE " + " AND ".join([*clauses, "e.transaction < %s"]), [*params, *more, below]


def _order(wanted: Wanted) -> str:
    return "e.recorded_at DESC, e.id DESC" if wanted.is_by_time else "e.id DESC"


def _cursor(wanted: Wanted, number: int, moment: datetime) -> str:
    return f"{(moment - _EPOCH) // timedelta(microseconds=1)}.{number}" if wanted.is_by_time else str(number)


def _indexed(wanted: Wanted, before: str) -> tuple[str, Params]:
    clauses: list[str] = []
    params: Params = []
    if wanted.actor_kind and wanted.actor_id:
        clauses.append("e.actor_kind = %s AND e.actor_id = %s")
        params += [wanted.actor_kind, wanted.actor_id]
    if wanted.object_type and wanted.object_id:
        clauses.append("e.object_type = %s AND e.object_id = %s")
        params += [wanted.object_type, wanted.object_id]
    for moment, sign in ((wanted.since, ">="), (wanted.until, "<")):
        if moment:
            clauses.append(f"e.recorded_at {sign} %s")
            params.append(moment)
    found = _CURSOR.match(before)
    if found and wanted.is_by_time and found[1]:
        clauses.append("(e.recorded_at, e.id) < (%s, %s)")
        params += [_EPOCH + timedelta(microseconds=int(found[1])), int(found[2])]
    elif found and not wanted.is_by_time:
        clauses.append("e.id < %s")
        params.append(int(found[2]))
    return ("WHERE " + " AND ".join(clauses) if clauses else ""), params


def _rest(wanted: Wanted) -> tuple[str, Params]:
    clauses: list[str] = []
    params: Params = []
    for pair in (("actor_kind", "actor_id"), ("object_type", "object_id")):
        given = [name for name in pair if getattr(wanted, name)]
        if len(given) == 1:
            clauses.append(f"e.{given[0]} = %s")
            params.append(getattr(wanted, given[0]))
    if wanted.actors is not None:
        clauses.append(_any("(e.actor_kind = %s AND e.actor_id = %s)", len(wanted.actors)))
        params += [part for actor in wanted.actors for part in actor]
    if wanted.kind:
        clauses.append("starts_with(e.kind, %s)" if wanted.kind.endswith(".") else "e.kind = %s")
        params.append(wanted.kind)
    if not wanted.reads and not wanted.kind.startswith("log."):
        clauses.append("e.kind <> %s")
        params.append(_READS)
    _seals(wanted.sealed, clauses, params)
    _texts(wanted, clauses, params)
    return ("WHERE " + " AND ".join(clauses) if clauses else ""), params


def _any(clause: str, times: int) -> str:
    """None of none is nothing: a name that nobody has finds no event."""
    return f"({' OR '.join([clause] * times)})" if times else "false"


def _seals(sealed: str, clauses: list[str], params: Params) -> None:
    has_leaf = "EXISTS (SELECT FROM audit_auditleaf l WHERE l.event = e.id)"
    if sealed == "sealed":
        clauses.append(has_leaf)
    elif sealed in ("waiting", "late"):
        clauses.append(f"NOT {has_leaf}")
        if sealed == "late":
            clauses.append("e.recorded_at < clock_timestamp() - %s")
            params.append(LATE)


def _texts(wanted: Wanted, clauses: list[str], params: Params) -> None:
    """What only the content tells. It is RFC 8785 text, in which a quote inside a string is always written as \\", so
    that a pattern with plain quotes meets names and ends of values and never the inside of a string."""
    for word in wanted.words.split():
        spellings = {word} if word.isascii() else {word, word.lower(), word.upper(), word.capitalize()}
        clauses.append(_any('e.content COLLATE "C" ILIKE %s', len(spellings)))
        params += [f"%{_like(one)}%" for one in sorted(spellings)]
    patterns: list[list[str]] = []
    if wanted.policy_version is not None:
        number = f'%"policy_version":{wanted.policy_version}'
        patterns.append([f'{number},"source":{{%', f"{number}}}"])
    if wanted.reason:
        patterns.append([f'%"reason":"{_like(wanted.reason)}%'])
    if wanted.changes:
        patterns.append(['%"},"after":{%', '%"},"before":{%'])
    for name in ("request_id", "address", "session"):
        if value := getattr(wanted, name):
            clauses.append(f"(e.content LIKE %s AND {_SOURCE} LIKE %s)")
            params += [f"%{_like(value)}%", f'%"{name}":"{_like(value)}"%']
    for either in patterns:
        clauses.append(_any("e.content LIKE %s", len(either)))
        params += either


def _like(text: str) -> str:
    """As it stands inside a JSON string, for LIKE."""
    inside = json.dumps(text, ensure_ascii=False)[1:-1]
    return re.sub(r"([\\%_])", r"\\\1", inside)


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who has acted, under the name his newest event gives him."""

    kind: str
    id: str
    label: str


MOST_ACTORS = 2000
_WALK = """
WITH RECURSIVE walk AS (
  (SELECT actor_kind, actor_id, id FROM audit_auditevent ORDER BY actor_kind DESC, actor_id DESC, id DESC LIMIT 1)
  UNION ALL
  SELECT next.* FROM walk, LATERAL (
    SELECT actor_kind, actor_id, id FROM audit_auditevent e
    WHERE (e.actor_kind, e.actor_id) < (walk.actor_kind, walk.actor_id)
    ORDER BY actor_kind DESC, actor_id DESC, id DESC LIMIT 1) next
)
SELECT walk.actor_kind, walk.actor_id, left(e.content, 1600)
FROM (SELECT * FROM walk LIMIT %s) walk JOIN audit_auditevent e USING (id)
"""


def actors() -> list[Known]:
    """Everybody who has ever acted, by skipping from one to the next in the index: a step per actor, not per event."""
    with connection.cursor() as cursor:
        cursor.execute(_WALK, [MOST_ACTORS])
        rows = cursor.fetchall()
    found = [Known(kind, number, _label(beginning) or number) for kind, number, beginning in rows]
    return sorted(found, key=lambda one: (one.kind, one.label.casefold(), one.id))


def _label(beginning: str) -> str:
    """The label of `{"actor":{…},`, which RFC 8785 puts first, out of a text that may be cut anywhere after it."""
    try:
        actor, _ = json.JSONDecoder().raw_decode(beginning, len('{"actor":'))
    except ValueError:
        return ""
    return str(actor.get("label", "")) if isinstance(actor, dict) else ""


_TYPES = """
WITH RECURSIVE walk AS (
  (SELECT object_type FROM audit_auditevent ORDER BY object_type LIMIT 1)
  UNION ALL
  SELECT next.object_type FROM walk, LATERAL (
    SELECT object_type FROM audit_auditevent e WHERE e.object_type > walk.object_type
    ORDER BY object_type LIMIT 1) next
)
SELECT object_type FROM walk LIMIT 200
"""


def object_types() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_TYPES)
        return [row[0] for row in cursor.fetchall()]
