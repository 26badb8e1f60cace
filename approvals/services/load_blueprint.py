"""Load a blueprint: compare it with what exists, then apply it whole or not at all.

Nothing that the file leaves out is removed. A mandate's tier is where a new mandate starts; on an existing one it is
left alone, since it may have been earned or taken back meanwhile, and only lowered where the file's ceiling asks."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from django.contrib.auth.models import Group
from django.db import connection, transaction

from accounts.exceptions import Invalid
from accounts.models import Calendar, User
from accounts.services import calendars
from accounts.services.calendars import CalendarDefinition
from agents import permissions
from agents.autonomy import lower
from agents.models import ActionType, Agent, Mandate
from agents.services import action_types, mandates, register
from agents.services.action_types import Definition
from agents.services.mandates import Terms
from approvals import blueprint as blueprints
from approvals.blueprint import AgentSpec, Blueprint, BlueprintRefused, MandateSpec
from approvals.models import Policy, Queue
from approvals.services import set_up
from approvals.services.set_up import Along, QueueDefinition
from approvals.strict_yaml import Fault
from audit import recording
from audit.events import Kind, Target, system

_LOCK = 0x626C7565
"""Advisory lock: two loads at once would each compare with what the other is about to change."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the file means for one thing. `fields` are (name, before, after); `note` says what was left alone."""

    verb: Literal["created", "changed", "unchanged"]
    thing: str
    name: str
    fields: list[tuple[str, Any, Any]] = field(default_factory=list)
    note: str = ""


@dataclass(slots=True)
class Plan:
    """All changes of one file, in the order in which they are applied."""

    domain: str
    changes: list[Change] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    applied: bool = False

    @property
    def is_needed(self) -> bool:
        return any(change.verb != "unchanged" for change in self.changes)


def load(*, data: bytes, name: str, actor: User | None = None, dry_run: bool = False) -> Plan:
    """Compare and, unless `dry_run`, apply the file in one transaction. `name` is the file's, for the audit log.

    Without an actor it is the command line that acts. Raises `BlueprintRefused` with every fault; then nothing has
    changed."""
    if actor is not None:
        permissions.check_is_admin(actor)
    found = blueprints.parse(data)
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        plan = _Comparison(found).plan()
        if plan.faults:
            raise BlueprintRefused(sorted(set(plan.faults)))
        if plan.is_needed and not dry_run:
            _apply(found, plan, actor, name, data)
            plan.applied = True
    return plan


def _definition(found: Blueprint, name: str) -> Definition:
    return Definition(
        name=name,
        domain=found.domain,
        reversible_by=found.reversible_by.get(name, ""),
        **found.action_types[name],
    )


def _calendars(found: Blueprint) -> list[CalendarDefinition]:
    return [
        calendars.tidy(CalendarDefinition(name=name, **values)) for name, values in found.calendars.items()
    ]


def _queues(found: Blueprint) -> Along:
    """The file's queues as they will be: a chain in it may name a queue, and a queue a calendar, of the same file."""
    stored = Queue.objects.filter(slug__in=found.queues).select_related("calendar")
    present = {row.slug: asdict(set_up.queue_definition(row)) for row in stored}
    defined = {
        slug: QueueDefinition(**{**present.get(slug, {}), **values, "slug": slug, "domain": found.domain})
        for slug, values in found.queues.items()
    }
    return Along(defined, list(found.calendars))


def _terms(spec: MandateSpec, existing: Mandate | None) -> Terms:
    tier = spec.tier if existing is None else lower(existing.tier, spec.values["ceiling"])
    return Terms(tier=tier, active=existing is None or existing.active, **spec.values)


def _place(spec: AgentSpec, existing: Agent | None, domain: str) -> tuple[str, list[str]]:
    """Domain and systems of an agent as they will be. `domain` is the file's."""
    here = spec.domain if spec.domain is not None else (existing and existing.domain) or domain
    if spec.systems is not None:
        return here, register.named(spec.systems)
    return here, list(existing.systems) if existing else []


def _particulars(spec: AgentSpec, existing: Agent | None, domain: str) -> dict[str, Any]:
    here, systems = _place(spec, existing, domain)
    return {
        "name": spec.name,
        "purpose": spec.purpose,
        "owner": spec.owner,
        "team": spec.team,
        "version": spec.version,
        "domain": here,
        "systems": systems,
    }


class _Comparison:
    """The file against the database. Reads only."""

    def __init__(self, found: Blueprint) -> None:
        self.found = found
        self.along = _queues(found)
        self.result = Plan(found.domain)
        self.existing_types = {row.name: row for row in ActionType.objects.select_related("reversible_by")}
        slugs = [spec.slug for spec in found.agents]
        self.existing_agents = {
            row.slug: row for row in Agent.objects.filter(slug__in=slugs).select_related("owner", "team")
        }
        self.existing_mandates = {
            (row.agent.slug, row.action_type.name): row
            for row in Mandate.objects.filter(agent__slug__in=slugs).select_related("agent", "action_type")
        }

    def plan(self) -> Plan:
        for index, definition in enumerate(_calendars(self.found)):
            self._calendar(f"/calendars/{index}", definition)
        for index, slug in enumerate(self.found.queues):
            self._queue(f"/queues/{index}", slug)
        for index, name in enumerate(self.found.action_types):
            self._action_type(f"/action_types/{index}", name)
        self._policy()
        for index, spec in enumerate(self.found.agents):
            self._agent(f"/agents/{index}", spec)
        return self.result

    def _fault(self, path: str, message: str) -> None:
        self.result.faults.append(Fault(self.found.document.line_of(path), path, message))

    def _compare(
        self, thing: str, name: str, before: dict[str, Any] | None, after: dict[str, Any], note: str = ""
    ) -> None:
        if before is None:
            self.result.changes.append(
                Change("created", thing, name, [(k, None, v) for k, v in after.items()], note)
            )
            return
        fields = [(key, before[key], after[key]) for key in after if before[key] != after[key]]
        self.result.changes.append(Change("changed" if fields else "unchanged", thing, name, fields, note))

    def _belongs_elsewhere(self, path: str, thing: str, name: str, domain: str) -> bool:
        if domain == self.found.domain:
            return False
        self._fault(path, f"the {thing} “{name}” belongs to the domain {domain}; choose another name")
        return True

    def _calendar(self, path: str, definition: CalendarDefinition) -> None:
        existing = Calendar.objects.filter(name=definition.name).select_related("team").first()
        for wrong in calendars.faults(definition, existing=existing):
            self._fault(f"{path}/{wrong['field']}", wrong["message"])
        before = asdict(calendars.as_definition(existing)) if existing else None
        self._compare("calendar", definition.name, before, asdict(definition))

    def _queue(self, path: str, slug: str) -> None:
        existing = Queue.objects.filter(slug=slug).first()
        if existing and self._belongs_elsewhere(path + "/slug", "queue", slug, existing.domain):
            return
        definition = self.along.queues[slug]
        for wrong in set_up.queue_faults(definition, self.along):
            self._fault(f"{path}/{wrong['field']}", wrong["message"])
        before = asdict(set_up.queue_definition(existing)) if existing else None
        self._compare("queue", slug, before, asdict(definition))

    def _action_type(self, path: str, name: str) -> None:
        existing = self.existing_types.get(name)
        if existing and self._belongs_elsewhere(path + "/name", "action type", name, existing.domain):
            return
        definition = _definition(self.found, name)
        for wrong in action_types.faults(definition):
            self._fault(f"{path}/{wrong['field']}", wrong["message"])
        undo = definition.reversible_by
        if undo and undo not in self.found.action_types and undo not in self.existing_types:
            self._fault(path + "/reversible_by", f"there is no action type “{undo}”; add it to this file")
        before = asdict(action_types.as_definition(existing)) if existing else None
        self._compare("action type", name, before, asdict(definition))

    def _policy(self) -> None:
        found = self.found
        existing = Policy.objects.filter(domain=found.domain).select_related("current__default_queue").first()
        current = existing.current if existing else None
        before = (
            {"name": existing.name, "default_queue": current.default_queue.slug, "rules": current.rules}
            if existing and current
            else None
        )
        after = {"name": found.policy_name, "default_queue": found.default_queue, "rules": found.rules}
        self._compare("policy", found.domain, before, after)

    def _agent(self, path: str, spec: AgentSpec) -> None:
        if not User.objects.filter(email=spec.owner, is_active=True).exists():
            self._fault(path + "/owner", f"there is no person {spec.owner}; create the person first")
        if spec.team and not Group.objects.filter(name=spec.team).exists():
            self._fault(path + "/team", f"there is no team “{spec.team}”; create the team first")
        existing = self.existing_agents.get(spec.slug)
        before = (
            {
                "name": existing.name,
                "purpose": existing.purpose,
                "owner": existing.owner.email,
                "team": existing.team.name if existing.team else "",
                "version": existing.version,
                "domain": existing.domain,
                "systems": list(existing.systems),
            }
            if existing
            else None
        )
        try:
            self._compare("agent", spec.slug, before, _particulars(spec, existing, self.found.domain))
        except Invalid as error:
            self._fault(path + "/systems", error.extra["errors"][0]["message"])  # type: ignore[index]
        for index, mandate in enumerate(spec.mandates):
            self._mandate(f"{path}/mandates/{index}", spec.slug, mandate)

    def _mandate(self, path: str, agent: str, spec: MandateSpec) -> None:
        if spec.action_type not in self.found.action_types and spec.action_type not in self.existing_types:
            self._fault(path + "/action_type", f"there is no action type “{spec.action_type}”")
        existing = self.existing_mandates.get((agent, spec.action_type))
        terms = _terms(spec, existing)
        for wrong in mandates.faults(terms):
            self._fault(f"{path}/{wrong['field']}", wrong["message"])
        note = (
            ""
            if terms.tier == spec.tier
            else f"tier stays {terms.tier}; the file's {spec.tier} is for new mandates"
        )
        before = asdict(mandates.as_terms(existing)) if existing else None
        self._compare("mandate", f"{agent}: {spec.action_type}", before, asdict(terms), note)


def _apply(found: Blueprint, plan: Plan, actor: User | None, name: str, data: bytes) -> None:
    who = actor.actor() if actor else system("load_blueprint")
    for hours in _calendars(found):
        existing_hours = Calendar.objects.filter(name=hours.name).select_related("team").first()
        set_up.store_calendar(hours, existing=existing_hours, actor=who)
    along = _queues(found)
    for queue in along.queues.values():
        set_up.store_queue(queue, actor=who, along=along)
    for definition in _in_order(found):
        action_types.store(definition, actor=who)
    set_up.store_policy(
        domain=found.domain,
        name=found.policy_name,
        rules=found.rules,
        default_queue=found.default_queue,
        actor=who,
        by=actor,
        note=f"from {name}"[:300],
    )
    for spec in found.agents:
        agent = _store_agent(spec, actor, found.domain)
        for mandate in spec.mandates:
            kind = ActionType.objects.get(name=mandate.action_type)
            existing = Mandate.objects.filter(agent=agent, action_type=kind).first()
            terms = _terms(mandate, existing)
            mandates.store(agent, kind, terms, actor=who, changed_by=actor, reason=f"blueprint {name}")
    recording.record(
        actor=who,
        kind=Kind.BLUEPRINT_LOADED,
        target=Target("blueprint", found.domain),
        detail={
            "file": name,
            "sha256": hashlib.sha256(data).hexdigest(),
            "changes": [f"{change.thing} {change.name} {change.verb}" for change in plan.changes
                        if change.verb != "unchanged"],
        },
    )  # fmt: skip


def _in_order(found: Blueprint) -> Iterator[Definition]:
    """Action types after the ones that undo them. Where two undo each other, one comes twice: first without."""
    stored = set(ActionType.objects.values_list("name", flat=True))
    waiting = {name: _definition(found, name) for name in found.action_types}
    while waiting:
        ready = [
            name for name, item in waiting.items() if not item.reversible_by or item.reversible_by in stored
        ]
        if not ready:
            name, item = next(iter(waiting.items()))
            yield Definition(**{**asdict(item), "reversible_by": ""})
            stored.add(name)
            continue
        for name in ready:
            yield waiting.pop(name)
            stored.add(name)


def _store_agent(spec: AgentSpec, actor: User | None, domain: str) -> Agent:
    who = actor.actor() if actor else system("load_blueprint")
    owner = User.objects.get(email=spec.owner)
    team = Group.objects.get(name=spec.team) if spec.team else None
    existing = Agent.objects.select_for_update(of=("self",), no_key=True).filter(slug=spec.slug).first()
    here, systems = _place(spec, existing, domain)
    if existing is None:
        return register.create(
            slug=spec.slug,
            name=spec.name,
            owner=owner,
            purpose=spec.purpose,
            version=spec.version,
            team=team,
            domain=here,
            systems=systems,
            actor=who,
        )
    return register.update(
        existing,
        name=spec.name,
        owner=owner,
        purpose=spec.purpose,
        version=spec.version,
        team=team,
        domain=here,
        systems=systems,
        actor=who,
    )
