"""Countersign: people countersign what an AI agent is about to do, and exactly what they approved is run."""

from countersign._version import VERSION as __version__
from countersign.agent import Mandate, Me
from countersign.aio import AsyncCountersign
from countersign.approval import requires_approval
from countersign.client import Countersign
from countersign.errors import (
    AlreadyRedeemed,
    ArgumentsUnfit,
    CountersignError,
    GrantInvalid,
    NotApproved,
    NotCarriedOut,
    Undecided,
    Unreachable,
)
from countersign.idempotency import stable_key
from countersign.proposals import (
    Decision,
    Draft,
    Event,
    Grant,
    Outcome,
    Proposal,
    Reason,
    Rollback,
    Route,
)

__all__ = [
    "AlreadyRedeemed",
    "ArgumentsUnfit",
    "AsyncCountersign",
    "Countersign",
    "CountersignError",
    "Decision",
    "Draft",
    "Event",
    "Grant",
    "GrantInvalid",
    "Mandate",
    "Me",
    "NotApproved",
    "NotCarriedOut",
    "Outcome",
    "Proposal",
    "Reason",
    "Rollback",
    "Route",
    "Undecided",
    "Unreachable",
    "__version__",
    "requires_approval",
    "stable_key",
]
