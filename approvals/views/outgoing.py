"""The page of private networks that webhooks and executors may call."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.http import person as me
from agents import permissions
from approvals.forms.webhooks import NetworkForm
from approvals.models import OpenNetwork
from approvals.services import outgoing


@login_required
@require_safe
def network_list(request: HttpRequest) -> HttpResponse:
    permissions.check_is_admin(me(request))
    return _page(request, NetworkForm())


@login_required
@require_POST
def network_allow(request: HttpRequest) -> HttpResponse:
    permissions.check_is_admin(me(request))
    form = NetworkForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    opened = outgoing.allow(actor=me(request), **form.cleaned_data)
    messages.success(request, f"Servers in {opened} may be called from now on.")
    return redirect("approvals:network_list")


@login_required
@require_POST
def network_close(request: HttpRequest, network_id: int) -> HttpResponse:
    opened = outgoing.close(network_id=network_id, actor=me(request))
    messages.success(request, f"{opened} is closed. Nothing there is called any more.")
    return redirect("approvals:network_list")


def _page(request: HttpRequest, form: NetworkForm, *, status: int = 200) -> HttpResponse:
    networks = OpenNetwork.objects.select_related("allowed_by").order_by("network")
    context = {"networks": networks, "form": form}
    return render(request, "approvals/admin/outgoing.html", context, status=status)
