"""Agents, their credentials, what they may do, and the evidence of how well they do it."""

from agents.models.activity import Activity, ActivityKind
from agents.models.agents import Agent, AgentState, AgentVersion, AuthorityVersion, Credential, Identity
from agents.models.evidence import Evidence, Standing
from agents.models.mandates import ActionType, Mandate, Promotion, Risk, SecondSignature, Stop, TierChange

__all__ = [
    "ActionType",
    "Activity",
    "ActivityKind",
    "Agent",
    "AgentState",
    "AgentVersion",
    "AuthorityVersion",
    "Credential",
    "Evidence",
    "Identity",
    "Mandate",
    "Promotion",
    "Risk",
    "SecondSignature",
    "Standing",
    "Stop",
    "TierChange",
]
