"""Taking events out of the log: what the filters select, or one event with its proof. Each leaves an event first."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from audit import evidence_bundle, reading, search, spreadsheet
from audit.forms import ExplorerForm
from audit.models import AuditEvent, AuditLeaf
from audit.search import Wanted
from audit.views.events import open_log
from audit.views.reader import auditors_only, me

FORMS = ("csv", "jsonl", "print", "zip")


@login_required
@auditors_only
@require_POST
def export(request: HttpRequest) -> HttpResponseBase:
    """What the address selects, in the form the body asks for; a filter that cannot be read selects nothing here."""
    form = ExplorerForm(request.GET, actors=search.actors(), types=search.object_types())
    wanted = form.wanted()
    how = request.POST.get("form", "")
    back = f"{reverse('audit:explorer')}?{request.GET.urlencode()}"
    if form.errors or how not in FORMS:
        messages.error(request, "Nothing was exported: a filter or the form could not be read.")
        return redirect(back)
    below = search.horizon()
    count = search.count(wanted, below)
    if how in ("print", "zip") and not 0 < count <= evidence_bundle.MOST:
        most = evidence_bundle.MOST
        messages.error(request, f"{count} events are selected; evidence is made of 1 to {most}.")
        return redirect(back)
    reading.note_export(reader=me(request), form=how, count=count, asked=wanted.said(), below=below)
    if how in ("csv", "jsonl"):
        return _streamed(how, wanted, below)
    events = [event for part in search.selection(wanted, below) for event in part]
    return _evidence(request, how, events, "events")


@login_required
@auditors_only
@require_POST
def proof(request: HttpRequest, event_id: int) -> HttpResponse:
    found = AuditEvent.objects.filter(pk=event_id).first()
    if found is None:
        raise Http404("There is no such event.")
    asked = {"event": event_id}
    reading.note_export(reader=me(request), form="zip", count=1, asked=asked, below=search.horizon())
    return _evidence(request, "zip", [found], str(event_id))


def _streamed(how: str, wanted: Wanted, below: int) -> StreamingHttpResponse:
    kinds = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson; charset=utf-8"}
    response = StreamingHttpResponse(_parts(how, wanted, below), content_type=kinds[how])
    response["Content-Disposition"] = f'attachment; filename="audit-{timezone.now():%Y%m%dT%H%M%SZ}.{how}"'
    response["Cache-Control"] = "no-store"
    return response


def _parts(how: str, wanted: Wanted, below: int) -> Iterator[bytes]:
    """Some thousand events at a time; memory stays at one part, however many there are."""
    if how == "csv":
        yield spreadsheet.header().encode()
    for events in search.selection(wanted, below):
        leaves = AuditLeaf.objects.filter(event__in=[event.pk for event in events])
        numbers = dict(leaves.values_list("event", "number"))
        if how == "csv":
            yield spreadsheet.lines((event, numbers.get(event.pk)) for event in events).encode()
        else:
            yield "".join(evidence_bundle.line(event, numbers.get(event.pk)) for event in events).encode()


def _evidence(request: HttpRequest, how: str, events: list[AuditEvent], name: str) -> HttpResponse:
    log, fault = open_log()
    now = timezone.now()
    evidence = evidence_bundle.gather(events, log, now)
    context: dict[str, Any] = {
        "evidence": evidence,
        "log": log,
        "log_fault": fault,
        "now": now,
        "by": me(request),
    }
    if how == "print":
        return render(request, "audit/evidence.html", context)
    page = render_to_string("audit/evidence_file.html", context)
    response = HttpResponse(evidence_bundle.zipped(evidence, log, page, now), content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="evidence-{name}.zip"'
    response["Cache-Control"] = "no-store"
    return response
