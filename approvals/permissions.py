"""May this person? `check_*` raises, `can_*` answers. Admins have no shortcut: deciding needs the queue's permission.

Whether the state allows it is the transition table's business, not this module's."""

from django.contrib.contenttypes.models import ContentType
from django.db.models import Q
from guardian.models import GroupObjectPermission, UserObjectPermission

from accounts.exceptions import NotAllowed, NotFound
from accounts.models import User
from agents.models import Agent, Credential
from agents.permissions import can_manage
from approvals.exceptions import MayNotDecide
from approvals.models import Proposal, Queue, Vote

REVIEW = "review_queue"


def reviewable_queue_ids(user: User) -> list[int]:
    """Queues in which this person may decide, through a grant of his own or of one of his teams.

    Two queries; superusers get nothing for being that (I8)."""
    if not user.is_active:
        return []
    content_type = ContentType.objects.get_for_model(Queue)
    own = UserObjectPermission.objects.filter(
        user=user, permission__codename=REVIEW, permission__content_type=content_type
    ).values_list("object_pk", flat=True)
    team = GroupObjectPermission.objects.filter(
        group__user=user, permission__codename=REVIEW, permission__content_type=content_type
    ).values_list("object_pk", flat=True)
    return sorted({int(pk) for pk in own} | {int(pk) for pk in team})


def conflicted_agent_ids(user: User) -> list[int]:
    """Agents this person must not judge: owned by him, or with a credential he registered (I8)."""
    return list(
        Agent.objects.filter(Q(owner=user) | Q(credentials__registered_by=user))
        .distinct()
        .values_list("pk", flat=True)
    )


def conflict_with(agent_id: int) -> Q:
    """Votes of people who must not judge this agent, as a filter on votes."""
    registrars = Credential.objects.filter(agent_id=agent_id).values("registered_by")
    owners = Agent.objects.filter(pk=agent_id).values("owner")
    return Q(reviewer__in=registrars) | Q(reviewer__in=owners)


def check_can_decide(user: User, proposal: Proposal) -> None:
    """Raise `MayNotDecide` with the reason, or return.

    Order: right on the queue, separation of duties, roles the policy asks for."""
    if proposal.queue_id is None or proposal.queue_id not in reviewable_queue_ids(user):
        raise MayNotDecide("You are not a reviewer of this queue.")
    if proposal.agent.owner_id == user.pk:
        raise MayNotDecide("You own this agent; somebody else has to decide.")
    if Credential.objects.filter(agent_id=proposal.agent_id, registered_by=user).exists():
        raise MayNotDecide("You registered a credential of this agent; somebody else has to decide.")
    if proposal.roles and not user.groups.filter(name__in=proposal.roles).exists():
        raise MayNotDecide(f"The policy asks for a member of {' or '.join(proposal.roles)}.")


def can_decide(user: User, proposal: Proposal) -> bool:
    """Whether `check_can_decide` would let this person pass."""
    return why_not(user, proposal) is None


def why_not(user: User, proposal: Proposal) -> str | None:
    """The sentence that tells this person why he may not decide, or None."""
    try:
        check_can_decide(user, proposal)
    except MayNotDecide as error:
        return error.detail
    return None


def check_has_not_voted(user: User, proposal: Proposal) -> None:
    """The editor of a revision and everybody who voted on it have had their one vote."""
    if Vote.objects.filter(proposal=proposal, revision__number=proposal.revision, reviewer=user).exists():
        raise MayNotDecide("You have already voted on this revision; a second person has to.")


def check_can_see(user: User, proposal: Proposal) -> None:
    """Reviewers of its queue, the agent's people, admins and auditors see a proposal; for others it does not exist."""
    if proposal.queue_id is not None and proposal.queue_id in reviewable_queue_ids(user):
        return
    if proposal.agent.owner_id == user.pk or user.is_superuser:
        return
    if user.has_perm("audit.view_auditevent") or user.has_perm("agents.manage_agent", proposal.agent):
        return
    raise NotFound("There is no such proposal, or it is not for you to see.")


def can_see(user: User, proposal: Proposal) -> bool:
    """Whether `check_can_see` would let this person pass."""
    try:
        check_can_see(user, proposal)
    except NotFound:
        return False
    return True


def check_can_settle(user: User, proposal: Proposal) -> None:
    """Who answers for the action says what became of it: reviewers of its queue and the agent's managers.

    Auditors see it and change nothing."""
    if proposal.queue_id is not None and proposal.queue_id in reviewable_queue_ids(user):
        return
    if not can_manage(user, proposal.agent):
        raise NotAllowed("Reviewers of its queue and those who manage the agent settle an outcome.")


def visible_to(user: User) -> Q:
    """The same rule as `check_can_see`, as a filter for lists."""
    if user.is_superuser or user.has_perm("audit.view_auditevent"):
        return Q()
    managed = managed_agent_ids(user)
    return Q(queue_id__in=reviewable_queue_ids(user)) | Q(agent__owner=user) | Q(agent_id__in=managed)


def managed_agent_ids(user: User) -> set[int]:
    content_type = ContentType.objects.get_for_model(Agent)
    own = UserObjectPermission.objects.filter(
        user=user, permission__codename="manage_agent", permission__content_type=content_type
    ).values_list("object_pk", flat=True)
    team = GroupObjectPermission.objects.filter(
        group__user=user, permission__codename="manage_agent", permission__content_type=content_type
    ).values_list("object_pk", flat=True)
    return {int(pk) for pk in own} | {int(pk) for pk in team}
