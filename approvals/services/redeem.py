"""Redeem: the agent trades its grant for the right to act now. Authority is read again here (I10)."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import NotFound
from agents import stops
from agents.authority import Bearer
from agents.autonomy import Tier, lower, rank
from agents.exceptions import AgentNotLive, BadCredential
from agents.models import Agent, AgentState, Credential, Mandate
from approvals import facts, grants, log_guard, routing, separation, transitions
from approvals.exceptions import DigestMismatch, GrantRefused, LimitReached, Stopped
from approvals.models import ExecutorCall, Grant, Proposal
from approvals.states import State
from audit import selectors as trail
from audit.events import Actor, Kind, system


def redeem(*, proposal_id: UUID, bearer: Bearer, digest: str, token: str | None = None) -> Proposal:
    """Use the grant up and move to executing; at most once (I4).

    Holds stops off and locks agent, mandate and proposal in that order, then rereads suspension, stops, credential,
    mandate, expiry, limits, digest and whether the deciders were entitled. Raises `NotFound` for another agent's
    proposal (I9), `LogUnavailable` while the audit log cannot be written (A47)."""
    with transaction.atomic(durable=True):
        stops.share()
        agent = _agent(bearer.agent.pk)
        _check_credential(bearer)
        proposal = _own(proposal_id, agent)
        if proposal.action_type.executor_url:
            raise GrantRefused("Countersign carries this out itself. Wait for the outcome.")
        proposal, grant, now = _usable(proposal, agent, digest=digest, token=token)
        grant.redeemed_by_id = bearer.credential_id
        _use(proposal, grant, actor=agent.actor(), at=now)
    return proposal


def redeem_for_executor(*, proposal_id: UUID) -> Proposal:
    """The same for an action that Countersign itself has carried out: the call is written down where the grant is used
    up, so that neither can be without the other."""
    with transaction.atomic(durable=True):
        stops.share()
        proposal = Proposal.objects.get(pk=proposal_id, planted=False)
        proposal, grant, now = _usable(proposal, _agent(proposal.agent_id))
        kind = proposal.action_type
        if not kind.executor_url:
            raise GrantRefused("The agent acts by itself.")
        ExecutorCall.objects.create(
            proposal=proposal, url=kind.executor_url, repeats=kind.executor_repeats, not_before=now
        )
        _use(proposal, grant, actor=system("executor"), at=now)
    return proposal


def _agent(agent_id: int) -> Agent:
    return Agent.objects.select_for_update(of=("self",), no_key=True).select_related("owner").get(pk=agent_id)


def _use(proposal: Proposal, grant: Grant, *, actor: Actor, at: datetime) -> None:
    grant.redeemed_at = at
    grant.save(update_fields=["redeemed_at", "redeemed_by"])
    transitions.apply(proposal, State.EXECUTING, actor=actor, at=at, detail={"grant": str(grant.pk)})


def _usable(
    proposal: Proposal, agent: Agent, *, digest: str | None = None, token: str | None = None
) -> tuple[Proposal, Grant, datetime]:
    """Mandate and proposal under their locks, after the agent's, with everything reread that stands against it."""
    mandate = (
        Mandate.objects.select_for_update(of=("self",), no_key=True)
        .filter(agent=agent, action_type_id=proposal.action_type_id, active=True)
        .first()
    )
    proposal = transitions.locked(proposal.pk)
    now = timezone.now()
    grant = Grant.objects.select_for_update(of=("self",), no_key=True).filter(proposal=proposal).first()
    if grant is None or proposal.state != State.APPROVED:
        raise GrantRefused(_why_no_grant(proposal, grant))
    log_guard.check("redeemed")
    if agent.state != AgentState.LIVE:
        raise AgentNotLive(routing.not_live(agent.state))
    _check_stops(proposal, grant)
    _check_address(proposal, grant)
    if grant.expires_at <= now:
        raise GrantRefused("The grant has expired; propose the action again.")
    if digest not in (None, grant.digest) or grant.digest != proposal.digest:
        raise DigestMismatch(
            "The digest is not the one that was approved. Read the proposal again and act on its arguments.",
            approved=grant.digest,
        )
    if token is not None:
        claims = grants.verify(token, audience=proposal.action_type.audience, now=now)
        if claims.jti != str(grant.pk):
            raise GrantRefused("The token is the grant of another proposal.")
    if mandate is None:
        raise GrantRefused("The agent's mandate for this action type was taken back.")
    if rank(lower(mandate.tier, mandate.ceiling)) < rank(proposal.tier):
        raise GrantRefused("The mandate's tier was lowered since; propose the action again.")
    if rank(proposal.tier) > rank(Tier.IN_THE_LOOP) and not agent.has_live_owner:
        raise GrantRefused(f"{routing.OWNERLESS} Propose it again.")
    _check_limits(proposal, mandate, agent)
    _check_deciders(proposal)
    return proposal, grant, now


def _own(proposal_id: UUID, agent: Agent) -> Proposal:
    found = Proposal.objects.filter(pk=proposal_id, agent=agent, planted=False).first()
    if found is None:
        raise NotFound("There is no such proposal of this agent.")
    return found


def _check_credential(bearer: Bearer) -> None:
    if not Credential.objects.filter(
        pk=bearer.credential_id, revoked_at=None, expires_at__gt=timezone.now()
    ).exists():
        raise BadCredential("The credential is unknown, expired or revoked.")


def _why_no_grant(proposal: Proposal, grant: Grant | None) -> str:
    if grant is not None and grant.redeemed_at is not None:
        return "The grant was redeemed before; it is good for one use."
    if grant is None and proposal.state == State.APPROVED:
        return "An advisory mandate gives no grant: a person acts."
    return f"The proposal is {State(proposal.state).label.lower()}; there is nothing to redeem."


def _check_stops(proposal: Proposal, grant: Grant) -> None:
    """A grant that lived while a stop covered it is good for nothing, whether its row was revoked yet or not, and also
    after the stop was lifted."""
    stop = stops.over(
        agent_id=proposal.agent_id, action_type_id=proposal.action_type_id, since=grant.issued_at
    )
    if stop is None:
        return
    if stop.lifted_at is None:
        raise Stopped(stops.words(stop))
    raise GrantRefused("A stop took this grant back. It is lifted by now; propose the action again.")


def _check_address(proposal: Proposal, grant: Grant) -> None:
    """Who approved it said yes to whoever carried it out then: neither another server nor the agent itself may."""
    saved = trail.since("action_type", proposal.action_type.name, Kind.ACTION_TYPE_SAVED, grant.issued_at)
    for event in saved:
        before, after = event.data.get("before"), event.data["after"]
        if before and before.get("executor_url", "") != after.get("executor_url", ""):
            raise GrantRefused(
                "Who carries it out was changed since it was approved; propose the action again."
            )


def _check_limits(proposal: Proposal, mandate: Mandate, agent: Agent) -> None:
    """What nobody looked at must still be within every limit; a person who approved saw the limit named."""
    if proposal.decisions.filter(decider__isnull=False).exists():
        return
    known = facts.again(proposal, mandate, agent, now=timezone.now())
    reasons = routing.limit_reasons(known)
    if reasons:
        raise LimitReached(reasons[0].detail)
    if known.held:
        raise GrantRefused(f"{routing.HELD} Propose it again.")


def _check_deciders(proposal: Proposal) -> None:
    """Nobody who may not judge this agent by now stands behind the approval (I8 holds at redemption too)."""
    if separation.has_conflicted_vote(proposal):
        raise GrantRefused("Somebody who voted may not decide about this agent; it has to be decided again.")
