"""Look-alikes of a queue: which groups there are, one group side by side, and what became of what was chosen."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http import person
from accounts.models import User
from approvals import alike_rows, permissions, probe_records, probing, selectors, several
from approvals.alike_rows import Row, Table
from approvals.forms import alike as forms_alike
from approvals.forms.alike import AlikeForms, RowForm
from approvals.models import Proposal, Queue, Verdict
from approvals.reading import alike
from approvals.services.decide_several import Result, decide_several


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table with its form and its ticket."""

    row: Row
    form: RowForm
    ticket: str


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one choice, in words."""

    proposal: Proposal | None
    result: Result
    kind: str
    words: str


@login_required
@never_cache
@require_safe
def queue_alike(request: HttpRequest, slug: str) -> HttpResponse:
    found = selectors.queue_for(person(request), slug)
    context = {"queue": found, "groups": alike_rows.summaries(found)}
    return render(request, "approvals/alike_list.html", context)


@login_required
@never_cache
@require_safe
def queue_alike_link(request: HttpRequest, slug: str) -> HttpResponse:
    """The link with its number, asked for by the queue's page once it is shown."""
    found = selectors.queue_for(person(request), slug)
    context = {"queue": found, "alike_count": alike_rows.count(found)}
    return render(request, "approvals/_alike_link.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def queue_alike_group(request: HttpRequest, slug: str, member: UUID) -> HttpResponse:
    """One group, `several.MOST` of it at a time; a POST decides what was chosen, each row by itself."""
    me = person(request)
    queue = selectors.queue_for(me, slug)
    if request.method != "POST":
        return _page(request, queue, member)
    sent = AlikeForms.sent(request.POST, queue=queue, person=me, most=several.MOST)
    choices = sent.choices()
    if choices is None:
        return _page(request, queue, member, sent)
    results = decide_several(queue_id=queue.pk, reviewer=me, choices=choices)
    return _results(request, queue, member, results)


def _page(request: HttpRequest, queue: Queue, member: UUID, sent: AlikeForms | None = None) -> HttpResponse:
    """Some of the group; after a form that was not filled in, the rows that were sent with what stood in them."""
    group = alike.containing(alike_rows.groups(queue, also=member), member)
    ids = [item.id for item in group.items] if group else []
    start = _start(request, ids)
    shown = list(sent.shown) if sent and sent.shown else ids[start : start + several.MOST]
    table = alike_rows.table(queue, group, shown, person(request)) if group else None
    if table is None:
        messages.info(request, "These look-alikes are decided or gone by now.")
        return redirect("approvals:queue_alike", slug=queue.slug)
    forms = sent or AlikeForms.fresh(table.rows, queue=queue)
    end = start + several.MOST
    context = {
        "queue": queue,
        "table": table,
        "sheet": {"flags": {}},
        "lines": _lines(request, table, forms),
        "forms": forms,
        "total": len(ids),
        "start": start,
        "first_row": start + 1,
        "last_row": start + len(table.rows),
        "is_part": sent is None and len(ids) > len(table.rows),
        "next_start": end if end < len(ids) and sent is None else None,
        "member": member,
        "can_choose": queue.bulk_amount is not None,
    }
    return render(request, "approvals/alike.html", context, status=422 if sent else 200)


def _start(request: HttpRequest, ids: list[UUID]) -> int:
    """Where the page begins; anything but the place of a member is the beginning."""
    text = request.GET.get("from", "")
    start = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
    return start if start < len(ids) else 0


def _lines(request: HttpRequest, table: Table, forms: AlikeForms) -> list[Line]:
    """Each row with a fresh ticket; one that was sent before keeps the time at which it was first shown."""
    lines = []
    for row in table.rows:
        pk = row.proposal.pk
        before = forms.shown.get(pk)
        unchanged = before is not None and before.revision == row.revision.number
        ticket = forms_alike.ticket(row, person(request), at=before.at if before and unchanged else None)
        form = forms.rows.get(pk) or RowForm(
            None, proposal_id=pk, queue=forms.queue, may_approve=not row.alone
        )
        lines.append(Line(row, form, ticket))
    return lines


def _results(request: HttpRequest, queue: Queue, member: UUID, results: list[Result]) -> HttpResponse:
    """What became of each row. Sent again (a reload), it says the same: every vote counts once."""
    visible = Proposal.objects.select_related("action_type").filter(permissions.visible_to(person(request)))
    proposals = visible.distinct().in_bulk([one.proposal_id for one in results])
    told = [_told(person(request), proposals.get(one.proposal_id), one) for one in results]
    context: dict[str, Any] = {
        "queue": queue,
        "told": told,
        "refused": sum(one.kind == "refused" for one in told),
        "approved": sum(one.kind == "approve" for one in told),
        "rejected": sum(one.kind == "reject" for one in told),
        "member": member,
    }
    return render(request, "approvals/alike_told.html", context)


def _told(me: User, proposal: Proposal | None, result: Result) -> Told:
    if result.decided is None:
        return Told(proposal, result, "refused", result.refusal)
    kind = "approve" if result.ballot.verdict == Verdict.APPROVE else "reject"
    word = "Approved" if kind == "approve" else "Rejected"
    if result.decided.held_until is not None:
        return Told(proposal, result, kind, f"{word}; it can still be undone on its page")
    if not result.decided.final:
        return Told(proposal, result, kind, "Your vote is recorded; it needs another one")
    if result.decided.proposal.planted and (own := probe_records.told(me, result.decided.proposal)):
        return Told(proposal, result, kind, probing.words(own))
    return Told(proposal, result, kind, "")
