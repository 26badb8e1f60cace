"""Editing a proposal's arguments in a form made from their schema, and what would become of the edit."""

from datetime import UTC, datetime, tzinfo
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.http import person
from accounts.models import User
from approvals import edit_preview, selectors, showing
from approvals.ballots import Ballot
from approvals.edit_preview import Preview
from approvals.editing import rows as edit_rows
from approvals.editing.form import EditForm
from approvals.forms.decide import opened, opened_at
from approvals.forms.signing import answer_of
from approvals.models import Proposal, Revision, Verdict
from approvals.reading.sheet import Money
from approvals.services.decide import decide
from approvals.signing import session_of
from approvals.views import onwards, page
from approvals.views.telling import tell


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def proposal_edit(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """The form. Adding a row, taking one out or checking is a submit of the same form that decides nothing."""
    me = person(request)
    found = selectors.proposal_for(me, proposal_id)
    revision = showing.current_revision(found)
    data: QueryDict | None = request.POST if request.method == "POST" else None
    step = edit_rows.step_of(data) if data is not None else None
    focus = ""
    if data is not None and step is not None:
        data, focus = edit_rows.after(data, *step)
    form = _form(me, found, revision, data, focus=focus, is_step=step is not None)
    closed = page.folds_in(found) > 0 and not page.are_folds_open(request)
    is_sent = data is not None and step is None and "check" not in data
    if is_sent and form.is_valid() and not closed:
        ballot = _ballot(request, form, opened_at(request.POST.get("opened", ""), found, me))
        decided = decide(proposal_id=proposal_id, reviewer=me, ballot=ballot)
        tell(request, decided)
        return onwards.after_vote(request, decided)
    context = {
        **_page(request, me, found, revision, form),
        "closed": closed,
        "was_sent": is_sent,
    }
    return render(request, "approvals/edit.html", context, status=422 if is_sent else 200)


@login_required
@never_cache
@require_POST
def proposal_edit_preview(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """The difference, the faults and the policy's answer for the form as it stands; changes nothing."""
    me = person(request)
    found = selectors.proposal_for(me, proposal_id)
    revision = showing.current_revision(found)
    form = _form(me, found, revision, request.POST)
    context = {"preview": _preview(request, me, found, revision, form), "proposal": found, "form": form}
    return render(request, "approvals/_edit_preview.html", context)


def _form(
    me: User,
    proposal: Proposal,
    revision: Revision,
    data: QueryDict | None,
    *,
    focus: str = "",
    is_step: bool = False,
) -> EditForm:
    kind = proposal.action_type
    return EditForm(
        schema=kind.schema,
        arguments=revision.arguments,
        material=kind.material,
        data=data,
        zone=_zone(me),
        money=Money(kind.amount_pointer, proposal.currency or kind.currency),
        focus=focus,
        is_step=is_step,
    )


def _zone(me: User) -> tzinfo:
    """The reader's zone; UTC where his preference names none that this machine knows."""
    try:
        return ZoneInfo(me.time_zone)
    except (KeyError, ValueError, OSError):
        return UTC


def _preview(
    request: HttpRequest, me: User, proposal: Proposal, revision: Revision, form: EditForm
) -> Preview:
    seen = request.POST.get("version", str(proposal.version))
    return edit_preview.of(proposal, revision, me, form, seen=seen, at=timezone.now())


def _page(
    request: HttpRequest, me: User, proposal: Proposal, revision: Revision, form: EditForm
) -> dict[str, Any]:
    return {
        "proposal": proposal,
        "revision": revision,
        "form": form,
        "preview": _preview(request, me, proposal, revision, form),
        "at_stake": edit_preview.votes_at_stake(proposal),
        "folds_open": page.are_folds_open(request),
        "comment": request.POST.get("comment", ""),
        "seen": {
            "revision": request.POST.get("revision", proposal.revision),
            "version": request.POST.get("version", proposal.version),
            "opened": request.POST.get("opened") or opened(proposal, me),
        },
    }


def _ballot(request: HttpRequest, form: EditForm, since: datetime | None) -> Ballot:
    return Ballot(
        opened_at=since,
        page="edit",
        verdict=Verdict.EDIT,
        revision=number(request.POST.get("revision", "")),
        version=number(request.POST.get("version", "")),
        comment=request.POST.get("comment", "")[:4000],
        arguments=form.arguments,
        answer=answer_of(request.POST, session=session_of(request.session.session_key)),
        host=request.get_host(),
    )


def ballot_sent(request: HttpRequest, me: User, proposal: Proposal) -> Ballot | None:
    """The edit in this request as the use case would take it; None where the form is not fit to be sent."""
    form = _form(me, proposal, showing.current_revision(proposal), request.POST)
    return _ballot(request, form, None) if form.is_valid() else None


def number(text: str) -> int:
    """A revision or version as a form sends it; what is none matches no proposal and so is stale."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
