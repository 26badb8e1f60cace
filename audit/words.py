"""How an audit event reads to a person. Pure."""

import re
from dataclasses import dataclass
from typing import Any

_WORDS = {
    "proposal.edited": "edited the arguments",
    "proposal.claimed": "claimed it",
    "proposal.released": "released it",
    "proposal.voted": "voted",
    "proposal.decision_held": "decided; it may still be undone",
    "proposal.decision_undone": "took the decision back",
    "proposal.decision_dropped": "dropped a decision that could not be sent",
    "proposal.skipped": "passed over it",
    "proposal.assigned": "assigned it",
    "proposal.escalated": "escalated it",
    "proposal.escalation_skipped": "could not escalate it",
    "proposal.reminded": "reminded the reviewers",
    "proposal.commented": "wrote a comment",
    "proposal.rollback_asked": "asked the agent to undo it",
    "proposal.rollback_answered": "proposed what undoes it",
    "probe.added": "put a probe into the library",
    "probe.retired": "retired the probe",
    "probe.restored": "took the probe into use again",
    "probe.served": "planted the probe among the proposals",
    "probe.decided": "recorded how the probe was decided",
    "probe.appealed": "appealed a probe",
    "probe.appeal_answered": "answered an appeal",
    "review.asked": "asked for a review after the fact",
    "review.claimed": "took the review",
    "review.released": "gave the review back",
    "review.judged": "judged after the fact",
    "review.overdue": "found nobody to have judged in time",
    "review.peeked": "opened the proposal while holding its review",
    "dispute.raised": "disputed a judgement",
    "dispute.settled": "settled a dispute",
    "incident.reported": "reported an incident",
    "incident.changed": "changed the incident",
    "incident.closed": "closed the incident",
    "reviewer.pacing_stopped": "was stopped for approving faster than a person can read",
    "proposal.denied": "asked, and the policy denied it",
    "proposal.pending": "asked for a decision",
    "proposal.scheduled": "scheduled it, unless somebody objects",
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
    "stop.pulled": "pulled the stop switch",
    "stop.lifted": "lifted the stop",
    "agent.registered": "registered the agent",
    "agent.changed": "changed the agent's particulars",
    "agent.budget_saved": "changed the agent's budget",
    "agent.suspended": "stopped the agent",
    "agent.resumed": "resumed the agent",
    "agent.retired": "retired the agent",
    "agent.owners_assigned": "changed who manages the agent",
    "credential.issued": "issued a credential",
    "credential.rotated": "rotated a credential",
    "credential.revoked": "revoked a credential",
    "credential.changed": "changed where a credential may be used from",
    "credential.identity_registered": "registered an identity",
    "webhook.added": "added a webhook endpoint",
    "webhook.changed": "changed a webhook endpoint",
    "webhook.secret_rotated": "rotated the secret of a webhook endpoint",
    "webhook.paused": "paused a webhook endpoint",
    "webhook.resumed": "resumed a webhook endpoint",
    "webhook.removed": "removed a webhook endpoint",
    "webhook.redriven": "had webhook messages sent again",
    "webhook.tested": "sent a test to a webhook endpoint",
    "network.allowed": "allowed calls into a private network",
    "network.closed": "closed a private network for calls",
    "agent.went_live": "set the agent live",
    "agent.owner_left": "found the agent without a live owner",
    "agent.owner_found": "found a live owner again",
    "action_type.saved": "saved the action type",
    "mandate.saved": "saved the mandate",
    "mandate.tier_changed": "changed the tier",
    "agent.version_begun": "began a new version",
    "agent.equivalence_asked": "asked to treat two versions as one",
    "agent.equivalence_signed": "signed that two versions are one",
    "agent.equivalence_declined": "declined to treat two versions as one",
    "mandate.promotion_proposed": "found a higher tier earned",
    "mandate.promotion_closed": "closed a promotion",
    "mandate.evidence_reset": "began a new attempt",
    "mandate.thresholds_changed": "changed the thresholds",
    "mandate.ceiling_changed": "changed the ceiling",
    "mandate.automatic_changed": "changed whether promotions are automatic",
    "mandate.earning_asked": "asked that it may earn more than in the loop",
    "mandate.earning_signed": "signed that it may earn more than in the loop",
    "mandate.earning_declined": "declined that it may earn more than in the loop",
    "mandate.earning_withdrawn": "took back that it may earn more than in the loop",
    "standing.mismatch": "found a standing that its evidence does not add up to",
    "queue.saved": "saved the queue",
    "queue.reviewers_assigned": "changed who reviews the queue",
    "policy.published": "published a policy version",
    "backtest.uploaded": "uploaded recorded behaviour for a backtest",
    "backtest.removed": "removed a backtest",
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
    "person.provider_linked": "was tied to an identity provider's account",
    "person.provider_vouched": "was vouched for by the identity provider",
    "directory_token.issued": "issued a token for the company's directory",
    "directory_token.revoked": "revoked a token of the company's directory",
    "team.connected": "changed whether the company's directory fills the team",
    "factor.added": "set up a second factor",
    "factor.renamed": "renamed a passkey",
    "factor.removed": "removed a second factor",
    "factor.used": "showed the second factor",
    "factor.failed": "failed at the second factor",
    "factor.codes_made": "had recovery codes made",
    "factor.code_used": "used a recovery code up",
    "session.stepped_up": "proved again who is signed in",
    "session.ended": "ended sessions",
    "calendar.saved": "saved the calendar",
    "absence.saved": "entered an absence",
    "absence.ended": "ended an absence",
    "person.preferences_saved": "saved preferences",
    "delivery.retried": "had messages sent again",
    "person.chat_address_changed": "changed where messages go",
    "team.changed": "changed the team",
    "person.accounts_linked": "linked accounts, or untied them",
    "role.given": "gave a role",
    "role.ended": "ended a role",
    "access.asked": "asked for access",
    "access.answered": "answered a request for access",
    "access.withdrawn": "took a request for access back",
    "access.expired": "found a request for access unanswered in time",
    "access_review.begun": "began a review of access",
    "access_review.answered": "confirmed or dropped access",
    "access_review.ended": "ended a review of access",
    "change.asked": "asked for a change that takes a second person",
    "change.answered": "answered as the second person",
    "change.withdrawn": "took back a change that waited for a second person",
    "change.expired": "found no second person in time",
    "second_person.changed": "changed which changes need a second person",
    "access.refused": "was refused",
    "admin.changed": "changed a record in the administration",
    "activity.recorded": "told what it did",
    "activity.read": "read what the agent did",
    "log.read": "read the audit log",
    "log.exported": "exported from the audit log",
    "log.cosigned": "cosigned a checkpoint",
    "log.stalled": "found events that are not sealed",
    "log.events_gone": "found sealed events gone from the database",
    "log.restored": "let the log go on after a restore",
    "content.expired": "deleted content whose time was up",
    "content.encrypted": "encrypted conversations that had been stored in plain",
    "subject.erasure_asked": "asked for a person's data to be erased",
    "subject.erased": "erased a person's data",
    "hold.placed": "placed a legal hold",
    "hold.lifted": "lifted a legal hold",
    "retention.saved": "changed how long content is kept",
}


_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d(\.\d+)?)?(Z|\+00:00)")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that an event changed; `before` is empty for what was new."""

    name: str
    before: str
    after: str
    is_long: bool


class _Told(dict[str, Any]):
    """An event that lacks what its sentence names must not keep the log from being read."""

    def __missing__(self, name: str) -> str:
        return f"({name} not said)"


FAMILIES = {
    "proposal": "Proposals",
    "probe": "Probes",
    "review": "Reviews after the fact",
    "dispute": "Disputes",
    "incident": "Incidents",
    "reviewer": "Reviewers' pace",
    "stop": "Stops",
    "agent": "Agents",
    "credential": "Credentials",
    "webhook": "Webhooks",
    "network": "Networks that may be called",
    "action_type": "Action types",
    "mandate": "Mandates",
    "standing": "Standings",
    "queue": "Queues",
    "policy": "Policies",
    "backtest": "Backtests",
    "blueprint": "Blueprints",
    "signing_key": "Signing keys",
    "calendar": "Calendars",
    "absence": "Absences",
    "person": "People and sign-in",
    "factor": "Second factors",
    "session": "Sessions",
    "team": "Teams",
    "directory_token": "Tokens of the directory",
    "role": "Roles",
    "access": "Access and refusals",
    "access_review": "Reviews of access",
    "change": "Changes by two people",
    "second_person": "What needs two people",
    "admin": "Administration",
    "activity": "Agents' activity",
    "log": "The log itself",
    "content": "Content",
    "subject": "Data subjects",
    "hold": "Legal holds",
    "retention": "Retention",
}
"""The first part of a kind, in the order in which the explorer offers them."""


def kinds() -> dict[str, list[tuple[str, str]]]:
    """Every kind that has words, with them, by family; a family without a name of its own comes last."""
    found: dict[str, list[tuple[str, str]]] = {family: [] for family in FAMILIES}
    for kind, told in _WORDS.items():
        found.setdefault(kind.partition(".")[0], []).append((kind, told))
    return {family: own for family, own in found.items() if own}


def family(name: str) -> str:
    return FAMILIES.get(name) or name.replace("_", " ").capitalize()


def object_name(object_type: str, object_id: str, names: dict[tuple[str, str], str]) -> str:
    """What an event was about, by a name where one is known, else by its number; long numbers by their ends."""
    known = names.get((object_type, object_id), "")
    if not known and len(object_id) > 24:
        known = f"{object_id[:8]}…{object_id[-4:]}"
    return f"{object_type.replace('_', ' ')} {known or object_id}"


def phrase(kind: str, content: dict[str, Any] | None = None) -> str:
    """What the actor did, to stand after his name. Kinds without words of their own are spelled out."""
    content = content or {}
    if kind == "proposal.approved" and content.get("actor", {}).get("kind") == "agent":
        return "asked, and its tier let it pass"  # an agent approves nothing (I9), so it must not read so
    told = _GIVEN_AND_TAKEN.get(kind)
    detail = content.get("detail") or {}
    if detail.get("reason") == "probe" and content.get("actor", {}).get("kind") == "system":
        return "closed it, for it was a probe"
    if told:
        for name, words in told.items():
            if isinstance(detail.get(name), bool):
                return words[0 if detail[name] else 1].format_map(_Told(detail))
    return _WORDS.get(kind) or kind.replace(".", ": ").replace("_", " ")


_GIVEN_AND_TAKEN = {
    "queue.reviewers_assigned": {"allowed": ("made {to} a reviewer", "took {to} out of the reviewers")},
    "agent.owners_assigned": {"allowed": ("made {to} a manager", "took {to} out of the managers")},
    "person.accounts_linked": {
        "linked": ("linked the account of {other}, the same human being", "untied the account of {other}")
    },
    "role.given": {"is_given": ("gave {to} the role {role}", "took the role {role} from {to}")},
    "role.ended": {"is_given": ("gave {to} the role {role}", "took the role {role} from {to}")},
    "team.changed": {"member": ("put {person} into {team}", "took {person} out of {team}")},
}
"""Kinds whose sentence says it all: which detail decides, and the words for yes and no."""


def differences(content: dict[str, Any]) -> list[Difference]:
    """What was one way before and is another way now; nothing where the event has no before."""
    before, after = content.get("before") or {}, content.get("after") or {}
    names = [*(name for name in after if name in before), *(name for name in before if name not in after)]
    return [
        _difference(name, as_text(before[name]), as_text(after.get(name)))
        for name in names
        if before[name] != after.get(name)
    ]


def values(content: dict[str, Any]) -> list[Difference]:
    """What the event says without a before: all values of something new, and particulars of a change."""
    before, after = content.get("before") or {}, content.get("after") or {}
    return [
        _difference(name, "", as_text(value))
        for name, value in after.items()
        if name not in before and value not in (None, "", [], {})
    ]


def details(content: dict[str, Any]) -> list[tuple[str, str]]:
    """What else the event says of itself, empty values left out."""
    detail = content.get("detail") or {}
    if content.get("kind") in _GIVEN_AND_TAKEN:
        return []
    return [
        (name.replace("_", " "), as_text(value)) for name, value in detail.items() if value not in ("", None)
    ]


def _difference(name: str, before: str, after: str) -> Difference:
    return Difference(name.replace("_", " "), before, after, max(len(before), len(after)) > 160)


def as_text(value: Any) -> str:
    """A JSON value as a short text: words for truth and nothing, lists by commas, mappings as `key: value`."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(as_text(item) for item in value) or "none"
    if isinstance(value, dict):
        if value.keys() >= {"content", "commitment", "size"}:
            return f"{value['size']} bytes, kept encrypted"
        return "; ".join(f"{name}: {as_text(item)}" for name, item in value.items()) or "none"
    text = str(value)
    moment = _MOMENT.fullmatch(text)
    return f"{moment[1]} {moment[2]} UTC" if moment else text
