"""Many agents at once, for bench/waiting.py: each with a credential and a mandate of its own, made by copying one that
went through every use case, and fresh proposals for them, which wait in one queue for the use case that decides."""

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from django.db.models import Model
from django.db.models.base import ModelState

if TYPE_CHECKING:  # models can be imported only once an installation has been prepared
    from tests.factories import Desk

_M = TypeVar("_M", bound=Model)

AT_ONCE = 1000
_COPY = """
INSERT INTO approvals_proposal ({columns})
SELECT {values}
FROM approvals_proposal p,
    unnest(%(agents)s::bigint[], %(credentials)s::bigint[]) WITH ORDINALITY AS a (agent, credential, n)
WHERE p.id = %(template)s
RETURNING id, agent_id
"""
_REVISIONS = """
INSERT INTO approvals_revision (proposal_id, number, canonical, digest, reply, created_at, document)
SELECT p.id, 1, r.canonical, p.digest, '', p.created_at, r.document
FROM approvals_proposal p JOIN approvals_revision r ON r.proposal_id = %(template)s AND r.number = 1
WHERE p.idempotency_key = %(key)s
"""


@dataclass(frozen=True)
class Waiter:
    """One agent of the crowd: its key, its credential's and the credential's token."""

    agent: int
    credential: int
    token: str


def gather(the: "Desk", count: int) -> list[Waiter]:
    """That many agents beside the desk's own, each with a token of its own."""
    from agents import authority, tokens
    from agents.models import Agent, Credential, Mandate

    made: list[Waiter] = []
    while len(made) < count:
        places = range(len(made), min(len(made) + AT_ONCE, count))
        agents = [_copied(the.agent, slug=f"crowd-{place}", name=f"Crowd {place}") for place in places]
        agents = Agent.objects.bulk_create(agents)
        Mandate.objects.bulk_create([_copied(the.mandate, agent=agent) for agent in agents])
        new = [tokens.new() for _ in agents]
        credentials = Credential.objects.bulk_create(
            _copied(the.credential, agent=agent, key_id=token.key_id, token_hash=token.digest)
            for agent, token in zip(agents, new, strict=True)
        )
        made += [
            Waiter(agent.pk, credential.pk, token.text)
            for agent, credential, token in zip(agents, credentials, new, strict=True)
        ]
    authority.bump()
    return made


def _copied(one: _M, **changes: object) -> _M:
    """A row like this one that is not stored yet."""
    new = copy.copy(one)
    new.pk, new._state = None, ModelState()
    for name, value in changes.items():
        setattr(new, name, value)
    return new


def propose(template: UUID, crowd: list[Waiter], *, key: str) -> list[UUID]:
    """One more pending proposal for each of them, in their order, under this idempotency key."""
    from django.db import connection

    from approvals.models import Proposal

    replaced = {
        "id": "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'"
        " || lpad(to_hex(a.n %% 4096), 3, '0') || '8' || lpad(to_hex(a.agent), 15, '0'))::uuid",
        "agent_id": "a.agent",
        "credential_id": "a.credential",
        "idempotency_key": "%(key)s",
        "created_at": "now()",
        "changed_at": "now()",
    }
    columns = [str(field.column) for field in Proposal._meta.concrete_fields]
    statement = _COPY.format(
        columns=", ".join(columns),
        values=", ".join(replaced.get(column, f"p.{column}") for column in columns),
    )
    values: dict[str, Any] = {
        "template": template,
        "key": key,
        "agents": [one.agent for one in crowd],
        "credentials": [one.credential for one in crowd],
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        found = {agent: proposal for proposal, agent in cursor.fetchall()}
        cursor.execute(_REVISIONS, values)
        for table in ("approvals_proposal", "approvals_revision", "agents_credential", "agents_agent"):
            cursor.execute(f"VACUUM ANALYZE {table}")
    return [found[one.agent] for one in crowd]


def endpoints(the: "Desk", crowd: list[Waiter], url: str) -> None:
    """One for each agent, each at an address of its own under `url`, which an admin has allowed."""
    from approvals import webhooks
    from approvals.models import OpenNetwork, WebhookEndpoint, WebhookSecret
    from tests.factories import admin

    OpenNetwork.objects.get_or_create(
        network="127.0.0.0/8", defaults={"reason": "receivers of a measurement", "allowed_by": admin()}
    )
    made = WebhookEndpoint.objects.bulk_create(
        (
            WebhookEndpoint(agent_id=one.agent, url=f"{url}/{one.agent}", events=[], added_by=the.agent.owner)
            for one in crowd
        ),
        batch_size=AT_ONCE,
    )
    WebhookSecret.objects.bulk_create(
        (WebhookSecret(endpoint=one, sealed=webhooks.new_secret()[1]) for one in made), batch_size=AT_ONCE
    )


def forget_endpoints() -> None:
    """And what was sent to them."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE approvals_webhookendpoint CASCADE")
