"""The one SQL statement that accepts a proposal: the hot path's whole transaction."""

import hashlib
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
