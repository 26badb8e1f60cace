"""The one SQL statement that accepts a proposal: the hot path's whole transaction."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import connection

from approvals import outbox
from approvals.models import Proposal
from approvals.routing import Route
from audit.models import AuditEvent, Content


@dataclass(slots=True)
class Draft:
    """Everything one acceptance needs; nothing of it is saved yet."""

    proposal: Proposal
    canonical: bytes
    event: AuditEvent
    route: Route
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the statement found: authority still as the draft assumed, the key's slot free, and the row inserted."""

    is_current: bool
    is_free: bool
    is_inserted: bool


_PROPOSAL_FIELDS = [(str(field.column), field.attname) for field in Proposal._meta.concrete_fields]
_PROPOSAL_COLUMNS = ", ".join(column for column, _ in _PROPOSAL_FIELDS)
_EVENT_COLUMNS = ["kind", "actor_kind", "actor_id", "object_type", "object_id", "object_version", "content"]
_CONTENT_COLUMNS = ["kind", "subject", "commitment", "size", "ciphertext", "gone_why"]
_INSERT = f"""
WITH authority AS (SELECT number FROM agents_authorityversion WHERE id = 1),
slot AS (SELECT pg_try_advisory_xact_lock(%(slot)s) AS free),
new AS (
    INSERT INTO approvals_proposal ({_PROPOSAL_COLUMNS})
    SELECT {", ".join("row." + column for column, _ in _PROPOSAL_FIELDS)}
    FROM authority, slot, json_populate_record(NULL::approvals_proposal, (%(proposal)s)::json) AS row
    WHERE authority.number = %(authority)s AND slot.free
    ON CONFLICT (agent_id, idempotency_key) DO NOTHING
    RETURNING id, agent_id, state, planted, digest, created_at, kept_context_id
),
told AS ({outbox.ARRIVED}),
revision AS (
    INSERT INTO approvals_revision (proposal_id, number, canonical, digest, reply, created_at, document)
    SELECT id, 1, %(canonical)s, digest, '', created_at, countersign_words(%(words)s) FROM new
),
event AS (
    INSERT INTO audit_auditevent ({", ".join(_EVENT_COLUMNS)}, salt, commitment)
    SELECT {", ".join("event." + name for name in _EVENT_COLUMNS)}, %(salt)s, %(commitment)s
    FROM new, json_populate_record(NULL::audit_auditevent, (%(event)s)::json) AS event
){{kept}}
SELECT authority.number = %(authority)s, slot.free, EXISTS (SELECT FROM new) FROM authority, slot
"""  # noqa: S608 - the parts put in are names of our own columns
"""The whole acceptance. Rows travel as one JSON value each, which costs a quarter of fifty parameters; `slot`
serialises one idempotency key without waiting; see `Answer`."""
_KEPT = f""",
kept AS (
    INSERT INTO audit_content (id, created_at, {", ".join(_CONTENT_COLUMNS)})
    SELECT kept_context_id, created_at, {", ".join(f"%(content_{name})s" for name in _CONTENT_COLUMNS)} FROM new
)"""  # noqa: S608 - likewise
_WITHOUT, _WITH = _INSERT.format(kept=""), _INSERT.format(kept=_KEPT)
"""A conversation that came along is stored by the same statement, encrypted (audit/content.py)."""


def parameters(draft: Draft, authority_number: int) -> dict[str, Any]:
    """The values of the statement."""
    proposal, event = draft.proposal, draft.event
    row = {column: getattr(proposal, name) for column, name in _PROPOSAL_FIELDS}
    row["request_digest"] = "\\x" + bytes(proposal.request_digest).hex()
    content = (
        {}
        if draft.content is None
        else {f"content_{name}": getattr(draft.content, name) for name in _CONTENT_COLUMNS}
    )
    slot = hashlib.sha256(f"{proposal.agent_id} {proposal.idempotency_key}".encode()).digest()[:8]
    return {
        "proposal": msgspec.json.encode(row).decode(),
        "event": msgspec.json.encode({name: getattr(event, name) for name in _EVENT_COLUMNS}).decode(),
        "salt": event.salt,
        "commitment": event.commitment,
        "canonical": draft.canonical,
        "words": words_of(proposal, draft.canonical),
        "slot": int.from_bytes(slot, signed=True),
        "authority": authority_number,
    } | content


def statement(draft: Draft) -> str:
    """With or without a conversation."""
    return _WITHOUT if draft.content is None else _WITH


def words_of(proposal: Proposal, canonical: bytes) -> str:
    """What full-text search finds a revision by: title, summary, subject and arguments."""
    subject = f"{proposal.subject_type} {proposal.subject_id}"
    return f"{proposal.title}\n{proposal.summary}\n{subject}\n{canonical.decode()}"


def accept(draft: Draft, authority_number: int) -> Answer:
    """Run the statement, alone or in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(statement(draft), parameters(draft, authority_number))
        row = cursor.fetchone()
    return Answer(*row) if row else Answer(is_current=False, is_free=True, is_inserted=False)


_EACH = """(SELECT * FROM unnest(
    %(ids)s::uuid[], %(slots)s::bigint[], %(canonicals)s::bytea[], %(all_words)s::text[],
    %(salts)s::bytea[], %(commitments)s::bytea[]
) AS each (id, slot, canonical, words, salt, commitment))"""
_SEVERAL = f"""
WITH authority AS (SELECT number FROM agents_authorityversion WHERE id = 1),
each AS MATERIALIZED (
    SELECT it.*, pg_try_advisory_xact_lock(it.slot) AS free FROM {_EACH} AS it
),
new AS (
    INSERT INTO approvals_proposal ({_PROPOSAL_COLUMNS})
    SELECT {", ".join("row." + column for column, _ in _PROPOSAL_FIELDS)}
    FROM authority, each, json_populate_recordset(NULL::approvals_proposal, (%(proposals)s)::json) AS row
    WHERE authority.number = %(authority)s AND each.free AND row.id = each.id
    ON CONFLICT (agent_id, idempotency_key) DO NOTHING
    RETURNING id, agent_id, state, planted, digest, created_at, kept_context_id
),
told AS ({outbox.ARRIVED}),
revision AS (
    INSERT INTO approvals_revision (proposal_id, number, canonical, digest, reply, created_at, document)
    SELECT new.id, 1, each.canonical, new.digest, '', new.created_at, countersign_words(each.words)
    FROM new JOIN each ON each.id = new.id
),
event AS (
    INSERT INTO audit_auditevent ({", ".join(_EVENT_COLUMNS)}, salt, commitment)
    SELECT {", ".join("event." + name for name in _EVENT_COLUMNS)}, each.salt, each.commitment
    FROM new JOIN each ON each.id = new.id
    JOIN json_populate_recordset(NULL::audit_auditevent, (%(events)s)::json) AS event
      ON event.object_id = new.id::text
    ORDER BY new.id
),
kept AS (
    INSERT INTO audit_content (id, created_at, {", ".join(_CONTENT_COLUMNS)})
    SELECT new.kept_context_id, new.created_at, {", ".join("content." + name for name in _CONTENT_COLUMNS)}
    FROM new JOIN json_populate_recordset(NULL::audit_content, (%(contents)s)::json) AS content
      ON content.id = new.kept_context_id
)
SELECT each.id, authority.number = %(authority)s, each.free, new.id IS NOT NULL
FROM authority, each LEFT JOIN new ON new.id = each.id
"""  # noqa: S608 - the parts put in are names of our own columns
"""The same for many at once. Whichever key is taken, or held by another request, leaves its row out and no other."""


def accept_several(drafts: Sequence[Draft], authority_number: int) -> list[Answer]:
    """Run the statement for all of them, in a transaction of its own or the caller's; an answer for each."""
    each = [parameters(draft, authority_number) for draft in drafts]
    values: dict[str, Any] = {
        "authority": authority_number,
        "ids": [draft.proposal.pk for draft in drafts],
        "slots": [one["slot"] for one in each],
        "canonicals": [one["canonical"] for one in each],
        "all_words": [one["words"] for one in each],
        "salts": [one["salt"] for one in each],
        "commitments": [one["commitment"] for one in each],
        "proposals": f"[{','.join(one['proposal'] for one in each)}]",
        "events": f"[{','.join(one['event'] for one in each)}]",
        "contents": msgspec.json.encode(
            [_content_row(draft.content) for draft in drafts if draft.content]
        ).decode(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_SEVERAL, values)
        found = {row[0]: Answer(*row[1:]) for row in cursor.fetchall()}
    gone = Answer(is_current=False, is_free=True, is_inserted=False)
    return [found.get(draft.proposal.pk, gone) for draft in drafts]


def _content_row(content: Content) -> dict[str, Any]:
    row = {name: getattr(content, name) for name in _CONTENT_COLUMNS}
    return {"id": content.pk} | {
        name: "\\x" + bytes(value).hex() if isinstance(value, bytes | memoryview) else value
        for name, value in row.items()
    }
