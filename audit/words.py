"""How an audit event reads to a person. Pure."""

from dataclasses import dataclass
from typing import Any

_WORDS = {
    "proposal.edited": "edited the arguments",
    "proposal.claimed": "claimed it",
    "proposal.released": "released it",
    "proposal.voted": "voted",
    "proposal.denied": "denied",
    "proposal.pending": "now waits for a decision",
    "proposal.scheduled": "scheduled",
    "proposal.returned": "returned with a question",
    "proposal.approved": "approved",
    "proposal.rejected": "rejected",
    "proposal.expired": "expired undecided",
    "proposal.withdrawn": "withdrawn",
    "proposal.executing": "redeemed the grant and acts",
    "proposal.lapsed": "grant lapsed",
    "proposal.revoked": "grant revoked",
    "proposal.succeeded": "succeeded",
    "proposal.failed": "failed",
    "proposal.unknown": "outcome unknown",
    "proposal.rolled_back": "rolled back",
    "agent.registered": "registered the agent",
    "agent.changed": "changed the agent's particulars",
    "agent.suspended": "stopped the agent",
    "agent.resumed": "resumed the agent",
    "agent.retired": "retired the agent",
    "agent.owners_assigned": "changed who manages the agent",
    "credential.issued": "issued a credential",
    "credential.rotated": "rotated a credential",
    "credential.revoked": "revoked a credential",
    "action_type.saved": "saved the action type",
    "mandate.saved": "saved the mandate",
    "mandate.tier_changed": "changed the tier",
    "queue.saved": "saved the queue",
    "queue.reviewers_assigned": "changed who reviews the queue",
    "policy.published": "published a policy version",
    "blueprint.loaded": "loaded a blueprint",
    "signing_key.rotated": "rotated the signing key",
    "person.created": "invited the person",
    "person.changed": "changed the person's particulars",
    "person.link_issued": "issued a link to set a password",
    "person.deactivated": "deactivated the person",
    "person.reactivated": "reactivated the person",
    "person.password_set": "set a password",
    "person.signed_in": "signed in",
    "person.signed_out": "signed out",
    "person.sign_in_failed": "failed to sign in",
    "team.changed": "changed the team",
    "access.refused": "was refused",
    "admin.changed": "changed a record in the administration",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that an event changed; `before` is empty for what was new."""

    name: str
    before: str
    after: str
    is_long: bool


def phrase(kind: str) -> str:
    """What the actor did, to stand after his name. Kinds without words of their own are spelled out."""
    return _WORDS.get(kind) or kind.replace(".", ": ").replace("_", " ")


def differences(content: dict[str, Any]) -> list[Difference]:
    """Fields whose value differs between before and after; everything of `after` where there was no before."""
    before, after = content.get("before") or {}, content.get("after") or {}
    found = []
    for name in [*after, *(name for name in before if name not in after)]:
        old, new = before.get(name), after.get(name)
        if old == new or (new in (None, "", [], {}) and name not in before):
            continue
        was, now = as_text(old) if name in before else "", as_text(new)
        found.append(Difference(name.replace("_", " "), was, now, max(len(was), len(now)) > 160))
    return found


def details(content: dict[str, Any]) -> list[tuple[str, str]]:
    """What else the event says of itself, empty values left out."""
    detail = content.get("detail") or {}
    return [
        (name.replace("_", " "), as_text(value)) for name, value in detail.items() if value not in ("", None)
    ]


def as_text(value: Any) -> str:
    """A JSON value as a short text: words for truth and nothing, lists by commas, mappings as `key: value`."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(as_text(item) for item in value) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{name}: {as_text(item)}" for name, item in value.items()) or "none"
    return str(value)
