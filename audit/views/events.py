"""One event, with everything by which somebody else can check it."""

from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from audit import log_reader, proofs
from audit.models import AuditEvent, AuditLeaf
from audit.tlog.folder import Damaged
from audit.views.reader import auditors_only, noted


@login_required
@auditors_only
@require_safe
def event(request: HttpRequest, event_id: int) -> HttpResponse:
    found = AuditEvent.objects.filter(pk=event_id).first()
    leaf = AuditLeaf.objects.filter(event=event_id).first()
    log, fault = open_log()
    if found is None:
        return _gone(request, event_id, leaf, log)
    proof = proofs.prove(found, leaf.number if leaf else None, log)
    context = {
        "event": found,
        "leaf": leaf,
        "seal": proofs.seals([found], timezone.now())[found.pk],
        "proof": proof,
        "log": log,
        "log_fault": fault,
        "salt": bytes(found.salt).hex(),
        "commitment": bytes(found.commitment).hex(),
        "is_noted": noted(request, "event", shown=1, asked={"event": event_id}),
    }
    return render(request, "audit/event.html", context)


def open_log() -> tuple[log_reader.OpenLog | None, str]:
    """The log at its newest checkpoint, or why it cannot be read here."""
    try:
        return log_reader.opened(Path(settings.LOG_DIR)), ""
    except log_reader.NotReadable as error:
        return None, str(error)


def _gone(
    request: HttpRequest, event_id: int, leaf: AuditLeaf | None, log: log_reader.OpenLog | None
) -> HttpResponse:
    """A leaf outlives its row: that somebody deleted an event is to be seen, not a page that does not exist."""
    if leaf is None:
        raise Http404("There is no such event.")
    text = ""
    if log is not None and leaf.number < log.checkpoint.size:
        try:
            text = next(log.folder.entries(leaf.number))[1].decode(errors="replace")
        except (Damaged, OSError) as error:
            text = str(error)
    is_noted = noted(request, "event", shown=0, asked={"event": event_id})
    context = {"event_id": event_id, "leaf": leaf, "text": text, "is_noted": is_noted}
    return render(request, "audit/event_gone.html", context, status=410)
