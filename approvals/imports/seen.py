"""A proposal as the import addresses need it: its representation, what was sent at first, and the verdict."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from approvals import representation
from approvals.imports import verdicts
from approvals.imports.verdicts import May, Verdict
from approvals.models import Proposal, Revision

FIRST = 1
"""The revision that the agent sent; whatever is decided on is compared with it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """`told` is what the request said besides action type and arguments; `sent` are its canonical arguments."""

    proposal: Proposal
    shown: dict[str, Any]
    sent: bytes
    told: dict[str, Any]
    verdict: Verdict

    @property
    def redeem(self) -> dict[str, str] | None:
        """Where and with which digest the permission is used up, while there is one."""
        if self.verdict.may is not May.RUN:
            return None
        return {"address": f"/api/v1/proposals/{self.proposal.pk}/redeem", "digest": self.shown["digest"]}


def see(proposal: Proposal) -> Seen:
    """As it is now. `proposal` comes from `selectors.own_proposal`, so that it is the asking agent's own."""
    shown = representation.as_dict(proposal)
    sent = bytes(Revision.objects.values_list("canonical", flat=True).get(proposal=proposal, number=FIRST))
    verdict = verdicts.of(
        shown,
        sent=sent,
        is_executed_here=bool(proposal.action_type.executor_url),
        now=timezone.now(),
    )
    return Seen(proposal, shown, sent, proposal.metadata or {}, verdict)
