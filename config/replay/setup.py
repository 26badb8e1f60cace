"""What a replay needs to exist: agents, action types, queues, mandates, reviewers, credentials.

Agents and action types come in by blueprints, like a company's own; repeating it changes nothing. Tokens and the
reviewers' password lie in `<var>/replay/state.json`, mode 0600."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import RoleAssignment, User, assign_role
from accounts.roles import Role, Scope
from agents import authority
from agents.models import Agent
from agents.services import credentials
from approvals import permissions
from approvals.models import Queue
from approvals.services import load_blueprint
from audit import recording
from audit.events import Kind, Target, system
from config.demo.setup import write_private
from config.replay import types
from config.replay.records import Record

_ACTOR = system("replay")


@dataclass(slots=True)
class Access:
    """What the players sign in with."""

    tokens: dict[str, str]
    reviewers: list[str]
    password: str


def state_path() -> Path:
    return Path(settings.VAR) / "replay" / "state.json"


def reviewer_email(number: int) -> str:
    return f"replay-reviewer-{number}@countersign.example"


def read() -> Access | None:
    """What an earlier set-up has left, or None."""
    try:
        return Access(**json.loads(state_path().read_text("utf-8")))
    except FileNotFoundError:
        return None


def set_up(records: Sequence[Record], described: dict[str, dict[str, Any]], reviewers: int) -> Access:
    """Create what is missing for these records and that many reviewers."""
    access = read() or Access({}, [], secrets.token_urlsafe(18))
    access.reviewers = [reviewer_email(number) for number in range(1, reviewers + 1)]
    owner = _person(types.OWNER, "Replay: owner of the agents", password=None)
    for made in types.blueprints(records, described):
        data = json.dumps(made, ensure_ascii=False).encode()
        load_blueprint.load(data=data, name=f"replay of {made['domain'].removeprefix(types.DOMAIN_PREFIX)}")
    people = [
        _person(email, f"Replay: reviewer {number}", password=access.password)
        for number, email in enumerate(access.reviewers, 1)
    ]
    queues = Queue.objects.filter(slug__in={types.queue_of(record.domain) for record in records})
    for person in people:
        _let_review(person, queues)
    _issue(access, {record.agent for record in records}, owner)
    write_private(state_path(), json.dumps(vars_of(access), indent=1))
    return access


def vars_of(access: Access) -> dict[str, Any]:
    return {"tokens": access.tokens, "reviewers": access.reviewers, "password": access.password}


def _person(email: str, name: str, *, password: str | None) -> User:
    """The person of that address, with that password; None is a password nobody can sign in with."""
    with transaction.atomic(durable=True):
        user = User.objects.filter(email=email).first()
        if user is None:
            user = User.objects.create_user(email, password, name=name)
            recording.record(
                actor=_ACTOR,
                kind=Kind.PERSON_CREATED,
                target=Target("person", str(user.pk)),
                after={"email": user.email, "name": user.name, "admin": False},
            )
        elif password is not None and not user.check_password(password):
            user.set_password(password)
            user.save(update_fields=["password"])
    return user


def _let_review(person: User, queues: Any) -> None:
    held = set(permissions.reviewable_queue_ids(person))
    for queue in queues:
        if queue.pk in held:
            continue
        with transaction.atomic(durable=True):
            assign_role(
                Role.REVIEWER, to=person, scope=Scope.QUEUE, scope_id=str(queue.pk),
                source=RoleAssignment.Source.SETUP,
            )  # fmt: skip
            authority.bump()
            recording.record(
                actor=_ACTOR,
                kind=Kind.REVIEWERS_ASSIGNED,
                target=Target("queue", queue.slug),
                detail={"to": str(person), "kind": "person", "allowed": True},
            )


def _issue(access: Access, slugs: set[str], owner: User) -> None:
    for agent in Agent.objects.filter(slug__in=slugs, owner=owner):
        usable = agent.credentials.filter(
            revoked_at=None, expires_at__gt=timezone.now(), label="replay"
        ).exists()
        if agent.slug not in access.tokens or not usable:
            _, access.tokens[agent.slug] = credentials.issue(agent_id=agent.pk, actor=owner, label="replay")
