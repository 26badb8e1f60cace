"""Queues, policies, and the life of a proposal: revisions, claim, votes, decision, grant, outcome."""

from approvals.models.decisions import Claim, Comment, Decision, HeldBallot, Skip, Verdict, Vote
from approvals.models.execution import Grant, Outcome, SigningKey
from approvals.models.people import ChatAddress, Delivery, Notification, SavedView
from approvals.models.proposals import APPROVED, Priority, Proposal, ProposalQuerySet, Revision
from approvals.models.queues import Policy, PolicyVersion, Queue

__all__ = [
    "APPROVED",
    "ChatAddress",
    "Claim",
    "Comment",
    "Decision",
    "Delivery",
    "Grant",
    "HeldBallot",
    "Notification",
    "Outcome",
    "Policy",
    "PolicyVersion",
    "Priority",
    "Proposal",
    "ProposalQuerySet",
    "Queue",
    "Revision",
    "SavedView",
    "SigningKey",
    "Skip",
    "Verdict",
    "Vote",
]
