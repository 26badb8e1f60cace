"""Try a policy on recent proposals: how many would go elsewhere. Reads only."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from agents.models import Mandate
from approvals import facts, policy, routing
from approvals.facts import DomainPolicy, Subjects
from approvals.models import Policy, Proposal, Queue, Revision
from approvals.routing import Route
from approvals.states import State

TRIED = 200


@dataclass(frozen=True, slots=True)
class Move:
    """So many proposals would go `after` instead of `before`; `examples` are the latest of them."""

    before: str
    after: str
    number: int
    examples: list[Proposal]


@dataclass(slots=True)
class Rehearsal:
    """How the rules would have routed what came lately. `errors` are (rule, message, number)."""

    tried: int = 0
    same: int = 0
    moves: list[Move] = field(default_factory=list)
    errors: list[tuple[str, str, int]] = field(default_factory=list)


def rehearse(*, domain: str, rules: list[dict[str, Any]], default_queue: str) -> Rehearsal:
    """Route the domain's latest proposals by the policy in force and by these rules, as if they came now.

    Windows are left out: their use belongs to the moment, and they weigh the same on both sides."""
    queues = {queue.slug: queue for queue in Queue.objects.all()}
    proposed = DomainPolicy(None, policy.compile_rules(rules), default_queue, queues)
    in_force = _in_force(domain, queues)
    proposals = list(
        Proposal.objects.filter(action_type__domain=domain, planted=False)
        .select_related("agent__team", "action_type")
        .defer("plain_context", "reasoning", "current_state", "metadata")
        .order_by("-id")[:TRIED]
    )
    revisions = {
        (row.proposal_id, row.number): row for row in Revision.objects.filter(proposal__in=proposals)
    }
    mandates = _mandates(proposals)
    result = Rehearsal(tried=len(proposals))
    moved: dict[tuple[str, str], list[Proposal]] = {}
    errors: Counter[tuple[str, str]] = Counter()
    for proposal in proposals:
        arguments = revisions[proposal.pk, proposal.revision].arguments
        mandate = mandates.get((proposal.agent_id, proposal.action_type_id))
        before = _words(_route(proposal, arguments, mandate, in_force, errors=None))
        after = _words(_route(proposal, arguments, mandate, proposed, errors=errors))
        if before == after:
            result.same += 1
        else:
            moved.setdefault((before, after), []).append(proposal)
    result.moves = [Move(*way, len(found), found[:3]) for way, found in moved.items()]
    result.moves.sort(key=lambda move: -move.number)
    result.errors = [(rule, message, number) for (rule, message), number in errors.most_common(10)]
    return result


def _in_force(domain: str, queues: dict[str, Queue]) -> DomainPolicy:
    found = Policy.objects.filter(domain=domain).select_related("current__default_queue").first()
    if found is None or found.current is None:
        first = next((slug for slug, queue in queues.items() if queue.domain == domain), None)
        return DomainPolicy(None, [], first, queues)
    current = found.current
    return DomainPolicy(current.pk, policy.compile_rules(current.rules), current.default_queue.slug, queues)


def _mandates(proposals: list[Proposal]) -> dict[tuple[int, int], Mandate]:
    agents = {proposal.agent_id for proposal in proposals}
    found = Mandate.objects.filter(agent__in=agents, active=True)
    return {(mandate.agent_id, mandate.action_type_id): mandate for mandate in found}


def _route(
    proposal: Proposal,
    arguments: dict[str, Any],
    mandate: Mandate | None,
    rules: DomainPolicy,
    *,
    errors: Counter[tuple[str, str]] | None,
) -> Route:
    amount, currency = facts.money(proposal.action_type, arguments)
    gathered = facts.collect(
        agent=proposal.agent,
        action_type=proposal.action_type,
        mandate=mandate,
        arguments=arguments,
        subjects=Subjects(amount, currency, proposal.subject_type, proposal.subject_id),
        rules=rules,
        now=timezone.now(),
        exclude=proposal,
        with_windows=False,
    )
    if errors is not None:
        errors.update((rule.name, message) for rule, message in gathered.findings.errors)
    return routing.route(gathered)


def _words(route: Route) -> str:
    if route.state == State.DENIED:
        return "denied"
    if route.state == State.APPROVED:
        return "runs at once"
    if route.state == State.SCHEDULED:
        return "runs after the veto window"
    people = f" by {route.quorum} people" if route.quorum > 1 else ""
    roles = f" of {' or '.join(route.roles)}" if route.roles else ""
    return f"review in {route.queue}{people}{roles}"
