"""The life of one proposal of the demo's past, as the use cases would have written it, at times of our choosing.

Rows are collected unsaved; `config.demo.past` inserts them in bulk. What each step writes mirrors
`approvals.services` and is compared with it by tests/config/test_demo_past.py."""

import hashlib
import random
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from accounts.models import User
from agents import evidence, pointers, standings
from agents.autonomy import Tier
from agents.evidence import LOSS_APPROVED, LOSS_WRONG
from agents.models import Evidence
from approvals import canonical, deadlines, facts, grants, keys, quorum, routing, states, subjects
from approvals.models import Claim, Decision, Grant, Outcome, Priority, Proposal, Revision, Verdict, Vote
from approvals.routing import Route
from approvals.states import State
from audit import recording
from audit.events import Actor, Kind, Target, system
from audit.models import AuditEvent
from config.demo import clock, people
from config.demo.cases import Case
from config.demo.cast import Cast

_TEAMS = {person.name: person.teams for person in people.PEOPLE}


@dataclass(slots=True)
class Rows:
    """Everything told so far, in order; events with the time that they are to carry."""

    proposals: list[Proposal] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    events: list[tuple[datetime, AuditEvent]] = field(default_factory=list)


def uuid7_at(at: datetime) -> UUID:
    """A UUIDv7 of that time, so that the past sorts where it belongs."""
    value = (int(at.timestamp() * 1000) << 80) | secrets.randbits(80)
    return UUID(int=(value & ~(0xF << 76) & ~(0x3 << 62)) | (0x7 << 76) | (0x2 << 62))


class Life:
    """Tells one proposal. `rng` is the demo's stream of choices."""

    def __init__(self, cast: Cast, rows: Rows, rng: random.Random) -> None:
        self.cast, self.rows, self.rng = cast, rows, rng
        self.signer = keys.active()
        self.truths: dict[str, str] = {}

    def submit(self, agent: str, action_type: str, case: Case, at: datetime) -> Proposal:
        """What `submit` writes: proposal, revision 1, event; for an earned tier also decision and grant."""
        kind, who = self.cast.types[action_type], self.cast.agents[agent]
        amount, currency = facts.money(kind, case.arguments)
        proposal = Proposal(
            id=uuid7_at(at), agent=who, agent_version=who.version, credential=self.cast.credentials[agent],
            action_type=kind, idempotency_key=f"demo-{secrets.token_hex(8)}",
            request_digest=hashlib.sha256(msgspec.json.encode(case.arguments)).digest(),
            version=1, revision=1, title=pointers.title(kind.title_template, case.arguments), amount=amount,
            currency=currency, summary=case.summary, reasoning=case.reasoning, confidence=case.confidence,
            plain_context=case.context, subject_type=case.subject[0], subject_id=case.subject[1],
            subject_key=subjects.key(case.subject[1]), trace_id=f"tr-{self.rng.getrandbits(40):010x}",
            current_state=case.current_state, priority=Priority[case.priority.upper()], created_at=at, changed_at=at,
        )  # fmt: skip
        content = canonical.arguments_bytes(case.arguments)
        self._revision(proposal, content, 1, None, "", at)
        route = self.cast.route(proposal, case.arguments, at, reviewed=False)
        rules = self.cast.policies[kind.domain]
        proposal.state = route.state
        proposal.policy_version_id = rules.version_id
        self._place(proposal, route)
        queue = proposal.queue
        if route.state in (State.SCHEDULED, State.APPROVED):
            limits = standings.thresholds_of(self.cast.mandates[agent, action_type], kind)
            rate = limits.early_out if route.tier == Tier.OUT_OF_THE_LOOP else limits.early_on
            proposal.sample_probability, proposal.sampled = rate, self.rng.random() < rate
        elif route.state == State.PENDING:
            rate = standings.thresholds_of(self.cast.mandates[agent, action_type], kind).second
            proposal.sample_probability, proposal.sampled = rate, self.rng.random() < rate
        self.truths[str(proposal.pk)] = case.truth
        proposal.expires_at = at + timedelta(days=2)
        if queue is not None:
            deadlines.enter(proposal, queue, at=at)
        if route.state != State.PENDING:
            proposal.queued_at = proposal.attention_at = None
        if route.state == State.SCHEDULED:
            mandate = self.cast.mandates[agent, action_type]
            proposal.effective_at = at + timedelta(seconds=mandate.veto_seconds)
        self.rows.proposals.append(proposal)
        self.cast.told[agent, action_type].append(proposal)
        self._event(
            at, who.actor(), f"proposal.{route.state}", proposal, versioned=True,
            after={"state": str(route.state), "action_type": kind.name, "digest": proposal.digest, "revision": 1,
                   "tier": str(route.tier), "queue": route.queue, "reasons": proposal.reasons},
        )  # fmt: skip
        if route.state == State.APPROVED:
            self._approve_by_policy(proposal, at)
        return proposal

    def live(self, proposal: Proposal, case: Case, until: datetime) -> bool:
        """Let it run its course. False, and nothing more is told, when its end would lie after `until`."""
        at = proposal.created_at
        if proposal.state == State.SCHEDULED:
            at = self._window(proposal, case)
        elif proposal.state == State.PENDING:
            at = self._review(proposal, case)
        if proposal.state == State.APPROVED and proposal.tier != Tier.ADVISORY:
            at = self._act(proposal, at)
        return at < until

    def _review(self, proposal: Proposal, case: Case) -> datetime:
        rng, at = self.rng, proposal.created_at
        if rng.random() < 0.012:
            at += timedelta(minutes=rng.uniform(2, 30))
            self._move(
                proposal,
                State.WITHDRAWN,
                proposal.agent.actor(),
                at,
                {"reason": "The customer took it back."},
            )
            return at
        truth = case.truth
        if truth != "return" and rng.random() < 0.02:
            truth = rng.choice([other for other in ("approve", "reject") if other != truth])
        voted: set[int] = set()
        while proposal.state == State.PENDING:
            assert proposal.queue is not None
            reviewer = self.cast.reviewer(
                rng, queue=proposal.queue.slug, roles=proposal.roles, agent=proposal.agent, without=voted
            )
            median = 9 if proposal.priority <= Priority.HIGH else 25
            decided = clock.answered(rng, at, median_minutes=median)
            assert proposal.expires_at is not None
            if decided >= proposal.expires_at:
                self._move(proposal, State.EXPIRED, system("expiry"), proposal.expires_at)
                return proposal.expires_at
            claimed = max(at, decided - timedelta(seconds=rng.uniform(15, 220)))
            self._claim(proposal, reviewer, claimed)
            if truth == "return":
                at = self._return(proposal, case, reviewer, decided)
                truth = "approve"
                voted = set()
                continue
            if truth == "edit":
                assert case.expected is not None
                self._edit(proposal, case, reviewer, decided)
                truth, at = "approve", decided
                voted = {reviewer.pk}
                continue
            self._vote(proposal, reviewer, truth, case, decided)
            voted.add(reviewer.pk)
            at = decided
        return at

    def _claim(self, proposal: Proposal, reviewer: User, at: datetime) -> None:
        self.rows.claims.append(Claim(proposal=proposal, reviewer=reviewer, claimed_at=at))
        self._event(at, reviewer.actor(), Kind.PROPOSAL_CLAIMED, proposal)

    def _end_claim(self, at: datetime, by: str) -> None:
        claim = self.rows.claims[-1]
        claim.ended_at, claim.ended_by = at, by

    def _vote(self, proposal: Proposal, reviewer: User, verdict: str, case: Case, at: datetime) -> None:
        reason, comment = (case.reason, case.comment) if verdict == "reject" else ("", "")
        if verdict == "reject" and not reason:
            assert proposal.queue is not None
            reason = self.rng.choice([code for code, _ in proposal.queue.reasons])
        revision = self._current(proposal)
        self._cast_vote(proposal, revision, reviewer, verdict, reason, comment, at)
        if verdict == "approve" and not self._is_met(proposal, revision):
            self._end_claim(at, "voted")
            self._ask_for_the_rest(proposal, revision)
            return
        self._finish(proposal, revision, reviewer, verdict, reason, comment, at)

    def _edit(self, proposal: Proposal, case: Case, reviewer: User, at: datetime) -> None:
        assert case.expected is not None
        before = (proposal.revision, proposal.digest, proposal.queue and proposal.queue.slug, proposal.roles)
        revision = self._revise(proposal, case.expected, reviewer, case.comment, at)
        moved = (proposal.queue and proposal.queue.slug, proposal.roles) != before[2:]
        assert proposal.queue is not None
        counts = not moved or self._may_decide(reviewer, proposal)
        if counts:
            self._cast_vote(proposal, revision, reviewer, "edit", case.reason, case.comment, at)
        if counts and self._is_met(proposal, revision):
            self._finish(proposal, revision, reviewer, "edit", case.reason, case.comment, at)
            return
        self._ask_for_the_rest(proposal, revision)
        self._end_claim(at, "moved" if proposal.queue.slug != before[2] else "edited")
        proposal.version += 1
        proposal.changed_at = at
        self._event(
            at, reviewer.actor(), Kind.PROPOSAL_EDITED, proposal, versioned=True,
            before={"revision": before[0], "digest": before[1]},
            after={"revision": proposal.revision, "digest": proposal.digest},
            detail={"comment": case.comment, "queue": proposal.queue.slug},
        )  # fmt: skip

    def _return(self, proposal: Proposal, case: Case, reviewer: User, at: datetime) -> datetime:
        """The question, and the agent's answer some minutes later."""
        assert case.expected is not None
        revision = self._current(proposal)
        self._cast_vote(proposal, revision, reviewer, "return", "", case.comment, at)
        self._finish(proposal, revision, reviewer, "return", "", case.comment, at)
        answered = at + timedelta(minutes=self.rng.uniform(1, 25))
        self._revise(proposal, case.expected, None, case.reply, answered)
        assert proposal.queue is not None
        deadlines.enter(proposal, proposal.queue, at=answered)
        self._move(proposal, State.PENDING, proposal.agent.actor(), answered, {"reply": case.reply})
        return answered

    def _may_decide(self, reviewer: User, proposal: Proposal) -> bool:
        assert proposal.queue is not None
        others = {user.pk for user in self.cast.users.values()} - {reviewer.pk}
        try:
            self.cast.reviewer(
                self.rng,
                queue=proposal.queue.slug,
                roles=proposal.roles,
                agent=proposal.agent,
                without=others,
            )
        except IndexError:
            return False
        return True

    def _window(self, proposal: Proposal, case: Case) -> datetime:
        """A veto by somebody who saw the mistake, or the window passes."""
        assert proposal.effective_at is not None and proposal.queue is not None
        if case.truth != "approve" and self.rng.random() < 0.6:
            opened = (proposal.effective_at - proposal.created_at) * self.rng.uniform(0.1, 0.9)
            at = proposal.created_at + opened
            reviewer = self.cast.reviewer(self.rng, queue=proposal.queue.slug, roles=[], agent=proposal.agent)
            codes = [code for code, _ in proposal.queue.reasons]
            reason = case.reason if case.reason in codes else self.rng.choice(codes)
            revision = self._current(proposal)
            self._cast_vote(proposal, revision, reviewer, "veto", reason, case.comment, at)
            self._finish(proposal, revision, reviewer, "veto", reason, case.comment, at)
            return at
        at = proposal.effective_at + timedelta(seconds=self.rng.uniform(0.1, 2.5))
        self._approve_by_policy(proposal, at)
        self._move(proposal, State.APPROVED, system("veto_window"), at)
        return at

    def _approve_by_policy(self, proposal: Proposal, at: datetime) -> None:
        revision = self._current(proposal)
        self.rows.decisions.append(
            Decision(proposal=proposal, revision=revision, verdict=Verdict.APPROVE, reason="tier", comment="",
                     label="policy", decided_at=at)
        )  # fmt: skip
        self.rows.grants.append(grants.prepare(proposal, revision, at=at, signer=self.signer))

    def _act(self, proposal: Proposal, at: datetime) -> datetime:
        """Redeem and report, or let the grant lapse."""
        grant, rng = self.rows.grants[-1], self.rng
        assert grant.proposal is proposal
        if rng.random() < 0.007:
            self._move(proposal, State.LAPSED, system("grant_expiry"), grant.expires_at)
            return grant.expires_at
        at += timedelta(seconds=rng.uniform(0.4, 40))
        grant.redeemed_at, grant.redeemed_by = at, proposal.credential
        self._move(proposal, State.EXECUTING, proposal.agent.actor(), at, {"grant": str(grant.pk)})
        at += timedelta(seconds=rng.lognormvariate(1.5, 1))
        status = rng.choices(["succeeded", "failed"], weights=[97, 3])[0]
        external = f"{proposal.action_type.systems[0][:3].lower()}-{rng.getrandbits(32):08x}"
        result = {"message": "done"} if status == "succeeded" else {"message": rng.choice(_FAILURES)}
        self.rows.outcomes.append(
            Outcome(proposal=proposal, status=status, result=result, external_id=external, occurred_at=at,
                    reported_at=at)
        )  # fmt: skip
        self._move(
            proposal, State(status), proposal.agent.actor(), at, {"status": status, "external_id": external}
        )
        return at

    def _finish(
        self,
        proposal: Proposal,
        revision: Revision,
        reviewer: User,
        verdict: str,
        reason: str,
        comment: str,
        at: datetime,
    ) -> None:
        self.rows.decisions.append(
            Decision(proposal=proposal, revision=revision, verdict=verdict, reason=reason, comment=comment,
                     decider=reviewer, label=str(reviewer), decided_at=at)
        )  # fmt: skip
        if verdict != "return":
            self._evidence(proposal, revision, reviewer, verdict, at)
        state = {"approve": State.APPROVED, "edit": State.APPROVED, "return": State.RETURNED}.get(
            verdict, State.REJECTED
        )
        self._move(
            proposal, state, reviewer.actor(), at, {"verdict": verdict, "reason": reason, "comment": comment}
        )
        if state == State.APPROVED and proposal.tier != Tier.ADVISORY:
            self.rows.grants.append(grants.prepare(proposal, revision, at=at, signer=self.signer))

    def _evidence(
        self, proposal: Proposal, revision: Revision, reviewer: User, verdict: str, at: datetime
    ) -> None:
        mine = [item for item in self._revisions(proposal) if item.editor_id is None]
        proposed = mine[-1]
        if verdict in ("reject", "veto"):
            loss, judged = LOSS_WRONG, verdict
        elif proposed is revision:
            loss, judged = LOSS_APPROVED, "approve"
        else:
            material = proposal.action_type.material
            loss = evidence.loss_of_edit(
                before=proposed.arguments, after=revision.arguments, material=material
            )
            judged = "edit"
        basis = Evidence.Basis.VETO if verdict == "veto" else Evidence.Basis.DECISION
        self.rows.evidence.append(
            Evidence(agent=proposal.agent, agent_version=proposal.agent_version, action_type=proposal.action_type,
                     risk=proposal.action_type.risk, tier=proposal.tier, basis=basis, verdict=judged, loss=loss,
                     probability=1.0, proposal_id=proposal.pk, revision=proposed.number, judged_by=reviewer,
                     judged_at=at, counts_at=at)
        )  # fmt: skip

    def _cast_vote(
        self,
        proposal: Proposal,
        revision: Revision,
        reviewer: User,
        verdict: str,
        reason: str,
        comment: str,
        at: datetime,
    ) -> None:
        self.rows.votes.append(
            Vote(proposal=proposal, revision=revision, reviewer=reviewer, verdict=verdict, reason=reason,
                 comment=comment, voted_at=at, teams=sorted(_TEAMS[str(reviewer)]) if proposal.required else [])
        )  # fmt: skip
        self._event(
            at, reviewer.actor(), Kind.PROPOSAL_VOTED, proposal,
            after={"revision": revision.number, "digest": revision.digest, "verdict": verdict},
            detail={"reason": reason, "comment": comment},
        )  # fmt: skip

    def _teams(self, revision: Revision) -> list[list[str]]:
        """The teams of everybody who has approved this revision."""
        return [
            vote.teams
            for vote in self.rows.votes[-4:]
            if vote.revision is revision and vote.verdict in ("approve", "edit")
        ]

    def _is_met(self, proposal: Proposal, revision: Revision) -> bool:
        return quorum.is_met(self._teams(revision), proposal.quorum, proposal.required)

    def _ask_for_the_rest(self, proposal: Proposal, revision: Revision) -> None:
        """Where votes are required by team, only those teams are asked that can still fill a seat."""
        if proposal.required:
            proposal.roles = quorum.wanted(self._teams(revision), proposal.required)

    def _revise(
        self, proposal: Proposal, arguments: dict[str, Any], editor: User | None, reply: str, at: datetime
    ) -> Revision:
        proposal.revision += 1
        revision = self._revision(
            proposal, canonical.arguments_bytes(arguments), proposal.revision, editor, reply, at
        )
        proposal.title = pointers.title(proposal.action_type.title_template, arguments)
        proposal.amount, proposal.currency = facts.money(proposal.action_type, arguments)
        self._place(proposal, self.cast.route(proposal, arguments, at, reviewed=True))
        return revision

    def _revision(
        self, proposal: Proposal, content: bytes, number: int, editor: User | None, reply: str, at: datetime
    ) -> Revision:
        revision = Revision(
            proposal=proposal, number=number, canonical=content, editor=editor, reply=reply, created_at=at,
            digest=canonical.digest(agent=proposal.agent.slug, action_type=proposal.action_type.name, revision=number,
                                    canonical=content),
        )  # fmt: skip
        proposal.digest = revision.digest
        self.rows.revisions.append(revision)
        return revision

    def _place(self, proposal: Proposal, route: Route) -> None:
        rules = self.cast.policies[proposal.action_type.domain]
        if route.queue is not None:
            proposal.queue = rules.queues[route.queue]
        proposal.tier, proposal.quorum = route.tier, route.quorum
        proposal.roles, proposal.required = route.roles, route.required
        proposal.reasons = routing.as_json(route.reasons)

    def _revisions(self, proposal: Proposal) -> list[Revision]:
        return [item for item in self.rows.revisions[-6:] if item.proposal is proposal]

    def _current(self, proposal: Proposal) -> Revision:
        return self._revisions(proposal)[-1]

    def _move(
        self, proposal: Proposal, to: State, actor: Actor, at: datetime, detail: dict[str, Any] | None = None
    ) -> None:
        before = State(proposal.state)
        assert states.may(before, to), (before, to)
        claim = self.rows.claims[-1] if self.rows.claims else None
        if before == State.PENDING and claim and claim.proposal is proposal and claim.ended_at is None:
            self._end_claim(at, str(to))
        proposal.state = to
        proposal.version += 1
        proposal.changed_at = at
        self._event(
            at, actor, f"proposal.{to}", proposal, versioned=True,
            before={"state": str(before)},
            after={"state": str(to), "revision": proposal.revision, "digest": proposal.digest},
            detail=detail,
        )  # fmt: skip

    def _event(
        self,
        at: datetime,
        actor: Actor,
        kind: str,
        proposal: Proposal,
        *,
        versioned: bool = False,
        **facts_: Any,
    ) -> None:
        target = Target("proposal", str(proposal.pk), proposal.version if versioned else None)
        version = None if kind in (Kind.PROPOSAL_CLAIMED,) else proposal.policy_version_id
        event = recording.prepare(actor=actor, kind=kind, target=target, policy_version=version, **facts_)
        self.rows.events.append((at, event))


_FAILURES = (
    "The other system answered 503 three times.",
    "The record was locked.",
    "Refused: limit of the provider.",
)
