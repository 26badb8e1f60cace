"""Rollback: a person asks the agent to undo what it did, and hears what came of it.

The agent learns of it as of any change of its proposal: the version rises, the long-poll answers, and it reads a
`rollback`. What it proposes then is a proposal like any other (approvals/rollbacks.py)."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import (
    CharField,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Value,
)
from django.db.models.functions import Cast, Coalesce, Concat
from django.utils import timezone

from accounts.exceptions import Invalid
from accounts.models import User
from approvals import notifications, permissions, rollbacks, transitions
from approvals.exceptions import AlreadyAsked, WrongState
from approvals.models import Notification, Proposal, RollbackRequest
from approvals.notifications import Topic
from approvals.states import State
from audit.events import Kind

MAX_REASON = 300
BATCH = 200
_SILENT = "rollback-silent:"


def ask(*, proposal_id: UUID, person: User, reason: str) -> RollbackRequest:
    """Ask for it, once per proposal. Raises `NotFound`, `NotAllowed`, `Invalid`, `WrongState`, `AlreadyAsked`."""
    with transaction.atomic(durable=True):
        proposal = transitions.locked(proposal_id)
        permissions.check_can_intervene(person, proposal)
        _check(proposal)
        reason = _checked(reason)
        earlier = rollbacks.of(proposal)
        if earlier is not None:
            who = "You have" if earlier.asked_by_id == person.pk else f"{earlier.asked_by} has"
            raise AlreadyAsked(f"{who} asked for it already: “{earlier.reason}” Nothing was sent twice.")
        now = timezone.now()
        request = RollbackRequest.objects.create(
            proposal=proposal, asked_by=person, reason=reason, asked_at=now
        )
        undoing = proposal.action_type.reversible_by
        transitions.noted(
            proposal,
            kind=Kind.ROLLBACK_ASKED,
            actor=person.actor(),
            at=now,
            detail={"reason": proposal.said(reason), "action_type": undoing.name if undoing else ""},
        )
        compensation = rollbacks.under_way(proposal)
        if compensation is not None:
            rollbacks.answer(proposal, request, compensation, at=now)
        if proposal.agent.owner_id != person.pk:
            notifications.tell(
                [proposal.agent.owner_id],
                topic=Topic.ROLLBACK,
                text=f"{person} asks {proposal.agent.name} to undo: {proposal.title}",
                key=f"rollback-asked:{proposal.pk}",
                proposal=proposal,
            )
    return request


def _check(proposal: Proposal) -> None:
    if proposal.action_type.reversible_by_id is None:
        raise WrongState("Nothing was asked for: no action type undoes this one. Undo it by hand.")
    if proposal.state == State.ROLLED_BACK:
        raise WrongState("Nothing was asked for: it has been rolled back already.", current="rolled_back")
    if proposal.state != State.SUCCEEDED:
        label = State(proposal.state).label.lower()
        raise WrongState(
            f"Nothing was asked for: the proposal is {label}; only what has succeeded is rolled back.",
            current=str(proposal.state),
        )


def _checked(reason: str) -> str:
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON or "\x00" in reason:
        raise Invalid(
            "Say why in a few words; the agent reads it.",
            errors=[{"field": "reason", "message": f"must have 1 to {MAX_REASON} characters, and no NUL"}],
        )
    return reason


def tell_of_silence(*, now: datetime) -> int:
    """Who asked hears once that nothing came within the outcome time of the action type, and once of each compensation
    that came to nothing. How many were told. Repeating it is harmless: a notification's key counts once."""
    told = 0
    for pk in list(_silent(now).values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic(durable=True):
            request = (
                RollbackRequest.objects.select_related("proposal__agent", "compensation")
                .filter(pk=pk)
                .first()
            )
            if request is not None:
                told += _tell_of(request)
    return told


def _silent(now: datetime) -> QuerySet[RollbackRequest]:
    """Requests of active people who do not know yet that they wait in vain."""
    key = Concat(
        Value(_SILENT),
        Cast(OuterRef("proposal_id"), CharField()),
        Value(":"),
        Coalesce(Cast(OuterRef("compensation_id"), CharField()), Value("")),
    )
    until = ExpressionWrapper(
        F("asked_at") + F("proposal__action_type__outcome_minutes") * Value(timedelta(minutes=1)),
        output_field=DateTimeField(),
    )
    return (
        RollbackRequest.objects.filter(proposal__state=State.SUCCEEDED, asked_by__is_active=True)
        .annotate(until=until)
        .filter(
            Q(compensation=None, until__lte=now)
            | Q(compensation__isnull=False) & ~Q(compensation__state__in=rollbacks.UNDER_WAY),
        )
        .filter(~Exists(Notification.objects.filter(recipient=OuterRef("asked_by"), key=key)))
        .order_by("pk")
    )


def _tell_of(request: RollbackRequest) -> int:
    proposal, compensation = request.proposal, request.compensation
    if compensation is None:
        text = f"{proposal.agent.name} has not answered your request to undo: {proposal.title}"
    else:
        label = State(compensation.state).label.lower()
        text = f"It is not rolled back: what was to undo “{proposal.title}” is {label}."
    return notifications.tell(
        [request.asked_by_id],
        topic=Topic.ROLLBACK,
        text=text,
        key=f"{_SILENT}{proposal.pk}:{request.compensation_id or ''}",
        proposal=proposal,
    )
