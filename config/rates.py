"""How often one agent and one person may ask, and how much of one agent may be open at once.

Pure: read from the environment by config/settings.py, kept by config/limits.py (rates) and approvals/open_items.py."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from config.problem import Problem

Kind = Literal["propose", "act", "read", "person"]
"""New proposals; what else an agent writes; what it reads; what a person asks for or does."""
KINDS: tuple[Kind, ...] = get_args(Kind)
_ONE = re.compile(r"(?P<what>[a-z]+)=(?P<rate>\d{1,7})(?:/(?P<burst>\d{1,7}))?\Z")
_SLUG = re.compile(r"[-a-zA-Z0-9_]{1,80}\Z")
FORM = "propose=20/200,act=50/500,read=50/500,person=30/300,open=1000"


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once after a quiet time, `per_second` in the long run."""

    per_second: int
    burst: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one party may do."""

    rates: Mapping[Kind, Rate]
    open_items: int


USUAL = Allowance(
    rates={"propose": Rate(20, 200), "act": Rate(50, 500), "read": Rate(50, 500), "person": Rate(30, 300)},
    open_items=1000,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Everybody's allowance, and those of agents that have one of their own, by slug."""

    usual: Allowance = USUAL
    agents: Mapping[str, Allowance] = field(default_factory=dict)

    def rate(self, kind: Kind, slug: str = "") -> Rate:
        return self.agents.get(slug, self.usual).rates[kind]

    def open_items(self, slug: str) -> int:
        return self.agents.get(slug, self.usual).open_items


def from_environment(environment: Mapping[str, str], *, usual: Allowance = USUAL) -> Limits:
    """COUNTERSIGN_LIMITS changes what holds for everybody, COUNTERSIGN_AGENT_LIMITS what holds for agents by name:
    `refund-bot:propose=100/1000,open=5000;invoice-bot:open=50`. Raises Problem for what cannot be read."""
    everybody = _changed(usual, environment.get("COUNTERSIGN_LIMITS", ""), "COUNTERSIGN_LIMITS")
    agents = {}
    for entry in filter(None, environment.get("COUNTERSIGN_AGENT_LIMITS", "").replace(" ", "").split(";")):
        slug, colon, words = entry.partition(":")
        if not colon or not _SLUG.match(slug):
            raise Problem(
                f"COUNTERSIGN_AGENT_LIMITS: {entry!r} is not of the form agent:propose=100/1000,open=5000."
            )
        agents[slug] = _changed(everybody, words, "COUNTERSIGN_AGENT_LIMITS")
    return Limits(everybody, agents)


def _changed(allowance: Allowance, words: str, variable: str) -> Allowance:
    rates, open_items = dict(allowance.rates), allowance.open_items
    for word in filter(None, words.replace(" ", "").split(",")):
        found = _ONE.match(word)
        number = int(found["rate"]) if found else 0
        kind = next((kind for kind in KINDS if found and found["what"] == kind), None)
        if found is None or number < 1 or (found["burst"] is not None and int(found["burst"]) < 1):
            raise Problem(f"{variable}: {word!r} cannot be read. Write it like {FORM}.")
        if kind is not None:
            rates[kind] = Rate(number, int(found["burst"] or number * 10))
        elif found["what"] == "open" and found["burst"] is None:
            open_items = number
        else:
            raise Problem(f"{variable}: {word!r} names no limit. There are: {', '.join(KINDS)}, open.")
    return replace(allowance, rates=rates, open_items=open_items)
