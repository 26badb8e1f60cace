"""What `me` tells: the agent behind the token, its mandates and what is left of its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Mandate:
    """What the agent may do for one action type. `stopped` says which stop switch is pulled, else None.

    `limits` is as on the wire: amounts are decimal texts, `left_count` and `left_amount` what the window leaves."""

    action_type: str
    tier: str
    ceiling: str
    veto_seconds: int
    stopped: str | None
    limits: dict[str, Any]


@dataclass(frozen=True)
class Me:
    """The agent itself."""

    agent: str
    name: str
    version: str
    state: str
    mandates: tuple[Mandate, ...]
    raw: dict[str, Any] = field(repr=False, compare=False)

    def mandate(self, action_type: str) -> Mandate | None:
        """None: the agent has none, and proposing this is denied."""
        return next((one for one in self.mandates if one.action_type == action_type), None)


def me_from(raw: Mapping[str, Any]) -> Me:
    """Raises `KeyError`, `TypeError` or `ValueError` where it is something else."""
    return Me(
        agent=str(raw["agent"]),
        name=str(raw.get("name") or ""),
        version=str(raw.get("version") or ""),
        state=str(raw.get("state") or ""),
        mandates=tuple(
            Mandate(
                action_type=str(one["action_type"]),
                tier=str(one["tier"]),
                ceiling=str(one.get("ceiling") or ""),
                veto_seconds=int(one.get("veto_seconds") or 0),
                stopped=one.get("stopped"),
                limits=dict(one.get("limits") or {}),
            )
            for one in raw["mandates"]
        ),
        raw=dict(raw),
    )
