"""How the log itself is."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit import log_state
from audit.events import Kind
from audit.views.reader import auditors_only, noted


@login_required
@auditors_only
@require_safe
def log_page(request: HttpRequest) -> HttpResponse:
    context = {
        "state": log_state.whole(),
        "restored": log_state.latest(Kind.LOG_RESTORED),
        "stalled": log_state.latest(Kind.LOG_STALLED),
        "is_noted": noted(request, "log", shown=0),
    }
    return render(request, "audit/log.html", context)
