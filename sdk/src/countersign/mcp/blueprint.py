"""A blueprint of the tools that change something, for an admin to read, correct and load: the gateway's agent cannot
give itself a mandate, nor anything else.

What a server says of its tools is untrusted: its words come into the file to be read by a person, its hints lower no
risk. Written as YAML by hand, because the client has no YAML library and needs none for this."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from countersign.mcp.pins import Pin
from countersign.mcp.settings import Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FORMATS = frozenset(
    (
        *("date", "date-time", "time", "duration", "email", "idn-email", "hostname", "idn-hostname"),
        *("ipv4", "ipv6", "uri", "uri-reference", "uri-template", "iri", "iri-reference", "uuid"),
        *("json-pointer", "relative-json-pointer", "regex"),
    )
)
_SCALARS = frozenset({"string", "number", "integer", "boolean"})
_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*\Z")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_DATA = frozenset({"const", "enum", "default", "examples"})


def blueprint(settings: Settings, pins: Sequence[Pin]) -> str:
    """The file's text for these tools, each an action type of the settings' domain."""
    queue = settings.domain.replace("_", "-").strip("-") + "-actions"
    document: dict[str, Any] = {
        "blueprint": 1,
        "domain": settings.domain,
        "label": settings.label[:120],
        "queues": [
            {
                "slug": queue,
                "name": f"{settings.label[:110]} actions",
                "reason_codes": [
                    {"code": "wrong_arguments", "label": "Wrong arguments"},
                    {"code": "not_allowed", "label": "Not allowed"},
                    {"code": "not_wanted", "label": "No longer wanted", "not_agents_fault": True},
                ],
            }
        ],
        "action_types": [_action_type(settings, pin) for pin in pins],
        "policy": {"name": settings.label[:120], "default_queue": queue},
    }
    if settings.agent is not None:
        document["agents"] = [_agent(settings, settings.agent, pins)]
    lines = [
        "# Written by `countersign mcp-gateway import` from what the MCP server says of its tools. Read it before you",
        "# load it: the descriptions are the server's own words. Then: manage.py load_blueprint <this file> --dry-run",
        *_yaml(document, 0),
    ]
    return "\n".join(lines) + "\n"


def _action_type(settings: Settings, pin: Pin) -> dict[str, Any]:
    schema = fit(pin.definition["inputSchema"])
    schema.setdefault("type", "object")
    found = {
        "name": pin.action_type,
        "label": pin.label[:120],
        "description": str(pin.definition.get("description", ""))[:2000],
        "risk": "high",
        "title": title_of(pin, schema),
        "systems": [settings.label[:120]],
        "executor": f"mcp-gateway:{settings.domain}",
        "schema": schema,
    }
    return {name: value for name, value in found.items() if value != ""}


def title_of(pin: Pin, schema: Mapping[str, Any]) -> str:
    """The tool's name and the first two arguments that are always there and fit into a line."""
    properties = schema.get("properties") or {}
    shown = [
        f"{{{name}}}"
        for name in schema.get("required") or ()
        if _SIMPLE.match(name) and (properties.get(name) or {}).get("type") in _SCALARS
    ][:2]
    label = re.sub(r"[{}\s]+", " ", pin.label).strip()[:120]
    return f"{label}: {', '.join(shown)}" if shown else label or pin.action_type


def _agent(settings: Settings, agent: Mapping[str, str], pins: Sequence[Pin]) -> dict[str, Any]:
    """In the loop: more than that is earned, or given by an admin."""
    found: dict[str, Any] = {
        "slug": agent["slug"],
        "name": agent["name"],
        "purpose": f"Calls tools of {settings.label} over MCP.",
        "owner": agent["owner"],
    }
    if agent.get("team"):
        found["team"] = agent["team"]
    ceiling = agent.get("ceiling", "in_the_loop")
    found["mandates"] = [
        {"action_type": pin.action_type, "tier": "in_the_loop", "ceiling": ceiling} for pin in pins
    ]
    return found


def fit(schema: Any) -> dict[str, Any]:
    """The schema as Countersign takes it: of no other dialect than 2020-12, and without formats that nobody knows,
    which would check nothing."""
    found = _fit(schema)
    assert isinstance(found, dict)
    if found.get("$schema") != DIALECT:
        found.pop("$schema", None)
    return found


def _fit(part: Any, *, named: bool = False) -> Any:
    if isinstance(part, list):
        return [_fit(one) for one in part]
    if not isinstance(part, dict):
        return part
    found = {}
    for name, value in part.items():
        if named:
            found[name] = _fit(value)
        elif name == "format" and value not in _FORMATS:
            continue
        elif name in _DATA:
            found[name] = value
        else:
            found[name] = _fit(
                value, named=name in ("properties", "patternProperties", "$defs", "definitions")
            )
    return found


def _yaml(value: Any, depth: int) -> Iterator[str]:
    """Block style; texts as JSON writes them, which is YAML too, so that nothing in them is anything but text."""
    lead = "  " * depth
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            if isinstance(inner, (dict, list)) and inner:
                yield f"{lead}{_key(name)}:"
                yield from _yaml(inner, depth + 1)
            else:
                yield f"{lead}{_key(name)}: {_scalar(inner)}"
    elif isinstance(value, list) and value:
        for inner in value:
            if isinstance(inner, (dict, list)) and inner:
                first, *rest = _yaml(inner, depth + 1)
                yield f"{lead}- {first.lstrip()}"
                yield from rest
            else:
                yield f"{lead}- {_scalar(inner)}"
    else:
        yield f"{lead}{_scalar(value)}"


def _key(name: str) -> str:
    return name if _PLAIN_KEY.match(name) and name.lower() not in _WORDS else _scalar(name)


def _scalar(value: Any) -> str:
    if (
        isinstance(value, str)
        and re.match(r"[A-Za-z][A-Za-z0-9_ ]*[A-Za-z0-9]\Z", value)
        and (value.lower() not in _WORDS)
    ):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(
        r"[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text
    )
