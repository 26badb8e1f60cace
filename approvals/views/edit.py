"""Editing a proposal's arguments in a form made from their schema."""

from datetime import datetime
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.http import person
from accounts.models import User
from approvals import edit_form, permissions, selectors
from approvals.edit_form import EditForm
from approvals.forms import opened, opened_at
from approvals.models import Verdict
from approvals.services.decide import Ballot, Decided, decide
from approvals.views import page
from approvals.views.telling import tell


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def proposal_edit(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Edit the arguments in a form made from the schema; adding and removing rows is a submit of the same form."""
    found = selectors.proposal_for(person(request), proposal_id)
    revision = page.current_revision(found)
    data: QueryDict | None = request.POST if request.method == "POST" else None
    rows_only = data is not None and ("add" in data or "remove" in data)
    if data is not None and "remove" in data:
        data = edit_form.removed(data)
    form = EditForm(
        schema=found.action_type.schema,
        arguments=revision.arguments,
        material=found.action_type.material,
        data=data,
    )
    status = 200
    closed = page.folds_in(found) > 0 and not page.are_folds_open(request)
    if request.method == "POST" and not rows_only:
        if form.is_valid() and not closed:
            ballot = _edit_ballot(
                request, form, opened_at(request.POST.get("opened", ""), found, person(request))
            )
            decided = decide(proposal_id=proposal_id, reviewer=person(request), ballot=ballot)
            tell(request, decided)
            return _after_edit(person(request), decided)
        status = 422
    context = {
        "proposal": found,
        "revision": revision,
        "form": form,
        "closed": closed,
        "folds_open": page.are_folds_open(request),
        "comment": request.POST.get("comment", ""),
        "seen": {
            "revision": request.POST.get("revision", found.revision),
            "version": request.POST.get("version", found.version),
            "opened": request.POST.get("opened") or opened(found, person(request)),
        },
    }
    return render(request, "approvals/edit.html", context, status=status)


def _after_edit(editor: User, decided: Decided) -> HttpResponse:
    """The proposal, or the editor's queues where the policy has sent it out of his sight."""
    if permissions.can_see(editor, decided.proposal):
        return redirect("approvals:proposal", proposal_id=decided.proposal.pk)
    return redirect("approvals:queue_list")


def _edit_ballot(request: HttpRequest, form: EditForm, since: datetime | None) -> Ballot:
    return Ballot(
        opened_at=since,
        verdict=Verdict.EDIT,
        revision=_number(request.POST.get("revision", "")),
        version=_number(request.POST.get("version", "")),
        comment=request.POST.get("comment", "")[:4000],
        arguments=form.arguments,
    )


def _number(text: str) -> int:
    """A revision or version as a form sends it; what is none matches no proposal and so is stale."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
