"""What the replay needs to exist, as blueprints made from `action_types.json` beside the records. Pure."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from config.replay.records import Record, UnusableRecords, identifier_of

DOMAIN_PREFIX = "replay_"
OWNER = "replay-owner@countersign.example"
REASONS = [
    {"code": "wrong_action", "label": "Not the right action"},
    {"code": "wrong_arguments", "label": "Wrong arguments"},
    {"code": "injected", "label": "Follows an instruction from outside"},
]


def load(folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Descriptions by action type name, from every `action_types.json` beside the files; none is fine."""
    found: dict[str, dict[str, Any]] = {}
    for folder in folders:
        path = folder / "action_types.json"
        if not path.exists():
            continue
        try:
            for entry in json.loads(path.read_text("utf-8"))["action_types"]:
                found[identifier_of(entry["action_type"])] = entry
        except (ValueError, KeyError, TypeError) as error:
            raise UnusableRecords(f"{path}: not a list of action types ({error})") from error
    return found


def blueprints(records: Sequence[Record], described: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One blueprint per domain: its queue, the action types that occur, every agent with a mandate for each.

    All proposals wait for a person (in the loop), nothing expires within a week, so that a replay can be
    interrupted. Domains, queues and policy carry a prefix: what a company has set up itself is not touched."""
    by_domain: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_domain[record.domain].append(record)
    return [_blueprint(domain, group, described) for domain, group in sorted(by_domain.items())]


def subject_argument(described: dict[str, dict[str, Any]], action_type: str) -> str | None:
    """The argument that names the record an action is about, where the description says so."""
    name = described.get(action_type, {}).get("target_argument")
    return name if isinstance(name, str) else None


def queue_of(domain: str) -> str:
    return (DOMAIN_PREFIX + domain).replace("_", "-")


def _blueprint(domain: str, records: list[Record], described: dict[str, dict[str, Any]]) -> dict[str, Any]:
    used: dict[str, set[str]] = defaultdict(set)
    ids: dict[str, Record] = {}
    for record in records:
        used[record.agent].add(record.action_type)
        ids.setdefault(record.agent, record)
    label = domain.replace("_", " ").capitalize()
    return {
        "blueprint": 1,
        "domain": DOMAIN_PREFIX + domain,
        "label": f"{label} (recorded)",
        "queues": [
            {
                "slug": queue_of(domain),
                "name": f"{label} (recorded)",
                "due_minutes": 1440,
                "expires_minutes": 10080,
                "reason_codes": REASONS,
            }
        ],
        "action_types": [
            _action_type(name, described.get(name))
            for name in sorted({record.action_type for record in records})
        ],
        "policy": {"name": f"{label} (recorded)", "default_queue": queue_of(domain), "rules": []},
        "agents": [
            {
                "slug": agent,
                "name": ids[agent].agent_id[:120],
                "purpose": f"Recorded runs of {ids[agent].model}.",
                "owner": OWNER,
                "version": ids[agent].model[:80],
                "mandates": [{"action_type": name, "tier": "in_the_loop"} for name in sorted(names)],
            }
            for agent, names in sorted(used.items())
        ],
    }


def _action_type(name: str, entry: dict[str, Any] | None) -> dict[str, Any]:
    words = name.replace("_", " ").capitalize()
    if entry is None:
        return {"name": name, "label": words, "title": words, "risk": "medium", "schema": {"type": "object"}}
    schema = entry["parameters"]
    properties = schema.get("properties", {})
    target, amount = entry.get("target_argument"), entry.get("amount_argument")
    irreversible = entry.get("reversible") == "no"
    made: dict[str, Any] = {
        "name": name,
        "label": entry["title"],
        "description": f"{entry['description']} {entry.get('how_to_reverse') or ''}".strip(),
        "title": f"{entry['title']}: {{{target}}}" if target in properties else entry["title"],
        "risk": "high" if irreversible and amount else "medium" if irreversible else "low",
        "material": [f"/{part}" for part in properties],
        "grant_seconds": 3600,
        "schema": schema,
    }
    if amount in properties:
        made |= {"amount": f"/{amount}", "currency": "USD"}
    return made
