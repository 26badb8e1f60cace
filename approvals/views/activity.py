"""What led to a proposal: a page of its own, which the proposal's page takes its part from, and one step in full."""

from datetime import datetime
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.exceptions import NotFound
from accounts.http import person
from approvals import activity, blind, selectors
from approvals.activity import Place
from approvals.models import Proposal

AT_ONCE = 60_000
"""Characters of one step that a page carries; every one of them may have to be shown as its number."""


@login_required
@never_cache
@require_safe
def proposal_activity(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """The timeline, a page at a time."""
    found = selectors.proposal_for(person(request), proposal_id)
    blind.note_peek(person(request), found)
    context: dict[str, object] = {"proposal": found}
    if not activity.is_withheld(person(request), found):
        place = parse_place(request.GET.get("after", ""))
        page = activity.page(found, after=place)
        context |= {"page": page, "is_first": place is None}
        context["next"] = write_place(page.after) if page.after else ""
        if page.entries:
            activity.note_reading(person(request), found)
    return render(request, "approvals/activity.html", context)


@login_required
@never_cache
@require_safe
def proposal_activity_item(request: HttpRequest, proposal_id: UUID, activity_id: UUID) -> HttpResponse:
    """One step with all that was sent of it, as it was sent."""
    found = selectors.proposal_for(person(request), proposal_id)
    blind.note_peek(person(request), found)
    if activity.is_withheld(person(request), found):
        raise NotFound("There is no such step of the agent, or it is not for you to see.")
    row, said = activity.one(found, activity_id)
    activity.note_reading(person(request), found)
    return render(request, "approvals/activity_item.html", _item(request, found, row, said))


def _item(request: HttpRequest, found: Proposal, row: object, said: object) -> dict[str, object]:
    context = {"proposal": found, "row": row}
    if not isinstance(said, str):
        return {**context, "gone": said}
    given = request.GET.get("from", "")
    begin = int(given) if given.isascii() and given.isdigit() and int(given[:9]) < len(said) else 0
    end = begin + AT_ONCE
    return {
        **context,
        "text": said[begin:end],
        "begin": begin,
        "end": min(end, len(said)),
        "size": len(said),
        "next": end if end < len(said) else None,
    }


def write_place(place: Place) -> str:
    return f"{place[0].isoformat()}~{place[1]}~{place[2]}"


def parse_place(text: str) -> Place | None:
    """Where a link's page begins; anything else is the beginning."""
    try:
        moment, position, pk = text.split("~")
        place = datetime.fromisoformat(moment), int(position), UUID(pk)
    except ValueError:
        return None
    return place if place[0].tzinfo and -(2**15) < place[1] < 2**15 else None
