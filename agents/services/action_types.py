"""Save action types: checked whole, versioned, audited."""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction

from accounts.models import User
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
    if definition.executor_url and (wrong := fetching.post_faults(definition.executor_url)):
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


def save(*, definition: Definition, actor: User) -> ActionType:
    """Create or change the action type of that name. Raises `SchemaRefused` with all faults."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        return store(definition, actor=actor.actor())


def store(definition: Definition, *, actor: Actor) -> ActionType:
    """A step of `save` and of loading blueprints."""
    wrong = faults(definition)
    if wrong:
        raise SchemaRefused(f"The action type {definition.name!r} was not saved.", errors=wrong)
    existing = (
        ActionType.objects.select_for_update(of=("self",), no_key=True).filter(name=definition.name).first()
    )
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
