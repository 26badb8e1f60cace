"""The vocabulary of the audit log: who acts, from where, and the kinds of event."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

ActorKind = Literal["human", "agent", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it. `id` is stable (a primary key, or a rule's name for the system); `label` is for people."""

    kind: ActorKind
    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where it came from: one HTTP request, or a command or task with empty address and session.

    `session` is a hash that names a person's session, or which of an agent's credentials was used."""

    request_id: str = ""
    address: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What it was done to. `version` is set for a change of state and then unique per object (I6)."""

    type: str
    id: str
    version: int | None = None


def system(rule: str) -> Actor:
    """The system acting by the named rule, for instance `system("expiry")`."""
    return Actor("system", rule, rule)


class Kind(StrEnum):
    """Kinds of event, `object.verb`. A proposal's state changes are `proposal.<new state>`."""

    PROPOSAL_EDITED = "proposal.edited"
    PROPOSAL_CLAIMED = "proposal.claimed"
    PROPOSAL_RELEASED = "proposal.released"
    PROPOSAL_VOTED = "proposal.voted"
    PROPOSAL_HELD = "proposal.decision_held"
    PROPOSAL_UNDONE = "proposal.decision_undone"
    PROPOSAL_DROPPED = "proposal.decision_dropped"
    PROPOSAL_SKIPPED = "proposal.skipped"
    PROPOSAL_ASSIGNED = "proposal.assigned"
    PROPOSAL_ESCALATED = "proposal.escalated"
    PROPOSAL_STEP_SKIPPED = "proposal.escalation_skipped"
    PROPOSAL_REMINDED = "proposal.reminded"
    PROPOSAL_COMMENTED = "proposal.commented"
    ROLLBACK_ASKED = "proposal.rollback_asked"
    ROLLBACK_ANSWERED = "proposal.rollback_answered"
    PROBE_ADDED = "probe.added"
    PROBE_RETIRED = "probe.retired"
    PROBE_RESTORED = "probe.restored"
    PROBE_SERVED = "probe.served"
    PROBE_DECIDED = "probe.decided"
    PROBE_APPEALED = "probe.appealed"
    PROBE_ANSWERED = "probe.appeal_answered"
    REVIEW_ASKED = "review.asked"
    REVIEW_CLAIMED = "review.claimed"
    REVIEW_RELEASED = "review.released"
    REVIEW_JUDGED = "review.judged"
    REVIEW_OVERDUE = "review.overdue"
    REVIEW_PEEKED = "review.peeked"
    DISPUTE_RAISED = "dispute.raised"
    DISPUTE_SETTLED = "dispute.settled"
    INCIDENT_REPORTED = "incident.reported"
    INCIDENT_CHANGED = "incident.changed"
    INCIDENT_CLOSED = "incident.closed"
    PACING_STOPPED = "reviewer.pacing_stopped"
    STOP_PULLED = "stop.pulled"
    STOP_LIFTED = "stop.lifted"
    AGENT_REGISTERED = "agent.registered"
    AGENT_CHANGED = "agent.changed"
    AGENT_VERSION_BEGUN = "agent.version_begun"
    EQUIVALENCE_ASKED = "agent.equivalence_asked"
    EQUIVALENCE_SIGNED = "agent.equivalence_signed"
    EQUIVALENCE_DECLINED = "agent.equivalence_declined"
    BUDGET_SAVED = "agent.budget_saved"
    AGENT_SUSPENDED = "agent.suspended"
    AGENT_RESUMED = "agent.resumed"
    AGENT_RETIRED = "agent.retired"
    CREDENTIAL_ISSUED = "credential.issued"
    CREDENTIAL_ROTATED = "credential.rotated"
    CREDENTIAL_REVOKED = "credential.revoked"
    CREDENTIAL_CHANGED = "credential.changed"
    IDENTITY_REGISTERED = "credential.identity_registered"
    WEBHOOK_ADDED = "webhook.added"
    WEBHOOK_CHANGED = "webhook.changed"
    WEBHOOK_SECRET_ROTATED = "webhook.secret_rotated"  # noqa: S105 - the name of a kind of event
    WEBHOOK_PAUSED = "webhook.paused"
    WEBHOOK_RESUMED = "webhook.resumed"
    WEBHOOK_REMOVED = "webhook.removed"
    WEBHOOK_REDRIVEN = "webhook.redriven"
    WEBHOOK_TESTED = "webhook.tested"
    NETWORK_ALLOWED = "network.allowed"
    NETWORK_CLOSED = "network.closed"
    AGENT_WENT_LIVE = "agent.went_live"
    AGENT_OWNER_LEFT = "agent.owner_left"
    AGENT_OWNER_FOUND = "agent.owner_found"
    ACTION_TYPE_SAVED = "action_type.saved"
    MANDATE_SAVED = "mandate.saved"
    TIER_CHANGED = "mandate.tier_changed"
    PROMOTION_PROPOSED = "mandate.promotion_proposed"
    PROMOTION_CLOSED = "mandate.promotion_closed"
    EVIDENCE_RESET = "mandate.evidence_reset"
    THRESHOLDS_CHANGED = "mandate.thresholds_changed"
    CEILING_CHANGED = "mandate.ceiling_changed"
    AUTOMATIC_CHANGED = "mandate.automatic_changed"
    EARNING_ASKED = "mandate.earning_asked"
    EARNING_SIGNED = "mandate.earning_signed"
    EARNING_DECLINED = "mandate.earning_declined"
    EARNING_WITHDRAWN = "mandate.earning_withdrawn"
    EVIDENCE_MISMATCH = "standing.mismatch"
    QUEUE_SAVED = "queue.saved"
    POLICY_PUBLISHED = "policy.published"
    REVIEWERS_ASSIGNED = "queue.reviewers_assigned"
    OWNERS_ASSIGNED = "agent.owners_assigned"
    BACKTEST_UPLOADED = "backtest.uploaded"
    BACKTEST_REMOVED = "backtest.removed"
    BLUEPRINT_LOADED = "blueprint.loaded"
    SIGNING_KEY_ROTATED = "signing_key.rotated"
    PERSON_CREATED = "person.created"
    PERSON_CHANGED = "person.changed"
    PERSON_LINKED = "person.link_issued"
    PERSON_DEACTIVATED = "person.deactivated"
    PERSON_REACTIVATED = "person.reactivated"
    PASSWORD_SET = "person.password_set"  # noqa: S105 - the name of a kind of event
    CALENDAR_SAVED = "calendar.saved"
    ABSENCE_SAVED = "absence.saved"
    ABSENCE_ENDED = "absence.ended"
    PREFERENCES_SAVED = "person.preferences_saved"
    DELIVERIES_RETRIED = "delivery.retried"
    CHAT_ADDRESS_CHANGED = "person.chat_address_changed"
    TEAM_CHANGED = "team.changed"
    ACCOUNTS_LINKED = "person.accounts_linked"
    ROLE_GIVEN = "role.given"
    ROLE_ENDED = "role.ended"
    ACCESS_ASKED = "access.asked"
    ACCESS_ANSWERED = "access.answered"
    ACCESS_WITHDRAWN = "access.withdrawn"
    ACCESS_EXPIRED = "access.expired"
    ACCESS_REVIEW_BEGUN = "access_review.begun"
    ACCESS_REVIEW_ANSWERED = "access_review.answered"
    ACCESS_REVIEW_ENDED = "access_review.ended"
    CHANGE_ASKED = "change.asked"
    CHANGE_ANSWERED = "change.answered"
    CHANGE_WITHDRAWN = "change.withdrawn"
    CHANGE_EXPIRED = "change.expired"
    SECOND_PERSON_CHANGED = "second_person.changed"
    ACCESS_REFUSED = "access.refused"
    SIGNED_IN = "person.signed_in"
    SIGNED_OUT = "person.signed_out"
    SIGN_IN_FAILED = "person.sign_in_failed"
    PROVIDER_LINKED = "person.provider_linked"
    PROVIDER_VOUCHED = "person.provider_vouched"
    DIRECTORY_TOKEN_ISSUED = "directory_token.issued"  # noqa: S105 - the name of a kind of event
    DIRECTORY_TOKEN_REVOKED = "directory_token.revoked"  # noqa: S105
    TEAM_CONNECTED = "team.connected"
    FACTOR_ADDED = "factor.added"
    FACTOR_RENAMED = "factor.renamed"
    FACTOR_REMOVED = "factor.removed"
    FACTOR_USED = "factor.used"
    FACTOR_FAILED = "factor.failed"
    CODES_MADE = "factor.codes_made"
    CODE_USED = "factor.code_used"
    STEPPED_UP = "session.stepped_up"
    SESSIONS_ENDED = "session.ended"
    ADMIN_CHANGED = "admin.changed"
    ACTIVITY_RECORDED = "activity.recorded"
    ACTIVITY_READ = "activity.read"
    LOG_READ = "log.read"
    LOG_EXPORTED = "log.exported"
    LOG_COSIGNED = "log.cosigned"
    LOG_STALLED = "log.stalled"
    LOG_EVENTS_GONE = "log.events_gone"
    LOG_RESTORED = "log.restored"
    CONTENT_EXPIRED = "content.expired"
    CONTENT_ENCRYPTED = "content.encrypted"
    ERASURE_ASKED = "subject.erasure_asked"
    SUBJECT_ERASED = "subject.erased"
    HOLD_PLACED = "hold.placed"
    HOLD_LIFTED = "hold.lifted"
    RETENTION_SAVED = "retention.saved"


Content = dict[str, Any]
