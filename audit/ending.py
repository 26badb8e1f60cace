"""How content ends: legal holds that forbid it, keys destroyed, retention that runs out. Steps of use cases.

A row of content is never deleted: its ciphertext goes, and what was sealed of it stays (I6, I7)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from audit import keys
from audit.models import Content, ContentKind, DataSubject, Erasure, LegalHold, Retention

EVERYBODY = ""
SHORTEST = {ContentKind.CONTEXT: 31}
"""Days. A proposal may wait for thirty of them; who decides it has to read what came with it."""
LONGEST = 36_500
_LOCK = 7_301_844_201
"""The advisory lock under which holds are placed, erasures asked for and content runs out."""


def serialise() -> None:
    """Nothing is erased or runs out while a hold is being placed, and the other way round; until the commit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def standing_holds() -> QuerySet[LegalHold]:
    return LegalHold.objects.filter(lifted_at=None).order_by("placed_at")


def holds_over(reference: str) -> list[LegalHold]:
    """The holds that keep this subject's data: on him, or on everybody."""
    return list(standing_holds().filter(subject__in=[reference, EVERYBODY]))


@dataclass(frozen=True, slots=True)
class Kept:
    """What is there of one kind. `first` and `last` are when it came; `size` is in bytes before encryption."""

    kind: ContentKind
    count: int
    gone: int
    size: int
    first: datetime
    last: datetime


def kept(references: Iterable[str]) -> list[Kept]:
    """What is kept under these keys, by kind; one query."""
    rows = (
        Content.objects.filter(subject__in=list(references))
        .values("kind")
        .annotate(
            count=Count("pk", filter=Q(gone_at=None)),
            gone=Count("pk", filter=Q(gone_at__isnull=False)),
            size=Sum("size", filter=Q(gone_at=None), default=0),
            first=Min("created_at"),
            last=Max("created_at"),
        )
        .order_by("kind")
    )
    found: list[dict[str, Any]] = [dict(row) for row in rows]
    return [Kept(**(row | {"kind": ContentKind(row["kind"])})) for row in found]


def begin(erasure: Erasure) -> None:
    """From this commit on, what cannot be opened of this subject says that it was erased."""
    for reference in erasure.keys:
        DataSubject.objects.update_or_create(
            reference=reference,
            defaults={"erased_at": erasure.asked_at},
            create_defaults={"created_at": erasure.asked_at, "erased_at": erasure.asked_at},
        )


def key_ids(references: Iterable[str]) -> dict[str, str]:
    """Reference → id of the key that is there now, in hex; empty where there is none."""
    return {one: (keys.identity(one) or b"").hex() for one in references}


def destroy_keys(erasure: Erasure) -> None:
    """Repeating it ends what an interruption left; a key made since is another and stays."""
    for reference, key_id in erasure.keys.items():
        if key_id:
            keys.destroy(reference, bytes.fromhex(key_id))


_GONE = """
UPDATE audit_content SET ciphertext = NULL, gone_at = %(at)s, gone_why = %(why)s
WHERE id IN (
    SELECT id FROM audit_content WHERE {where} AND ciphertext IS NOT NULL ORDER BY id LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
)
"""


def drop_erased(erasure: Erasure, *, at: datetime, limit: int) -> int:
    """Take the ciphertexts that the destroyed keys had opened; how many went."""
    done = 0
    for reference, key_id in erasure.keys.items():
        where = "subject = %(subject)s AND (created_at <= %(asked)s OR substring(ciphertext FROM 2 FOR 8) = %(key)s)"
        values = {
            "subject": reference,
            "asked": erasure.asked_at,
            "key": bytes.fromhex(key_id),
            "at": at,
            "why": "erased",
            "limit": limit,
        }
        with connection.cursor() as cursor:
            cursor.execute(_GONE.format(where=where), values)
            done += cursor.rowcount
    return done


def forget_labels(reference: str) -> None:
    """A hold that was lifted goes on saying who placed it and when, not over whom."""
    LegalHold.objects.filter(subject=reference).update(label="")


def retention() -> dict[ContentKind, int | None]:
    """Days by kind, in the kinds' order; None keeps for ever."""
    known = dict(Retention.objects.values_list("kind", "days"))
    return {kind: known.get(kind.value) for kind in ContentKind}


def set_retention(kind: ContentKind, days: int | None) -> None:
    Retention.objects.update_or_create(kind=kind, defaults={"days": days})


@dataclass(frozen=True, slots=True)
class Due:
    """What a number of days would take now; `held` would go and is under a hold."""

    count: int
    size: int
    held: int
    oldest: datetime | None


def due(kind: ContentKind, days: int, *, now: datetime, held: Collection[str]) -> Due:
    """A look ahead: what would go if this kind were kept so long. `held` are the references that holds keep."""
    old = Content.objects.filter(
        kind=kind, created_at__lt=now - timedelta(days=days), ciphertext__isnull=False
    )
    if EVERYBODY in held:
        return Due(0, 0, old.count(), None)
    free = old.exclude(subject__in=held)
    found = free.aggregate(count=Count("pk"), size=Sum("size", default=0), oldest=Min("created_at"))
    return Due(**found, held=old.filter(subject__in=held).count() if held else 0)


def drop_old(kind: ContentKind, days: int, *, now: datetime, limit: int, held: Collection[str]) -> int:
    """Take the ciphertexts of this kind that are older, unless their reference is `held`; how many went."""
    if EVERYBODY in held:
        return 0
    values: dict[str, Any] = {
        "kind": kind.value,
        "before": now - timedelta(days=days),
        "held": list(held),
        "at": now,
        "why": "retention",
        "limit": limit,
    }
    where = "kind = %(kind)s AND created_at < %(before)s AND subject <> ALL (%(held)s)"
    with connection.cursor() as cursor:
        cursor.execute(_GONE.format(where=where), values)
        return int(cursor.rowcount)
