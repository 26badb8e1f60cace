"""Policies as people read them: a rule's effect in words, and what changed from one version to the next. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from agents.autonomy import Tier


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One rule that a version added, removed, changed or moved; texts are YAML, empty where there is none."""

    verb: str
    name: str
    before: str
    after: str


def effect(rule: Mapping[str, Any]) -> str:
    """What the rule does when its condition holds."""
    if rule.get("deny") is not None:
        return f"Deny: {rule['deny']}"
    if rule.get("cap") is not None:
        return f"At most {Tier(rule['cap']).label.lower()}"
    review = rule.get("review") or {}
    words = "Review"
    if review.get("queue"):
        words += f" in {review['queue']}"
    if review.get("quorum", 1) > 1:
        words += f" by {review['quorum']} people"
    if review.get("required"):
        words += ", " + " and ".join(f"{seat['votes']} of {seat['team']}" for seat in review["required"])
    elif review.get("roles"):
        words += f" of {' or '.join(review['roles'])}"
    return words


def as_yaml(rules: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> str:
    """Rules as text to read and to edit; keys in the order in which rules are written."""
    ordered = [_ordered(rule) for rule in rules] if not isinstance(rules, Mapping) else _ordered(rules)
    return str(yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=100)) if ordered else ""


def changes(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[RuleChange]:
    """Rule by rule, matched by name; a rule that only changed its place among those that stayed is `moved`."""
    old, new = {rule["name"]: rule for rule in before}, {rule["name"]: rule for rule in after}
    found = []
    stayed_before = [name for name in old if name in new]
    stayed_after = [name for name in new if name in old]
    for name, rule in new.items():
        if name not in old:
            found.append(RuleChange("added", name, "", as_yaml(rule)))
        elif rule != old[name]:
            found.append(RuleChange("changed", name, as_yaml(old[name]), as_yaml(rule)))
        elif stayed_before.index(name) != stayed_after.index(name):
            found.append(RuleChange("moved", name, "", ""))
    found += [RuleChange("removed", name, as_yaml(rule), "") for name, rule in old.items() if name not in new]
    return found


_ORDER = ("name", "note", "when", "deny", "review", "cap")


def _ordered(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {key: rule[key] for key in _ORDER if key in rule} | dict(rule)
