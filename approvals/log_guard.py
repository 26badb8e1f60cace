"""No decision while the audit log cannot be written (A47): what is decided has to be provable afterwards.

A sealer that merely does not run (an upgrade, a restart) stops nothing: events wait for it, and the alarm tells."""

from approvals.exceptions import LogUnavailable
from audit import watch

RETRY_SECONDS = 10


def is_open() -> bool:
    """Whether decisions may be made: the sealer has not said that it cannot go on."""
    return not watch.problem()


def check(done: str = "decided") -> None:
    """Raises `LogUnavailable`; the cause is for admins and stands on the log's page."""
    if not is_open():
        raise LogUnavailable(
            f"Nothing was {done}: the audit log cannot be written right now, and what cannot be proved later is not "
            "decided. An administrator has been told; try again in a moment.",
            retry_after=RETRY_SECONDS,
        )
