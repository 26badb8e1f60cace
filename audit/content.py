"""Texts that may hold personal data: kept encrypted, opened for who may see them, named by the events that seal them.

A ciphertext is: how (1 byte: 1 as it is, 2 deflated) ‖ key id (8) ‖ nonce (12) ‖ AES-256-GCM of salt (32) ‖ body. Its
associated data are the content's id and all that stands before the nonce, so that no ciphertext can stand for another
or be read in another way."""

import secrets
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection

from audit import chain, keys
from audit.ids import uuid7
from audit.models import AuditEvent, Content, ContentKind, DataSubject

Why = Literal["retention", "erased", "unreadable"]
_PLAIN, _DEFLATED = b"\x01", b"\x02"
_NONCE = 12
_HEAD = 1 + keys.ID_BYTES
_WORTH_DEFLATING = 512
_NAMED = {"content", "commitment", "size"}


@dataclass(frozen=True, slots=True)
class New:
    """One text to keep. `subject` is (type, id) as the agent names whom it is about; None: nobody known."""

    kind: ContentKind
    subject: tuple[str, str] | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Said:
    """Words of a person or an agent in an event's detail. `audit.recording.record` keeps them as content and puts
    their name in their place, so that they can be erased though the event cannot."""

    text: str
    about: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Gone:
    """Why a text cannot be shown. `at` is when it went; `days` how old it then was."""

    why: Why
    at: datetime | None = None
    days: int | None = None


def prepare(new: New, *, at: datetime) -> Content:
    """The encrypted row, unsaved, for a statement that inserts several things at once.

    The key is on disk when this returns. Raises `keys.Unreadable` and `OSError`: then nothing may be accepted."""
    reference = keys.reference(new.subject)
    key = keys.writing(reference)
    made = uuid7()
    salt = chain.new_salt()
    how, text = _packed(salt + new.body)
    head = how + key.id
    nonce = secrets.token_bytes(_NONCE)
    return Content(
        id=made,
        kind=new.kind,
        subject=reference,
        commitment=chain.commitment(salt, new.body),
        size=len(new.body),
        ciphertext=head + nonce + AESGCM(key.secret).encrypt(nonce, text, made.bytes + head),
        created_at=at,
    )


def keep(new: Sequence[New], *, at: datetime) -> list[Content]:
    """A step: store these texts inside the caller's transaction, in the order given."""
    if not connection.in_atomic_block:
        raise RuntimeError("content is kept in the transaction of the event that names it")
    return Content.objects.bulk_create([prepare(one, at=at) for one in new])


def named(row: Content) -> dict[str, Any]:
    """How an event names a text: once the event is sealed, so is the text, whatever becomes of it."""
    return {"content": str(row.pk), "commitment": bytes(row.commitment).hex(), "size": row.size}


def without_words(detail: Mapping[str, Any], *, at: datetime) -> dict[str, Any]:
    """A step: the detail with every `Said` kept and named; empty words stay empty."""
    said = {name: value for name, value in detail.items() if isinstance(value, Said)}
    new = [New(ContentKind.WORDS, one.about, one.text.encode()) for one in said.values() if one.text]
    kept = iter(keep(new, at=at) if new else [])
    named_ones = {name: named(next(kept)) if one.text else "" for name, one in said.items()}
    return {**detail, **named_ones}


def reveal(events: Iterable[AuditEvent]) -> None:
    """Put the words back into what these events tell (`AuditEvent.told`), or say why they are gone; two queries."""
    waiting = [event for event in events if event.words is None]
    wanted: dict[AuditEvent, dict[str, UUID]] = {}
    for event in waiting:
        found = {
            name: UUID(value["content"])
            for name, value in (event.data.get("detail") or {}).items()
            if isinstance(value, dict) and value.keys() == _NAMED
        }
        event.words = {}
        if found:
            wanted[event] = found
    ids = {one for found in wanted.values() for one in found.values()}
    rows = Content.objects.filter(pk__in=ids, kind=ContentKind.WORDS) if ids else []
    opened = open_all(rows)
    for event, found in wanted.items():
        event.words = {name: _as_words(opened[one]) for name, one in found.items() if one in opened}


def _as_words(found: bytes | Gone) -> str:
    if isinstance(found, bytes):
        return found.decode()
    if found.at is None:
        return "(cannot be opened: its key is missing)"
    how = "erased" if found.why == "erased" else "deleted"
    return f"({how} on {found.at:%-d %b %Y})"


def open_all(rows: Iterable[Content]) -> dict[UUID, bytes | Gone]:
    """What each row says, or why it says nothing any more. At most one query, and that only for what is gone."""
    found: dict[UUID, bytes | Gone] = {}
    unopened: list[Content] = []
    for row in rows:
        if row.ciphertext is None:
            found[row.pk] = _gone(row)
            continue
        body = _opened(row, bytes(row.ciphertext))
        if body is None:
            unopened.append(row)
        else:
            found[row.pk] = body
    if unopened:
        erased = _erased(unopened)
        for row in unopened:
            when = erased.get(row.subject)
            told = when is not None and row.created_at <= when
            found[row.pk] = Gone("erased", when) if told else Gone("unreadable")
    return found


def _gone(row: Content) -> Gone:
    why: Why = "erased" if row.gone_why == "erased" else "retention"
    days = (row.gone_at - row.created_at).days if row.gone_at else None
    return Gone(why, row.gone_at, days)


def _erased(rows: list[Content]) -> dict[str, datetime]:
    """Reference → when; of rows whose erasure has not come to them yet."""
    subjects = DataSubject.objects.filter(
        reference__in={row.subject for row in rows}, erased_at__isnull=False
    )
    return {one.reference: one.erased_at for one in subjects if one.erased_at is not None}


def salted(row: Content) -> tuple[bytes, bytes] | None:
    """Salt and body, with which anybody can check the commitment; None for what `open_all` calls gone."""
    text = _text(row, bytes(row.ciphertext)) if row.ciphertext is not None else None
    return None if text is None else (text[: chain.SALT_BYTES], text[chain.SALT_BYTES :])


def _opened(row: Content, ciphertext: bytes) -> bytes | None:
    """The body, or None where no key opens it or it is not what was committed to."""
    text = _text(row, ciphertext)
    return None if text is None else text[chain.SALT_BYTES :]


def _text(row: Content, ciphertext: bytes) -> bytes | None:
    try:
        key = keys.reading(row.subject)
    except (keys.Unreadable, OSError):
        return None
    head, rest = ciphertext[:_HEAD], ciphertext[_HEAD:]
    if key is None or head[1:] != key.id:
        return None
    try:
        text = AESGCM(key.secret).decrypt(rest[:_NONCE], rest[_NONCE:], row.pk.bytes + head)
        text = _unpacked(head[:1], text, row.size)
    except (InvalidTag, ValueError, zlib.error):
        return None
    salt, body = text[: chain.SALT_BYTES], text[chain.SALT_BYTES :]
    return text if chain.commitment(salt, body) == bytes(row.commitment) else None


def _packed(text: bytes) -> tuple[bytes, bytes]:
    """Deflated where that is worth it: PostgreSQL cannot compress what is encrypted."""
    if len(text) < _WORTH_DEFLATING:
        return _PLAIN, text
    return _DEFLATED, zlib.compress(text, 1)


def _unpacked(how: bytes, text: bytes, size: int) -> bytes:
    if how == _PLAIN:
        return text
    return zlib.decompressobj().decompress(text, chain.SALT_BYTES + size + 1)
