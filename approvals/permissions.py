"""May this person? `check_*` raises, `can_*` answers. Admins have no shortcut: deciding needs the queue's permission.

Whether the state allows it is the transition table's business, not this module's."""

from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts import second_factor
from accounts.exceptions import NotAllowed, NotFound
from accounts.models import User, holders, mark_used
from accounts.once import once
from accounts.roles import Duty, Scope
from agents import permissions as agents
from agents.models import Agent
from agents.permissions import can_manage
from approvals import separation
from approvals.exceptions import MayNotDecide
from approvals.models import BlindReview, Probe, ProbeServing, Proposal, Queue, Vote


def reviewable_queue_ids(user: User) -> list[int]:
    """Queues in which this person may decide, through a role of his own or of one of his teams.

    Two queries; admins get nothing for being that (I8)."""
    return queue_ids(user, Duty.REVIEW)


def queue_ids(user: User, duty: Duty) -> list[int]:
    """Queues for which this person has the duty."""
    return list(once(f"queues {duty}", user.pk, lambda: _queue_ids(user, duty)))


def _queue_ids(user: User, duty: Duty) -> list[int]:
    reach = user.held.reach(duty)
    if not reach:
        return []
    return list(Queue.objects.filter(reach.on_queues()).order_by("pk").values_list("pk", flat=True))


def readable_queue_ids(user: User) -> list[int]:
    """Queues everything of which this person sees: as a reviewer, or as an auditor of them."""
    return sorted({*reviewable_queue_ids(user), *queue_ids(user, Duty.READ)})


def check_can_decide(user: User, proposal: Proposal) -> bool:
    """Raise `MayNotDecide` with the reason, or return whether he decides about an agent he answers for himself, which
    a queue may allow for what is of low risk.

    Order: right on the queue, separation of duties, roles the policy asks for."""
    if proposal.queue_id is None or proposal.queue_id not in reviewable_queue_ids(user):
        raise MayNotDecide("You are not a reviewer of this queue.")
    if proposal.planted and proposal.pk in kept_from(user):
        raise NotFound("There is no such proposal, or it is not for you to see.")
    assert proposal.queue is not None
    if proposal.queue.needs_second_factor:
        second_factor.check_shown(user)
    if why := separation.cooling(user, proposal.queue):
        raise MayNotDecide(why)
    conflict = separation.conflict(user, proposal.agent)
    if conflict and not separation.owners_may(proposal):
        raise MayNotDecide(conflict)
    if proposal.roles and not user.groups.filter(name__in=proposal.roles).exists():
        raise MayNotDecide(f"The policy asks for a member of {' or '.join(proposal.roles)}.")
    return bool(conflict)


def reviews_now(user: User, queue: Queue | None) -> None:
    """Note that somebody has just judged in a queue by the role that lets him. Needs the caller's transaction."""
    if queue is not None:
        mark_used(user, Duty.REVIEW, scope=Scope.QUEUE, scope_id=queue.pk, domain=queue.domain)


def reviewers_of(queue: Queue) -> Q:
    """People with the right to decide in a queue, as a filter on people."""
    return holders(Duty.REVIEW, scope=Scope.QUEUE, scope_id=queue.pk, domain=queue.domain)


def deciders(proposal: Proposal) -> list[User]:
    """Everybody who may decide this proposal, by name ("who can decide this?"). A handful of queries."""
    about = (proposal.pk, proposal.version, proposal.queue_id)
    return list(once("deciders", about, lambda: _deciders(proposal)))


def _deciders(proposal: Proposal) -> list[User]:
    if proposal.queue_id is None:
        return []
    assert proposal.queue is not None
    entitled = User.objects.filter(reviewers_of(proposal.queue), is_active=True)
    if proposal.roles:
        entitled = entitled.filter(pk__in=User.objects.filter(groups__name__in=proposal.roles))
    now = timezone.now()
    voted = set(
        Vote.objects.filter(proposal=proposal, revision__number=proposal.revision).values_list(
            "reviewer", flat=True
        )
    )
    conflicted = separation.speaking_for(voted, at=now) if voted else set()
    if not separation.owners_may(proposal):
        conflicted |= separation.who_must_not(proposal.agent, at=now)
    found = list(entitled.exclude(pk__in=conflicted).distinct().order_by("name", "pk"))
    admins = set(User.objects.admins().filter(pk__in=[one.pk for one in found]).values_list("pk", flat=True))
    queue = proposal.queue
    return [one for one in found if one.pk not in admins or not separation.cooling(one, queue)]


def can_decide(user: User, proposal: Proposal) -> bool:
    """Whether `check_can_decide` would let this person pass."""
    return why_not(user, proposal) is None


def why_not(user: User, proposal: Proposal) -> str | None:
    """The sentence that tells this person why he may not decide, or None."""
    try:
        check_can_decide(user, proposal)
    except NotAllowed as error:
        return error.detail
    return None


def check_has_not_voted(user: User, proposal: Proposal) -> None:
    """The editor of a revision and everybody who voted on it have had their one vote, and so has their delegate."""
    voters = set(
        Vote.objects.filter(
            proposal=proposal,
            revision__number=proposal.revision,
            reviewer__in=separation.principals(user),
        ).values_list("reviewer", flat=True)
    )
    if user.pk in voters:
        raise MayNotDecide("You have already voted on this revision; a second person has to.")
    if voters:
        raise MayNotDecide(
            "Somebody you stand in for, or another account of yours, has voted on this revision; "
            "a second person has to."
        )


def check_can_see(user: User, proposal: Proposal) -> None:
    """Reviewers of its queue, the agent's people, admins and auditors see a proposal; for others it does not exist.

    The agent's people know what it has sent, so what was planted is never shown to them for being that."""
    if proposal.planted and proposal.pk in kept_from(user):
        raise NotFound("There is no such proposal, or it is not for you to see.")
    if proposal.queue_id is not None and proposal.queue_id in readable_queue_ids(user):
        return
    if user.reads_everything:
        return
    is_theirs = proposal.agent.owner_id == user.pk or proposal.agent_id in readable_agent_ids(user)
    if is_theirs and not proposal.planted:
        return
    raise NotFound("There is no such proposal, or it is not for you to see.")


def can_see(user: User, proposal: Proposal) -> bool:
    """Whether `check_can_see` would let this person pass."""
    try:
        check_can_see(user, proposal)
    except NotFound:
        return False
    return True


def can_edit_policy(user: User, domain: str) -> bool:
    """Admins, and policy editors of the domain."""
    return user.is_active and (user.is_admin or user.held.reach(Duty.EDIT_POLICY).has_domain(domain))


def check_can_edit_policy(user: User, domain: str) -> None:
    if not can_edit_policy(user, domain):
        raise NotAllowed("Only admins and policy editors of this domain publish its policy.")


def domain_now(user: User, duty: Duty, domain: str) -> None:
    """Note that somebody has just used a duty on a domain. Needs the caller's transaction."""
    mark_used(user, duty, scope=Scope.DOMAIN, scope_id=domain)


def can_write_probes(user: User, domain: str) -> bool:
    """Admins, and probe authors of the domain."""
    return user.is_active and (user.is_admin or user.held.reach(Duty.WRITE_PROBES).has_domain(domain))


def check_can_write_probes(user: User, domain: str | None = None) -> None:
    """In one domain, or in any where none is named."""
    held = user.held.reach(Duty.WRITE_PROBES)
    if not (can_write_probes(user, domain) if domain is not None else user.is_admin or bool(held)):
        raise NotAllowed("Only admins and probe authors keep the probe library.")


def leads(user: User, queue: Queue | None) -> bool:
    """Whether he hands out others' work in this queue: its senior reviewers."""
    return queue is not None and queue.pk in queue_ids(user, Duty.LEAD)


def check_can_answer_appeals(user: User) -> None:
    if not (user.is_admin or user.held.reach(Duty.LEAD)):
        raise NotAllowed("Only admins and senior reviewers answer appeals.")


def check_can_settle(user: User, proposal: Proposal) -> None:
    """Who answers for the action says what became of it: reviewers of its queue and the agent's managers.

    Auditors see it and change nothing."""
    if proposal.queue_id is not None and proposal.queue_id in reviewable_queue_ids(user):
        return
    if not can_manage(user, proposal.agent):
        raise NotAllowed("Reviewers of its queue and those who manage the agent settle an outcome.")


def can_intervene(user: User, proposal: Proposal) -> bool:
    """Who watches may stop and ask for a way back: reviewers of its queue, the agent's owner and managers, admins.

    It judges nothing, so nobody has a conflict: the owner may take back what he may not approve."""
    in_queue = proposal.queue_id is not None and proposal.queue_id in reviewable_queue_ids(user)
    return in_queue or can_manage(user, proposal.agent)


def check_can_intervene(user: User, proposal: Proposal) -> None:
    """Raise `NotFound` for who may not see it, `NotAllowed` for who sees it and may change nothing (auditors)."""
    check_can_see(user, proposal)
    if not can_intervene(user, proposal):
        raise NotAllowed(
            "Reviewers of its queue and those who manage the agent recall it or ask for a rollback."
        )


def visible_to(user: User) -> Q:
    """The same rule as `check_can_see`, as a filter for lists."""
    kept = kept_from(user)
    known = ~Q(pk__in=kept) if kept else Q()
    if user.reads_everything:
        return known
    theirs = Q(agent__owner=user) | Q(agent_id__in=readable_agent_ids(user))
    return (Q(queue_id__in=readable_queue_ids(user)) | (theirs & Q(planted=False))) & known


def kept_from(user: User) -> list[UUID]:
    """Planted proposals this person must not meet, for as long as they are undecided: he made the probe, has judged
    what it was made of or an earlier serving, or knows what the agent sends. Nearly always none; one query."""
    return list(once("kept_from", user.pk, lambda: _kept_from(user)))


def _kept_from(user: User) -> list[UUID]:
    servings = ProbeServing.objects.filter(decided_at=None, proposal__isnull=False)
    if not servings.exists():
        return []
    own_vote = Vote.objects.filter(reviewer=user)
    own_review = BlindReview.objects.filter(reviewer=user)
    earlier = own_vote.filter(proposal__serving__probe=OuterRef("probe"))
    earlier_review = own_review.filter(proposal__serving__probe=OuterRef("probe"))
    known = servings.filter(
        Q(probe__author=user)
        | Q(agent__owner=user)
        | Q(agent__in=managed_agent_ids(user))
        | _reads_library(user)
        | Exists(own_vote.filter(proposal=OuterRef("probe__source")))
        | Exists(own_review.filter(proposal=OuterRef("probe__source")))
        | Exists(earlier.exclude(proposal=OuterRef("proposal")))
        | Exists(earlier_review.exclude(proposal=OuterRef("proposal")))
    )
    return [pk for pk in known.values_list("proposal", flat=True) if pk is not None]


def _reads_library(user: User) -> Q:
    """Servings of probes that stand in a library this person may read: he would recognise them. Admins see planted ones
    as they see everything, apart from the queues that they review themselves."""
    if user.is_admin:
        return Q(proposal__queue__in=reviewable_queue_ids(user))
    reach = user.held.reach(Duty.WRITE_PROBES)
    if reach.everywhere:
        return Q(pk__isnull=False)
    return Q(probe__action_type__domain__in=sorted(reach.domains))


def who_know(probe: Probe) -> set[int]:
    """Primary keys of the people who would recognise a probe: as `kept_from`, apart from the agent's people."""
    of_it = Q(proposal=probe.source_id) if probe.source_id else Q(pk=None)
    of_it |= Q(proposal__serving__probe=probe)
    voters = Vote.objects.filter(of_it).values_list("reviewer", flat=True)
    reviewers = BlindReview.objects.filter(of_it, reviewer__isnull=False).values_list("reviewer", flat=True)
    authors = holders(Duty.WRITE_PROBES, scope=Scope.DOMAIN, scope_id=probe.action_type.domain)
    reading = User.objects.filter(authors).values_list("pk", flat=True)
    found = {*voters, *reviewers, *reading, probe.author_id}
    return {pk for pk in found if pk is not None}


def without_who_know(people: set[int], proposal: Proposal) -> set[int]:
    """Whom messages about a proposal may reach: for a planted one, nobody it is kept from."""
    if not proposal.planted:
        return people
    serving = ProbeServing.objects.select_related("probe").filter(proposal=proposal).first()
    return people if serving is None else people - who_know(serving.probe)


def watched_agent_ids(user: User) -> list[int]:
    """Agents all of whose proposals this person may see, as `check_can_see` says."""
    if user.reads_everything:
        return list(Agent.objects.values_list("pk", flat=True))
    owned = Agent.objects.filter(Q(owner=user) | Q(pk__in=readable_agent_ids(user)))
    return list(owned.values_list("pk", flat=True))


def readable_agent_ids(user: User) -> set[int]:
    """Agents this person manages or audits."""
    return {*agents.managed_ids(user), *agents.ids(user, Duty.READ)}


def managed_agent_ids(user: User) -> set[int]:
    """Agents this person manages by a role; his own he owns besides."""
    return set(agents.managed_ids(user))
