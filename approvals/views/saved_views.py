"""A person's saved views: keep the filters in sight, begin with them, forget them."""

from urllib.parse import parse_qs

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from accounts.http import person
from approvals import filters
from approvals.forms.lists import SaveViewForm
from approvals.models import SavedView
from approvals.services import save_view
from approvals.views.landing import posted


def address(view: SavedView) -> str:
    """Where a saved view leads."""
    place = reverse("approvals:proposal_list")
    return f"{place}?{view.query}" if view.query else place


@login_required
@posted
def view_save(request: HttpRequest) -> HttpResponse:
    """Keep the filters of the list it was sent from; only what is understood is kept."""
    form = SaveViewForm(request.POST)
    if not form.is_valid():
        messages.error(request, "The view was not kept: give it a name of at most 80 characters.")
        return redirect("approvals:proposal_list")
    values = form.cleaned_data
    chosen = filters.parse(parse_qs(values["query"])).filters
    view = save_view.save(
        owner=person(request),
        name=values["name"],
        query=filters.query(chosen),
        is_default=values["is_default"],
    )
    messages.success(request, f"The view “{view}” is kept.")
    return redirect(address(view))


@login_required
@posted
def view_begin(request: HttpRequest, view_id: int) -> HttpResponse:
    """Begin with this view after signing in."""
    view = save_view.begin_with(owner=person(request), view_id=view_id)
    assert view is not None
    messages.success(request, f"You begin with “{view}” from now on.")
    return redirect(address(view))


@login_required
@posted
def view_begin_none(request: HttpRequest) -> HttpResponse:
    """Begin with the overview of the queues again."""
    save_view.begin_with(owner=person(request), view_id=None)
    messages.success(request, "You begin with your queues from now on.")
    return redirect("approvals:proposal_list")


@login_required
@posted
def view_remove(request: HttpRequest, view_id: int) -> HttpResponse:
    view = save_view.remove(owner=person(request), view_id=view_id)
    messages.success(request, f"The view “{view}” is gone.")
    return redirect("approvals:proposal_list")
