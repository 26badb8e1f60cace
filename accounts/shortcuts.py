"""Single keys: what each does, and a person's own choice of them (WCAG 2.1.4). Pure.

An action is named by its usual key, and pages mark what it reaches with that name (`data-key="a"`), whichever key
the person has given it. Only what differs from the usual is stored."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WAYS = ("on", "alt", "off")
"""Single keys act; they act only while Alt is held; they do not act."""
_VISIBLE = frozenset(["Ll", "Lo", "Nd", "Pc", "Pd", "Pe", "Po", "Ps", "Sc", "Sm", "So"])
"""Unicode's categories of small and uncased letters, digits, punctuation and signs."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a key does. `key` is its usual key and its name."""

    key: str
    words: str


ACTIONS = (
    Action("j", "down in a list"),
    Action("k", "up in a list"),
    Action("n", "claim and open the next most urgent one"),
    Action("a", "approve exactly what is shown"),
    Action("e", "edit the arguments"),
    Action("r", "reject, or veto, with a reason; in the monitor: recall"),
    Action("q", "return with a question"),
    Action("z", "undo the decision just made"),
    Action("s", "skip this one and open the next"),
    Action("c", "claim the proposal in view"),
    Action("x", "release the claim"),
    Action("g", "give it to a colleague"),
    Action("v", "escalate it; in the monitor: veto"),
    Action("m", "write a comment"),
    Action("o", "open the folded lines"),
    Action("b", "decide look-alikes together; in the monitor: ask for a rollback"),
    Action("p", "print it with its history; in the monitor: pause the agent"),
    Action("u", "up: back to the queue or the list"),
    Action("f", "open the filters of a list"),
    Action("!", "stop an agent, or everything"),
    Action("/", "search"),
    Action("?", "this list of keys"),
    Action("1", "judge: right as it stood"),
    Action("2", "judge: a cosmetic fault"),
    Action("3", "judge: a minor fault"),
    Action("4", "judge: a substantial fault"),
    Action("5", "judge: wrong"),
    Action("6", "judge: wrong, not by the agent’s fault"),
)
USUAL = {action.key: action.key for action in ACTIONS}


def key_map(preferences: Mapping[str, Any]) -> dict[str, str]:
    """Action → the person's key. What is stored and no longer fits (an action that is gone, a clash with a key that
    was added since) falls back to the usual keys, all of them."""
    chosen = preferences.get("key_map")
    if not isinstance(chosen, dict):
        return dict(USUAL)
    merged = {name: chosen.get(name, name) for name in USUAL}
    return dict(USUAL) if faults(merged) else merged


def way(preferences: Mapping[str, Any]) -> str:
    """How single keys act for this person: one of `WAYS`."""
    stored = preferences.get("keys")
    return stored if stored in WAYS else "on"


def faults(chosen: Mapping[str, Any]) -> dict[str, str]:
    """Action → what is wrong with the key chosen for it: none, not one visible character, or taken twice."""
    found = {}
    first: dict[str, str] = {}
    words = {action.key: action.words for action in ACTIONS}
    for name in USUAL:
        key = chosen.get(name)
        if not isinstance(key, str) or not is_key(key):
            found[name] = "Type one visible character: a small letter, a digit or a sign."
        elif key in first:
            found[name] = f"“{key}” is taken: {words[first[key]]}."
        else:
            first[key] = name
    return found


def is_key(text: str) -> bool:
    """One visible character that a key makes without Shift's capital: no space, no capital letter, no lone accent."""
    return len(text) == 1 and unicodedata.category(text) in _VISIBLE


def different(chosen: Mapping[str, str]) -> dict[str, str]:
    """What of a complete map is worth storing."""
    return {name: key for name, key in chosen.items() if key != name}
