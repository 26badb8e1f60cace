"""A reviewer's own history."""

from datetime import datetime
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.http import person
from approvals import history
from approvals.forms.lists import HistoryForm

PAGE = 50


@login_required
@require_safe
def own_history(request: HttpRequest) -> HttpResponse:
    """What I decided, newest first."""
    pairs = [(name, request.GET.get(name, "")[:40]) for name in ("verdict", "since", "until")]
    form = HistoryForm(dict(pairs), auto_id="history_%s")
    after = parse_place(request.GET.get("after", ""))
    past = history.page(person(request), **form.wanted(), after=after, limit=PAGE)
    pairs = [(name, value) for name, value in pairs if value]
    context = {
        "form": form,
        "past": past,
        "unsent": history.unsent(person(request)) if after is None else [],
        "is_first": after is None,
        "is_narrowed": bool(pairs),
        "query": urlencode(pairs),
        "next_query": urlencode([*pairs, ("after", write_place(past.after))]) if past.after else "",
    }
    return render(request, "approvals/history.html", context)


def write_place(place: tuple[datetime, int]) -> str:
    return f"{place[0].isoformat()}~{place[1]}"


def parse_place(text: str) -> tuple[datetime, int] | None:
    """Where a link's page begins; anything else is the beginning."""
    try:
        moment, pk = text.split("~")
        place = datetime.fromisoformat(moment), int(pk)
    except ValueError:
        return None
    return place if place[0].tzinfo and 0 < place[1] < 2**63 else None
