"""The one door through which audit events are written (I6)."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, replace
from typing import Any, TypedDict, Unpack

from django.db import connection, transaction
from django.utils import timezone

from audit import chain, content
from audit.events import Actor, Source, Target, system
from audit.models import AuditEvent
from audit.roles import EVENT_COLUMNS

_INSERT = (
    f"INSERT INTO audit_auditevent ({', '.join(EVENT_COLUMNS)}) "  # noqa: S608 - names of our own columns
    f"VALUES ({', '.join(['%s'] * len(EVENT_COLUMNS))}) RETURNING id, transaction, recorded_at"
)
_NOWHERE = Source()
_source: ContextVar[Source] = ContextVar("audit_source", default=_NOWHERE)
_command: ContextVar[str] = ContextVar("audit_command", default="")
_second: ContextVar[Actor | None] = ContextVar("audit_second", default=None)


class OutsideTransaction(RuntimeError):
    """An event would be written apart from the change it describes: a fault in our code."""


@contextmanager
def coming_from(source: Source) -> Iterator[None]:
    """Everything recorded inside carries this request id, address and session."""
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


def with_session(session_key: str) -> Source:
    """The present source with the session, as a hash that names it without opening it."""
    digest = hashlib.sha256(session_key.encode()).hexdigest()[:16]
    return replace(_source.get(), session=digest)


@contextmanager
def by_command(name: str) -> Iterator[None]:
    """What a management command does in a person's name: whoever sat at the server did it, on that person's behalf."""
    token = _command.set(name)
    try:
        yield
    finally:
        _command.reset(token)


@contextmanager
def seconded_by(actor: Actor) -> Iterator[None]:
    """What a second person carries out that somebody else has asked for: he does it, on the asker's behalf."""
    token = _second.set(actor)
    try:
        yield
    finally:
        _second.reset(token)


def present() -> Source:
    """Where what is recorded now comes from."""
    return _source.get()


def by_credential(credential_id: int) -> None:
    """From here to the end of the request, events say which of an agent's credentials it came with.

    Outside a request nothing is said: there is nothing whose end would take it back."""
    if _source.get() != _NOWHERE:
        _source.set(replace(_source.get(), session=f"credential {credential_id}"))


class Facts(TypedDict, total=False):
    """What an event says besides who, what kind and on what. Values are JSON: amounts as strings, times as ISO 8601."""

    before: dict[str, Any] | None
    after: dict[str, Any] | None
    detail: dict[str, Any] | None
    on_behalf_of: Actor | None
    policy_version: int | None


def record(*, actor: Actor, kind: str, target: Target, **facts: Unpack[Facts]) -> AuditEvent:
    """Record one event inside the caller's transaction; a repeated `target.version` is refused by the database.

    Words in its detail (`audit.content.Said`) are kept apart, encrypted, and named in their place.
    Raises `OutsideTransaction` when there is none."""
    if not connection.in_atomic_block:
        raise OutsideTransaction(f"{kind}: audit events are written in the transaction of the change")
    if facts.get("detail"):
        facts["detail"] = content.without_words(facts["detail"] or {}, at=timezone.now())
    event = prepare(actor=actor, kind=kind, target=target, **facts)
    with transaction.mark_for_rollback_on_error(), connection.cursor() as cursor:
        cursor.execute(_INSERT, [getattr(event, name) for name in EVENT_COLUMNS])
        event.id, event.transaction, event.recorded_at = cursor.fetchone()
    event._state.adding, event._state.db = False, connection.alias
    return event


def prepare(*, actor: Actor, kind: str, target: Target, **facts: Unpack[Facts]) -> AuditEvent:
    """The unsaved event, for the one statement that inserts a proposal and its event together.

    The target of a refusal is an address somebody made up: PostgreSQL's text has no NUL, the content escapes it."""
    source = _source.get()
    second = _second.get()
    if second is not None and actor.kind == "human" and actor.id != second.id:
        facts["on_behalf_of"], actor = actor, second
    if _command.get() and actor.kind == "human":
        facts["on_behalf_of"] = actor
        actor = system(f"manage.py {_command.get()}")
    said: dict[str, Any] = {
        "kind": str(kind),
        "actor": asdict(actor),
        "object": {"type": target.type, "id": target.id},
    }
    if target.version is not None:
        said["object"]["version"] = target.version
    if source != _NOWHERE:
        said["source"] = asdict(source)
    for name, value in facts.items():
        if isinstance(value, Actor):
            said[name] = asdict(value)
        elif value is not None:
            said[name] = value
    text = chain.canonical(said)
    salt = chain.new_salt()
    return AuditEvent(
        kind=str(kind),
        actor_kind=actor.kind,
        actor_id=actor.id,
        object_type=target.type,
        object_id=target.id.replace("\x00", "\N{REPLACEMENT CHARACTER}"),
        object_version=target.version,
        content=text.decode(),
        salt=salt,
        commitment=chain.commitment(salt, text),
    )
