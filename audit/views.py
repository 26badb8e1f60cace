"""The audit log for auditors and admins: search it, read one event."""

from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit import selectors
from audit.forms import ExplorerForm
from audit.models import AuditEvent

auditors_only = permission_required("audit.view_auditevent", raise_exception=True)
PAGE = 50


@login_required
@auditors_only
@require_safe
def explorer(request: HttpRequest) -> HttpResponse:
    form = ExplorerForm(request.GET)
    events, has_more = selectors.page(form.wanted(), before_id=form.before_id(), limit=PAGE)
    older = request.GET.copy()
    if has_more:
        older["before"] = str(events[-1].pk)
    return render(
        request,
        "audit/explorer.html",
        {"form": form, "events": events, "older": older.urlencode() if has_more else ""},
    )


@login_required
@auditors_only
@require_safe
def event(request: HttpRequest, event_id: int) -> HttpResponse:
    found = AuditEvent.objects.filter(pk=event_id).first()
    if found is None:
        raise Http404("There is no such event.")
    return render(
        request,
        "audit/event.html",
        {
            "event": found,
            "salt": bytes(found.salt).hex(),
            "commitment": bytes(found.commitment).hex(),
        },
    )
