"""Separation of duties (I8): who must not judge an agent, whatever rights he has, and whose word counts as whose.

An agent is not judged by its owner, nor by whoever manages it by a role (of his own or of a team that owns it), nor by
whoever registered a credential; nor by another account of the same human being, nor by somebody's delegate. Asked when
somebody votes, and again of every vote when the grant is redeemed. NIST SP 800-53 AC-5; ISO/IEC 27001 A.5.3."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts.carried import carried
from accounts.models import Absence, LinkedAccount, TeamJoin, User, holders, reach_of
from accounts.once import once
from accounts.roles import Duty, Scope
from agents.models import Agent, Credential, Risk
from approvals.models import Proposal, Queue, Vote


def principals(user: User) -> list[int]:
    """Everybody in whose place this person speaks now: himself, his other accounts, and whoever is absent and has named
    one of them his delegate. What one of them may not judge, he may not."""
    return list(once("principals", user.pk, lambda: behind(user.pk, at=timezone.now())))


def behind(person: int, *, at: datetime) -> list[int]:
    """The same at a moment: `person` first. Two queries; three where somebody is absent."""
    own = [person, *sorted(linked([person]))]
    absent = set(
        Absence.objects.at(at)
        .filter(delegate__in=own, person__is_active=True)
        .values_list("person", flat=True)
    )
    others = absent | (linked(absent) if absent else set())
    return [*own, *sorted(others - set(own))]


def linked(people: Iterable[int]) -> set[int]:
    """Other accounts of the same human beings. Links are pairs; who links three accounts links each with each."""
    known = set(people)
    pairs = LinkedAccount.objects.filter(Q(first__in=known) | Q(second__in=known)).values_list(
        "first", "second"
    )
    return {pk for pair in pairs for pk in pair} - known


def speaking_for(people: Collection[int], *, at: datetime) -> set[int]:
    """`people`, their other accounts, their delegates and those delegates' other accounts: `behind`, turned round."""
    told = set(people) | linked(people)
    delegates = Absence.objects.at(at).filter(person__in=told, person__is_active=True).exclude(delegate=None)
    stand_ins = set(delegates.values_list("delegate", flat=True))
    return {pk for pk in told | stand_ins | (linked(stand_ins) if stand_ins else set()) if pk is not None}


def answerable(agent: Agent) -> set[int]:
    """Who answers for an agent: its owner, whoever manages it by a role, whoever registered a credential."""
    managers = holders(Duty.MANAGE, scope=Scope.AGENT, scope_id=agent.pk, domain=agent.domain)
    registrars = Credential.objects.filter(agent=agent).values_list("registered_by", flat=True)
    return {agent.owner_id, *registrars, *User.objects.filter(managers).values_list("pk", flat=True)}


def who_must_not(agent: Agent, *, at: datetime) -> set[int]:
    """Everybody who must not judge the agent now."""
    return speaking_for(answerable(agent), at=at)


def conflicted_agent_ids(user: User) -> list[int]:
    """Agents this person must not judge."""
    return list(once("conflicted", user.pk, lambda: _conflicted_agent_ids(user)))


def _conflicted_agent_ids(user: User) -> list[int]:
    people = principals(user)
    theirs = Q(owner__in=people) | Q(credentials__registered_by__in=people)
    managed = reach_of(people, Duty.MANAGE)
    if managed:
        theirs |= managed.on_agents()
    return list(Agent.objects.filter(theirs).distinct().values_list("pk", flat=True))


def conflict(user: User, agent: Agent) -> str:
    """Why this person must not judge the agent, as a sentence; empty where nothing stands against it."""
    people = principals(user)
    registrars = set(
        Credential.objects.filter(agent=agent, registered_by__in=people).values_list(
            "registered_by", flat=True
        )
    )
    if agent.owner_id == user.pk:
        return "You own this agent; somebody else has to decide."
    if user.pk in registrars:
        return "You registered a credential of this agent; somebody else has to decide."
    if reach_of([user.pk], Duty.MANAGE).covers_agent(agent.pk, agent.domain):
        return "You manage this agent, yourself or by a team; somebody else has to decide."
    others = people[1:]
    if not others:
        return ""
    own = linked([user.pk])
    if (
        agent.owner_id in own
        or registrars & own
        or reach_of(own, Duty.MANAGE).covers_agent(agent.pk, agent.domain)
    ):
        return "Another account of yours answers for this agent; somebody else has to decide."
    if agent.owner_id in others:
        return "You stand in for this agent's owner; somebody else has to decide."
    if registrars:
        return "You stand in for somebody who registered a credential of this agent."
    if reach_of(others, Duty.MANAGE).covers_agent(agent.pk, agent.domain):
        return "You stand in for somebody who manages this agent; somebody else has to decide."
    return ""


def owners_may(proposal: Proposal) -> bool:
    """Whether those who answer for the agent may decide this one: the queue says so, and the action is of low risk."""
    queue = proposal.queue
    return (
        queue is not None
        and queue.allows_self_approval
        and proposal.action_type.risk == Risk.LOW
        and not proposal.planted
    )


def is_own(user: User, proposal: Proposal) -> bool:
    """Whether this is a self-approval: he answers for the agent and decides, because the queue lets him. It says so
    in the log, and it is no evidence: nobody earns his agent autonomy by his own word. No query where no queue does."""
    return owners_may(proposal) and bool(conflict(user, proposal.agent))


def has_conflicted_vote(proposal: Proposal) -> bool:
    """Whether somebody behind a vote on the present revision must not judge this agent by now, or spoke for such a
    person when he voted. The grant is good for nothing then."""
    if owners_may(proposal):
        return False
    votes = list(
        Vote.objects.filter(proposal=proposal, revision__number=proposal.revision).values_list(
            "reviewer", "voted_at"
        )
    )
    if not votes:
        return False
    must_not = answerable(proposal.agent)
    return any(must_not & set(behind(reviewer, at=moment)) for reviewer, moment in votes)


def cooling(user: User, queue: Queue) -> str:
    """Why an admin's right to decide in a queue does not count yet; empty where it does (A28).

    Who gives rights could give himself one by way of a team or a colleague and use it the same minute. So an admin
    decides only by a right that somebody else gave him, at least `COOL_DOWN_HOURS` ago."""
    if not user.is_admin:
        return ""
    old = timezone.now() - timedelta(hours=settings.COOL_DOWN_HOURS)
    own = {user.pk, *linked([user.pk])}
    joins = {join.team_id: join for join in TeamJoin.objects.filter(person=user)}
    for right in carried(duties=[Duty.REVIEW], person=user):
        if not right.holds_for(Scope.QUEUE, queue.pk, queue.domain):
            continue
        given = [(right.assignment.given_at, right.assignment.given_by_id)] if right.assignment else []
        join = joins.get(right.team.pk) if right.team else None
        if join is not None:
            given.append((join.joined_at, join.joined_by_id))
        if all(at <= old and by not in own for at, by in given):
            return ""
    return (
        "You are an admin, and your right to decide here is younger than "
        f"{settings.COOL_DOWN_HOURS} hours or was given by yourself; somebody else has to decide."
    )
