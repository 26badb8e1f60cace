"""What belongs to one thing's timeline in the audit log: the events about it and about what hangs on it."""

from dataclasses import dataclass, field
from uuid import UUID

from accounts.models import User
from agents.models import Activity, Agent, Mandate
from approvals.models import BlindReview, Dispute, Incident, Notification, ProbeServing, Proposal
from audit.selectors import Group


@dataclass(frozen=True, slots=True)
class Told:
    """What is no event but belongs to the story: how much of it there is, and where it is shown."""

    words: str
    link: str = ""


@dataclass(slots=True)
class Trail:
    """One thing: what it is called now (the log's own names may be older), whose events are its, and who it acts as."""

    title: str
    groups: list[Group]
    actor: tuple[str, str] | None = None
    told: list[Told] = field(default_factory=list)


def trail(object_type: str, object_id: str) -> Trail:
    """Of anything that events are about; what is not known here has a timeline of its own events all the same."""
    made = Trail(f"{object_type.replace('_', ' ')} {object_id}", [Group(object_type, (object_id,))])
    if object_type == "proposal":
        _proposal(made, object_id)
    elif object_type == "agent" and object_id.isdigit():
        _agent(made, int(object_id))
    elif object_type == "mandate" and object_id.isdigit():
        mandate = Mandate.objects.filter(pk=int(object_id)).select_related("agent", "action_type").first()
        made.title = f"{mandate.agent.name}: {mandate.action_type.label}" if mandate else made.title
    elif object_type == "person" and object_id.isdigit():
        person = User.objects.filter(pk=int(object_id)).first()
        made.title = str(person) if person else made.title
        made.actor = ("human", object_id)
    return made


def _agent(made: Trail, pk: int) -> None:
    agent = Agent.objects.filter(pk=pk).first()
    if agent is not None:
        made.title = agent.name
    mandates = Mandate.objects.filter(agent_id=pk).values_list("pk", flat=True)
    made.groups.append(Group("mandate", tuple(str(one) for one in mandates)))
    made.actor = ("agent", str(pk))


def _proposal(made: Trail, text: str) -> None:
    try:
        proposal = Proposal.objects.filter(pk=UUID(text)).select_related("agent").first()
    except ValueError:
        return
    if proposal is None:
        return
    made.title = proposal.title
    for name, rows in (
        ("review", BlindReview.objects.filter(proposal=proposal)),
        ("dispute", Dispute.objects.filter(proposal=proposal)),
        ("incident", Incident.objects.filter(proposals=proposal)),
    ):
        made.groups.append(Group(name, tuple(str(pk) for pk in rows.values_list("pk", flat=True))))
    serving = ProbeServing.objects.filter(proposal=proposal).first()
    if serving is not None:  # auditors may know what was planted; a probe's other servings are not this story
        needle = f'"proposal":"{proposal.pk}"'
        made.groups.append(Group("probe", (str(serving.probe_id),), needle))
    told = Notification.objects.filter(proposal=proposal).count()
    made.told.append(Told(f"{told} notification{'' if told == 1 else 's'} went to people about it"))
    if proposal.trace_id:
        done = Activity.objects.filter(agent=proposal.agent, trace_id=proposal.trace_id).count()
        words = f"{done} recorded step{'' if done == 1 else 's'} of the agent led to it"
        made.told.append(Told(words, f"/proposals/{proposal.pk}/" if done else ""))
