"""The page of the people who watch: what will run, what has run, and the ways to stop it or to have it undone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID
from zlib import crc32

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.http import person
from accounts.models import User
from approvals import monitor, rollbacks, selectors
from approvals.forms.decide import ReasonForm
from approvals.forms.monitor import WhyForm
from approvals.models import Proposal, Verdict
from approvals.monitor import Row, Watched
from approvals.services import recall, rollback, suspend
from approvals.services.decide import decide
from approvals.views.landing import posted

SHOWN_AT_MOST = 200
NOW = "Countersign-Now"
"""Header with the server's clock in milliseconds, by which the page counts down."""


@login_required
@never_cache
@require_safe
def monitor_page(request: HttpRequest) -> HttpResponse:
    """Both lists as they are now."""
    return _page(request, monitor.watched(person(request), now=timezone.now()))


@login_required
@never_cache
@require_safe
def monitor_pulse(request: HttpRequest) -> HttpResponse:
    """What has become of the rows on the screen, and which others belong there by now. 204 while nothing differs.

    Rows keep their place: what is scheduled anew goes to the end of its list; what has run to the beginning of the
    other, where nobody points at it or works in it (`free`), and is only counted otherwise."""
    me = person(request)
    shown = _shown(request.GET.getlist("shown"))
    now = monitor.rows(me, shown)
    watched = monitor.watched(me, now=timezone.now())
    changed = [(pk, now.get(pk)) for pk, mark in shown.items() if _mark(now.get(pk)) != mark]
    scheduled = [row for row in watched.scheduled if row.proposal.pk not in shown]
    ran = [row for row in watched.ran if row.proposal.pk not in shown]
    held_back = [] if request.GET.get("free") == "1" else ran
    telling = _telling(changed, held_back)
    if not scheduled and held_back == ran and telling == request.GET.get("told", "0"):
        return _timed(HttpResponse(status=204))
    context = {
        "changed": changed,
        "fresh": scheduled,
        "ran": [] if held_back else ran,
        "held_back": len(held_back),
        "told": telling,
        "watched": watched,
    }
    return _timed(render(request, "approvals/_monitor_pulse.html", context))


@login_required
@posted
def monitor_act(request: HttpRequest, proposal_id: UUID, way: str) -> HttpResponse:
    """Veto, recall, ask for a rollback, or pause the agent. A form that was not filled in comes back, 422."""
    me = person(request)
    found = selectors.proposal_for(me, proposal_id)
    form = _form(request, found, way)
    if not form.is_valid():
        return _again(request, me, proposal_id, way, form)
    words = _WAYS[way](me, found, form)
    row = monitor.row(me, proposal_id)
    if row is not None and _is_for_row(request, proposal_id):
        return _timed(render(request, "approvals/_monitor_row.html", {"row": row, "announced": words}))
    messages.success(request, words)
    if request.POST.get("on") == "page":
        return redirect("approvals:proposal", proposal_id=proposal_id)
    return redirect("approvals:monitor")


def _veto(me: User, found: Proposal, form: forms.Form) -> str:
    assert isinstance(form, ReasonForm)
    decide(proposal_id=found.pk, reviewer=me, ballot=replace(form.ballot(me), page="monitor"))
    return f"Vetoed: “{found.title[:120]}”. It does not run."


def _recall(me: User, found: Proposal, form: forms.Form) -> str:
    recall.recall(proposal_id=found.pk, person=me, reason=form.cleaned_data["reason"])
    return f"Recalled: “{found.title[:120]}”. Its grant is good for nothing any more."


def _ask(me: User, found: Proposal, form: forms.Form) -> str:
    rollback.ask(proposal_id=found.pk, person=me, reason=form.cleaned_data["reason"])
    hindrance = rollbacks.hindrance(found)
    words = f"{found.agent.name} is asked to undo “{found.title[:120]}”."
    return f"{words} {hindrance or 'You will hear what comes of it.'}"


def _pause(me: User, found: Proposal, form: forms.Form) -> str:
    suspend.suspend(agent_id=found.agent_id, actor=me, reason=form.cleaned_data["reason"])
    return f"{found.agent.name} is paused. Nothing of it starts any more; its page resumes it."


_WAYS: dict[str, Callable[[User, Proposal, forms.Form], str]] = {
    "veto": _veto,
    "recall": _recall,
    "rollback": _ask,
    "pause": _pause,
}
WAYS = tuple(_WAYS)


def _form(request: HttpRequest, found: Proposal, way: str) -> forms.Form:
    if way == "veto":
        return ReasonForm(request.POST, proposal=found, verdict=Verdict.VETO)
    return WhyForm(request.POST)


def _again(request: HttpRequest, me: User, proposal_id: UUID, way: str, form: forms.Form) -> HttpResponse:
    """The row, or the whole page, with the form that was sent and what it lacks."""
    row = monitor.row(me, proposal_id)
    if row is None:
        return redirect("approvals:monitor")
    faults = [error for errors in form.errors.values() for error in errors]
    sent = {"open": proposal_id, "way": way, "faults": faults, "sent": request.POST}
    if _is_for_row(request, proposal_id):
        return _timed(render(request, "approvals/_monitor_row.html", {"row": row, **sent}, status=422))
    watched = monitor.watched(me, now=timezone.now())
    if all(one.proposal.pk != proposal_id for one in (*watched.scheduled, *watched.ran)):
        watched.ran.insert(0, row)
    return _page(request, watched, status=422, **sent)


def _page(request: HttpRequest, watched: Watched, *, status: int = 200, **more: Any) -> HttpResponse:
    context = {"watched": watched, "told": "0", "now": int(timezone.now().timestamp() * 1000), **more}
    return _timed(render(request, "approvals/monitor.html", context, status=status))


def _is_for_row(request: HttpRequest, proposal_id: UUID) -> bool:
    return request.headers.get("HX-Target") == f"row-{proposal_id}"


def _timed(response: HttpResponse) -> HttpResponse:
    response[NOW] = str(int(timezone.now().timestamp() * 1000))
    return response


def _mark(row: Row | None) -> str:
    return row.mark.partition("~")[2] if row else "gone"


def _telling(changed: Sequence[tuple[UUID, Row | None]], held_back: Sequence[Row]) -> str:
    """What this answer says of rows that the page may not be able to take in, in short; the page sends it with the next
    question, so that nothing is said twice."""
    parts = [f"{pk}{_mark(row)}" for pk, row in changed] + [str(row.proposal.pk) for row in held_back]
    return f"{crc32(''.join(parts).encode()):x}" if parts else "0"


def _shown(texts: Sequence[str]) -> dict[UUID, str]:
    """Rows on a screen, each with its mark as it was written there: `id~mark`."""
    found = {}
    for text in texts[:SHOWN_AT_MOST]:
        name, _, mark = text.partition("~")
        try:
            found[UUID(name)] = mark
        except ValueError:
            continue
    return found
