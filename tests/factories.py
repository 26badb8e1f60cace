"""States reached by walking real use cases, never by writing rows."""

import hashlib
import itertools
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from accounts import second_person
from accounts.models import User, assign_role
from accounts.roles import Role
from accounts.second_person import What
from agents import authority
from agents.authority import Bearer
from agents.autonomy import Tier, lower
from agents.models import ActionType, Agent, Credential, Mandate
from agents.services import action_types, credentials, mandates, register
from agents.services.action_types import Definition
from agents.services.mandates import Terms
from agents.tokens import digest as token_digest
from approvals.ballots import Ballot
from approvals.models import Proposal, Queue, Verdict
from approvals.requests import ProposeRequest
from approvals.services import set_up
from approvals.services.decide import Decided, decide
from approvals.services.set_up import QueueDefinition
from approvals.services.submit import submit

_numbers = itertools.count(1)

REFUND_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string", "title": "Order", "maxLength": 40},
        "amount": {"type": "number", "title": "Amount", "minimum": 0},
        "reason": {"type": "string", "title": "Reason", "enum": ["damaged", "late", "duplicate"]},
        "iban": {"type": "string", "title": "Account"},
        "note": {"type": "string"},
    },
    "required": ["order_id", "amount"],
    "additionalProperties": False,
}
ARGUMENTS = {"order_id": "A-1001", "amount": 42.5, "reason": "damaged"}
REASONS = [
    {"code": "wrong_amount", "label": "Wrong amount"},
    {"code": "not_allowed", "label": "Not allowed"},
]


def admin() -> User:
    found = User.objects.admins().order_by("pk").first()
    return found or User.objects.create_superuser("admin@example.com", "a long password", name="Ada Admin")


def person(name: str = "", **extra: Any) -> User:
    number = next(_numbers)
    return User.objects.create_user(
        f"person{number}@example.com", "a long password", name=name or f"Person {number}", **extra
    )


def auditor(name: str = "Aud Auditor", *, user: User | None = None) -> User:
    """Somebody who reads everything."""
    found = user or person(name)
    assign_role(Role.AUDITOR, to=found)
    return found


def takes_two(*kinds: What) -> None:
    """Let these kinds of change need a second person."""
    with transaction.atomic():
        second_person.store_level(kinds, by=admin(), actor=admin().actor(), reason="four eyes")


def queue(slug: str = "", **extra: Any) -> Queue:
    slug = slug or f"queue-{next(_numbers)}"
    values: dict[str, Any] = {"name": slug.title(), "domain": "customer_operations", "reason_codes": REASONS}
    return set_up.save_queue(definition=QueueDefinition(slug=slug, **{**values, **extra}), actor=admin())


def reviewer(*queues: Queue, name: str = "", team: str = "") -> User:
    """A person who may decide in these queues."""
    user = person(name)
    if team:
        user.groups.add(Group.objects.get_or_create(name=team)[0])
    for one in queues:
        set_up.assign_reviewer(queue_slug=one.slug, to=user, actor=admin())
    return user


def action_type(name: str = "", **extra: Any) -> ActionType:
    values: dict[str, Any] = {
        "name": name or f"refund_{next(_numbers)}",
        "domain": "customer_operations",
        "label": "Refund an order",
        "schema": REFUND_SCHEMA,
        "title_template": "Refund {amount} for order {order_id}",
        "amount_pointer": "/amount",
        "currency": "EUR",
        "material": ["/amount", "/iban"],
    }
    saved = action_types.save(definition=Definition(**{**values, **extra}), actor=admin())
    assert isinstance(saved, ActionType)
    return saved


def policy(rules: list[dict[str, Any]], default_queue: Queue, domain: str = "customer_operations") -> Any:
    return set_up.publish_policy(
        domain=domain, name="Policy", rules=rules, default_queue=default_queue.slug, actor=admin()
    )


@dataclass(frozen=True)
class Desk:
    """A small working installation: one agent with a token, an action type, a queue and two reviewers."""

    agent: Agent
    token: str
    credential: Credential
    action_type: ActionType
    mandate: Mandate
    queue: Queue
    reviewer: User
    second: User

    @property
    def bearer(self) -> Bearer:
        return Bearer(self.agent, self.credential.pk, self.credential.expires_at)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def propose(self, arguments: dict[str, Any] | None = None, *, key: str = "", **extra: Any) -> Proposal:
        """A proposal through the use case."""
        request = ProposeRequest(
            action_type=self.action_type.name,
            arguments=ARGUMENTS if arguments is None else arguments,
            **extra,
        )
        submitted = submit(
            token_hash=token_digest(self.token),
            key=key or f"key-{next(_numbers)}",
            request_digest=hashlib.sha256(msgspec.json.encode(request)).digest(),
            request=request,
        )
        return Proposal.objects.get(pk=submitted.proposal.pk)

    def decide(self, proposal: Proposal, verdict: Verdict, by: User | None = None, **extra: Any) -> Decided:
        """A decision by a reviewer who looks at the present state."""
        now = Proposal.objects.get(pk=proposal.pk)
        if verdict in (Verdict.REJECT, Verdict.VETO):
            extra.setdefault("reason", "not_allowed")
        if verdict == Verdict.RETURN:
            extra.setdefault("comment", "Which order is meant?")
        extra.setdefault("seen", True)
        ballot = Ballot(verdict=verdict, revision=now.revision, version=now.version, **extra)
        return decide(proposal_id=proposal.pk, reviewer=by or self.reviewer, ballot=ballot)

    def approved(self, **extra: Any) -> Proposal:
        proposal = self.propose(**extra)
        return self.decide(proposal, Verdict.APPROVE).proposal


def desk(tier: Tier = Tier.IN_THE_LOOP, *, at: dict[str, Any] | None = None, **terms: Any) -> Desk:
    """Walk every set-up use case once; `at` are settings of its queue."""
    the_queue = queue(**(at or {}))
    kind = action_type()
    policy([], the_queue)
    owner = person("Olga Owner")
    number = next(_numbers)
    agent = register.register(slug=f"agent-{number}", name=f"Agent {number}", owner=owner, actor=admin())
    credential, token = credentials.issue(agent_id=agent.pk, actor=owner)
    for name in ("max_amount", "window_amount", "subject_amount"):
        if name in terms:
            terms[name] = Decimal(terms[name])
    mandate = mandates.save(
        agent_id=agent.pk,
        action_type=kind.name,
        terms=Terms(**{"tier": lower(tier, Tier.IN_THE_LOOP), "ceiling": tier, **terms}),
        actor=admin(),
    )
    assert isinstance(mandate, Mandate)
    earned(mandate, tier)
    return Desk(
        agent=agent,
        token=token,
        credential=credential,
        action_type=kind,
        mandate=mandate,
        queue=the_queue,
        reviewer=reviewer(the_queue, name="Rita Reviewer"),
        second=reviewer(the_queue, name="Ravi Reviewer"),
    )


def undoing(the: Desk, tier: Tier = Tier.IN_THE_LOOP) -> Desk:
    """The same desk for a new action type that undoes the first one's, with a mandate for it."""
    undo = action_type(f"undo_{next(_numbers)}", label="Take a refund back")
    definition = action_types.as_definition(the.action_type)
    action_types.save(definition=replace(definition, reversible_by=undo.name), actor=admin())
    mandate = mandates.save(
        agent_id=the.agent.pk, action_type=undo.name, terms=Terms(ceiling=tier), actor=admin()
    )
    assert isinstance(mandate, Mandate)
    earned(mandate, tier)
    return replace(the, action_type=undo, mandate=mandate)


def earned(mandate: Mandate, tier: Tier) -> None:
    """The tier as if evidence had earned it: no use case raises one by hand (I12)."""
    mandate.tier = tier
    Mandate.objects.filter(pk=mandate.pk).update(tier=tier)
    authority.bump()


def hours_ago(hours: float) -> Any:
    return timezone.now() - timedelta(hours=hours)
