"""Probes on their way: whether one is drawn, when it comes, which one, and what its decision says. Steps.

Nothing of it happens while an agent proposes: a process of its own looks at what came (services/probe_serve.py), so
an agent can neither see the draw nor time it (I11)."""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Count, Exists, OuterRef

from accounts.models import User
from agents.models import ActionType, Agent
from approvals import judging, notifications, permissions, probe_records, transitions
from approvals.models import BlindReview, Probe, ProbeServing, Proposal, Queue, Vote
from approvals.models import Judgement as Answer
from approvals.notifications import Topic
from approvals.probe_records import Own
from approvals.states import State
from audit import recording
from audit.events import Actor, Kind, Target

SYSTEM = Actor("system", probe_records.PLANTER, "Countersign")
MEAN_MINUTES = 45
LEAST_SECONDS = 15
_random = secrets.SystemRandom()
_OVER = {State.APPROVED: State.REVOKED, State.RETURNED: State.WITHDRAWN, State.PENDING: State.WITHDRAWN}
"""How a planted proposal ends in the states in which a real one would go on."""


def is_drawn(probability: float) -> bool:
    """The coin; nobody can foresee it."""
    return _random.random() < probability


def moment(queue: Queue | None, *, trigger: datetime, now: datetime) -> datetime:
    """When a probe is to come: exponentially later, in the queue's working time if its trigger came in that.

    What came at night is answered by the clock: probes that kept office hours would tell whoever works at night that
    everything there is real."""
    seconds = LEAST_SECONDS + _random.expovariate(1 / (MEAN_MINUTES * 60))
    calendar = queue.calendar if queue is not None else None
    if calendar is None or not calendar.hours.is_open(trigger):
        return now + timedelta(seconds=seconds)
    minutes, rest = divmod(seconds, 60)
    return calendar.hours.add(now, int(minutes)) + timedelta(seconds=rest)


def candidates(agent: Agent, action_type: ActionType) -> list[Probe]:
    """Probes that suit this agent and are not on their way already; the least used ones first, else by chance."""
    on_its_way = ProbeServing.objects.filter(probe=OuterRef("pk"), decided_at=None)
    suiting = (
        Probe.objects.filter(~Exists(on_its_way), action_type=action_type, active=True)
        .annotate(times=Count("servings"))
        .select_related("action_type")
    )
    found = [
        (probe.times, _random.random(), probe) for probe in suiting if probe.agent_id in (None, agent.pk)
    ]
    return [probe for _, _, probe in sorted(found, key=lambda one: one[:2])]


def plan(
    agent: Agent, action_type: ActionType, version: str, *, at: datetime, probability: float, for_review: bool
) -> ProbeServing | None:
    """Keep that a probe is to come then. None where the library has none to give."""
    found = candidates(agent, action_type)
    if not found:
        return None
    return ProbeServing.objects.create(
        probe=found[0],
        standing=judging.standing_of(agent, action_type, version),
        agent=agent,
        serve_at=at,
        probability=probability,
        for_review=for_review,
    )


def has_judges(probe: Probe, proposal: Proposal) -> bool:
    """Whether enough people may decide it who do not know it already."""
    may = {person.pk for person in permissions.deciders(proposal)}
    return len(may - permissions.who_know(probe)) >= proposal.quorum


def settle(proposal: Proposal, *, at: datetime) -> None:
    """The final decision on a planted proposal: it measures who gave it, and is over.

    Every voter hears at once what it was and how he did by his own vote; the agent's standing counts the final
    decision alone. Locks, after the proposal: serving, standing."""
    serving = (
        ProbeServing.objects.select_for_update(of=("self",), no_key=True)
        .select_related("probe__action_type")
        .get(proposal=proposal)
    )
    serving.proposal = proposal
    decision = proposal.decisions.select_related("revision").latest("decided_at", "pk")
    served = proposal.revisions.get(number=1)
    caught = probe_records.is_caught(
        str(decision.verdict), served=served, judged=decision.revision, probe=serving.probe
    )
    serving.caught = caught is not False
    serving.reviewer, serving.decided_at = decision.decider, at
    serving.save(update_fields=["caught", "reviewer", "decided_at"])
    _record_decided(serving, str(decision.verdict))
    judging.probed(serving, at=at)
    end(proposal, at=at, reason="probe")
    _tell_voters(serving, proposal)


def judged(review: BlindReview, *, at: datetime) -> None:
    """A planted blind review was answered. A fault that counts half or more has caught it: a smaller one is not what
    is wrong with it."""
    serving = (
        ProbeServing.objects.select_for_update(of=("self",), no_key=True)
        .select_related("probe__action_type")
        .get(review=review)
    )
    serving.proposal, serving.review = review.proposal, review
    serving.caught = review.judgement in (Answer.SUBSTANTIAL, Answer.WRONG, Answer.NOT_AT_FAULT)
    serving.reviewer, serving.decided_at = review.reviewer, at
    serving.save(update_fields=["caught", "reviewer", "decided_at"])
    _record_decided(serving, review.judgement)
    judging.probed(serving, at=at)
    end(review.proposal, at=at, reason="probe")
    assert review.reviewer is not None
    _tell(serving, Own(serving, serving.caught, probe_records.fault_of(serving)), review.reviewer.pk)


def end(proposal: Proposal, *, at: datetime, reason: str = "") -> None:
    """Take a planted proposal out of the way, by the transitions every proposal has. One that nobody has decided says
    no reason: its page goes on reading like a real one that was withdrawn."""
    over = _OVER.get(State(proposal.state))
    if over is not None:
        detail = {"reason": reason} if reason else None
        transitions.apply(proposal, over, actor=SYSTEM, at=at, detail=detail)


def close(serving: ProbeServing, *, at: datetime) -> None:
    """A locked serving that nobody will decide any more: it says nothing of anybody."""
    serving.decided_at = at
    serving.save(update_fields=["decided_at"])


def words(own: Own) -> str:
    """What a reviewer is told, in one or two sentences."""
    fault = own.fault.strip().rstrip(".")
    if own.is_upheld:
        return f"This was a probe that does not count: your appeal was upheld. What was held to be wrong: {fault}."
    if own.caught:
        return f"That was a probe, planted to see whether such a fault is noticed. You caught it: {fault}."
    if own.caught is None:
        return (
            f"That was a probe; a colleague had mended it before you, so it does not count for you: {fault}."
        )
    return (
        f"That was a probe, and this one got past you; nothing was carried out. What was wrong: {fault}. "
        "If you think that it was right to approve, you can appeal."
    )


def _tell_voters(serving: ProbeServing, proposal: Proposal) -> None:
    votes: dict[int, list[Vote]] = {}
    for vote in Vote.objects.filter(proposal=proposal).select_related("revision"):
        votes.setdefault(vote.reviewer_id, []).append(vote)
    fault = probe_records.fault_of(serving)
    for reviewer, his in votes.items():
        _tell(serving, Own(serving, probe_records.own_result(serving, his), fault), reviewer)


def _tell(serving: ProbeServing, own: Own, reviewer: int) -> None:
    notifications.tell(
        [reviewer],
        topic=Topic.PROBE,
        text=words(own),
        key=f"probe:{serving.pk}",
        link=f"/probes/mine/#probe-{serving.pk}",
    )


def _record_decided(serving: ProbeServing, verdict: str) -> None:
    recording.record(
        actor=SYSTEM,
        kind=Kind.PROBE_DECIDED,
        target=Target("probe", str(serving.probe_id)),
        after={"caught": serving.caught, "verdict": verdict},
        detail={"serving": serving.pk, "proposal": str(serving.proposal_id)},
    )


def admins_but(author: User | None) -> Iterable[int]:
    """Who may answer an appeal: an admin who did not make the probe."""
    admins = User.objects.admins()
    return [pk for pk in admins.values_list("pk", flat=True) if author is None or pk != author.pk]
