"""Data subjects and how long content is kept: look, hold, erase. Auditors look, admins act."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.exceptions import DomainError
from accounts.http import person as me
from accounts.permissions import check_is_admin
from approvals import keeping, redaction
from approvals.exceptions import StillUndecided, UnderHold
from approvals.forms.subjects import (
    EraseForm,
    FindForm,
    HoldAllForm,
    HoldForm,
    LiftHoldForm,
    RetentionForm,
)
from approvals.models import Proposal
from approvals.redaction import Subject
from approvals.services import erase, hold, retain

auditors_only = permission_required("audit.view_auditevent", raise_exception=True)


@login_required
@auditors_only
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def subject_list(request: HttpRequest) -> HttpResponse:
    """What is kept about somebody. POST looks him up and changes nothing; `?proposal=` takes him from a proposal."""
    if request.method != "POST":
        return _page(request, subject=_of_proposal(request.GET.get("proposal", "")))
    form = FindForm(request.POST)
    if not form.is_valid():
        return _page(request, find=form, status=422)
    return _page(request, subject=form.subject(), find=form)


def _of_proposal(given: str) -> Subject | None:
    try:
        found = Proposal.objects.filter(pk=UUID(given), erased_at=None).exclude(subject_id="").first()
    except ValueError:
        return None
    return None if found is None else Subject(found.subject_type, found.subject_id)


@login_required
@auditors_only
@sensitive_post_parameters()
@require_POST
def subject_erase(request: HttpRequest) -> HttpResponse:
    check_is_admin(me(request))
    form = EraseForm(request.POST)
    if not form.is_valid():
        return _page(request, subject=_typed(form), erasing=form, status=422)
    subject = form.subject()
    given = form.cleaned_data
    try:
        done = erase.erase(subject=subject, typed=given["typed"], reason=given["reason"], actor=me(request))
    except (UnderHold, StillUndecided) as refused:
        form.add_error(None, refused.detail)
        return _page(request, subject=subject, erasing=form, status=refused.status)
    except DomainError as refused:
        if not _shown(form, refused):
            raise
        return _page(request, subject=subject, erasing=form, status=refused.status)
    words = "The key is destroyed" + ("." if done.is_done else "; what is left goes within minutes.")
    messages.success(request, f"Erased. {words} {keeping.sentence(done.counts)}")
    return redirect("approvals:subject_list")


def _shown(form: EraseForm, refused: DomainError) -> bool:
    """Put what a use case says of single fields beside them."""
    errors = refused.extra.get("errors")
    if not isinstance(errors, list):
        return False
    for one in errors:
        form.add_error(one["field"] if one["field"] in form.fields else None, f"It {one['message']}.")
    return True


def _typed(form: EraseForm | HoldForm) -> Subject | None:
    kind, name = form.data.get("subject_type", ""), form.data.get("subject_id", "")
    return Subject(kind[:60], name[:200]) if name.strip() else None


@login_required
@auditors_only
@sensitive_post_parameters()
@require_POST
def hold_place(request: HttpRequest) -> HttpResponse:
    """On whom the page is about, or, without anybody, on everybody."""
    check_is_admin(me(request))
    if "subject_id" not in request.POST:
        everybody = HoldAllForm(request.POST)
        if not everybody.is_valid():
            return _page(request, holding_all=everybody, status=422)
        hold.place(subject=None, reason=everybody.cleaned_data["reason"], actor=me(request))
        messages.success(request, "Everything is held: nothing is erased and nothing runs out.")
        return redirect("approvals:subject_list")
    form = HoldForm(request.POST)
    if not form.is_valid():
        return _page(request, subject=_typed(form), holding=form, status=422)
    hold.place(subject=form.subject(), reason=form.cleaned_data["reason"], actor=me(request))
    messages.success(request, "The hold stands: nothing about this subject is erased or runs out.")
    return redirect("approvals:subject_list")


@login_required
@auditors_only
@require_POST
def hold_lift(request: HttpRequest, hold_id: int) -> HttpResponse:
    check_is_admin(me(request))
    form = LiftHoldForm(request.POST, hold_id=hold_id)
    if not form.is_valid():
        return _page(request, lifting=(hold_id, form), status=422)
    hold.lift(hold_id=hold_id, reason=form.cleaned_data["reason"], actor=me(request))
    messages.success(request, "The hold is lifted.")
    return redirect("approvals:subject_list")


def _page(
    request: HttpRequest, *, subject: Subject | None = None, status: int = 200, **forms: Any
) -> HttpResponse:
    lifting = forms.get("lifting")
    about = None if subject is None else keeping.about(subject)
    initial = {} if subject is None else {"subject_type": subject.type, "subject_id": subject.id}
    context = {
        "may_act": me(request).is_admin,
        "find": forms.get("find") or FindForm(initial=initial),
        "subject": subject,
        "about": about,
        "most": redaction.SHOWN,
        "erasing": forms.get("erasing") or (EraseForm(subject=subject) if subject else None),
        "holding": forms.get("holding") or (HoldForm(subject=subject) if subject else None),
        "holding_all": forms.get("holding_all") or HoldAllForm(),
        "holds": [
            {
                "hold": one,
                "form": lifting[1] if lifting and lifting[0] == one.pk else LiftHoldForm(hold_id=one.pk),
                "is_open": bool(lifting and lifting[0] == one.pk),
            }
            for one in keeping.holds()
        ],
        "erasures": keeping.erasures(),
    }
    return render(request, "approvals/subjects.html", context, status=status)


@login_required
@auditors_only
@never_cache
@require_safe
def retention(request: HttpRequest) -> HttpResponse:
    """How long each kind is kept, and how much of it there is."""
    days = keeping.retention()
    return _retention(request, RetentionForm(days=days), days)


@login_required
@auditors_only
@require_POST
def retention_save(request: HttpRequest) -> HttpResponse:
    """Save it, or with `preview` only say what it would take."""
    check_is_admin(me(request))
    form = RetentionForm(request.POST, days=keeping.retention())
    if not form.is_valid():
        return _retention(request, form, keeping.retention(), status=422)
    if "preview" in request.POST:
        return _retention(request, form, form.days(), is_preview=True)
    changed = retain.save(days=form.days(), actor=me(request))
    if changed:
        messages.success(request, "Saved. What is older goes with the next run, at 03:11 UTC.")
    else:
        messages.info(request, "Nothing was changed.")
    return redirect("approvals:retention")


def _retention(
    request: HttpRequest,
    form: RetentionForm,
    days: keeping.Days,
    *,
    is_preview: bool = False,
    status: int = 200,
) -> HttpResponse:
    rows = [
        {"kind": row.kind, "row": row, "field": form[f"days_{row.kind.value}"]}
        for row in keeping.kinds(days, now=timezone.now())
    ]
    context = {
        "form": form,
        "rows": rows,
        "is_preview": is_preview,
        "may_act": me(request).is_admin,
        "is_held": keeping.is_everything_held(),
    }
    return render(request, "approvals/retention.html", context, status=status)
