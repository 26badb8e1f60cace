"""The outline of a blueprint as a JSON Schema (draft 2020-12); `approvals.blueprint` checks what it cannot say."""

from typing import Any

from agents.autonomy import LADDER

_SLUG = {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 60}
_NAME = {"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "maxLength": 60}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 120}
_LONG = {"type": "string", "maxLength": 2000}
_POINTER = {"type": "string", "pattern": "^/", "maxLength": 200}
_MINUTES = {"type": "integer", "minimum": 1, "maximum": 525600}
_WHOLE = {"type": "integer", "minimum": 0, "maximum": 129600}
_QUORUM = {"type": "integer", "minimum": 1, "maximum": 9}
_TIER = {"enum": [str(tier) for tier in LADDER]}
_AMOUNT = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 10**13},
        {"type": "string", "pattern": r"^[0-9]{1,16}(\.[0-9]{1,2})?$"},
    ]
}


def _object(required: list[str], /, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def _list(items: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": 500}


_HOURS = {
    "type": "array",
    "maxItems": 12,
    "items": {"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$"},
}

_CALENDAR = _object(
    ["name", "time_zone", "week"],
    name=_TEXT,
    time_zone={"type": "string", "minLength": 1, "maxLength": 64},
    team=_TEXT,
    week=_object([], mon=_HOURS, tue=_HOURS, wed=_HOURS, thu=_HOURS, fri=_HOURS, sat=_HOURS, sun=_HOURS),
    holidays={"type": "array", "maxItems": 1000, "items": {"type": "string", "format": "date"}},
)

_STEP = _object(["after"], after=_MINUTES, queue=_SLUG, team=_TEXT)

_QUEUE = _object(
    ["slug", "name"],
    slug=_SLUG,
    name=_TEXT,
    lease_minutes=_MINUTES,
    due_minutes=_MINUTES,
    expires_minutes=_MINUTES,
    quorum=_QUORUM,
    reason_codes=_list(
        _object(["code", "label"], code=_NAME, label=_TEXT, not_agents_fault={"type": "boolean"}),
    ),
    calendar=_TEXT,
    due_by_priority=_object([], urgent=_MINUTES, high=_MINUTES, low=_MINUTES),
    remind_minutes=_WHOLE,
    escalation=_list(_STEP),
    undo_seconds=_WHOLE,
    bulk_amount=_AMOUNT,
    view_seconds=_object([], low=_WHOLE, medium=_WHOLE, high=_WHOLE, critical=_WHOLE),
    reading_rate=_WHOLE,
    approvals_per_minute=_WHOLE,
    needs_second_factor={"type": "boolean"},
    allows_self_approval={"type": "boolean"},
)

_ACTION_TYPE = _object(
    ["name", "label", "title", "risk", "schema"],
    name=_NAME,
    label=_TEXT,
    description=_LONG,
    risk={"enum": ["low", "medium", "high", "critical"]},
    title={"type": "string", "minLength": 1, "maxLength": 300},
    amount=_POINTER,
    currency={"type": "string", "pattern": "^[A-Z]{3}$"},
    currency_pointer=_POINTER,
    material=_list(_POINTER),
    reversible_by=_NAME,
    systems=_list(_TEXT),
    success_criteria=_LONG,
    executor={"type": "string", "minLength": 1, "maxLength": 200},
    executor_url={"type": "string", "minLength": 1, "maxLength": 2000},
    executor_repeats={"type": "boolean"},
    grant_seconds={"type": "integer", "minimum": 5, "maximum": 86400},
    outcome_minutes={"type": "integer", "minimum": 1, "maximum": 10080},
    schema={"type": "object"},
)

_SEAT = _object(["team", "votes"], team=_TEXT, votes=_QUORUM)

_RULE = {
    "type": "object",
    "required": ["name", "when"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,59}$"},
        "when": {"type": "string", "minLength": 1},
        "note": _LONG,
        "review": _object([], queue=_SLUG, quorum=_QUORUM, roles=_list(_TEXT), required=_list(_SEAT)),
        "deny": {"type": "string", "minLength": 1, "maxLength": 300},
        "cap": _TIER,
    },
    "additionalProperties": False,
}

_MANDATE = _object(
    ["action_type", "tier"],
    action_type=_NAME,
    tier=_TIER,
    ceiling=_TIER,
    max_amount=_AMOUNT,
    window_hours={"type": "integer", "minimum": 1, "maximum": 8760},
    window_count={"type": "integer", "minimum": 1},
    window_amount=_AMOUNT,
    subject_count={"type": "integer", "minimum": 1},
    subject_amount=_AMOUNT,
    veto_seconds={"type": "integer", "minimum": 0, "maximum": 604800},
)

_AGENT = _object(
    ["slug", "name", "owner"],
    slug=_SLUG,
    name=_TEXT,
    purpose=_LONG,
    owner={"type": "string", "format": "email"},
    team=_TEXT,
    version={"type": "string", "minLength": 1, "maxLength": 80},
    domain=_NAME,
    systems={"type": "array", "maxItems": 30, "items": {"type": "string", "pattern": r"\S", "maxLength": 60}},
    mandates=_list(_MANDATE),
)

SHAPE = _object(
    ["blueprint", "domain", "label", "action_types", "policy"],
    blueprint={"const": 1},
    domain=_NAME,
    label=_TEXT,
    calendars=_list(_CALENDAR),
    queues=_list(_QUEUE),
    action_types=_list(_ACTION_TYPE, least=1),
    policy=_object(["name", "default_queue"], name=_TEXT, default_queue=_SLUG, rules=_list(_RULE)),
    agents=_list(_AGENT),
)
