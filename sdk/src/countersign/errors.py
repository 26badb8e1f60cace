"""What can go wrong. Everything is a `CountersignError`; act on its `code`, which is stable, not on its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from countersign.proposals import Proposal


class CountersignError(Exception):
    """A refusal of the server (an RFC 9457 problem document), or one of this client's own, which has status 0.

    `errors` names refused fields: [{"field": JSON Pointer, "message": str}]. `retry_after` is in seconds."""

    def __init__(
        self,
        detail: str,
        *,
        code: str = "error",
        status: int = 0,
        title: str = "",
        errors: Sequence[dict[str, Any]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.title = title or detail
        self.detail = detail
        self.errors = list(errors)
        self.retry_after = retry_after
        self.unsure = False
        """An earlier try of the same request may have been carried out, though its answer never came."""
        self.proposal_id = ""
        """Whose key it is already, where another content came under it (`idempotency_key_reused`)."""

    def __str__(self) -> str:
        fields = "; ".join(f"{error.get('field')}: {error.get('message')}" for error in self.errors)
        said = f"{self.detail} [{self.code}]"
        return f"{said} ({fields})" if fields else said


class Unreachable(CountersignError):
    """No answer worth having came, however often it was tried: whether the request was carried out is not known.

    Sending the same again, with the same key, is harmless and counts once."""

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail, code="unreachable", retry_after=retry_after)


class Undecided(CountersignError, TimeoutError):
    """The time to wait is up and nobody has decided. The proposal stays where it is and can be waited for again."""

    def __init__(self, proposal: Proposal) -> None:
        told = f"Nobody has decided on proposal {proposal.id} in time."
        if proposal.is_decided:
            told = (
                f"Proposal {proposal.id} is approved and Countersign carries it out; the outcome did not come in time. "
                "Do not repeat it: wait for it again."
            )
        super().__init__(told, code="undecided")
        self.proposal = proposal


class NotApproved(CountersignError):
    """There is no permission to run: rejected, denied, expired, withdrawn, revoked, lapsed, returned, advisory.

    `proposal.words` says it in a sentence for the model; a returned one can be revised and waited for again."""

    def __init__(self, proposal: Proposal, detail: str = "", *, code: str = "") -> None:
        super().__init__(detail or proposal.words, code=code or f"not_approved_{proposal.status}")
        self.proposal = proposal


class NotCarriedOut(CountersignError):
    """Approved, and Countersign itself was to carry it out (docs/executors.md): it failed, was undone, or nobody knows.

    Where `is_known` is False it may have had its effect: a person finds out, and nobody may do it again meanwhile.
    `proposal.outcome` holds what the executor said."""

    def __init__(self, proposal: Proposal) -> None:
        self.proposal = proposal
        self.is_known = proposal.status in ("failed", "rolled_back")
        super().__init__(proposal.words, code=f"carried_out_{proposal.status}")


class AlreadyRedeemed(CountersignError):
    """The permission was used up before this call, so nothing was run by it.

    Where `is_known` is False, an earlier run may or may not have had its effect (it crashed in the middle, or another
    process is at it now): a person finds out and settles it, nothing runs it again by itself."""

    def __init__(self, proposal: Proposal) -> None:
        self.proposal = proposal
        self.is_known = proposal.status in ("succeeded", "failed", "rolled_back")
        told = (
            f"it is reported as {proposal.status.replace('_', ' ')}"
            if self.is_known
            else "whether it had its effect is unknown; a person has to look"
        )
        super().__init__(
            f"Proposal {proposal.id} was redeemed by an earlier run: {told}. It was not run again.",
            code="already_redeemed",
        )


class ArgumentsUnfit(CountersignError):
    """The approved arguments cannot be given to the function as they are; nothing was redeemed and nothing ran."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="arguments_unfit")


class GrantInvalid(CountersignError):
    """A grant that must not be acted upon: forged, expired, for another audience, or for other arguments."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="grant_invalid")
