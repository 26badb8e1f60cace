"""Blueprints: one domain's queues, action types, policy and agents as one YAML file. Pure.

`parse` finds every fault that shows without a database; `approvals.services.load_blueprint` compares the result
with what exists and applies it whole or not at all. docs/blueprints.md describes the format."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import jsonschema_rs

from accounts import working_time
from agents import pointers, schemas
from agents.autonomy import Tier, rank
from approvals import policy, strict_yaml
from approvals.blueprint_shape import SHAPE
from approvals.strict_yaml import Document, Fault

KEPT_OF_QUEUE = (
    "calendar",
    "due_by_priority",
    "remind_minutes",
    "escalation",
    "undo_seconds",
    "view_seconds",
    "reading_rate",
    "approvals_per_minute",
    "needs_second_factor",
    "allows_self_approval",
)
"""What stays as it is on an existing queue where the file does not say it; so does `bulk_amount`."""
FIELDS_OF_ACTION_TYPE = (
    "label",
    "description",
    "schema",
    "title_template",
    "amount_pointer",
    "currency",
    "currency_pointer",
    "material",
    "risk",
    "systems",
    "success_criteria",
    "executor",
    "executor_url",
    "executor_repeats",
    "grant_seconds",
    "outcome_minutes",
)
FIELDS_OF_MANDATE = ("ceiling", "max_amount", "window_hours", "window_count", "window_amount", "subject_count",
                     "subject_amount", "veto_seconds")  # fmt: skip
_VALIDATOR = jsonschema_rs.Draft202012Validator(SHAPE, validate_formats=True)


class BlueprintRefused(Exception):
    """The file cannot be applied; `faults` has one entry for each thing to mend."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class MandateSpec:
    """What one agent may do; `tier` is where a new mandate starts, `values` are FIELDS_OF_MANDATE."""

    action_type: str
    tier: Tier
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """`domain` and `systems` are None where the file does not say them: then a new agent belongs to the file's domain,
    as does one that has none, and what another one has is left alone."""

    slug: str
    name: str
    purpose: str
    owner: str
    team: str
    version: str
    domain: str | None
    systems: list[str] | None
    mandates: list[MandateSpec]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A file without faults. Field values are those of the models; references are by slug and name."""

    domain: str
    label: str
    calendars: dict[str, dict[str, Any]]
    queues: dict[str, dict[str, Any]]
    action_types: dict[str, dict[str, Any]]
    reversible_by: dict[str, str]
    policy_name: str
    default_queue: str
    rules: list[dict[str, Any]]
    agents: list[AgentSpec]
    document: Document = field(repr=False, compare=False)


def parse(data: bytes) -> Blueprint:
    """The blueprint a file describes. Raises `BlueprintRefused` with all its faults, in the order of the file."""
    document = strict_yaml.read(data)
    if document.value is not None:
        _check_shape(document)
    raw = document.value if isinstance(document.value, dict) else {}
    if not document.faults or _usable(raw):
        _Check(document, raw).all()
    if document.faults:
        raise BlueprintRefused(sorted(set(document.faults)))
    return _blueprint(document, raw)


def _check_shape(document: Document) -> None:
    for error in _VALIDATOR.iter_errors(document.value):
        path = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in error.instance_path)
        document.fault(path, error.message)


def _usable(raw: dict[str, Any]) -> bool:
    """Whether the outline holds, so that the finer checks can speak too."""
    return all(
        isinstance(raw.get(part, []), list) for part in ("calendars", "queues", "action_types", "agents")
    ) and isinstance(raw.get("policy", {}), dict)


class _Check:
    """What a JSON Schema cannot say: uniqueness, references, pointers, CEL, tiers."""

    def __init__(self, document: Document, raw: dict[str, Any]) -> None:
        self.document = document
        self.raw = raw
        self.misshapen = [fault.path for fault in document.faults]

    def all(self) -> None:
        self._names("calendars", "name")
        for path, calendar in self._sound("calendars"):
            for wrong in working_time.faults(**_hours(calendar)):
                self.document.fault(f"{path}/{wrong['field']}", wrong["message"])
        queues = self._names("queues", "slug")
        self._names("action_types", "name")
        self._names("agents", "slug")
        for path, queue in self._sound("queues"):
            self._unique(
                path + "/reason_codes", [item["code"] for item in queue.get("reason_codes", [])], "code"
            )
            if queue.get("due_minutes", 240) > queue.get("expires_minutes", 2880):
                self.document.fault(
                    path + "/due_minutes", "is due after it expires; make it at most expires_minutes"
                )
        for path, action_type in self._sound("action_types"):
            self._action_type(path, action_type)
        self._policy(queues)
        for path, agent in self._sound("agents"):
            self._agent(path, agent)

    def _sound(self, part: str) -> list[tuple[str, dict[str, Any]]]:
        """The items of a part that the shape had nothing to say about, with their paths."""
        items = []
        for i, item in enumerate(self.raw.get(part, [])):
            path = f"/{part}/{i}"
            if isinstance(item, dict) and not any(
                bad == path or bad.startswith(path + "/") for bad in self.misshapen
            ):
                items.append((path, item))
        return items

    def _names(self, part: str, key: str) -> list[str]:
        names = [item.get(key) if isinstance(item, dict) else None for item in self.raw.get(part, [])]
        self._unique(f"/{part}", names, key)
        return [name for name in names if isinstance(name, str)]

    def _unique(self, path: str, names: list[Any], key: str) -> None:
        for i, name in enumerate(names):
            if name is not None and name in names[:i]:
                self.document.fault(f"{path}/{i}/{key}", f"“{name}” is already used above; names are unique")

    def _action_type(self, path: str, item: dict[str, Any]) -> None:
        fault, schema = self.document.fault, item["schema"]
        try:
            schemas.check(schema)
        except ValueError as error:
            fault(path + "/schema", str(error))
            return
        named = pointers.placeholders(item["title"])
        if item["title"].count("{") != len(named):
            fault(
                path + "/title", "a {…} in it is no placeholder; write {name}, {outer.inner} or {/a/pointer}"
            )
        for pointer in named:
            if _schema_at(schema, pointer) is pointers.MISSING:
                fault(path + "/title", f"{{{pointer[1:]}}} names nothing in the schema")
        for i, pointer in enumerate(item.get("material", [])):
            if _schema_at(schema, pointer) is pointers.MISSING:
                fault(f"{path}/material/{i}", f"{pointer} names nothing in the schema")
        if "amount" in item:
            found = _schema_at(schema, item["amount"])
            if found is pointers.MISSING:
                fault(path + "/amount", f"{item['amount']} names nothing in the schema")
            elif not _may_be_amount(found):
                fault(
                    path + "/amount",
                    f"{item['amount']} is not a number (or a string of digits) in the schema",
                )
            if "currency" not in item and "currency_pointer" not in item:
                fault(
                    path + "/amount", "an amount needs a currency: add currency: EUR or currency_pointer: /…"
                )
        if "currency_pointer" in item and _schema_at(schema, item["currency_pointer"]) is pointers.MISSING:
            fault(path + "/currency_pointer", f"{item['currency_pointer']} names nothing in the schema")
        if item.get("reversible_by") == item["name"]:
            fault(path + "/reversible_by", "an action type cannot undo itself")

    def _policy(self, queues: list[str]) -> None:
        if any(bad.startswith("/policy") for bad in self.misshapen) or "policy" not in self.raw:
            return
        section = self.raw["policy"]
        known = "this file's queues are " + ", ".join(queues)
        if section["default_queue"] not in queues:
            self.document.fault("/policy/default_queue", f"no queue “{section['default_queue']}”; {known}")
        rules = section.get("rules", [])
        self._unique("/policy/rules", [rule["name"] for rule in rules], "name")
        for i, rule in enumerate(rules):
            path = f"/policy/rules/{i}"
            queue = rule.get("review", {}).get("queue")
            if queue is not None and queue not in queues:
                self.document.fault(path + "/review/queue", f"no queue “{queue}”; {known}")
            try:
                policy.check_rules([rule])
            except ValueError as error:
                self.document.fault(path, str(error))

    def _agent(self, path: str, agent: dict[str, Any]) -> None:
        mandates = agent.get("mandates", [])
        self._unique(path + "/mandates", [item["action_type"] for item in mandates], "action_type")
        with_amount = {item["name"]: "amount" in item for _, item in self._sound("action_types")}
        for i, mandate in enumerate(mandates):
            place = f"{path}/mandates/{i}"
            name = mandate["action_type"]
            if rank(mandate["tier"]) > rank(Tier.IN_THE_LOOP):
                self.document.fault(
                    place + "/tier",
                    "a higher tier is earned; begin in_the_loop and give the ceiling it may reach",
                )
            elif rank(mandate["tier"]) > rank(mandate.get("ceiling", mandate["tier"])):
                self.document.fault(place + "/tier", "is above the ceiling; lower it or raise the ceiling")
            for limit in ("max_amount", "window_amount", "subject_amount"):
                if limit in mandate and with_amount.get(name) is False:
                    self.document.fault(f"{place}/{limit}", f"{name} has no amount to limit; remove it")


def _schema_at(schema: Any, pointer: str) -> Any:
    """The sub-schema a pointer into the arguments leads to, `MISSING` if none can be there, True if unknown."""
    for token in pointers.parse(pointer):
        if not isinstance(schema, dict) or any(
            word in schema for word in ("$ref", "allOf", "anyOf", "oneOf")
        ):
            return True
        if token in schema.get("properties", {}):
            schema = schema["properties"][token]
        elif token.isdigit() and "items" in schema:
            schema = schema["items"]
        else:
            return pointers.MISSING
    return schema


def _may_be_amount(schema: Any) -> bool:
    if not isinstance(schema, dict) or "type" not in schema:
        return True
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return bool({"number", "integer", "string"} & set(types))


def _blueprint(document: Document, raw: dict[str, Any]) -> Blueprint:
    section = raw["policy"]
    return Blueprint(
        domain=raw["domain"],
        label=raw["label"],
        calendars={item["name"]: _calendar(item) for item in raw.get("calendars", [])},
        queues={item["slug"]: _queue(item) for item in raw.get("queues", [])},
        action_types={item["name"]: _action_type(item) for item in raw["action_types"]},
        reversible_by={
            item["name"]: item["reversible_by"] for item in raw["action_types"] if "reversible_by" in item
        },
        policy_name=section["name"],
        default_queue=section["default_queue"],
        rules=section.get("rules", []),
        agents=[_agent(item) for item in raw.get("agents", [])],
        document=document,
    )


def _calendar(item: dict[str, Any]) -> dict[str, Any]:
    return {"team": item.get("team", ""), **_hours(item)}


def _hours(item: dict[str, Any]) -> dict[str, Any]:
    """The times of a calendar, "09:00-17:00" taken apart."""
    week = {day: [hours.split("-") for hours in intervals] for day, intervals in item["week"].items()}
    return {"time_zone": item["time_zone"], "week": week, "holidays": item.get("holidays", [])}


def _queue(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": item["name"],
        "lease_minutes": item.get("lease_minutes", 10),
        "due_minutes": item.get("due_minutes", 240),
        "expires_minutes": item.get("expires_minutes", 2880),
        "quorum": item.get("quorum", 1),
        "reason_codes": item.get("reason_codes", []),
        **{name: item[name] for name in KEPT_OF_QUEUE if name in item},
        **({"bulk_amount": _amount(item["bulk_amount"])} if "bulk_amount" in item else {}),
    }


def _action_type(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "label": item["label"],
        "description": item.get("description", ""),
        "schema": item["schema"],
        "title_template": item["title"],
        "amount_pointer": item.get("amount", ""),
        "currency": item.get("currency", ""),
        "currency_pointer": item.get("currency_pointer", ""),
        "material": item.get("material", []),
        "risk": item["risk"],
        "systems": item.get("systems", []),
        "success_criteria": item.get("success_criteria", ""),
        "executor": item.get("executor", ""),
        "executor_url": item.get("executor_url", ""),
        "executor_repeats": item.get("executor_repeats", False),
        "grant_seconds": item.get("grant_seconds", 300),
        "outcome_minutes": item.get("outcome_minutes", 60),
    }


def _agent(item: dict[str, Any]) -> AgentSpec:
    return AgentSpec(
        slug=item["slug"],
        name=item["name"],
        purpose=item.get("purpose", ""),
        owner=item["owner"].lower(),
        team=item.get("team", ""),
        version=item.get("version", "1"),
        domain=item.get("domain"),
        systems=item.get("systems"),
        mandates=[_mandate(mandate) for mandate in item.get("mandates", [])],
    )


def _mandate(item: dict[str, Any]) -> MandateSpec:
    return MandateSpec(
        action_type=item["action_type"],
        tier=Tier(item["tier"]),
        values={
            "ceiling": item.get("ceiling", item["tier"]),
            "max_amount": _amount(item.get("max_amount")),
            "window_hours": item.get("window_hours", 24),
            "window_count": item.get("window_count"),
            "window_amount": _amount(item.get("window_amount")),
            "subject_count": item.get("subject_count"),
            "subject_amount": _amount(item.get("subject_amount")),
            "veto_seconds": item.get("veto_seconds", 300),
        },
    )


def _amount(value: float | str | None) -> Decimal | None:
    return None if value is None else Decimal(str(value)).quantize(Decimal("0.01"))
