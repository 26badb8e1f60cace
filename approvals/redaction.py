"""What the tables tell of one data subject, and how it is taken out of them. Steps of an erasure.

Only what is over is redacted: what somebody has still to decide, to carry out or to judge has to be readable. States,
times, amounts, digests, verdicts and who gave them stay: they are what the log proves. What stays although it may name
somebody is listed in docs/privacy.md."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from agents.activity_items import subject_of
from agents.models import Agent
from approvals import states, subjects
from approvals.models import (
    BlindReview,
    Comment,
    Decision,
    Dispute,
    Notification,
    Outcome,
    Probe,
    Proposal,
    Revision,
    RollbackRequest,
    Vote,
    WebhookAttempt,
)
from approvals.states import State
from approvals.traces import key as trace_key
from audit import ending, keys
from audit.events import Kind, Target, system
from audit.recording import record

OVER = [str(one) for one in State if one in states.FINAL or one == State.SUCCEEDED]
"""What is done with: a success may still be rolled back, and nobody needs its words for that."""
ABOUT_SUBJECT = ("limit_subject_count", "limit_subject_amount")
"""Reasons whose sentence names the subject."""
SHOWN = 20
ERASER = system("erasure")


@dataclass(frozen=True, slots=True)
class Subject:
    """As an agent names him. One who is written in another case or with other spaces is the same."""

    type: str
    id: str

    @property
    def reference(self) -> str:
        return keys.reference((self.type, self.id))


def proposals_of(subject: Subject) -> QuerySet[Proposal]:
    """Everything that names him, by the index that limits use."""
    near = Proposal.objects.filter(
        agent__in=list(Agent.objects.values_list("pk", flat=True)),
        subject_key=subjects.key(subject.id),
        erased_at=None,
    ).exclude(subject_id="")
    reference = subject.reference
    spellings = {
        (one["subject_type"], one["subject_id"])
        for one in near.values("subject_type", "subject_id").distinct()
        if keys.reference((one["subject_type"], one["subject_id"])) == reference
    }
    same = Q(pk__in=[])
    for kind, name in spellings:
        same |= Q(subject_type=kind, subject_id=name)
    return near.filter(same)


def _is_open() -> Q:
    undone = BlindReview.objects.filter(
        proposal=OuterRef("pk"), state__in=[BlindReview.State.OPEN, BlindReview.State.OVERDUE]
    )
    disputed = Dispute.objects.filter(proposal=OuterRef("pk"), settled_at=None)
    to_be_undone = Q(state=State.SUCCEEDED, rollback_request__isnull=False)
    return ~Q(state__in=OVER) | Exists(undone) | Exists(disputed) | to_be_undone


def undecided(subject: Subject) -> list[Proposal]:
    """What forbids an erasure: not decided, not carried out, or to be judged after the fact. The latest first."""
    return list(
        proposals_of(subject)
        .filter(_is_open())
        .select_related("agent", "action_type")
        .only("title", "state", "agent__name", "action_type__label")
        .order_by("-id")[: SHOWN + 1]
    )


def traces(subject: Subject) -> dict[str, tuple[str, str]]:
    """Reference → subject of the traces that led to his proposals, whose content has keys of its own."""
    named = proposals_of(subject).exclude(trace_id="").values_list("agent__slug", "trace_id").distinct()
    found = [subject_of(slug, trace_key(trace_id)) for slug, trace_id in named]
    return {keys.reference(one): one for one in found}


def held() -> list[str]:
    """References that standing holds keep: of each subject, and of the traces that led to his proposals.

    Everybody's where a hold's label, which may have been cut short, no longer leads to its subject."""
    found: list[str] = []
    for hold in ending.standing_holds():
        found.append(hold.subject)
        if hold.subject != ending.EVERYBODY:
            subject = _labelled(hold.label, hold.subject)
            found += [ending.EVERYBODY] if subject is None else traces(subject)
    return found


def _labelled(label: str, reference: str) -> Subject | None:
    words = label.split(" ")
    for at in range(1, len(words)):
        subject = Subject(" ".join(words[:at]), " ".join(words[at:]))
        if subject.reference == reference:
            return subject
    return None


def redact(subject: Subject, *, before: datetime, limit: int) -> dict[str, int]:
    """One batch of his finished proposals that came before; what went, empty when none is left."""
    found = list(
        proposals_of(subject)
        .filter(created_at__lte=before)
        .exclude(_is_open())
        .select_for_update(of=("self",), no_key=True)
        .order_by("pk")[:limit]
    )
    if not found:
        return {}
    counts = _beside(found)
    at = timezone.now()
    reference = subject.reference
    for proposal in found:
        _proposal(proposal, reference, at)
    Proposal.objects.bulk_update(found, _FIELDS)
    return counts | {"proposals": len(found)}


_FIELDS = [
    *("title", "summary", "reasoning", "current_state", "metadata", "plain_context", "reasons"),
    *("subject_id", "subject_key", "erased_at"),
]


def _proposal(proposal: Proposal, reference: str, at: datetime) -> None:
    proposal.title = f"Erased on {at:%-d %b %Y}"
    proposal.summary = proposal.reasoning = ""
    proposal.current_state = proposal.metadata = None
    proposal.plain_context = []
    proposal.reasons = nameless(proposal.reasons)
    proposal.subject_id, proposal.subject_key = reference, ""
    proposal.erased_at = at


def nameless(reasons: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reasons without the sentences that name the subject; their codes say what was meant."""
    return [
        one | {"detail": "A limit for one subject was reached."} if one.get("code") in ABOUT_SUBJECT else one
        for one in reasons
    ]


def _beside(proposals: Sequence[Proposal]) -> dict[str, int]:
    """What hangs on them: arguments with their words for search, what people wrote, what agents reported."""
    ids = [one.pk for one in proposals]
    about = Q(proposal__in=ids)
    return {
        "revisions": Revision.objects.filter(about).update(canonical=b"{}", reply="", document=None),
        "comments": Comment.objects.filter(about).update(text=""),
        "votes": Vote.objects.filter(about).exclude(comment="").update(comment=""),
        "decisions": Decision.objects.filter(about).exclude(comment="").update(comment=""),
        "outcomes": Outcome.objects.filter(about).update(result=None, external_id=""),
        "reviews": BlindReview.objects.filter(about).exclude(comment="").update(comment=""),
        "disputes": Dispute.objects.filter(about).update(text=""),
        "rollbacks": RollbackRequest.objects.filter(about).update(reason=""),
        "messages": Notification.objects.filter(about).update(
            text="The data of whom this was about has been erased."
        ),
        "webhooks": WebhookAttempt.objects.filter(delivery__proposal__in=ids)
        .exclude(excerpt="")
        .update(excerpt=""),
        "probes": _probes(ids),
    }


def _probes(ids: Sequence[Any]) -> int:
    """Probes that were made of them go out of use and say nothing any more; their figures stay."""
    made = list(Probe.objects.filter(source__in=ids).select_for_update(of=("self",), no_key=True))
    for probe in made:
        if probe.active:
            record(
                actor=ERASER,
                kind=Kind.PROBE_RETIRED,
                target=Target("probe", str(probe.pk)),
                before={"active": True},
                after={"active": False},
            )
        probe.active, probe.arguments, probe.context = False, b"{}", []
        probe.summary = probe.reasoning = probe.subject_type = probe.subject_id = ""
        probe.current_state, probe.fault = None, "Erased with whom it was made of."
    Probe.objects.bulk_update(
        made,
        [
            *("active", "arguments", "context", "summary", "reasoning", "subject_type", "subject_id"),
            *("current_state", "fault"),
        ],
    )
    return len(made)
