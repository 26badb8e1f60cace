"""Who may read the log, and that he did."""

from typing import Any

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest

from audit import reading
from audit.events import Actor

auditors_only = permission_required("audit.view_auditevent", raise_exception=True)


def me(request: HttpRequest) -> Actor:
    person: Any = request.user
    actor: Actor = person.actor()
    return actor


def noted(request: HttpRequest, page: str, *, shown: int, asked: dict[str, Any] | None = None) -> bool:
    """Whether this reading stands in the log now; a page whose reading does not says so."""
    return reading.note(reader=me(request), page=page, shown=shown, asked=asked)
