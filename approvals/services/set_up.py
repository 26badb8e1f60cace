"""Set up queues, their reviewers and policies; publishing a policy makes a new version."""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import second_person
from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import Calendar, PendingChange, RoleAssignment, User, assign_role, end_role
from accounts.roles import Duty, Role, Scope
from accounts.second_person import Line, What
from accounts.services import calendars
from accounts.services.calendars import CalendarDefinition
from agents import authority, permissions
from agents.models import Risk
from approvals import pacing, policy, policy_words
from approvals import permissions as rights
from approvals.exceptions import PolicyRefused
from approvals.models import Policy, PolicyVersion, Proposal, Queue
from audit import recording
from audit.events import Actor, Kind, Target

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,59}\Z")
_SAMPLES = 50
PRIORITIES = ("urgent", "high", "low")
"""Those that may be due at another time than normal ones."""
RISKS = tuple(str(risk) for risk in Risk)
_TIMING = ("calendar", "remind_minutes", "escalation")
"""Fields by which a proposal that waits already is looked at again."""


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
    needs_second_factor: bool = False
    allows_self_approval: bool = False


@dataclass(frozen=True, slots=True)
class Along:
    """What is saved together with a queue: the other queues of a file by slug, and the names of its calendars."""

    queues: Mapping[str, QueueDefinition] = field(default_factory=dict)
    calendars: Collection[str] = ()


def queue_faults(definition: QueueDefinition, along: Along | None = None) -> list[dict[str, str]]:
    """Everything that is wrong with a queue's definition."""
    along = along or Along()
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
    return (
        found + _time_faults(definition, along) + _chain_faults(definition, along) + _pace_faults(definition)
    )


def _time_faults(definition: QueueDefinition, along: Along) -> list[dict[str, str]]:
    found = []
    if definition.due_minutes > definition.expires_minutes:
        found.append(
            {"field": "due_minutes", "message": "must be at most the minutes after which it expires"}
        )
    for priority, minutes in definition.due_by_priority.items():
        if priority not in PRIORITIES:
            found.append({"field": "due_by_priority", "message": f"knows {', '.join(PRIORITIES)}"})
        elif not 1 <= minutes <= definition.expires_minutes:
            words = f"{priority} must be 1 minute to the {definition.expires_minutes} after which it expires"
            found.append({"field": "due_by_priority", "message": words})
    name = definition.calendar
    if name and name not in along.calendars and not Calendar.objects.filter(name=name).exists():
        found.append({"field": "calendar", "message": f"names {name!r}, and there is no such calendar"})
    return found


def _chain_faults(definition: QueueDefinition, along: Along) -> list[dict[str, str]]:
    """A chain rises in time, ends before the proposal does, and never comes back to where it was."""
    found = []
    passed = 0
    for number, step in enumerate(definition.escalation, 1):
        after, to = step.get("after"), {"queue", "team"} & step.keys()
        message = ""
        if (
            not isinstance(after, int)
            or after <= passed
            or len(to) != 1
            or not isinstance(step[min(to)], str)
        ):
            message = "needs minutes after those of the step before, and either a queue or a team"
        elif after >= definition.expires_minutes:
            message = f"comes when the proposal has expired, after {definition.expires_minutes} minutes"
        elif "team" in step and not Group.objects.filter(name=step["team"]).exists():
            message = f"names the team {step['team']!r}, which does not exist"
        elif "queue" in step:
            message = _queue_step_fault(definition.slug, step["queue"], along)
        if message:
            found.append({"field": "escalation", "message": f"step {number} {message}"})
        passed = after if isinstance(after, int) else passed
    return found


def _queue_step_fault(slug: str, to: str, along: Along) -> str:
    """What is wrong with handing on from one queue to another, or nothing."""
    if to == slug:
        return "leads back to this queue"
    if to not in along.queues and not Queue.objects.filter(slug=to).exists():
        return f"names the queue {to!r}, which does not exist"
    way = _way_back(to, slug, along)
    return f"leads back to this queue by way of {' and '.join(way)}" if way else ""


def _way_back(start: str, home: str, along: Along) -> list[str]:
    """The queues through which chains lead from `start` to `home`; none where they do not."""
    chains: dict[str, Any] = dict(Queue.objects.values_list("slug", "escalation"))
    chains |= {slug: item.escalation for slug, item in along.queues.items()}
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop(0)
        for step in chains.get(way[-1], []):
            if step.get("queue") == home:
                return way
            if "queue" in step and step["queue"] not in seen:
                seen.add(step["queue"])
                ways.append([*way, step["queue"]])
    return []


def _pace_faults(definition: QueueDefinition) -> list[dict[str, str]]:
    found = []
    for risk, seconds in definition.view_seconds.items():
        if risk not in RISKS or not 0 <= seconds <= pacing.LONGEST:
            words = f"knows {', '.join(RISKS)}, each 0 to {pacing.LONGEST} seconds"
            found.append({"field": "view_seconds", "message": words})
    if definition.bulk_amount is not None and not 0 <= definition.bulk_amount < 10**16:
        found.append({"field": "bulk_amount", "message": "must be an amount from 0 to sixteen digits"})
    return found


def save_queue(*, definition: QueueDefinition, actor: User) -> Queue:
    """Create or change the queue of that slug."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        return store_queue(definition, actor=actor.actor())


def store_queue(definition: QueueDefinition, *, actor: Actor, along: Along | None = None) -> Queue:
    """A step of `save_queue` and of loading blueprints."""
    wrong = queue_faults(definition, along)
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
    if before and any(getattr(before, name) != getattr(definition, name) for name in _TIMING):
        _look_again(queue)
    recording.record(
        actor=actor,
        kind=Kind.QUEUE_SAVED,
        target=Target("queue", queue.slug),
        before=_recorded(before) if before else None,
        after=_recorded(definition),
    )
    return queue


def _look_again(queue: Queue) -> None:
    """What waits already is reminded of and escalated by the new settings; its due time stays as it was promised.

    What is just being decided is passed over, so that nobody waits for anybody."""
    waiting = Proposal.objects.pending().filter(queue=queue)
    free = waiting.select_for_update(no_key=True, skip_locked=True).values("pk")
    Proposal.objects.filter(pk__in=free).update(attention_at=timezone.now())


def _recorded(definition: QueueDefinition) -> dict[str, Any]:
    """The definition as JSON, for the audit log."""
    amount = definition.bulk_amount
    return {**asdict(definition), "bulk_amount": None if amount is None else str(amount)}


def queue_definition(queue: Queue) -> QueueDefinition:
    """What is stored, in the form in which it is saved and compared."""
    values = {name: getattr(queue, name) for name in QueueDefinition.__dataclass_fields__}
    return QueueDefinition(**{**values, "calendar": queue.calendar.name if queue.calendar else ""})


def save_calendar(*, definition: CalendarDefinition, calendar_id: int | None = None, actor: User) -> Calendar:
    """Create a calendar, or change the one of that number. What comes in from then on is due by it."""
    permissions.check_is_admin(actor)
    try:
        with transaction.atomic(durable=True):
            existing = None
            if calendar_id is not None:
                locked = Calendar.objects.select_for_update(of=("self",), no_key=True)
                existing = locked.filter(pk=calendar_id).first()
                if existing is None:
                    raise NotFound("There is no such calendar.")
            return store_calendar(definition, existing=existing, actor=actor.actor())
    except IntegrityError as error:
        raise Conflict("Another calendar of this name or for this team was saved just now.") from error


def store_calendar(definition: CalendarDefinition, *, existing: Calendar | None, actor: Actor) -> Calendar:
    """A step of `save_calendar` and of loading blueprints: every process reads the queues anew."""
    calendar, changed = calendars.store(definition, existing=existing, actor=actor)
    if changed:
        authority.bump()
    return calendar


def assign_reviewer(*, queue_slug: str, to: User | Group, actor: User, allowed: bool = True) -> None:
    """Give or take the right to decide in a queue, to a person or a team."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        queue = Queue.objects.filter(slug=queue_slug).first()
        if queue is None:
            raise NotFound(f"There is no queue {queue_slug!r}.")
        had = _let_review(to, queue, actor, allowed)
        authority.bump()
        recording.record(
            actor=actor.actor(),
            kind=Kind.REVIEWERS_ASSIGNED,
            target=Target("queue", queue.slug),
            before={"reviews": had},
            after={"reviews": allowed},
            detail={
                "to": str(to),
                "to_id": str(to.pk),
                "kind": "team" if isinstance(to, Group) else "person",
                "allowed": allowed,
            },
        )


def _let_review(to: User | Group, queue: Queue, actor: User, allowed: bool) -> bool:
    """Give or take the role of reviewer on the very queue. Returns whether this person or team held it before."""
    if allowed:
        _, is_new = assign_role(
            Role.REVIEWER, to=to, scope=Scope.QUEUE, scope_id=str(queue.pk), given_by=actor
        )
        return not is_new
    holder = {"team": to} if isinstance(to, Group) else {"person": to}
    on_queue = {"scope": Scope.QUEUE, "scope_id": str(queue.pk), "ended_at": None}
    reviewing = [Role.REVIEWER, Role.SENIOR_REVIEWER]
    held = list(
        RoleAssignment.objects.select_for_update(no_key=True).filter(role__in=reviewing, **holder, **on_queue)
    )
    for assignment in held:
        end_role(assignment, why="taken on the queue's page", at=timezone.now(), by=actor)
    return bool(held)


def publish_policy(
    *, domain: str, name: str, rules: list[dict[str, Any]], default_queue: str, actor: User, note: str = ""
) -> PolicyVersion | PendingChange:
    """Make the next version of a domain's policy, which routes from the commit on; or, where it takes a second person,
    ask for it: then the rules are tried now and again when he says yes."""
    rights.check_can_edit_policy(actor, domain)
    with transaction.atomic(durable=True):
        rights.domain_now(actor, Duty.EDIT_POLICY, domain)
        if second_person.needed(What.POLICY):
            _check_policy(domain, rules, default_queue)
            return _ask_to_publish(domain, name, rules, default_queue, actor, note)
        return store_policy(
            domain=domain,
            name=name,
            rules=rules,
            default_queue=default_queue,
            actor=actor.actor(),
            by=actor,
            note=note,
        )


def _ask_to_publish(
    domain: str, name: str, rules: list[dict[str, Any]], default_queue: str, actor: User, note: str
) -> PolicyVersion | PendingChange:
    found = Policy.objects.select_related("current__default_queue").filter(domain=domain).first()
    current = found.current if found else None
    lines = []
    if found is None or found.name != name:
        lines.append(Line("Name", found.name if found else "", name))
    if current is None or current.default_queue.slug != default_queue:
        lines.append(Line("Default queue", current.default_queue.slug if current else "", default_queue))
    for change in policy_words.changes(current.rules if current else [], rules):
        moved = change.verb == "moved"
        after = "comes at another place" if moved else change.after or "(removed)"
        lines.append(Line(f"Rule {change.name}: {change.verb}", change.before, after))
    if current is not None and not lines:
        return current
    return second_person.ask(
        what=What.POLICY,
        about=domain,
        payload={"name": name, "rules": rules, "default_queue": default_queue, "note": note},
        shown=second_person.shown(f"Publish version {current.number + 1 if current else 1} of {name}", lines),
        by=actor,
        base=str(current.pk) if current else "",
        reason=note,
    )


def carry_out(change: PendingChange) -> PolicyVersion:
    """A step of the second person's yes: publish what was asked for, if no other version has come in between."""
    rights.check_can_edit_policy(change.asked_by, change.about)
    found = Policy.objects.select_for_update(of=("self",), no_key=True).filter(domain=change.about).first()
    current = str(found.current_id) if found is not None and found.current_id else ""
    if current != change.base:
        raise Conflict("Another version was published since this was asked for. Decline it, and ask again.")
    return store_policy(
        domain=change.about, actor=change.asked_by.actor(), by=change.asked_by, **change.payload
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
    queue = _check_policy(domain, rules, default_queue)
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


def _check_policy(domain: str, rules: list[dict[str, Any]], default_queue: str) -> Queue:
    """What stands against these rules, before anything is stored. Returns the default queue."""
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
    return queue


def _try_on_samples(domain: str, rules: list[policy.Rule]) -> None:
    """Run the rules over recent proposals: a condition that is not true or false is found before it is in force."""
    samples = Proposal.objects.filter(action_type__domain=domain, planted=False)
    samples = samples.select_related("agent__team", "action_type")
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
                "subject_total_count": 0,
                "subject_total_amount": 0.0,
                "agent_count": 0,
                "agent_amount": 0.0,
            },
        }
        for rule, message in policy.evaluate(rules, context).errors:
            if "not true or false" in message:
                raise PolicyRefused(f"The policy was not published: rule {rule.name!r}: {message}.")
