"""What an agent in preparation still needs before somebody sets it live, and who could take an agent over."""

from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import Group
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.carried import carried
from accounts.models import User
from accounts.roles import Duty, Scope
from agents.models import ActionType, Agent, Mandate
from approvals.models import Policy, Proposal, Queue

LATELY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the checklist. What is only advised keeps nobody from setting it live."""

    label: str
    is_done: bool
    missing: str
    is_advice: bool = False


def steps(agent: Agent) -> list[Step]:
    """Four queries."""
    usable = agent.credentials.filter(revoked_at=None, expires_at__gt=timezone.now())
    kinds = ActionType.objects.filter(mandates__agent=agent, mandates__active=True)
    governed = Policy.objects.filter(domain=OuterRef("domain"), current__isnull=False)
    without = list(
        kinds.filter(~Exists(governed)).order_by("domain").values_list("domain", flat=True).distinct()
    )
    has_mandate = Mandate.objects.filter(agent=agent, active=True).exists()
    return [
        Step("An owner who answers for it", agent.has_live_owner, "an owner who has not left"),
        Step("A team", agent.team_id is not None, "a team", is_advice=True),
        Step("A credential or an identity", usable.exists(), "a credential or an identity that is usable"),
        Step("A mandate in force", has_mandate, "a mandate in force"),
        Step(
            "A policy for " + (", ".join(without) if without else "every domain of its mandates"),
            has_mandate and not without,
            "a policy for " + (", ".join(without) or "the domain of its mandates"),
        ),
    ]


def missing(agent: Agent) -> list[str]:
    """What keeps it from going live, as words."""
    return [step.missing for step in steps(agent) if not (step.is_done or step.is_advice)]


@dataclass(frozen=True, slots=True)
class Heir:
    """Somebody who could take an agent over, and the queues of its proposals he would have to stay out of."""

    person: User
    queues: tuple[str, ...]

    @property
    def words(self) -> str:
        if not self.queues:
            return f"{self.person} ({self.person.email})"
        return f"{self.person} ({self.person.email}) – reviews {', '.join(self.queues)}"


def heirs(agents: list[Agent]) -> dict[int, list[Heir]]:
    """For each agent everybody active but its owner; who reviews a queue that its proposals come to is marked, for an
    owner never decides his agent's proposals (I8). A constant number of queries for any number of agents and people."""
    people = list(User.objects.filter(is_active=True).order_by("name", "email"))
    come = _queues_of(agents)
    wanted = {queue for queues in come.values() for queue in queues}
    queues = {queue.pk: queue for queue in Queue.objects.filter(pk__in=wanted)}
    reviewing = _reviewers(list(queues.values()))
    return {
        agent.pk: [
            Heir(
                person,
                tuple(queues[pk].name for pk in sorted(come[agent.pk]) if person.pk in reviewing[pk]),
            )
            for person in people
            if person.pk != agent.owner_id
        ]
        for agent in agents
    }


def _reviewers(queues: list[Queue]) -> dict[int, set[int]]:
    """Who has the right to decide in each, by a right of his own or a team's."""
    if not queues:
        return {}
    held = carried(duties=[Duty.REVIEW])
    members: dict[int, set[int]] = {}
    teams = {one.team.pk for one in held if one.team is not None}
    rows = Group.user_set.through.objects.filter(group__in=teams)
    for team_id, person_id in rows.values_list("group_id", "user_id"):
        members.setdefault(team_id, set()).add(person_id)
    found: dict[int, set[int]] = {queue.pk: set() for queue in queues}
    for queue in queues:
        for one in held:
            if not one.holds_for(Scope.QUEUE, queue.pk, queue.domain):
                continue
            if one.person is not None:
                found[queue.pk].add(one.person.pk)
            if one.team is not None:
                found[queue.pk] |= members.get(one.team.pk, set())
    return found


def _queues_of(agents: list[Agent]) -> dict[int, set[int]]:
    """Queues that each one's proposals of late came to."""
    found: dict[int, set[int]] = {agent.pk: set() for agent in agents}
    rows = Proposal.objects.filter(
        agent__in=agents, queue__isnull=False, planted=False, created_at__gt=timezone.now() - LATELY
    ).order_by()
    for agent_id, queue_id in rows.values_list("agent_id", "queue_id").distinct():
        if queue_id is not None:
            found[agent_id].add(queue_id)
    return found
