"""Approvals that passkeys signed, as the events of an export tell them: each proved by itself, then all together. Pure.

An event holds the whole assertion, so that a signature cannot be missing from an export that has the event, and the
event that registered the passkey says whose it is: `factor.added` with the credential and the hash of its key."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from audit.tlog import assertions
from audit.tlog.assertions import Assertion, BadAssertion
from audit.tlog.findings import Findings, shown
from audit.tlog.report import Report

SIGNED = ("proposal.voted", "proposal.edited")
"""Kinds of event that tell a signature; a vote of high risk without one says null."""
ADDED, REMOVED = "factor.added", "factor.removed"
KINDS = (*SIGNED, ADDED, REMOVED)


@dataclass(frozen=True, slots=True)
class Approval:
    """A signature that fits its digest; `name` is the event. `person` is whose approval it is said to be."""

    leaf: int
    name: str
    person: str
    assertion: Assertion


@dataclass(frozen=True, slots=True)
class Factor:
    """That a person's passkey was registered, or removed (`key_sha256` is then empty)."""

    leaf: int
    person: str
    credential: str
    key_sha256: str


@dataclass(slots=True)
class Noticed:
    """What the events of one file say. `unsigned` counts approvals of high risk that say to be without one."""

    approvals: list[Approval]
    factors: list[Factor]
    unsigned: int = 0

    @classmethod
    def none(cls) -> "Noticed":
        return cls([], [])

    def merge(self, other: "Noticed") -> None:
        self.approvals += other.approvals
        self.factors += other.factors
        self.unsigned += other.unsigned


def notice(said: dict[str, Any], leaf: int, name: str, into: Noticed, findings: Findings) -> None:
    """One event that holds, of one of KINDS."""
    detail = said.get("detail")
    if not isinstance(detail, dict):
        return
    if said["kind"] in SIGNED:
        if "signature" in detail:
            _approval(said, detail["signature"], leaf, name, into, findings)
        return
    credential, key = detail.get("credential"), detail.get("key_sha256")
    if isinstance(credential, str):
        person = str(_member(said, "object", "id"))
        into.factors.append(Factor(leaf, person, credential, key if isinstance(key, str) else ""))


def _approval(
    said: dict[str, Any], told: object, leaf: int, name: str, into: Noticed, findings: Findings
) -> None:
    if told is None:
        into.unsigned += 1
        return
    digest = _member(said, "after", "digest")
    try:
        made = Assertion.read(told)
        assertions.check(made, digest if isinstance(digest, str) else "")
    except BadAssertion as error:
        findings.add("signature", f"The passkey's signature in {name} does not hold.", error, shown(digest))
        return
    into.approvals.append(Approval(leaf, name, str(_member(said, "actor", "id")), made))


def _member(said: dict[str, Any], *path: str) -> object:
    value: object = said
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def compare(noticed: Noticed, report: Report, *, is_whole: bool) -> None:
    """That no signature counts twice, and that every key was registered by whose approval it is said to be."""
    report.signatures, report.unsigned = len(noticed.approvals), noticed.unsigned
    report.origins |= {one.assertion.origin for one in noticed.approvals}
    known: dict[tuple[str, str], list[Factor]] = {}
    for factor in noticed.factors:
        known.setdefault((factor.person, factor.credential), []).append(factor)
    seen: dict[bytes, str] = {}
    unknown = 0
    for one in sorted(noticed.approvals, key=lambda approval: approval.leaf):
        nonce = one.assertion.nonce
        if nonce in seen:
            text = f"The passkey's signature in {one.name} was used before, in {seen[nonce]}."
            report.findings.add("signature", text, assertions.text_of(nonce), "a nonce of its own")
        seen.setdefault(nonce, one.name)
        credential = assertions.text_of(one.assertion.credential)
        told = [each for each in known.get((one.person, credential), ()) if each.leaf < one.leaf]
        unknown += _belongs(one, told, report, is_whole=is_whole)
    if unknown:
        report.unchecked.append(
            f"Whose the passkeys of {unknown} signed approvals are: they were registered by events outside the "
            "exported range."
        )


def _belongs(one: Approval, told: Iterable[Factor], report: Report, *, is_whole: bool) -> bool:
    """True where a part of the log cannot tell."""
    last = max(told, key=lambda factor: factor.leaf, default=None)
    added = [factor for factor in told if factor.key_sha256]
    own = one.assertion.key_sha256
    if not added:
        if not is_whole:
            return True
        text = f"The passkey in {one.name} was never registered by whom it is said to be of."
        report.findings.add(
            "signature", text, own, f"an event {ADDED} of person {shown(one.person)} before it"
        )
    elif own not in {factor.key_sha256 for factor in added}:
        text = f"The key in {one.name} is not the one that its passkey was registered with."
        report.findings.add("signature", text, own, added[-1].key_sha256)
    elif last is not None and not last.key_sha256:
        report.remarks.append(
            f"The passkey in {one.name} had been removed at leaf {last.leaf}. Ask why it counted."
        )
    return False
