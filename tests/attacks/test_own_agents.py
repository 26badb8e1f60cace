"""A26 to A28: whoever answers for an agent approves nothing of it, by whatever account, delegate, team or new right."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts.models import Absence, RoleAssignment, TeamJoin, User, assign_role
from accounts.roles import Role, Scope
from accounts.services import links
from agents.models import Evidence
from agents.services import action_types, assign_owners
from approvals import entitlement, permissions, separation
from approvals.exceptions import GrantRefused, MayNotDecide
from approvals.models import Proposal, Queue, Verdict, Vote
from approvals.services.redeem import redeem
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person, reviewer

pytestmark = pytest.mark.django_db(transaction=True)


def owners_second_account(the: Desk) -> User:
    other = reviewer(the.queue, name="Olga Again")
    links.link(person_id=the.agent.owner_id, other_id=other.pk, actor=admin(), why="Same person in payroll.")
    return other


def delegate_of_the_owner(the: Desk) -> User:
    return _stands_in(the.agent.owner, reviewer(the.queue, name="Del Egate"))


def second_account_of_the_delegate(the: Desk) -> User:
    other = reviewer(the.queue, name="Del Again")
    links.link(person_id=delegate_of_the_owner(the).pk, other_id=other.pk, actor=admin(), why="Same person.")
    return other


def delegate_of_the_second_account(the: Desk) -> User:
    return _stands_in(owners_second_account(the), reviewer(the.queue, name="Del Two"))


def manager(the: Desk) -> User:
    one = reviewer(the.queue, name="Mana Ger")
    assign_owners.assign_manager(agent_id=the.agent.pk, to=one, actor=admin())
    return one


def member_of_the_managing_team(the: Desk) -> User:
    team = Group.objects.create(name="Automation")
    assign_owners.assign_manager(agent_id=the.agent.pk, to=team, actor=admin())
    one = reviewer(the.queue, name="Team Member")
    one.groups.add(team)
    return one


def owner_of_everything(the: Desk) -> User:
    one = reviewer(the.queue, name="All Owner")
    assign_role(Role.AGENT_OWNER, to=one)
    return one


def new_admin_of_a_reviewing_team(the: Desk) -> User:
    """A28: an admin whom a colleague has put into the reviewing team this minute."""
    team = Group.objects.create(name="Desk")
    assign_role(Role.REVIEWER, to=team, scope=Scope.QUEUE, scope_id=str(the.queue.pk))
    RoleAssignment.objects.update(given_at=timezone.now() - timedelta(days=9))
    one = User.objects.create_superuser("ann@example.com", "a long password", name="Ann Admin")
    one.groups.add(team)
    TeamJoin.objects.create(team=team, person=one, joined_by=admin())
    return one


def admin_by_his_own_hand(the: Desk) -> User:
    """A28: long ago, but given by himself."""
    one = User.objects.create_superuser("adam@example.com", "a long password", name="Adam Admin")
    assign_role(Role.REVIEWER, to=one, scope=Scope.QUEUE, scope_id=str(the.queue.pk), given_by=one)
    RoleAssignment.objects.filter(person=one).update(given_at=timezone.now() - timedelta(days=9))
    return one


def _stands_in(absent: User, delegate: User) -> User:
    now = timezone.now()
    Absence.objects.create(
        person=absent, delegate=delegate, starts_at=now - timedelta(days=1), ends_at=now + timedelta(days=1)
    )
    return delegate


REFUSED: list[Callable[[Desk], User]] = [
    owners_second_account,
    delegate_of_the_owner,
    second_account_of_the_delegate,
    delegate_of_the_second_account,
    manager,
    member_of_the_managing_team,
    owner_of_everything,
    new_admin_of_a_reviewing_team,
    admin_by_his_own_hand,
]


def send(user: User, proposal: Proposal, verb: str) -> int:
    client = Client()
    client.force_login(user)
    body = {
        "revision": 1,
        "version": proposal.version,
        "reason": "not_allowed",
        "comment": "why?",
        "seen": "on",
    }
    return client.post(f"/proposals/{proposal.pk}/{verb}/", body).status_code


@pytest.mark.parametrize("who", REFUSED, ids=lambda who: who.__name__)
def test_a27_a28_nobody_decides_by_a_detour(who: Callable[[Desk], User]) -> None:
    the = desk()
    proposal = the.propose()
    user = who(the)
    for verb in ("approve", "reject", "return", "claim"):
        assert send(user, proposal, verb) == 403, verb
    assert Vote.objects.count() == 0
    refused = AuditEvent.objects.filter(kind="access.refused", actor_id=str(user.pk))
    assert refused.count() == 4 and refused[0].data["detail"]["code"] == "may_not_decide"
    assert user not in permissions.deciders(proposal)
    shut_out = entitlement.now(proposal, at=timezone.now()).excluded
    assert user.pk in {one.id for one in shut_out} or user.is_admin
    assert the.agent.pk in separation.conflicted_agent_ids(user) or user.is_admin
    assert send(the.reviewer, proposal, "approve") == 302


def test_a28_a_right_that_a_colleague_gave_an_admin_counts_after_a_day() -> None:
    the = desk()
    proposal = the.propose()
    user = new_admin_of_a_reviewing_team(the)
    TeamJoin.objects.filter(person=user).update(joined_at=timezone.now() - timedelta(hours=25))
    assert send(user, proposal, "approve") == 302


LATER: list[Callable[[Desk, User], object]] = [
    lambda the, voter: links.link(
        person_id=the.agent.owner_id, other_id=voter.pk, actor=admin(), why="Found out."
    ),
    lambda the, voter: assign_owners.assign_manager(agent_id=the.agent.pk, to=voter, actor=admin()),
    lambda the, voter: _stood_in_then(the.agent.owner, voter),
]


def _stood_in_then(absent: User, delegate: User) -> None:
    """An absence that is over by now and held when he voted."""
    Absence.objects.create(
        person=absent, delegate=delegate, starts_at=timezone.now() - timedelta(days=1), ends_at=timezone.now()
    )


@pytest.mark.parametrize("change", LATER, ids=["linked", "manages", "stood in"])
def test_a26_redemption_asks_again_who_stands_behind_the_approval(
    change: Callable[[Desk, User], object],
) -> None:
    the = desk()
    proposal = the.approved()
    change(the, the.reviewer)
    with pytest.raises(GrantRefused, match="decided again"):
        redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=proposal.digest)


def allowing(the: Desk, *, risk: str = "low") -> User:
    """The owner reviews a queue that lets owners approve what is of low risk."""
    Queue.objects.filter(pk=the.queue.pk).update(allows_self_approval=True)
    definition = action_types.as_definition(the.action_type)
    action_types.save(definition=replace(definition, risk=risk), actor=admin())
    assign_role(Role.REVIEWER, to=the.agent.owner, scope=Scope.QUEUE, scope_id=str(the.queue.pk))
    return the.agent.owner


def test_an_owner_approves_low_risk_where_the_queue_says_so_and_it_earns_nothing() -> None:
    the = desk()
    owner = allowing(the)
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE, by=owner)
    event = AuditEvent.objects.get(kind="proposal.voted")
    assert event.data["detail"]["self_approval"] is True
    assert Evidence.objects.count() == 0
    redeemed = redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=proposal.digest)
    assert redeemed.state == "executing"
    the.decide(the.propose(), Verdict.APPROVE)
    assert Evidence.objects.count() == 1
    latest = AuditEvent.objects.filter(kind="proposal.voted").latest("pk")
    assert "self_approval" not in latest.data["detail"]


@pytest.mark.parametrize("risk", ["medium", "high", "critical"])
def test_no_owner_approves_more_than_low_risk(risk: str) -> None:
    the = desk()
    owner = allowing(the, risk=risk)
    with pytest.raises(MayNotDecide):
        the.decide(the.propose(), Verdict.APPROVE, by=owner)


def test_a_self_approval_is_refused_once_the_queue_takes_it_back() -> None:
    the = desk()
    owner = allowing(the)
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE, by=owner)
    Queue.objects.filter(pk=the.queue.pk).update(allows_self_approval=False)
    with pytest.raises(GrantRefused):
        redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=proposal.digest)


def test_untied_accounts_are_two_people_again() -> None:
    the = desk()
    proposal = the.propose()
    user = owners_second_account(the)
    boss, client = admin(), Client()
    client.force_login(boss)
    page = client.get(f"/people/{user.pk}/accounts/").content.decode()
    assert "Olga Owner" in page and "Same person in payroll." in page
    link = user.linked_from.get() if user.linked_from.exists() else user.linked_to.get()
    there = f"/people/{user.pk}/accounts/{link.pk}/untie/"
    assert client.post(there).status_code == 422
    assert client.post(there, {"why": "Two sisters."}).status_code == 302
    assert send(user, proposal, "approve") == 302
    assert AuditEvent.objects.filter(kind="person.accounts_linked").count() == 4


def test_only_admins_link_accounts() -> None:
    the = desk()
    client = Client()
    client.force_login(the.reviewer)
    body = {"other": the.second.pk, "why": "x"}
    assert client.post(f"/people/{the.reviewer.pk}/accounts/", body).status_code == 403
    client.force_login(admin())
    there = f"/people/{the.reviewer.pk}/accounts/"
    assert client.post(there, {"other": the.second.pk, "why": ""}).status_code == 422
    assert client.post(there, body).status_code == 302
    assert (
        client.post(f"/people/{the.second.pk}/accounts/", {"other": the.reviewer.pk, "why": "x"}).status_code
        == 409
    )
    assert client.post(there, {"other": person().pk, "why": "x"}).status_code == 302
