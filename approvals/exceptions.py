"""Domain errors of proposals, queues, policies and decisions."""

from accounts.exceptions import Conflict, DomainError, Invalid, NotAllowed


class ProposalChanged(Conflict):
    """The page or the agent spoke of an earlier state; the `current` member says what it is now."""

    code = "proposal_changed"
    title = "The proposal has changed"


class WrongState(Conflict):
    """What was asked is not possible in the proposal's state."""

    code = "wrong_state"
    title = "Not possible in this state"


class TooManyOpen(DomainError):
    """The agent has as many proposals open as it may; nothing of the new one was stored."""

    code = "too_many_open"
    status = 429
    title = "Too much is open"


class CursorGone(DomainError):
    """What has happened since this event cannot be told any more."""

    code = "cursor_gone"
    status = 410
    title = "That is too long ago"


class TooManyStreams(DomainError):
    """The agent listens as often at once as it may."""

    code = "too_many_streams"
    status = 429
    title = "Too many streams"


class AlreadyAsked(Conflict):
    """Somebody has asked for the rollback of this proposal before."""

    code = "rollback_asked_already"
    title = "It was asked for already"


class AlreadyClaimed(Conflict):
    """A colleague holds the lease."""

    code = "already_claimed"
    title = "A colleague is on it"


class NowhereToEscalate(Conflict):
    """The queue's chain names no other queue in which somebody may decide this."""

    code = "nowhere_to_escalate"
    title = "There is nowhere to escalate it to"


class NothingToClaim(Conflict):
    """The queues hold nothing that this person may decide and nobody holds."""

    code = "nothing_to_claim"
    title = "Nothing is waiting"


class MayNotDecide(NotAllowed):
    """I8: the agent's owner, the registrar of its credential, a second vote, or somebody without the right."""

    code = "may_not_decide"
    title = "You may not decide this"


class SignatureNeeded(NotAllowed):
    """An approval of high risk came without the passkey's signature that it needs."""

    code = "signature_needed"
    title = "It has to be signed"


class SignatureRefused(NotAllowed):
    """The passkey's signature does not hold, or is not this person's."""

    code = "signature_refused"
    title = "The signature does not hold"


class SignatureStale(Conflict):
    """What was signed is too old, was used before, or is no longer what would be approved."""

    code = "signature_stale"
    title = "Sign it again"


class TooFast(Conflict):
    """Approved faster than a person can read it, or too many in a minute: pacing of the queue (A40)."""

    code = "too_fast"
    title = "Read it first"


class NotSeen(Invalid):
    """What cannot be undone, or is critical, is approved only by somebody who had all of it in view."""

    code = "not_seen"
    title = "Not all of it was in view"


class NotTogether(Conflict):
    """It has to be looked at by itself: too risky, too much money, or something in it deserves a second look."""

    code = "not_together"
    title = "Not together with others"


class DigestMismatch(Conflict):
    """The arguments at hand are not the approved ones."""

    code = "digest_mismatch"
    title = "Not the approved arguments"


class GrantRefused(Conflict):
    """The grant is not valid now: used, expired, revoked, or of somebody else."""

    code = "grant_refused"
    title = "The grant is not valid"


class LimitReached(Conflict):
    """A limit of the mandate stands in the way."""

    code = "limit_reached"
    title = "A limit is reached"


class Stopped(Conflict):
    """A stop switch covers this: nothing of it may begin until a person with the right lifts it."""

    code = "stopped"
    title = "It is stopped"


class IdempotencyConflict(Invalid):
    """The same idempotency key came with another body."""

    code = "idempotency_key_reused"
    title = "The idempotency key was used for another request"


class ImportUnsupported(Invalid):
    """Another product's request asks for what has no counterpart here."""

    code = "import_unsupported"
    title = "This cannot be imported"


class InFlight(Conflict):
    """A request with the same idempotency key is still being answered."""

    code = "request_in_flight"
    title = "The same request is in flight"


class UnderHold(Conflict):
    """A legal hold forbids erasing this."""

    code = "under_hold"
    title = "A legal hold keeps it"


class StillUndecided(Conflict):
    """Somebody has still to decide, carry out or judge what is to be erased."""

    code = "still_undecided"
    title = "Something about it is undecided"


class PolicyRefused(Invalid):
    """The policy denies the edited arguments, or a policy cannot be published."""

    code = "policy_refused"
    title = "The policy does not allow it"


class LogUnavailable(DomainError):
    """The audit log cannot be written: nothing is decided or redeemed until it can (A47)."""

    code = "log_unavailable"
    status = 503
    title = "The audit log cannot be written"
