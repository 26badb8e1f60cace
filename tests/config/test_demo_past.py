"""The demo's past looks as if the use cases had written it, and seeding twice adds nothing."""

import stat
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import User
from agents.models import Evidence
from approvals import canonical, permissions, states
from approvals.ballots import Ballot
from approvals.models import Claim, Decision, Grant, Outcome, Proposal, Verdict, Vote
from approvals.services.claim import claim
from approvals.services.decide import decide
from approvals.states import State
from audit import chain
from audit.models import AuditEvent
from audit.selectors import timeline
from config.demo import people, setup
from tests import database, factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def seeded(settings: Any, tmp_path: Any) -> str:
    settings.VAR = tmp_path
    out = StringIO()
    with database.acting_as("owner"):  # as `prepare` does: nobody else may say when something happened
        call_command("demo_seed", proposals=220, waiting=12, stdout=out)
    return out.getvalue()


def test_seed_is_consistent_and_repeatable(seeded: str) -> None:
    """One long test, since seeding takes seconds: every promise about the rows is checked on the same past."""
    _check_proposals()
    _check_people_may()
    _check_evidence_and_grants()
    _check_audit()
    _check_repeat()
    _check_it_goes_on()


def _check_proposals() -> None:
    proposals = list(Proposal.objects.select_related("agent", "action_type"))
    assert sum(one.state == State.PENDING for one in proposals) == 12
    assert 200 < len(proposals) <= 232
    ended = {State(one.state) for one in proposals}
    assert {State.SUCCEEDED, State.REJECTED} <= ended
    assert not ended & {State.SCHEDULED, State.RETURNED, State.EXECUTING}
    now = timezone.now()
    for one in proposals:
        revisions = list(one.revisions.order_by("number"))
        assert [revision.number for revision in revisions] == list(range(1, one.revision + 1))
        assert revisions[-1].digest == one.digest
        for revision in revisions:
            assert revision.digest == canonical.digest(
                agent=one.agent.slug,
                action_type=one.action_type.name,
                revision=revision.number,
                canonical=bytes(revision.canonical),
            )
        assert now - timedelta(days=22) < one.created_at <= one.changed_at <= now
        decided = one.decisions.exclude(verdict=Verdict.RETURN).count()
        assert decided == (
            one.state in (State.APPROVED, State.REJECTED, State.SUCCEEDED, State.FAILED, State.LAPSED)
        )


def _check_people_may() -> None:
    for vote in Vote.objects.select_related("proposal__agent", "proposal__queue", "reviewer", "revision"):
        proposal = vote.proposal
        assert proposal.queue is not None
        assert vote.reviewer_id != proposal.agent.owner_id
        assert proposal.created_at < vote.voted_at
        if vote.revision.number == proposal.revision:
            proposal.roles = [seat["team"] for seat in proposal.required] or proposal.roles
            permissions.check_can_decide(vote.reviewer, proposal)
    assert not Claim.objects.filter(ended_at=None).exists()
    assert not Claim.objects.exclude(ended_at__gte=timezone.now() - timedelta(days=22)).exists()


def _check_evidence_and_grants() -> None:
    judged = Decision.objects.filter(decider__isnull=False).exclude(verdict=Verdict.RETURN)
    assert Evidence.judgements().exclude(basis="audit").count() == judged.count()
    assert not Evidence.objects.filter(judged_at__gt=timezone.now() - timedelta(seconds=1)).exists()
    for grant in Grant.objects.select_related("proposal"):
        assert grant.digest == grant.proposal.digest
        assert (grant.redeemed_at is None) == (grant.proposal.state == State.LAPSED)
    acted = Proposal.objects.filter(state__in=[State.SUCCEEDED, State.FAILED])
    assert Outcome.objects.count() == acted.count()


def _check_audit() -> None:
    for proposal in Proposal.objects.all():
        events = list(timeline("proposal", str(proposal.pk)))
        versioned = [event for event in events if event.object_version is not None]
        assert [event.object_version for event in versioned] == list(range(1, proposal.version + 1))
        states_told = [event.data["after"]["state"] for event in versioned if "state" in event.data["after"]]
        assert states_told[-1] == proposal.state
        assert all(states.may(a, b) for a, b in pairwise(states_told))
        assert [event.recorded_at for event in events] == sorted(event.recorded_at for event in events)
    for event in AuditEvent.objects.all()[:50]:
        assert chain.commitment(bytes(event.salt), event.content.encode()) == bytes(event.commitment)


def _check_repeat() -> None:
    before = (Proposal.objects.count(), AuditEvent.objects.count(), User.objects.count())
    tokens = setup.read_tokens()

    out = StringIO()
    call_command("demo_seed", stdout=out)

    assert "nothing was added" in out.getvalue()
    assert (Proposal.objects.count(), AuditEvent.objects.count(), User.objects.count()) == before
    assert setup.read_tokens() == tokens
    assert len(tokens) == 10
    assert stat.S_IMODE(setup.tokens_path().stat().st_mode) == 0o600


def _check_it_goes_on() -> None:
    """Seeded rows work with the real use cases afterwards."""
    waiting = Proposal.objects.filter(state=State.PENDING, quorum=1).select_related("agent", "queue")
    for proposal in waiting:
        reviewer = next(
            user
            for user in User.objects.filter(email__in=[person.email for person in people.PEOPLE])
            if permissions.can_decide(user, proposal)
        )
        claim(proposal_id=proposal.pk, reviewer=reviewer)
        ballot = Ballot(
            verdict=Verdict.APPROVE, revision=proposal.revision, version=proposal.version, seen=True,
            opened_at=timezone.now() - timedelta(minutes=1),
        )  # fmt: skip
        decided = decide(proposal_id=proposal.pk, reviewer=reviewer, ballot=ballot)
        assert decided.held_until is not None, "the company's queues have an undo window"


def test_past_writes_what_the_use_cases_write(seeded: str) -> None:
    """The same approve-and-act life, once seeded and once walked: same kinds of events with the same members."""
    desk = factories.desk()
    walked = desk.propose()
    claim(proposal_id=walked.pk, reviewer=desk.reviewer)
    desk.decide(walked, Verdict.APPROVE)
    votes = Vote.objects.filter(verdict=Verdict.APPROVE).values("proposal")
    told = Proposal.objects.filter(
        state=State.SUCCEEDED, revision=1, quorum=1, pk__in=votes, tier="in_the_loop"
    ).first()
    assert told is not None

    def outline(proposal_id: Any) -> list[tuple[str, Any, list[str]]]:
        return [
            (event.kind, event.object_version, sorted(event.data) + sorted(event.data.get("after", {})))
            for event in timeline("proposal", str(proposal_id))
        ]

    assert outline(told.pk)[: len(outline(walked.pk))] == outline(walked.pk)
