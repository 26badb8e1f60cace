"""Record what an agent says it did: rows, their content under its subject's key, and the events that seal them.

One request is one transaction. Trace, span and position name a part, so that whatever is sent twice is stored once:
whoever sends it again gets the same answer, and who sends something else under the same name is told so. A suspended
agent may still tell; a stop ends what it does, not what is known of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from agents.activity_items import Item, subject_of
from agents.authority import Bearer
from agents.exceptions import KeysAway
from agents.models import Activity
from audit import content, keys, recording
from audit.content import Gone, New
from audit.events import Kind, Target
from audit.ids import uuid7
from audit.models import Content, ContentKind

_LOCK = 0x41435456
"""Serialises one agent's requests: two with the same span at once must not both keep its content."""
NAMED_AT_ONCE = 100
"""Items of one event: an event stays well below 100 KB."""

Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of one item. `differs`: the same part came earlier saying something else, and that stands."""

    id: UUID
    is_new: bool
    differs: bool = False


def record(*, bearer: Bearer, items: Sequence[Item], about: Mapping[str, tuple[str, str]]) -> list[Recorded]:
    """One answer per item, in their order. `about` are the subjects of the agent's proposals by trace.

    Raises `KeysAway` where content cannot be encrypted now; then nothing was stored."""
    try:
        with transaction.atomic(durable=True):
            return _record(bearer, items, about)
    except (keys.Unreadable, OSError) as error:
        raise KeysAway(
            "What you sent cannot be encrypted right now; send it again.", retry_after=5
        ) from error


def _record(bearer: Bearer, items: Sequence[Item], about: Mapping[str, tuple[str, str]]) -> list[Recorded]:
    agent = bearer.agent
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, agent.pk])
    known = _known(agent.pk, items)
    now = timezone.now()
    fresh: dict[Key, Item] = {}
    for item in items:
        if item.key not in known:
            fresh.setdefault(item.key, item)
    kept = _keep(fresh.values(), about, agent.slug, at=now)
    rows = {key: _row(bearer, item, kept.get(key)) for key, item in fresh.items()}
    Activity.objects.bulk_create(rows.values(), batch_size=500)
    _record_events(bearer, rows.values())
    bodies = _bodies(items, known)
    answers, said = [], set()
    for item in items:
        row = known.get(item.key)
        if row is not None:
            answers.append(Recorded(row.pk, False, differs=not _is_same(item, row, bodies)))
        else:
            is_new = item.key not in said
            said.add(item.key)
            answers.append(Recorded(rows[item.key].pk, is_new, differs=item != fresh[item.key]))
    return answers


def _known(agent_id: int, items: Sequence[Item]) -> dict[Key, Activity]:
    """What of it was recorded before."""
    wanted = {item.key for item in items}
    of_spans = Q(trace_id__in={key[0] for key in wanted}, span_id__in={key[1] for key in wanted})
    found = Activity.objects.filter(of_spans, agent_id=agent_id).select_related("content")
    by_key = {(row.trace_id, row.span_id, row.position): row for row in found}
    return {key: row for key, row in by_key.items() if key in wanted}


def _keep(
    items: Iterable[Item], about: Mapping[str, tuple[str, str]], agent: str, *, at: datetime
) -> dict[Key, Content]:
    """The contents, each under the key of whom it is about: by the proposal, else by the item, else by its trace."""
    having = [item for item in items if item.body is not None]
    new = [
        New(
            kind=ContentKind(item.kind),
            subject=about.get(item.trace_id) or item.subject or subject_of(agent, item.trace_id),
            body=item.body or b"",
        )
        for item in having
    ]
    return dict(zip((item.key for item in having), content.keep(new, at=at), strict=True))


def _row(bearer: Bearer, item: Item, kept: Content | None) -> Activity:
    return Activity(
        id=uuid7(),
        agent=bearer.agent,
        credential_id=bearer.credential_id,
        trace_id=item.trace_id,
        span_id=item.span_id,
        parent_span_id=item.parent_span_id,
        position=item.position,
        kind=item.kind,
        name=item.name,
        model=item.model,
        failed=item.failed,
        started_at=item.started_at,
        ended_at=item.ended_at,
        facts=item.facts,
        content=kept,
    )


def _record_events(bearer: Bearer, rows: Iterable[Activity]) -> None:
    """One event per trace, more where it has many items; what an event names is sealed with it."""
    by_trace: dict[str, list[Activity]] = {}
    for row in rows:
        by_trace.setdefault(row.trace_id, []).append(row)
    for trace_id, parts in by_trace.items():
        for some in _chunks(parts):
            recording.record(
                actor=bearer.agent.actor(),
                kind=Kind.ACTIVITY_RECORDED,
                target=Target("trace", trace_id[:64]),
                detail={
                    "agent": bearer.agent.slug,
                    "credential": bearer.credential_id,
                    "trace": trace_id,
                    "items": [_sealed(row) for row in some],
                },
            )


def _chunks(rows: list[Activity]) -> Iterator[list[Activity]]:
    for begin in range(0, len(rows), NAMED_AT_ONCE):
        yield rows[begin : begin + NAMED_AT_ONCE]


def _sealed(row: Activity) -> dict[str, Any]:
    """Everything that the row says, and its content by its commitment; what is empty is left out."""
    said = {
        "id": str(row.pk),
        "kind": str(row.kind),
        "span": row.span_id,
        "parent": row.parent_span_id,
        "position": row.position,
        "name": row.name,
        "model": row.model,
        "failed": row.failed,
        "started_at": row.started_at.isoformat(),
        "ended_at": row.ended_at.isoformat() if row.ended_at else "",
        "facts": row.facts,
        **(content.named(row.content) if row.content is not None else {}),
    }
    return {name: value for name, value in said.items() if value not in ("", {}, False) or name == "position"}


def _bodies(items: Sequence[Item], known: Mapping[Key, Activity]) -> dict[UUID, bytes | Gone]:
    asked = {item.key for item in items}
    return content.open_all(
        row.content for key, row in known.items() if key in asked and row.content is not None
    )


def _is_same(item: Item, row: Activity, bodies: Mapping[UUID, bytes | Gone]) -> bool:
    """Whether the row says what the item says. Of content that is gone nobody can tell."""
    if (item.kind, item.parent_span_id, item.name, item.model, item.failed) != (
        row.kind, row.parent_span_id, row.name, row.model, row.failed,
    ):  # fmt: skip
        return False
    if (item.started_at, item.ended_at, item.facts) != (row.started_at, row.ended_at, row.facts):
        return False
    if row.content_id is None or item.body is None:
        return row.content_id is None and item.body is None
    body = bodies[row.content_id]
    return isinstance(body, Gone) or body == item.body
