"""The audit log's timeline of one thing: what happened to it, and what it did."""

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from approvals import trails
from audit import search, selectors
from audit.views import explorer
from audit.views.reader import auditors_only, noted

PAGE = 50


@login_required
@auditors_only
@require_safe
def trail(request: HttpRequest, object_type: str, object_id: str) -> HttpResponse:
    found = trails.trail(object_type[:24], object_id[:64])
    before = request.GET.get("before", "")
    does = found.actor is not None and request.GET.get("side") == "did"
    if does and found.actor is not None:
        wanted = search.Wanted(actor_kind=found.actor[0], actor_id=found.actor[1])
        page = search.page(wanted, before=before, limit=PAGE)
        export = {"actor_kind": found.actor[0], "actor_id": found.actor[1]}
    else:
        page = selectors.about(found.groups, before=before, limit=PAGE)
        export = {"object_type": object_type, "object_id": object_id}
    side = {"side": "did"} if does else {}
    context = {
        "trail": found,
        "does": does,
        "object_type": object_type,
        "object_id": object_id,
        "rows": explorer.rows(page.events, search.actors(), timezone.now()),
        "older": urlencode({**side, "before": page.older}) if page.older else "",
        "is_first": not before,
        "query": urlencode(export),
        "is_noted": noted(
            request,
            "timeline",
            shown=len(page.events),
            asked={
                "object": f"{object_type} {object_id}",
                **side,
                **({"before": before[:40]} if before else {}),
            },
        ),
    }
    return render(request, "audit/trail.html", context)
