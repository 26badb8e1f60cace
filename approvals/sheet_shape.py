"""The shape of a sheet, what is recorded of a page at a vote: `sheets` fills it, `reconstruct` reads it. Pure.

What is stored is this as JSON: a field is only ever added, with a default; another meaning takes another `FORMAT`."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from agents.accuracy import Accuracy
from approvals.entitlement import Entitlement
from approvals.reading.reasons import Why
from approvals.reading.sheet import Change, Entry, Part

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Text:
    """One text of the agent's by its digest; `size` in bytes. No text at all has a size of 0."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Flag:
    """A signal as it was worded. `earlier` is the proposal it speaks of."""

    kind: str
    where: str
    label: str
    text: str
    earlier: UUID | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """What will happen: title, arguments as labels and values, signals, all as on the page."""

    title: list[Part]
    entries: list[Entry]
    missing: list[str]
    size: int
    outside: list[tuple[str, str]]
    above: list[Flag]
    flags: list[Flag]
    rest: int


@dataclass(frozen=True, slots=True)
class Kind:
    """The action type as it then was."""

    name: str
    label: str
    version: int
    risk: str
    title_template: str
    systems: list[str]
    undone_by: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The proposal's own particulars. `editor` made the revision shown, where a person did."""

    id: UUID
    revision: int
    version: int
    digest: str
    state: str
    agent: str
    agent_version: str
    owner: str
    editor: str
    tier: str
    priority: str
    amount: str | None
    currency: str
    created_at: datetime
    due_at: datetime | None
    expires_at: datetime | None
    effective_at: datetime | None
    kind: Kind


@dataclass(frozen=True, slots=True)
class Said:
    """What the agent said, its texts by digest."""

    summary: Text
    reasoning: Text
    reply: Text
    context: Text
    confidence: float | None
    subject_type: str
    subject_id: str
    hosts: list[str]


@dataclass(frozen=True, slots=True)
class Earlier:
    """One of the most similar earlier proposals and how it had been decided; its title stays with it."""

    id: UUID
    verdict: str
    decided_by: str
    decided_at: datetime | None
    reason: str
    state: str
    shared: str
    visible: bool


@dataclass(frozen=True, slots=True)
class Known:
    """The record line: counts, the bound, and what it was compared with."""

    accuracy: Accuracy
    of_earlier_versions: int
    compared: int
    similar: list[Earlier]


@dataclass(frozen=True, slots=True)
class PolicyThen:
    """The policy version that routed it; `rules` is the digest of its rules."""

    id: int
    domain: str
    name: str
    number: int
    rules: Text


@dataclass(frozen=True, slots=True)
class QueueThen:
    """The queue's settings that bear on a decision."""

    slug: str
    name: str
    quorum: int
    required: list[dict[str, Any]]
    roles: list[str]
    lease_minutes: int
    due_minutes: int
    undo_seconds: int
    view_seconds: dict[str, Any]
    reading_rate: int
    approvals_per_minute: int
    reasons: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TierThen:
    """The mandate and what the evidence added up to. `standing` is the stored fold, empty before the first use."""

    tier: str
    ceiling: str
    automatic: bool
    max_amount: str | None
    veto_seconds: int
    thresholds: dict[str, Any]
    agent_version: str
    evidence_version: str
    standing: dict[str, Any]
    folded_until: datetime | None


@dataclass(frozen=True, slots=True)
class Cast:
    """A vote on the same revision that was there already."""

    reviewer: str
    verdict: str
    at: datetime
    teams: list[str]


@dataclass(frozen=True, slots=True)
class Lease:
    """Who held the proposal, until when; None where the lease was renewed and ended since."""

    holder: str
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a page of a proposal's version shows that no lock guards but the version does, made for `viewer`.

    `at` is the moment it is of: when his page was made if `remembered`, else just before the vote."""

    at: datetime
    viewer: int
    remembered: bool
    proposal: Subject
    lines: Lines
    said: Said
    why: list[Why] = field(default_factory=list)
    known: Known | None = None
    policy: PolicyThen | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The whole record. `page` is where the vote was given: proposal, edit, alike, monitor or blind. All beside `shown`
    is of the vote's moment, `at`."""

    format: int
    page: str
    build: str
    at: datetime
    opened_at: datetime | None
    zone: str
    voter: int
    voter_name: str
    verdict: str
    shown: Shown
    queue: QueueThen | None = None
    tier: TierThen | None = None
    votes: list[Cast] = field(default_factory=list)
    claim: Lease | None = None
    entitled: Entitlement | None = None
    changes: list[Change] = field(default_factory=list)


def written(sheet: Sheet | Shown) -> bytes:
    """The sheet, or a part of it, as JSON. Numbers are texts of a type of their own (`reading.sheet.Number`)."""
    return msgspec.json.encode(sheet, enc_hook=str)


def read(body: bytes) -> Sheet | None:
    """The inverse; None for a sheet of a format that this version does not know."""
    try:
        found = msgspec.json.decode(body, type=Sheet)
    except msgspec.ValidationError:
        return None
    return found if found.format == FORMAT else None
