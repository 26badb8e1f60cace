"""Set up queues, their reviewers and policies; publishing a policy makes a new version."""

import re
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from guardian.shortcuts import assign_perm, remove_perm

from accounts.exceptions import Invalid, NotFound
from accounts.models import Calendar, User
from agents import authority, permissions
from agents.models import Risk
from approvals import policy
from approvals.exceptions import PolicyRefused
from approvals.models import Policy, PolicyVersion, Proposal, Queue
from audit import recording
from audit.events import Actor, Kind, Target

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,59}\Z")
_SAMPLES = 50
PRIORITIES = ("urgent", "high", "normal", "low")
RISKS = tuple(str(risk) for risk in Risk)


@dataclass(frozen=True, kw_only=True)
class QueueDefinition:
    """Everything a queue says of itself, as in `approvals.models.Queue`; `calendar` is its name or empty."""

    slug: str
    name: str
    domain: str
    lease_minutes: int = 10
    due_minutes: int = 240
    expires_minutes: int = 2880
    quorum: int = 1
    reason_codes: list[dict[str, Any]] = field(default_factory=list)
    calendar: str = ""
    due_by_priority: dict[str, int] = field(default_factory=dict)
    remind_minutes: int = 30
    escalation: list[dict[str, Any]] = field(default_factory=list)
    undo_seconds: int = 0
    bulk_amount: Decimal | None = None
    view_seconds: dict[str, int] = field(default_factory=dict)
    reading_rate: int = 0
    approvals_per_minute: int = 0


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
        ("remind_minutes", 0, 90 * 1440),
        ("undo_seconds", 0, 120),
        ("reading_rate", 0, 1000),
        ("approvals_per_minute", 0, 120),
    ):
        if not least <= getattr(definition, name) <= most:
            found.append({"field": name, "message": f"must be {least} to {most}"})
    codes = [item.get("code") for item in definition.reason_codes]
    if len(set(codes)) != len(codes) or not all(
        isinstance(item.get("code"), str) and isinstance(item.get("label"), str)
        for item in definition.reason_codes
    ):
        found.append({"field": "reason_codes", "message": "each needs a code of its own and a label"})
    return found + _time_faults(definition) + _pace_faults(definition)


def _time_faults(definition: QueueDefinition) -> list[dict[str, str]]:
    found = []
    for priority, minutes in definition.due_by_priority.items():
        if priority not in PRIORITIES:
            found.append({"field": "due_by_priority", "message": f"knows {', '.join(PRIORITIES)}"})
        elif not 1 <= minutes <= 90 * 1440:
            found.append({"field": "due_by_priority", "message": f"must be 1 to {90 * 1440} minutes"})
    if definition.calendar and not Calendar.objects.filter(name=definition.calendar).exists():
        found.append({"field": "calendar", "message": f"there is no calendar {definition.calendar!r}"})
    passed = 0
    for number, step in enumerate(definition.escalation, 1):
        place = {"field": "escalation"}
        after, to = step.get("after"), {"queue", "team"} & step.keys()
        if not isinstance(after, int) or not passed < after <= 90 * 1440 or len(to) != 1:
            words = f"step {number} needs minutes after those of the step before, and a queue or a team"
            found.append({**place, "message": words})
            continue
        passed = after
        if step.get("queue") == definition.slug:
            found.append({**place, "message": f"step {number} leads back to this queue"})
        elif "queue" in step and not Queue.objects.filter(slug=step["queue"]).exists():
            found.append({**place, "message": f"step {number}: there is no queue {step['queue']!r}"})
        elif "team" in step and not Group.objects.filter(name=step["team"]).exists():
            found.append({**place, "message": f"step {number}: there is no team {step['team']!r}"})
    return found


def _pace_faults(definition: QueueDefinition) -> list[dict[str, str]]:
    found = []
    for risk, seconds in definition.view_seconds.items():
        if risk not in RISKS or not 0 <= seconds <= 600:
            words = f"knows {', '.join(RISKS)}, each 0 to 600 seconds"
            found.append({"field": "view_seconds", "message": words})
    if definition.bulk_amount is not None and definition.bulk_amount < 0:
        found.append({"field": "bulk_amount", "message": "must not be negative"})
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
        if name != "calendar":
            setattr(queue, name, value)
    queue.calendar = Calendar.objects.filter(name=definition.calendar).first()
    queue.save()
    authority.bump()
    recording.record(
        actor=actor,
        kind=Kind.QUEUE_SAVED,
        target=Target("queue", queue.slug),
        before=_recorded(before) if before else None,
        after=_recorded(definition),
    )
    return queue


def _recorded(definition: QueueDefinition) -> dict[str, Any]:
    """The definition as JSON, for the audit log."""
    amount = definition.bulk_amount
    return {**asdict(definition), "bulk_amount": None if amount is None else str(amount)}


def queue_definition(queue: Queue) -> QueueDefinition:
    """What is stored, in the form in which it is saved and compared."""
    values = {name: getattr(queue, name) for name in QueueDefinition.__dataclass_fields__}
    return QueueDefinition(**{**values, "calendar": queue.calendar.name if queue.calendar else ""})


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
