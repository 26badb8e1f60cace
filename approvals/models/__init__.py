"""Queues, policies, and the life of a proposal: revisions, claim, votes, decision, grant, outcome."""

from approvals.models.decisions import Claim, Comment, Decision, HeldBallot, Skip, Verdict, Vote
from approvals.models.execution import ExecutorCall, Grant, Outcome, SigningKey
from approvals.models.people import ChatAddress, Delivery, Notification, SavedView
from approvals.models.probes import Probe, ProbePosition, ProbeServing
from approvals.models.proposals import APPROVED, Priority, Proposal, ProposalQuerySet, Revision
from approvals.models.queues import Policy, PolicyVersion, Queue
from approvals.models.reviews import BlindReview, Dispute, Incident, Judgement
from approvals.models.signing import Challenge, Signature
from approvals.models.watching import Backtest, RollbackRequest
from approvals.models.webhooks import (
    OpenNetwork,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSecret,
)

__all__ = [
    "APPROVED",
    "Backtest",
    "BlindReview",
    "Challenge",
    "ChatAddress",
    "Claim",
    "Comment",
    "Decision",
    "Delivery",
    "Dispute",
    "ExecutorCall",
    "Grant",
    "HeldBallot",
    "Incident",
    "Judgement",
    "Notification",
    "OpenNetwork",
    "Outcome",
    "Policy",
    "PolicyVersion",
    "Priority",
    "Probe",
    "ProbePosition",
    "ProbeServing",
    "Proposal",
    "ProposalQuerySet",
    "Queue",
    "Revision",
    "RollbackRequest",
    "SavedView",
    "Signature",
    "SigningKey",
    "Skip",
    "Verdict",
    "Vote",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookSecret",
]
