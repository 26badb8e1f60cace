"""Roles, the duties they bundle, and what each may be given on. Pure: a page, a check and a document read this table.

A role is given to a person or a team, for everything, a domain, a queue or an agent, with or without an end
(`RoleAssignment`); its duties are carried by django-guardian's object permissions of these names."""

from dataclasses import dataclass
from enum import StrEnum


class Duty(StrEnum):
    """One thing somebody may do. The value is the codename of the object permission that carries it."""

    REVIEW = "review_queue"
    LEAD = "lead_queue"
    MANAGE = "manage_agent"
    EDIT_POLICY = "edit_policy"
    WRITE_PROBES = "write_probes"
    READ = "read_record"
    ADMINISTER = "administer"


class Scope(StrEnum):
    """What a role holds for."""

    EVERYTHING = "everything"
    DOMAIN = "domain"
    QUEUE = "queue"
    AGENT = "agent"

    @property
    def label(self) -> str:
        return {"everything": "Everything", "domain": "Domain", "queue": "Queue", "agent": "Agent"}[
            self.value
        ]


class Role(StrEnum):
    REVIEWER = "reviewer"
    SENIOR_REVIEWER = "senior_reviewer"
    AGENT_OWNER = "agent_owner"
    POLICY_EDITOR = "policy_editor"
    PROBE_AUTHOR = "probe_author"
    AUDITOR = "auditor"
    ADMIN = "admin"

    @property
    def label(self) -> str:
        return ROLES[self].label


@dataclass(frozen=True, slots=True)
class Bundle:
    """`means` says in a sentence what its holder may do, for the pages that offer it."""

    label: str
    duties: frozenset[Duty]
    scopes: tuple[Scope, ...]
    means: str


ROLES: dict[Role, Bundle] = {
    Role.REVIEWER: Bundle(
        "Reviewer",
        frozenset({Duty.REVIEW}),
        (Scope.QUEUE, Scope.DOMAIN, Scope.EVERYTHING),
        "Sees, claims and decides what waits in the queue, and reviews there after the fact.",
    ),
    Role.SENIOR_REVIEWER: Bundle(
        "Senior reviewer",
        frozenset({Duty.REVIEW, Duty.LEAD}),
        (Scope.QUEUE, Scope.DOMAIN, Scope.EVERYTHING),
        "Decides as a reviewer does, takes over and hands out others' work, and answers appeals of the queue.",
    ),
    Role.AGENT_OWNER: Bundle(
        "Agent owner",
        frozenset({Duty.MANAGE}),
        (Scope.AGENT, Scope.DOMAIN, Scope.EVERYTHING),
        "Manages the agent: mandates, credentials, versions, stops. Answers for it beside its named owner.",
    ),
    Role.POLICY_EDITOR: Bundle(
        "Policy editor",
        frozenset({Duty.EDIT_POLICY}),
        (Scope.DOMAIN, Scope.EVERYTHING),
        "Writes and publishes the domain's policy.",
    ),
    Role.PROBE_AUTHOR: Bundle(
        "Probe author",
        frozenset({Duty.WRITE_PROBES}),
        (Scope.DOMAIN, Scope.EVERYTHING),
        "Keeps the probe library of the domain's action types. Never meets an own probe as a reviewer.",
    ),
    Role.AUDITOR: Bundle(
        "Auditor",
        frozenset({Duty.READ}),
        (Scope.EVERYTHING, Scope.DOMAIN, Scope.QUEUE, Scope.AGENT),
        "Reads and changes nothing. For everything: also the audit log, people and permissions.",
    ),
    Role.ADMIN: Bundle(
        "Admin",
        frozenset({Duty.ADMINISTER}),
        (Scope.EVERYTHING,),
        "Looks after people, permissions and settings. Decides no proposal for being one.",
    ),
}

DUTIES_ON: dict[Scope, frozenset[Duty]] = {
    scope: frozenset(duty for bundle in ROLES.values() if scope in bundle.scopes for duty in bundle.duties)
    for scope in Scope
}
"""Which object permissions exist on which kind of thing."""
