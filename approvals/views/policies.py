"""Policies: everybody who signs in may read the rules, admins publish versions."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from accounts.http import person as me
from accounts.models import PendingChange
from approvals import overview, policy_words
from approvals import permissions as rights
from approvals.forms.admin import PolicyForm
from approvals.models import Policy
from approvals.rehearsal import rehearse
from approvals.services import set_up

SHOWN = 20


@login_required
@require_safe
def policy_list(request: HttpRequest) -> HttpResponse:
    context = {"policies": overview.policies(), "may_edit": rights.can_edit_policy(me(request), "")}
    return render(request, "approvals/admin/policies.html", context)


@login_required
@require_safe
def policy(request: HttpRequest, domain: str) -> HttpResponse:
    found = _policy(domain)
    versions = overview.versions(found, limit=SHOWN)
    earlier = [*(version.rules for version in versions[1:]), []]
    context = {
        "policy": found,
        "rules": [
            (rule, policy_words.effect(rule)) for rule in (found.current.rules if found.current else [])
        ],
        "versions": [
            (version, policy_words.changes(before, version.rules))
            for version, before in zip(versions[:SHOWN], earlier, strict=False)
        ],
        "may_edit": rights.can_edit_policy(me(request), domain),
    }
    return render(request, "approvals/admin/policy.html", context)


@login_required
def policy_publish(request: HttpRequest, domain: str) -> HttpResponse:
    rights.check_can_edit_policy(me(request), domain)
    return _form(request, _policy(domain))


@login_required
def policy_add(request: HttpRequest) -> HttpResponse:
    rights.check_can_edit_policy(me(request), "")
    return _form(request, None)


def _form(request: HttpRequest, existing: Policy | None) -> HttpResponse:
    """Two buttons: `try` shows where recent proposals would go and stores nothing, the other one publishes."""
    form = PolicyForm(request.POST or None, existing=existing)
    rehearsal = None
    if request.method == "POST" and form.is_valid():
        rules, queue = form.cleaned_data["rules"], form.cleaned_data["default_queue"].slug
        if "try" in request.POST:
            rehearsal = rehearse(domain=form.domain, rules=rules, default_queue=queue)
        else:
            version = set_up.publish_policy(
                domain=form.domain,
                name=form.cleaned_data["name"],
                rules=rules,
                default_queue=queue,
                actor=me(request),
                note=form.cleaned_data["note"],
            )
            if isinstance(version, PendingChange):
                messages.success(request, "It waits for a second person. Until then nothing has changed.")
                return redirect("approvals:pending_changes")
            messages.success(request, f"Version {version.number} is in force.")
            return redirect("approvals:policy", domain=form.domain)
    context = {"form": form, "policy": existing, "rehearsal": rehearsal}
    return render(request, "approvals/admin/policy_form.html", context)


def _policy(domain: str) -> Policy:
    found = (
        Policy.objects.select_related("current__default_queue", "current__published_by")
        .filter(domain=domain)
        .first()
    )
    if found is None:
        raise Http404("There is no policy for this domain.")
    return found
