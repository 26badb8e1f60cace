"""What the demo's past happens in: agents, action types, mandates, policies and people, read once."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts.models import User
from agents import authority
from agents.autonomy import Tier, lower
from agents.models import ActionType, Agent, Credential, Mandate
from approvals import facts, policy, routing, states
from approvals.facts import DomainPolicy, Subjects
from approvals.models import Proposal
from approvals.routing import Route, Usage
from approvals.states import State
from config.demo import people


@dataclass(slots=True)
class Cast:
    """Read once, so that thousands of proposals can be told without a query each.

    `told` holds what was told so far by (agent, action type), newest last: windows and `history` look at it."""

    agents: dict[str, Agent]
    credentials: dict[str, Credential]
    types: dict[str, ActionType]
    mandates: dict[tuple[str, str], Mandate]
    policies: dict[str, DomainPolicy]
    users: dict[str, User]
    told: dict[tuple[str, str], list[Proposal]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def read(cls) -> "Cast":
        types = {row.name: row for row in ActionType.objects.select_related("reversible_by")}
        agents = {row.slug: row for row in Agent.objects.select_related("owner", "team")}
        number = authority.current()
        return cls(
            agents=agents,
            credentials={row.agent.slug: row for row in Credential.objects.select_related("agent")},
            types=types,
            mandates={
                (row.agent.slug, row.action_type.name): row
                for row in Mandate.objects.select_related("agent", "action_type")
            },
            policies={row.domain: facts.domain_policy(row.domain, number) for row in types.values()},
            users={row.name: row for row in User.objects.all()},
        )

    def reviewer(
        self,
        rng: random.Random,
        *,
        queue: str,
        roles: list[str],
        agent: Agent,
        without: set[int] = frozenset(),  # type: ignore[assignment]
    ) -> User:
        """Somebody who may decide there (I8): in a team of the queue, with one of the roles, not the owner."""
        may = [
            person
            for person in people.PEOPLE
            if set(person.teams) & set(people.REVIEWED_BY[queue])
            and (not roles or set(person.teams) & set(roles))
            and self.users[person.name].pk not in {*without, agent.owner_id}
        ]
        chosen = rng.choices(may, weights=[person.pace for person in may])[0]
        return self.users[chosen.name]

    def route(self, proposal: Proposal, arguments: dict[str, Any], at: datetime, *, reviewed: bool) -> Route:
        """The real routing (approvals.routing), with windows and history from what was told so far."""
        agent, kind = proposal.agent, proposal.action_type
        mandate = self.mandates[agent.slug, kind.name]
        rules = self.policies[kind.domain]
        amount, currency = facts.money(kind, arguments)
        subjects = Subjects(amount, currency, proposal.subject_type, proposal.subject_id)
        earlier = [item for item in self.told[agent.slug, kind.name] if item is not proposal]
        context = facts._context(agent, kind, arguments, subjects)
        context["history"] = _history(earlier, proposal, at)
        tier = lower(mandate.tier, mandate.ceiling)
        return routing.route(
            routing.Facts(
                agent_state=agent.state,
                tier=lower(tier, Tier.IN_THE_LOOP) if reviewed else tier,
                limits=facts.limits_of(mandate, kind),
                usage=_usage(earlier, mandate, at) if mandate.has_window else None,
                amount=amount,
                currency=currency,
                findings=policy.evaluate(rules.rules, context),
                default_queue=rules.default_queue,
                queue_quorum=rules.queue_quorum,
                veto_seconds=mandate.veto_seconds,
            )
        )


def _usage(earlier: list[Proposal], mandate: Mandate, at: datetime) -> Usage:
    since = at - timedelta(hours=mandate.window_hours)
    inside = [item for item in earlier if item.created_at > since and State(item.state) in states.LIVE]
    return Usage(len(inside), sum((abs(item.amount or Decimal(0)) for item in inside), Decimal(0)))


def _history(earlier: list[Proposal], proposal: Proposal, at: datetime) -> dict[str, int | float]:
    month = [item for item in earlier if item.created_at > at - timedelta(days=facts.HISTORY_DAYS)]
    subject = [
        item
        for item in month
        if proposal.subject_id
        and item.subject_id == proposal.subject_id
        and item.created_at > at - timedelta(days=1)
        and State(item.state) in states.LIVE
    ]
    return {
        "proposed": len(month),
        "rejected": sum(item.state == State.REJECTED for item in month),
        "succeeded": sum(item.state == State.SUCCEEDED for item in month),
        "subject_count": len(subject),
        "subject_amount": float(sum((abs(item.amount or Decimal(0)) for item in subject), Decimal(0))),
    }
