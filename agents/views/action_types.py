"""Action types: everybody who signs in may read them, admins write them."""

import json

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from accounts.http import person as me
from accounts.models import PendingChange
from agents import outline, permissions, selectors
from agents.forms_action_types import ActionTypeForm
from agents.models import ActionType
from agents.services import action_types
from audit import selectors as trail


@login_required
@require_safe
def action_type_list(request: HttpRequest) -> HttpResponse:
    context = {"action_types": selectors.action_types(), "may_edit": me(request).is_admin}
    return render(request, "agents/action_types.html", context)


@login_required
@require_safe
def action_type(request: HttpRequest, name: str) -> HttpResponse:
    found = selectors.action_type_named(name)
    context = {
        "action_type": found,
        "schema_text": json.dumps(found.schema, indent=2, ensure_ascii=False),
        "fields": outline.fields(found.schema, material=found.material),
        "may_edit": me(request).is_admin,
        "events": trail.latest_about([("action_type", [found.name])]),
    }
    return render(request, "agents/action_type.html", context)


@login_required
def action_type_add(request: HttpRequest) -> HttpResponse:
    return _form(request, None)


@login_required
def action_type_edit(request: HttpRequest, name: str) -> HttpResponse:
    return _form(request, selectors.action_type_named(name))


def _form(request: HttpRequest, existing: ActionType | None) -> HttpResponse:
    permissions.check_is_admin(me(request))
    form = ActionTypeForm(request.POST or None, existing=existing)
    if request.method == "POST" and form.is_valid():
        saved = action_types.save(definition=form.definition(), actor=me(request))
        if isinstance(saved, PendingChange):
            messages.success(request, "It waits for a second person. Until then nothing has changed.")
            return redirect("approvals:pending_changes")
        messages.success(request, f"“{saved}” is saved as version {saved.version}.")
        return redirect("agents:action_type", name=saved.name)
    return render(request, "agents/action_type_form.html", {"form": form, "action_type": existing})
