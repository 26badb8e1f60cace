"""How long an agent wants to wait for news of a proposal, and which version it has: one reading for both doors."""

from contextlib import suppress

from agents.http import FieldsInvalid

MAX_WAIT = 60.0


def parameters(wait: str, after_version: str) -> tuple[float, int | None]:
    """(`wait` in seconds, `after_version` or None where it is not given). Raises `FieldsInvalid`."""
    seconds = None
    with suppress(ValueError):
        seconds = float(wait or "0")
    if seconds is None or not 0 <= seconds <= MAX_WAIT:
        raise _refused("wait", f"must be 0 to {MAX_WAIT:g} seconds")
    if after_version and not (after_version.isascii() and after_version.isdigit()):
        raise _refused("after_version", "must be the version you have")
    return seconds, int(after_version[:9]) if after_version else None


def _refused(name: str, message: str) -> FieldsInvalid:
    return FieldsInvalid("A parameter was refused.", errors=[{"field": name, "message": message}])
