"""Move conversations that were stored in plain, before content was encrypted, behind their subjects' keys.

In batches beside the work: a row that has not been moved yet is read from where it is (Proposal.context). Each batch is
one transaction with one event that names every text, so that what is moved is sealed from then on."""

import time
from datetime import datetime

import msgspec
from django.db import transaction

from approvals.models import Proposal
from audit import content, recording
from audit.content import New
from audit.events import Kind, Target, system
from audit.models import ContentKind

BATCH = 100
SECONDS = 1.0


def move(*, now: datetime, seconds: float = SECONDS) -> int:
    """How many were moved. Costs one look-up in an empty index when there are none; two at once share the rows."""
    until = time.monotonic() + seconds
    count = 0
    while moved := _batch(now):
        count += moved
        if time.monotonic() > until:
            break
    return count


def _batch(now: datetime) -> int:
    with transaction.atomic(durable=True):
        rows = list(
            Proposal.objects.exclude(plain_context=[])
            .select_for_update(of=("self",), no_key=True, skip_locked=True)
            .only("plain_context", "subject_type", "subject_id")
            .order_by("pk")[:BATCH]
        )
        if not rows:
            return 0
        kept = content.keep([_new(one) for one in rows], at=now)
        for proposal, row in zip(rows, kept, strict=True):
            proposal.kept_context, proposal.plain_context = row, []
        Proposal.objects.bulk_update(rows, ["kept_context", "plain_context"])
        named = {str(one.pk): content.named(row) for one, row in zip(rows, kept, strict=True)}
        recording.record(
            actor=system("encryption"),
            kind=Kind.CONTENT_ENCRYPTED,
            target=Target("proposal", str(rows[0].pk)),
            detail={"proposals": named},
        )
    return len(rows)


def _new(proposal: Proposal) -> New:
    subject = (proposal.subject_type, proposal.subject_id) if proposal.subject_id else None
    return New(ContentKind.CONTEXT, subject, msgspec.json.encode(proposal.plain_context))
