"""My queues, one queue, and the light question whether its list is still true."""

from datetime import UTC, datetime
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from accounts.http import person
from approvals import permissions, selectors
from approvals.models import Proposal
from approvals.selectors import Cursor
from approvals.services import claim
from approvals.views.landing import posted

PAGE = 50
SHOWN_AT_MOST = 120


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The first page: a reviewer's queues; who reviews nothing finds his agents there, or an explanation."""
    return redirect("approvals:queue_list")


@login_required
@require_safe
def queue_list(request: HttpRequest) -> HttpResponse:
    summaries = selectors.my_queues(person(request))
    held = selectors.held_by(person(request))
    totals = {
        "waiting": sum(row.waiting for row in summaries),
        "overdue": sum(row.overdue for row in summaries),
    }
    return render(
        request, "approvals/queue_list.html", {"summaries": summaries, "held": held, "totals": totals}
    )


@login_required
@require_safe
def queue(request: HttpRequest, slug: str) -> HttpResponse:
    found = selectors.queue_for(person(request), slug)
    after = parse_cursor(request.GET.get("after", ""))
    rows = selectors.waiting_page(found, after=after, limit=PAGE + 1)
    claimed = selectors.claimed_page(found)
    return render(
        request,
        "approvals/queue.html",
        {
            "queue": found,
            "rows": rows[:PAGE],
            "next_after": write_cursor(rows[PAGE - 1]) if len(rows) > PAGE else "",
            "is_first": after is None,
            "mine": [row for row in claimed if row.claimed_by_id == request.user.pk],
            "others": [row for row in claimed if row.claimed_by_id != request.user.pk],
            "scheduled": selectors.scheduled_page(found),
            "conflicted": set(permissions.conflicted_agent_ids(person(request))),
        },
    )


@login_required
@require_safe
def queue_pulse(request: HttpRequest, slug: str) -> HttpResponse:
    """What has become of the rows on a reviewer's screen, and whether more urgent ones came; 204 while nothing has."""
    found = selectors.queue_for(person(request), slug)
    shown = _uuids(request.GET.getlist("shown"))
    now = {row.pk: row for row in selectors.states_of(found, shown)}
    gone = [row for row in now.values() if not (row.state == "pending" and row.claimed_by_id is None)]
    fresh = 0
    if request.GET.get("first") == "1":
        fresh = sum(row.pk not in now for row in selectors.waiting_page(found, limit=PAGE))
    told = request.GET.get("told", "")
    telling = f"{fresh}.{len(gone)}"
    if telling == told or (telling == "0.0" and not told):
        return HttpResponse(status=204)
    context = {"queue": found, "gone": gone, "fresh": fresh, "telling": telling}
    return render(request, "approvals/_queue_pulse.html", context)


@login_required
@posted
def claim_next(request: HttpRequest) -> HttpResponse:
    """Claim the most urgent one I may decide and go there; where nothing waits, say so on the queues' page."""
    queue_id = None
    if slug := request.POST.get("queue", ""):
        queue_id = selectors.queue_for(person(request), slug).pk
    proposal = claim.claim_next(reviewer=person(request), queue_id=queue_id)
    return redirect("approvals:proposal", proposal_id=proposal.pk)


def write_cursor(row: Proposal) -> str:
    due = row.due_at or datetime.fromtimestamp(0, UTC)
    return f"{row.priority}~{due.isoformat()}~{row.pk}"


def parse_cursor(text: str) -> Cursor | None:
    """The cursor of a link; anything else is the beginning."""
    try:
        priority, due, pk = text.split("~")
        return Cursor(int(priority), datetime.fromisoformat(due), UUID(pk))
    except ValueError:
        return None


def _uuids(texts: list[str]) -> list[UUID]:
    found = []
    for text in texts[:SHOWN_AT_MOST]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found
