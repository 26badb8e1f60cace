"""Plan probes for what has come in, plant those that are due, take back those whose occasion has gone.

Each planning moves a position in its own transaction and each serving is one of its own, with SKIP LOCKED: two workers,
a late run or one after a crash plan and plant once. A planted proposal is made by the very function that drafts a real
one and stored by the very statement, so it differs in nothing that a page shows."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from agents import authority, schemas, standings, stops
from agents.authority import Bearer
from agents.models import ActionType, Agent, AgentState, Credential, Mandate
from agents.tier_model import Thresholds
from approvals import acceptance, blind, judging, news, probe_records, probing, transitions
from approvals.acceptance import Draft
from approvals.models import (
    BlindReview,
    HeldBallot,
    Probe,
    ProbePosition,
    ProbeServing,
    Proposal,
    Revision,
)
from approvals.requests import ProposeRequest, Subject, Turn
from approvals.services import submit
from approvals.states import State
from audit import recording
from audit.events import Kind, Target

log = structlog.get_logger(__name__)
BATCH = 500
SETTLED = timedelta(seconds=30)
"""What is younger is looked at later: by then everything with a smaller id has been committed."""
AHEAD = timedelta(seconds=2)
"""A run waits for what comes before the next one, so that probes keep to no beat."""
LATE = timedelta(minutes=5)
_TRIED = 5


def run(*, now: datetime) -> int:
    """Everything that time asks of probes. One part that fails does not hold up the others; its error comes last."""
    count, failed = 0, None
    for part in (clear, plan, serve_due):
        try:
            count += part(now=now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - planting must not wait for a fault in planning
            failed = failed or error
    if failed is not None:
        raise failed
    return count


@dataclass(slots=True)
class _Known:
    """What one run of planning has read already."""

    thresholds: dict[tuple[int, int], Thresholds | None] = field(default_factory=dict)

    def of(self, agent_id: int, action_type_id: int) -> Thresholds | None:
        key = (agent_id, action_type_id)
        if key not in self.thresholds:
            mandate = (
                Mandate.objects.filter(agent=agent_id, action_type=action_type_id, active=True)
                .select_related("action_type")
                .first()
            )
            self.thresholds[key] = (
                None if mandate is None else standings.thresholds_of(mandate, mandate.action_type)
            )
        return self.thresholds[key]


def plan(*, now: datetime) -> int:
    """Draw once for every real proposal that went to a person, and for every audit. How many probes were planned."""
    with transaction.atomic(durable=True):
        position = ProbePosition.objects.select_for_update(skip_locked=True).first()
        if position is None:
            _begin(now)
            return 0
        known = _Known()
        count = _plan_for_proposals(position, known, now) + _plan_for_audits(position, known, now)
        position.save(update_fields=["proposals", "reviews"])
        return count


def _begin(now: datetime) -> None:
    """The first run draws for nothing that was before it. Where another run has the row just now, nothing happens."""
    latest = BlindReview.objects.order_by("-pk").values_list("pk", flat=True).first()
    begun = ProbePosition(id=1, proposals=_first_id(now - SETTLED), reviews=latest or 0)
    ProbePosition.objects.bulk_create([begun], ignore_conflicts=True)


def _first_id(moment: datetime) -> UUID:
    """The smallest id that a proposal made at that moment can have (UUIDv7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def _plan_for_proposals(position: ProbePosition, known: _Known, now: datetime) -> int:
    until = _first_id(now - SETTLED)
    came = (
        Proposal.objects.filter(
            pk__gt=position.proposals, pk__lt=until, planted=False, queued_at__isnull=False
        )
        .select_related("agent", "action_type", "queue__calendar")
        .only("agent", "action_type", "agent_version", "created_at", "queue")
        .order_by("pk")[:BATCH]
    )
    found = list(came)
    position.proposals = found[-1].pk if len(found) == BATCH else max(until, position.proposals)
    count = 0
    for proposal in found:
        thresholds = known.of(proposal.agent_id, proposal.action_type_id)
        if thresholds is not None and probing.is_drawn(thresholds.probe_in):
            count += _planned(proposal, thresholds.probe_in, now, for_review=False)
    return count


def _plan_for_audits(position: ProbePosition, known: _Known, now: datetime) -> int:
    came = BlindReview.objects.filter(pk__gt=position.reviews).order_by("pk")
    count = 0
    for review in came.select_related("proposal__agent", "proposal__action_type", "queue__calendar")[:BATCH]:
        if review.created_at > now - SETTLED:
            break
        position.reviews = review.pk
        proposal = review.proposal
        if review.kind != BlindReview.Kind.AUDIT or proposal.planted:
            continue
        thresholds = known.of(proposal.agent_id, proposal.action_type_id)
        if thresholds is not None and probing.is_drawn(thresholds.probe_audit):
            proposal.queue = review.queue
            count += _planned(proposal, thresholds.probe_audit, now, for_review=True)
    return count


def _planned(proposal: Proposal, probability: float, now: datetime, *, for_review: bool) -> bool:
    serving = probing.plan(
        proposal.agent,
        proposal.action_type,
        proposal.agent_version,
        at=probing.moment(proposal.queue, trigger=proposal.created_at, now=now),
        probability=probability,
        for_review=for_review,
    )
    return serving is not None


def serve_due(*, now: datetime, wait: Callable[[float], None] = time.sleep) -> int:
    """Plant what is due, each at its own moment: a run waits for those that come before the next run."""
    due = ProbeServing.objects.filter(served_at=None, serve_at__lte=now + AHEAD).order_by("serve_at")
    count = 0
    failed: Exception | None = None
    for pk, at in list(due.values_list("pk", "serve_at")[:BATCH]):
        left = (at - timezone.now()).total_seconds()
        if 0 < left <= AHEAD.total_seconds():
            wait(left)
        try:
            count += _serve(pk, timezone.now() if at > now else now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others come
            log.error("probe_not_served", serving=pk, error=repr(error)[:300])
            failed = failed or error
    if failed is not None:
        raise failed
    return count


def _serve(serving_id: int, now: datetime) -> bool:
    with transaction.atomic(durable=True):
        serving = (
            ProbeServing.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
            .select_related("probe__action_type", "agent", "standing")
            .filter(pk=serving_id, served_at=None)
            .first()
        )
        if serving is None:
            return False
        if _has_no_occasion(serving.agent, serving.probe.action_type, serving.standing.agent_version):
            serving.delete()
            return False
        if serving.serve_at < now - LATE:
            # After a standstill they would all come at once, which real ones do not.
            serving.serve_at = probing.moment(None, trigger=now, now=now)
            serving.save(update_fields=["serve_at"])
            return False
        return _plant_one_of(serving, now)


def _has_no_occasion(agent: Agent, action_type: ActionType, version: str) -> bool:
    """Whether what it was planned for is over: another version, no mandate, a stop."""
    mandate = Mandate.objects.filter(agent=agent, action_type=action_type, active=True)
    return (
        agent.state != AgentState.LIVE
        or standings.evidence_label(agent, agent.version) != version
        or not mandate.exists()
        or stops.over(agent_id=agent.pk, action_type_id=action_type.pk) is not None
    )


def _plant_one_of(serving: ProbeServing, now: datetime) -> bool:
    """The probe it was planned with, or another where that one is retired by now, too well known or goes elsewhere."""
    others = probing.candidates(serving.agent, serving.probe.action_type)
    tried = [serving.probe] if serving.probe.active else []
    for probe in [*tried, *others][:_TRIED]:
        draft = _draft(serving.agent, probe, now)
        if draft is None or not _suits(serving, probe, draft):
            continue
        serving.probe = probe
        _plant(serving, draft, now)
        return True
    serving.delete()
    return False


def _suits(serving: ProbeServing, probe: Probe, draft: Draft) -> bool:
    if serving.for_review:
        return draft.route.state in (State.SCHEDULED, State.APPROVED)
    return draft.route.state == State.PENDING and probing.has_judges(probe, draft.proposal)


def _draft(agent: Agent, probe: Probe, now: datetime) -> Draft | None:
    """A proposal as this agent would make it now; None where it could not (no credential, another schema by now)."""
    credential = (
        Credential.objects.filter(agent=agent, revoked_at=None, expires_at__gt=now)
        .order_by(F("last_used_at").desc(nulls_last=True), "-pk")
        .first()
    )
    content = probe_records.probe_content(probe, at=now)
    if credential is None or schemas.errors(probe.action_type.schema, content.arguments):
        return None
    request = ProposeRequest(
        action_type=probe.action_type.name,
        arguments=content.arguments,
        summary=content.summary,
        reasoning=content.reasoning,
        confidence=probe.confidence,
        context=msgspec.convert(content.context, list[Turn]),
        subject=Subject(content.subject_type, content.subject_id) if content.subject_id else None,
        current_state=content.current_state,
    )
    cache = authority.fresh()
    return submit.draft_as(
        Bearer(agent, credential.pk, credential.expires_at),
        key=secrets.token_hex(24),
        request_digest=secrets.token_bytes(32),
        request=request,
        cache=cache,
    )


def _plant(serving: ProbeServing, draft: Draft, now: datetime) -> None:
    """Insert it as every proposal is inserted. The log says who did it; pages say so once it is decided."""
    proposal = draft.proposal
    proposal.planted = True
    if serving.for_review:
        proposal.state, proposal.effective_at = State.APPROVED, None
    after = msgspec.json.decode(draft.event.content)["after"] | {"state": str(proposal.state)}
    draft.event = recording.prepare(
        actor=probing.SYSTEM,
        kind=f"proposal.{proposal.state}",
        target=Target("proposal", str(proposal.pk), 1),
        after=after,
        detail=submit.naming(draft.content),
        policy_version=proposal.policy_version_id,
    )
    answer = acceptance.accept(draft, authority.current())
    assert answer.is_inserted, "a fresh key, and authority that was read in this transaction"
    serving.proposal, serving.served_at = proposal, now
    if serving.for_review:
        serving.review = blind.arise(
            proposal,
            Revision.objects.get(proposal=proposal, number=1),
            kind=BlindReview.Kind.PROBE,
            probability=serving.probability,
            at=now,
        )
        assert serving.review is not None, "a domain whose audits are reviewed has a queue"
    serving.save(update_fields=["probe", "proposal", "served_at", "review"])
    recording.record(
        actor=probing.SYSTEM,
        kind=Kind.PROBE_SERVED,
        target=Target("probe", str(serving.probe_id)),
        after={"proposal": str(proposal.pk), "agent": serving.agent.slug},
        detail={"serving": serving.pk, "probability": serving.probability, "for_review": serving.for_review},
    )
    if not serving.for_review:
        news.proposal_came(proposal)


def clear(*, now: datetime) -> int:
    """Withdraw quietly what stands in a queue without an occasion, and close what expired or was never judged.

    Where a verdict is held back by its undo window, it settles first."""
    held = Exists(HeldBallot.objects.filter(proposal=OuterRef("proposal")))
    found = ProbeServing.objects.filter(~held, decided_at=None, proposal__isnull=False)
    open_ones = found.values_list("pk", "proposal", "proposal__state", "review__state")
    count = 0
    for pk, proposal_id, state, review_state in list(open_ones[:BATCH]):
        assert proposal_id is not None
        is_over = state not in (State.PENDING, State.APPROVED) or review_state == BlindReview.State.VOID
        if is_over or _is_stale(pk):
            count += _withdraw(pk, proposal_id, now)
    return count


def _is_stale(serving_id: int) -> bool:
    serving = ProbeServing.objects.select_related("agent", "probe__action_type", "standing").get(
        pk=serving_id
    )
    return _has_no_occasion(serving.agent, serving.probe.action_type, serving.standing.agent_version)


def _withdraw(serving_id: int, proposal_id: UUID, now: datetime) -> bool:
    with transaction.atomic(durable=True):
        judging.lock(proposal_id)
        proposal = transitions.locked(proposal_id)
        serving = (
            ProbeServing.objects.select_for_update(of=("self",), no_key=True)
            .filter(pk=serving_id, decided_at=None)
            .first()
        )
        if serving is None or HeldBallot.objects.filter(proposal=proposal).exists():
            return False
        open_review = Q(serving=serving, state__in=blind.UNDONE)
        BlindReview.objects.filter(open_review).update(state=BlindReview.State.VOID)
        probing.end(proposal, at=now)
        probing.close(serving, at=now)
        return True
