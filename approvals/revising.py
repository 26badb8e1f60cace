"""The steps that make another revision of a proposal: check it, route it again, store it.

Shared by a reviewer's edit, an agent's answer and the preview of an edit. What writes needs the caller's
transaction and a locked proposal."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import Func, Value

from accounts.models import User
from agents import authority, pointers, schemas
from agents.autonomy import Tier
from agents.exceptions import ArgumentsInvalid
from agents.models import Mandate
from approvals import acceptance, canonical, deadlines, facts, routing
from approvals.models import Claim, Proposal, Queue, Revision
from approvals.routing import Route

REVISED_FIELDS = ("revision", "digest", "title", "amount", "currency", "tier", "queue", "quorum", "roles", "required",
                  "reasons", "policy_version", "claimed_by", "claimed_until", "assigned_to",
                  *deadlines.HANDED_ON)  # fmt: skip
"""What another revision changes on its proposal."""
ROUTED_FIELDS = (
    "tier",
    "queue",
    "quorum",
    "roles",
    "required",
    "reasons",
    "claimed_by",
    "claimed_until",
    "assigned_to",
)
"""What `apply_route` changes, times apart."""


def check_arguments(proposal: Proposal, arguments: dict[str, Any]) -> None:
    """Raise `ArgumentsInvalid` when a new revision would not fit the action type's schema."""
    faults = schemas.errors(proposal.action_type.schema, arguments)
    if faults:
        raise ArgumentsInvalid(
            "The new arguments do not fit the action type.",
            errors=[{"field": "/arguments" + fault.field, "message": fault.message} for fault in faults],
        )


def route_again(proposal: Proposal, arguments: dict[str, Any], now: datetime) -> Route:
    """What limits and policy say of new arguments for an existing proposal; it stays with people.

    What was escalated stays where it is, unless the policy sends the new arguments elsewhere than the present ones:
    an edit by whom it was handed up to must not send it back down."""
    route = _route(proposal, arguments, now)
    queue = proposal.queue
    if queue is None or route.queue is None or route.queue == queue.slug:
        return route
    if _route(proposal, proposal.current_revision.arguments, now).queue != route.queue:
        return route
    return replace(route, queue=queue.slug, quorum=max(route.quorum, queue.quorum))


def _route(proposal: Proposal, arguments: dict[str, Any], now: datetime) -> Route:
    amount, currency = facts.money(proposal.action_type, arguments)
    mandate = Mandate.objects.filter(
        agent_id=proposal.agent_id, action_type_id=proposal.action_type_id, active=True
    ).first()
    if mandate is not None and mandate.tier != Tier.ADVISORY:
        # What a person was to do himself, and has done, must not get a grant because the mandate was raised meanwhile.
        mandate.tier = Tier.ADVISORY if proposal.tier == Tier.ADVISORY else Tier.IN_THE_LOOP
    rules = facts.domain_policy(proposal.action_type.domain, authority.current())
    return routing.route(
        facts.collect(
            agent=proposal.agent,
            action_type=proposal.action_type,
            mandate=mandate,
            arguments=arguments,
            subjects=facts.Subjects(amount, currency, proposal.subject_type, proposal.subject_id),
            rules=rules,
            now=now,
            exclude=proposal,
        )
    )


def add_revision(
    proposal: Proposal, content: bytes, *, editor: User | None, reply: str, at: datetime
) -> Revision:
    """A step: store the next revision and set what the proposal repeats of it (saved by the caller)."""
    number = proposal.revision + 1
    revision = Revision(
        proposal=proposal,
        number=number,
        canonical=content,
        digest=canonical.digest(
            agent=proposal.agent.slug,
            action_type=proposal.action_type.name,
            revision=number,
            canonical=content,
        ),
        editor=editor,
        reply=reply,
        created_at=at,
    )
    proposal.revision = number
    proposal.digest = revision.digest
    proposal.title = pointers.title(proposal.action_type.title_template, revision.arguments)
    revision.document = Func(Value(acceptance.words_of(proposal, content)), function="countersign_words")
    revision.save(force_insert=True)
    proposal.amount, proposal.currency = facts.money(proposal.action_type, revision.arguments)
    return revision


def apply_route(proposal: Proposal, route: Route, *, at: datetime) -> bool:
    """Take over tier, quorum, roles and reasons of the new route; True when it goes to another queue or other roles.

    The tier too: what the policy caps at advisory after an edit must not get a grant."""
    before = (proposal.queue and proposal.queue.slug, proposal.roles)
    proposal.tier, proposal.quorum = route.tier, route.quorum
    proposal.roles, proposal.required = route.roles, route.required
    proposal.reasons = routing.as_json(route.reasons)
    if route.queue is not None and (proposal.queue is None or route.queue != proposal.queue.slug):
        proposal.queue = Queue.objects.select_related("calendar").get(slug=route.queue)
        Claim.objects.filter(proposal=proposal, ended_at=None).update(ended_at=at, ended_by="moved")
        proposal.claimed_by = None
        proposal.claimed_until = None
        proposal.assigned_to = None
        deadlines.hand_on(proposal, proposal.queue, at=at)
    return before != (proposal.queue and proposal.queue.slug, proposal.roles)
