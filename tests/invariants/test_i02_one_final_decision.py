"""I2: one final decision per revision, whoever else acts in the same moment.

Every pair of actions meets several times in real threads on PostgreSQL; afterwards the history must fit together."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.exceptions import Conflict, DomainError
from agents.autonomy import Tier
from agents.models import Evidence
from approvals.ballots import Ballot
from approvals.models import Decision, Grant, Outcome, Proposal, Verdict, Vote
from approvals.services import claim, expire, redeem, suspend
from approvals.services.decide import Decided, decide
from tests.factories import ARGUMENTS, Desk, admin, desk, policy, reviewer
from tests.invariants.calls import AgentCalls, history, together

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 6
Action = Callable[[Desk, Proposal], Any]


def vote(verdict: Verdict, second: bool = False, **extra: Any) -> Action:
    """A reviewer who looks at version 1 and sends this."""
    if verdict in (Verdict.REJECT, Verdict.VETO):
        extra["reason"] = "not_allowed"
    if verdict == Verdict.RETURN:
        extra["comment"] = "Which one?"

    def act(the: Desk, proposal: Proposal) -> Decided:
        ballot = Ballot(verdict=verdict, revision=1, version=1, **{"seen": True, **extra})
        return decide(proposal_id=proposal.pk, reviewer=the.second if second else the.reviewer, ballot=ballot)

    return act


def withdraw(the: Desk, proposal: Proposal) -> int:
    return AgentCalls(the).do(proposal.pk, "withdraw").status


def expire_now(the: Desk, proposal: Proposal) -> int:
    return expire.expire_undecided(now=timezone.now() + timedelta(days=9))


def close_window(the: Desk, proposal: Proposal) -> int:
    return expire.close_veto_windows(now=timezone.now() + timedelta(days=9))


EDIT: dict[str, Any] = {"arguments": {**ARGUMENTS, "amount": 1}}
OTHER_EDIT: dict[str, Any] = {"arguments": {**ARGUMENTS, "amount": 2}}
APPROVE = vote(Verdict.APPROVE)


@pytest.mark.parametrize(
    "other",
    [
        vote(Verdict.APPROVE, second=True),
        vote(Verdict.REJECT, second=True),
        vote(Verdict.EDIT, second=True, **EDIT),
        vote(Verdict.RETURN, second=True),
        vote(Verdict.REJECT),
        withdraw,
        expire_now,
    ],
    ids=["approve", "reject", "edit", "return", "own reject", "withdraw", "expire"],
)
def test_a25_an_approval_and_another_action_at_once(other: Action) -> None:
    the = desk()
    winners = set()
    for _ in range(ROUNDS):
        proposal = the.propose()
        results = together(lambda: APPROVE(the, proposal), lambda: other(the, proposal))  # noqa: B023 - run at once
        refused = [result for result in results if isinstance(result, Exception)]
        assert all(isinstance(result, DomainError) for result in refused), refused
        kinds = history(proposal.pk)
        assert len(kinds) == 2
        assert Vote.objects.filter(proposal=proposal).count() <= 1
        assert Evidence.objects.filter(proposal_id=proposal.pk).count() <= 1
        winners.add(kinds[-1])
        decided = [result for result in results if isinstance(result, Decided)]
        assert sum(one.final for one in decided) <= 1
    assert winners


def test_two_edits_at_once_make_one_revision() -> None:
    the = desk()
    for _ in range(ROUNDS):
        proposal = the.propose()
        results = together(
            lambda: vote(Verdict.EDIT, **EDIT)(the, proposal),  # noqa: B023 - run at once
            lambda: vote(Verdict.EDIT, second=True, **OTHER_EDIT)(the, proposal),  # noqa: B023
        )
        assert sum(isinstance(result, Decided) for result in results) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 1
        assert history(proposal.pk) == ["pending", "approved"]
        assert proposal.revisions.count() == 2


@pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.REJECT, Verdict.EDIT])
def test_a24_a_double_click_is_one_decision_with_the_same_answer(verdict: Verdict) -> None:
    the = desk()
    extra: dict[str, Any] = EDIT if verdict == Verdict.EDIT else {}
    for _ in range(ROUNDS):
        proposal = the.propose()
        results = together(*[lambda: vote(verdict, **extra)(the, proposal)] * 3)  # noqa: B023 - run at once
        assert [result.final for result in results] == [True] * 3, results
        assert sorted(result.repeated for result in results) == [False, True, True]
        assert Decision.objects.filter(proposal=proposal).count() == 1
        assert Vote.objects.filter(proposal=proposal).count() == 1
        history(proposal.pk)


def test_a_veto_and_the_end_of_the_window_at_once() -> None:
    for _ in range(ROUNDS):
        the = desk(Tier.ON_THE_LOOP)  # its own agent each time: a veto takes the autonomy away
        proposal = the.propose()
        results = together(
            lambda: vote(Verdict.VETO)(the, proposal),  # noqa: B023 - run at once
            lambda: close_window(the, proposal),  # noqa: B023
            lambda: withdraw(the, proposal),  # noqa: B023
        )
        kinds = history(proposal.pk)
        assert kinds[0] == "scheduled"
        assert len(kinds) == 2, (kinds, results)
        assert Grant.objects.filter(proposal=proposal).exists() == (kinds[-1] == "approved")


def test_quorum_of_two_is_met_once() -> None:
    the = desk()
    policy([{"name": "two", "when": "true", "review": {"quorum": 2}}], the.queue)
    people = [the.reviewer, the.second, reviewer(the.queue), reviewer(the.queue)]
    for _ in range(ROUNDS):
        proposal = the.propose()
        ballot = Ballot(verdict=Verdict.APPROVE, revision=1, version=1, seen=True)
        results = together(
            *[
                lambda one=one: decide(proposal_id=proposal.pk, reviewer=one, ballot=ballot)  # noqa: B023
                for one in people
            ]
        )
        assert sum(isinstance(result, Decided) and result.final for result in results) == 1
        assert Vote.objects.filter(proposal=proposal).count() == 2
        assert history(proposal.pk) == ["pending", "approved"]


def test_an_approval_and_a_suspension_at_once_leave_no_usable_grant() -> None:
    for _ in range(3):
        the = desk()
        proposal = the.propose()
        together(
            lambda: APPROVE(the, proposal),  # noqa: B023 - run at once
            lambda: suspend.suspend(agent_id=the.agent.pk, actor=admin(), reason="odd"),  # noqa: B023
        )
        history(proposal.pk)
        answer = AgentCalls(the).do(proposal.pk, "redeem", digest=proposal.digest)
        assert (answer.status, answer.code) in {(409, "grant_refused"), (409, "agent_not_live")}


def test_the_clock_twice_at_once_is_the_clock_once() -> None:
    the = desk(Tier.ON_THE_LOOP)
    windows = [the.propose() for _ in range(3)]
    later = timezone.now() + timedelta(days=9)
    counts = together(*[lambda: expire.close_veto_windows(now=later)] * 3)
    assert sum(counts) == 3
    for proposal in windows:
        assert history(proposal.pk) == ["scheduled", "approved"]
    counts = together(*[lambda: expire.lapse_grants(now=later + timedelta(days=9))] * 3)
    assert sum(counts) == 3
    the_second = desk()
    undecided = [the_second.propose() for _ in range(3)]
    claim.claim(proposal_id=undecided[0].pk, reviewer=the_second.reviewer)
    counts = together(
        *[lambda: expire.expire_undecided(now=later)] * 2, *[lambda: claim.release_run_out(now=later)] * 2
    )
    skipped = expire.expire_undecided(now=later)
    assert sum(counts[:2]) + skipped == 3
    assert sum(counts[2:]) <= 1
    for proposal in undecided:
        assert history(proposal.pk) == ["pending", "expired"]
    running = the_second.approved()
    redeem.redeem(proposal_id=running.pk, bearer=the_second.bearer, digest=running.digest)
    assert sum(together(*[lambda: expire.mark_unknown(now=later)] * 3)) == 1
    assert Outcome.objects.filter(proposal=running).count() == 1
