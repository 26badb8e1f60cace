"""Searching the log."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from audit import content, log_state, proofs, search, words
from audit.forms import ExplorerForm
from audit.models import AuditEvent
from audit.proofs import Seal
from audit.search import Known
from audit.views.reader import auditors_only, noted

PAGE = 50
MOST_OFFERED = 300
"""Names that a field suggests at most; any other can be typed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One event as a list shows it."""

    event: AuditEvent
    seal: Seal
    object_name: str


def rows(events: Iterable[AuditEvent], actors: Iterable[Known], now: datetime) -> list[Row]:
    """A query for the proofs of all and two for the words in them; names are those under which somebody has acted."""
    shown = list(events)
    content.reveal(shown)
    content.reveal(shown)
    kinds = {"human": "person", "agent": "agent"}
    names = {(kinds.get(one.kind, one.kind), one.id): one.label for one in actors}
    seals = proofs.seals(shown, now)
    return [
        Row(event, seals[event.pk], words.object_name(event.object_type, event.object_id, names))
        for event in shown
    ]


@login_required
@auditors_only
@require_safe
def explorer(request: HttpRequest) -> HttpResponse:
    actors = search.actors()
    form = ExplorerForm(request.GET, actors=actors, types=search.object_types())
    wanted = form.wanted()
    before = request.GET.get("before", "")
    found = search.page(wanted, before=before, limit=PAGE)
    asked = wanted.said() | ({"before": before[:40]} if before else {})
    query = _without(request.GET, "before")
    context = {
        "form": form,
        "filters": [(*one, _without(request.GET, one[0]).urlencode()) for one in form.in_force()],
        "events": found.events,
        "rows": rows(found.events, actors, timezone.now()),
        "reached": found.reached,
        "older": f"{query.urlencode()}&{urlencode({'before': found.older})}".lstrip("&")
        if found.older
        else "",
        "is_first": not before,
        "query": query.urlencode(),
        "reads_query": _without(query, "reads").urlencode(),
        "actors": actors[:MOST_OFFERED],
        "problems": log_state.brief(),
        "is_noted": noted(request, "explorer", shown=len(found.events), asked=asked),
    }
    return render(request, "audit/explorer.html", context)


def _without(query: QueryDict, name: str) -> QueryDict:
    """The question without one filter; nobody can be asked for without saying of which kind he is."""
    left = query.copy()
    for one in (name, *(("actor_id",) if name == "actor_kind" else ())):
        left.pop(one, None)
    for empty in [key for key, value in left.items() if value == ""]:
        del left[empty]
    return left
