"""Set up queues, their reviewers and policies; publishing a policy makes a new version."""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from guardian.shortcuts import assign_perm, remove_perm

from accounts.exceptions import Invalid, NotFound
from accounts.models import User
from agents import authority, permissions
from approvals import policy
from approvals.exceptions import PolicyRefused
from approvals.models import Policy, PolicyVersion, Proposal, Queue
from audit import recording
from audit.events import Actor, Kind, Target

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,59}\Z")
_SAMPLES = 50


@dataclass(frozen=True, kw_only=True)
class QueueDefinition:
    """Everything a queue says of itself; `reason_codes` as in `approvals.models.Queue`."""

    slug: str
    name: str
    domain: str
    lease_minutes: int = 10
    due_minutes: int = 240
    expires_minutes: int = 2880
    quorum: int = 1
    reason_codes: list[dict[str, Any]] = field(default_factory=list)


def queue_faults(definition: QueueDefinition) -> list[dict[str, str]]:
    """Everything that is wrong with a queue's definition."""
    found = []
    for name in ("slug", "domain"):
        if not _SLUG.fullmatch(getattr(definition, name).replace("_", "-")):
            found.append({"field": name, "message": "must be a-z, 0-9, - and _, at most 60 characters"})
    if not definition.name.strip():
        found.append({"field": "name", "message": "must not be empty"})
    for name, least, most in (
        ("lease_minutes", 1, 24 * 60),
        ("due_minutes", 1, 90 * 1440),
        ("expires_minutes", 1, 90 * 1440),
        ("quorum", 1, 9),
    ):
        if not least <= getattr(definition, name) <= most:
            found.append({"field": name, "message": f"must be {least} to {most}"})
    codes = [item.get("code") for item in definition.reason_codes]
    if len(set(codes)) != len(codes) or not all(
        isinstance(item.get("code"), str) and isinstance(item.get("label"), str)
        for item in definition.reason_codes
    ):
        found.append({"field": "reason_codes", "message": "each needs a code of its own and a label"})
    return found


def save_queue(*, definition: QueueDefinition, actor: User) -> Queue:
    """Create or change the queue of that slug."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        return store_queue(definition, actor=actor.actor())


def store_queue(definition: QueueDefinition, *, actor: Actor) -> Queue:
    """A step of `save_queue` and of loading blueprints."""
    wrong = queue_faults(definition)
    if wrong:
        raise Invalid(f"The queue {definition.slug!r} was not saved.", errors=wrong)
    existing = Queue.objects.select_for_update(of=("self",), no_key=True).filter(slug=definition.slug).first()
    before = queue_definition(existing) if existing else None
    if existing and before == definition:
        return existing
    queue = existing or Queue()
    for name, value in asdict(definition).items():
        setattr(queue, name, value)
    queue.save()
    authority.bump()
    recording.record(
        actor=actor,
        kind=Kind.QUEUE_SAVED,
        target=Target("queue", queue.slug),
        before=asdict(before) if before else None,
        after=asdict(definition),
    )
    return queue


def queue_definition(queue: Queue) -> QueueDefinition:
    """What is stored, in the form in which it is saved and compared."""
    return QueueDefinition(**{name: getattr(queue, name) for name in QueueDefinition.__dataclass_fields__})


def assign_reviewer(*, queue_slug: str, to: User | Group, actor: User, allowed: bool = True) -> None:
    """Give or take the right to decide in a queue, to a person or a team."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        queue = Queue.objects.filter(slug=queue_slug).first()
        if queue is None:
            raise NotFound(f"There is no queue {queue_slug!r}.")
        (assign_perm if allowed else remove_perm)("approvals.review_queue", to, queue)
        authority.bump()
        recording.record(
            actor=actor.actor(),
            kind=Kind.REVIEWERS_ASSIGNED,
            target=Target("queue", queue.slug),
            detail={"to": str(to), "kind": "team" if isinstance(to, Group) else "person", "allowed": allowed},
        )


def publish_policy(
    *, domain: str, name: str, rules: list[dict[str, Any]], default_queue: str, actor: User, note: str = ""
) -> PolicyVersion:
    """Make the next version of a domain's policy, which routes from the commit on."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        return store_policy(
            domain=domain,
            name=name,
            rules=rules,
            default_queue=default_queue,
            actor=actor.actor(),
            by=actor,
            note=note,
        )


def store_policy(
    *,
    domain: str,
    name: str,
    rules: list[dict[str, Any]],
    default_queue: str,
    actor: Actor,
    by: User | None,
    note: str,
) -> PolicyVersion:
    """A step of `publish_policy` and of loading blueprints. Raises `PolicyRefused` naming the rule."""
    queue = Queue.objects.filter(slug=default_queue).first()
    if queue is None:
        raise PolicyRefused(f"The default queue {default_queue!r} does not exist.")
    try:
        compiled = policy.compile_rules(rules)
    except ValueError as error:
        raise PolicyRefused(f"The policy was not published: {error}") from error
    for slug in sorted(policy.queues_named(rules)):
        if not Queue.objects.filter(slug=slug).exists():
            raise PolicyRefused(f"A rule names the queue {slug!r}, which does not exist.")
    _try_on_samples(domain, compiled)
    found, _ = Policy.objects.select_for_update(of=("self",), no_key=True).get_or_create(
        domain=domain, defaults={"name": name}
    )
    current = found.current
    if current and current.rules == rules and current.default_queue == queue and found.name == name:
        return current
    version = PolicyVersion.objects.create(
        policy=found,
        number=current.number + 1 if current else 1,
        rules=rules,
        default_queue=queue,
        note=note,
        published_by=by,
    )
    found.name, found.current = name, version
    found.save(update_fields=["name", "current"])
    authority.bump()
    recording.record(
        actor=actor,
        kind=Kind.POLICY_PUBLISHED,
        target=Target("policy", domain),
        before={"number": current.number, "rules": current.rules} if current else None,
        after={"number": version.number, "rules": rules, "default_queue": default_queue},
        detail={"note": note},
        policy_version=version.pk,
    )
    return version


def _try_on_samples(domain: str, rules: list[policy.Rule]) -> None:
    """Run the rules over recent proposals: a condition that is not true or false is found before it is in force."""
    samples = Proposal.objects.filter(action_type__domain=domain).select_related("agent__team", "action_type")
    for proposal in samples.order_by("-id")[:_SAMPLES]:
        context = {
            "args": proposal.current_revision.arguments,
            "amount": None if proposal.amount is None else float(proposal.amount),
            "agent": {
                "name": proposal.agent.slug,
                "version": proposal.agent_version,
                "team": proposal.agent.team.name if proposal.agent.team else "",
            },
            "action": {
                "name": proposal.action_type.name,
                "domain": domain,
                "risk": proposal.action_type.risk,
                "reversible": proposal.action_type.reversible_by_id is not None,
            },
            "subject": {"type": proposal.subject_type, "id": proposal.subject_id},
            "history": {
                "proposed": 0,
                "rejected": 0,
                "succeeded": 0,
                "subject_count": 0,
                "subject_amount": 0.0,
            },
        }
        for rule, message in policy.evaluate(rules, context).errors:
            if "not true or false" in message:
                raise PolicyRefused(f"The policy was not published: rule {rule.name!r}: {message}.")
