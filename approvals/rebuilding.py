"""The sheet of a vote for which none was recorded, rebuilt from what is stored: a page says so of every part.

Exact are the revision's bytes, the agent's words, the votes and the policy version. The action type, the queue and the
mandate are set back by the audit log: the first change after the moment says what stood before. Judgements, standing
and rights are taken as they were known by then. What was changed past the log cannot be set back."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from accounts.models import User
from agents import standings
from agents.models import ActionType, Mandate, Standing, TierChange
from approvals import entitlement, record, sheets, showing
from approvals.models import Claim, PolicyVersion, Proposal, Queue, Revision
from approvals.sheet_shape import FORMAT, Lease, Sheet, Shown, TierThen
from audit import selectors as trail
from audit.events import Kind

_MOMENT = timedelta(seconds=5)
"""A vote ends its lease some milliseconds before its event is written, by another clock."""


def rebuilt(
    viewer: User,
    proposal: Proposal,
    *,
    number: int,
    at: datetime,
    voter: tuple[int, str],
    verdict: str,
    page: str,
    policy_version: int | None,
    state: str,
) -> Sheet | None:
    """As `approvals.sheets` would have made it at `at`; None where the revision is gone."""
    found = sheets.loaded(proposal.pk)
    revision = proposal.revisions.select_related("editor").filter(number=number).first()
    if found is None or revision is None:
        return None
    _set_back(found, revision, at, policy_version, state)
    blind = page == "blind"
    queue = found.queue
    return Sheet(
        format=FORMAT,
        page=page,
        build="",
        at=at,
        opened_at=None,
        zone="",
        voter=voter[0],
        voter_name=voter[1],
        verdict=verdict,
        shown=_shown(viewer, found, revision, at, blind=blind),
        queue=sheets.queue_of(found) if queue and not blind else None,
        tier=None if blind else _tier(found, at),
        votes=[] if blind else sheets.votes_on(found, number, before=at, without=voter[0]),
        claim=None if blind else _lease(found, at),
        entitled=entitlement.as_of(found, revision=number, at=at, voter=voter[0])
        if queue and not blind
        else None,
    )


def _shown(viewer: User, proposal: Proposal, revision: Revision, at: datetime, *, blind: bool) -> Shown:
    judged = record.judged_before(proposal, before=at)
    known = None if blind else showing.record_of(viewer, proposal, revision, judged, before=at)
    return sheets.shown_of(
        viewer,
        proposal,
        revision,
        showing.sheet_of(proposal, revision, judged, now=at),
        hosts=showing.findings_of(proposal, revision).hosts,
        why=[] if blind else showing.why(proposal),
        known=known,
        at=at,
    )


def _set_back(
    proposal: Proposal, revision: Revision, at: datetime, policy_version: int | None, state: str
) -> None:
    """The proposal in hand, which is never saved, with its action type, queue and policy as they were."""
    if was := _before("action_type", proposal.action_type.name, Kind.ACTION_TYPE_SAVED, at):
        _apply(proposal.action_type, was)
        undo = was.get("reversible_by")
        proposal.action_type.reversible_by = ActionType.objects.filter(name=undo).first() if undo else None
    if moved := trail.since("proposal", str(proposal.pk), Kind.PROPOSAL_ESCALATED, at).last():
        came_from = (moved.data.get("before") or {}).get("queue", "")
        proposal.queue = Queue.objects.filter(slug=came_from).first() or proposal.queue
    if proposal.queue and (was := _before("queue", proposal.queue.slug, Kind.QUEUE_SAVED, at)):
        _apply(proposal.queue, was)
    if policy_version is not None:
        versions = PolicyVersion.objects.select_related("policy")
        proposal.policy_version = versions.filter(pk=policy_version).first()
    if proposal.required:
        proposal.roles = []  # those whose votes were missing then; `required` says which were asked for
    proposal.state = state
    showing.set_back(proposal, revision)


def _before(object_type: str, object_id: str, kind: Kind, at: datetime) -> dict[str, Any]:
    """What stood at `at`, where it was changed since: the first change after it says so."""
    first = trail.since(object_type, object_id, kind, at).last()
    return dict(first.data.get("before") or {}) if first else {}


def _apply(row: ActionType | Queue, was: dict[str, Any]) -> None:
    names = {field.attname for field in row._meta.concrete_fields} - {"id", "bulk_amount", "slug", "name"}
    for name in names & was.keys():
        setattr(row, name, was[name])


def _tier(proposal: Proposal, at: datetime) -> TierThen | None:
    mandate = Mandate.objects.filter(agent=proposal.agent, action_type=proposal.action_type).first()
    if mandate is None:
        return None
    was = _before("mandate", str(mandate.pk), Kind.MANDATE_SAVED, at)
    mandate.ceiling = was.get("ceiling", mandate.ceiling)
    if change := TierChange.objects.filter(mandate=mandate, changed_at__gt=at).order_by("pk").first():
        mandate.tier = change.before
    found = sheets.tier_of(proposal, mandate)
    if found is None:
        return None
    kind = proposal.action_type
    row = Standing.objects.filter(
        agent=proposal.agent, action_type=kind, agent_version=found.evidence_version, risk=kind.risk
    ).first()
    state = standings.as_of(row, at) if row else None
    return sheets.with_standing(found, state.as_json() if state else {}, at if state else None)


def _lease(proposal: Proposal, at: datetime) -> Lease | None:
    ended = Q(ended_at=None) | Q(ended_at__gte=at - _MOMENT)
    held = Claim.objects.filter(ended, proposal=proposal, claimed_at__lte=at)
    claim = held.select_related("reviewer").order_by("-pk").first()
    return Lease(str(claim.reviewer), claim.ended_at) if claim else None
