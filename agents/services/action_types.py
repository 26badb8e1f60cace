"""Save action types: checked whole, versioned, audited."""

import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction

from accounts import second_person
from accounts.exceptions import Conflict
from accounts.models import PendingChange, User
from accounts.second_person import Line, What
from agents import authority, fetching, permissions, pointers, schemas
from agents.exceptions import SchemaRefused
from agents.models import ActionType, Risk
from audit import recording
from audit.events import Actor, Kind, Target

_NAME = re.compile(r"[a-z][a-z0-9_]{0,79}\Z")


@dataclass(frozen=True, kw_only=True)
class Definition:
    """Everything an action type says of itself; `reversible_by` is the name of another one."""

    name: str
    domain: str
    label: str
    schema: dict[str, Any]
    title_template: str
    description: str = ""
    amount_pointer: str = ""
    currency: str = ""
    currency_pointer: str = ""
    material: list[str] = field(default_factory=list)
    risk: str = Risk.MEDIUM
    reversible_by: str = ""
    systems: list[str] = field(default_factory=list)
    success_criteria: str = ""
    executor: str = ""
    executor_url: str = ""
    executor_repeats: bool = False
    grant_seconds: int = 300
    outcome_minutes: int = 60


def faults(definition: Definition) -> list[dict[str, str]]:
    """Everything that is wrong with a definition, one entry per field."""
    found: list[dict[str, str]] = []

    def fault(name: str, message: str) -> None:
        found.append({"field": name, "message": message})

    if not _NAME.fullmatch(definition.name):
        fault("name", "must be a-z, 0-9 and _, begin with a letter, at most 80 characters")
    if not definition.label.strip():
        fault("label", "must not be empty")
    if definition.risk not in Risk.values:
        fault("risk", f"must be one of {', '.join(Risk.values)}")
    if definition.currency and not re.fullmatch(r"[A-Z]{3}", definition.currency):
        fault("currency", "must be three capital letters (ISO 4217)")
    if definition.executor_url and (wrong := _address_fault(definition.executor_url)):
        fault("executor_url", wrong)
    if definition.executor_repeats and not definition.executor_url:
        fault("executor_repeats", "needs an address that is called")
    if not 5 <= definition.grant_seconds <= 86400:
        fault("grant_seconds", "must be 5 to 86400")
    if not 1 <= definition.outcome_minutes <= 60 * 24 * 30:
        fault("outcome_minutes", "must be 1 to 43200")
    try:
        schemas.check(definition.schema)
    except ValueError as error:
        fault("schema", str(error))
    else:
        _pointer_faults(definition, fault)
    return found


def _address_fault(url: str) -> str:
    """Everybody who signs in reads it and the log keeps it for good, so nothing secret may be in it."""
    if wrong := fetching.post_faults(url):
        return wrong
    if "?" in url or "#" in url:
        return "must have no query or fragment: everybody reads it, and the grant says who calls"
    return ""


def save(*, definition: Definition, actor: User) -> ActionType | PendingChange:
    """Create or change the action type of that name. Where its actions are carried out by another server from then on,
    and that takes two people, it is asked for. Raises `SchemaRefused` with all faults."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        existing = _locked(definition.name)
        address = existing.executor_url if existing else ""
        if definition.executor_url not in ("", address) and second_person.needed(What.EXECUTOR):
            return _ask(existing, definition, actor)
        return store(definition, actor=actor.actor())


def _ask(existing: ActionType | None, definition: Definition, actor: User) -> PendingChange:
    """Ask for all of it: what else is changed may only be right with that server."""
    _check(definition)
    _reverser(definition)
    before = asdict(as_definition(existing)) if existing else {}
    lines = [
        Line(name.replace("_", " ").capitalize(), _word(before.get(name)), _word(value))
        for name, value in asdict(definition).items()
        if before.get(name) != value and (existing or value)
    ]
    return second_person.ask(
        what=What.EXECUTOR,
        about=f"action type {definition.name}"[:120],
        payload={"definition": asdict(definition)},
        shown=second_person.shown(f"The action type {definition.label}", lines),
        by=actor,
        base=_mark(existing),
    )


def carry_out(change: PendingChange) -> ActionType:
    """A step of the second person's yes: save it as it was asked for, if it is still what that was made from."""
    definition = Definition(**change.payload["definition"])
    permissions.check_is_admin(change.asked_by)
    if _mark(_locked(definition.name)) != change.base:
        raise Conflict("The action type has changed since this was asked for. Decline it, and ask again.")
    return store(definition, actor=change.asked_by.actor())


def _mark(existing: ActionType | None) -> str:
    return str(existing.version) if existing else ""


def _word(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _locked(name: str) -> ActionType | None:
    return ActionType.objects.select_for_update(of=("self",), no_key=True).filter(name=name).first()


def _check(definition: Definition) -> None:
    wrong = faults(definition)
    if wrong:
        raise SchemaRefused(f"The action type {definition.name!r} was not saved.", errors=wrong)


def store(definition: Definition, *, actor: Actor) -> ActionType:
    """A step of `save` and of loading blueprints."""
    _check(definition)
    existing = _locked(definition.name)
    before = as_definition(existing) if existing else None
    if existing and before == definition:
        return existing
    row = existing or ActionType(name=definition.name, version=0)
    for name, value in asdict(definition).items():
        if name != "reversible_by":
            setattr(row, name, value)
    row.reversible_by = _reverser(definition)
    row.version += 1
    row.save()
    authority.bump()
    recording.record(
        actor=actor,
        kind=Kind.ACTION_TYPE_SAVED,
        target=Target("action_type", row.name),
        before=asdict(before) if before else None,
        after=asdict(definition),
    )
    return row


def as_definition(row: ActionType) -> Definition:
    """What is stored, in the form in which it is saved and compared."""
    values = {name: getattr(row, name) for name in Definition.__dataclass_fields__ if name != "reversible_by"}
    return Definition(**values, reversible_by=row.reversible_by.name if row.reversible_by else "")


def _reverser(definition: Definition) -> ActionType | None:
    if not definition.reversible_by:
        return None
    found = ActionType.objects.filter(name=definition.reversible_by).first()
    if found is None:
        raise SchemaRefused(
            f"The action type {definition.name!r} was not saved.",
            errors=[
                {"field": "reversible_by", "message": f"there is no action type {definition.reversible_by!r}"}
            ],
        )
    return found


def _pointer_faults(definition: Definition, fault: Any) -> None:
    """Pointers must name something the schema describes, or a typo would switch a limit off silently."""
    named = [("amount_pointer", definition.amount_pointer), ("currency_pointer", definition.currency_pointer)]
    named += [("material", pointer) for pointer in definition.material]
    named += [("title_template", pointer) for pointer in pointers.placeholders(definition.title_template)]
    for name, pointer in named:
        if not pointer:
            continue
        try:
            known = _describes(definition.schema, pointers.parse(pointer))
        except ValueError as error:
            fault(name, str(error))
            continue
        if not known:
            fault(name, f"{pointer} names nothing that the schema describes")
    if not definition.title_template.strip():
        fault("title_template", "must not be empty")
    if definition.amount_pointer and not (definition.currency or definition.currency_pointer):
        fault("currency", "an amount needs a currency or a currency_pointer")


def _describes(schema: Any, tokens: list[str]) -> bool:
    if not isinstance(schema, dict):
        return False
    if not tokens:
        return True
    if any(key in schema for key in ("$ref", "anyOf", "oneOf", "allOf")):
        return True
    head, rest = tokens[0], tokens[1:]
    if head in schema.get("properties", {}):
        return _describes(schema["properties"][head], rest)
    if head.isdigit() and "items" in schema:
        return _describes(schema["items"], rest)
    return schema.get("additionalProperties") not in (None, False)
