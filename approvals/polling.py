"""How long an agent wants to wait for news of a proposal, and which version it has: one reading for both doors."""

import re
from urllib.parse import parse_qs

from agents.http import FieldsInvalid

MAX_WAIT = 60.0
_SECONDS = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][-+]?[0-9]{1,3})?\Z")


def parameters(query: str) -> tuple[float, int | None]:
    """(`wait` in seconds, `after_version` or None where it is not given) of a query. Raises `FieldsInvalid`."""
    values = parse_qs(query, keep_blank_values=True)
    wait, after = values.get("wait", ["0"])[0], values.get("after_version", [None])[0]
    seconds = float(wait) if _SECONDS.match(wait) else -1.0
    if not 0 <= seconds <= MAX_WAIT:
        raise _refused("wait", f"must be 0 to {MAX_WAIT:g} seconds")
    if after is not None and not (after.isascii() and after.isdigit()):
        raise _refused("after_version", "must be the version you have")
    return seconds, None if after is None else int(after[:9])


def _refused(name: str, message: str) -> FieldsInvalid:
    return FieldsInvalid("A parameter was refused.", errors=[{"field": name, "message": message}])
