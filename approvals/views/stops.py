"""Stop switches: what is pulled, pulling one, lifting one."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.exceptions import NotFound
from accounts.http import person as me
from accounts.models import PendingChange, User
from agents import stops
from agents.models import Agent, Mandate, Stop
from approvals import permissions, stopping
from approvals.forms.stops import LiftForm, PullForm
from approvals.models import Proposal
from approvals.services import stop as services
from approvals.stopping import Switch


@login_required
@require_safe
def stop_list(request: HttpRequest) -> HttpResponse:
    """Every switch that concerns this person. `?proposal=` or `?agent=` says what the page before was about."""
    return _page(request, about=_about(request, me(request)))


@login_required
@require_POST
def stop_pull(request: HttpRequest) -> HttpResponse:
    about = stopping.switch_named(request.POST.get("about", ""))
    form = PullForm(request.POST, by=me(request), about=about, pulled=stops.live())
    switch = form.switch() if form.is_valid() else None
    if switch is None:
        if form.is_valid():
            form.add_error("what", "There is no such thing any more; choose again.")
        return _page(request, about=about, form=form, status=422)
    pulled = services.pull(switch=switch, by=me(request), reason=form.cleaned_data["reason"])
    messages.success(request, _told(pulled))
    return redirect("approvals:stop_list")


def _told(pulled: services.Pulled) -> str:
    if not pulled.is_new:
        return f"{stops.words(pulled.stop)} It was stopped before."
    words = f"{stops.what(pulled.stop)} is stopped. Nothing of it starts any more."
    if pulled.taken_back:
        words += f" {pulled.taken_back:,} taken back so far".replace(",", "\u202f")
        words += "." if pulled.is_done else "; the others follow within minutes, and none of them can begin."
    return words


@login_required
@require_POST
def stop_lift(request: HttpRequest, stop_id: int) -> HttpResponse:
    found = Stop.objects.filter(pk=stop_id).first()
    if found is None or not stopping.may_see(me(request), found):
        raise NotFound("There is no such stop, or it is not for you to see.")
    stopping.check_can_lift(me(request), Switch.of(found))
    form = LiftForm(request.POST, stop=found)
    if not form.is_valid():
        return _page(request, lifting=(found.pk, form), status=422)
    lifted = services.lift(stop_id=found.pk, by=me(request), reason=form.cleaned_data["reason"])
    if isinstance(lifted, PendingChange):
        messages.success(request, "It stays stopped: lifting it waits for a second person.")
        return redirect("approvals:pending_changes")
    messages.success(request, f"{stops.what(lifted)} may begin again. What was taken back stays so.")
    return redirect("approvals:stop_list")


def _page(
    request: HttpRequest,
    *,
    about: Switch | None = None,
    form: PullForm | None = None,
    lifting: tuple[int, LiftForm] | None = None,
    status: int = 200,
) -> HttpResponse:
    user = me(request)
    pulled = stopping.concerning(user)
    context = {
        "form": form or PullForm(by=user, about=about, pulled=pulled),
        "about": about,
        "pulled": [_line(user, stop, lifting) for stop in pulled],
        "lifted": [{"stop": stop, "what": stops.what(stop)} for stop in stopping.lifted(user)],
    }
    return render(request, "approvals/stops.html", context, status=status)


def _line(user: User, stop: Stop, lifting: tuple[int, LiftForm] | None) -> dict[str, Any]:
    """One pulled switch; the form only for who may lift it, open where it was just refused."""
    form = None
    if stopping.can_lift(user, Switch.of(stop)):
        form = lifting[1] if lifting and lifting[0] == stop.pk else LiftForm(stop=stop)
    return {
        "stop": stop,
        "what": stops.what(stop),
        "form": form,
        "is_open": lifting is not None and lifting[0] == stop.pk,
    }


def _about(request: HttpRequest, user: User) -> Switch | None:
    """What the page he comes from is about, if it exists and he may see it."""
    try:
        proposal_id = UUID(request.GET.get("proposal", ""))
    except ValueError:
        agent = Agent.objects.filter(slug=request.GET.get("agent", "")).first()
        return Switch(agent=agent) if agent and stopping.can_pull(user, Switch(agent=agent)) else None
    proposal = Proposal.objects.select_related("agent").filter(pk=proposal_id).first()
    if proposal is None or not permissions.can_see(user, proposal):
        return None
    mandate = (
        Mandate.objects.select_related("agent", "action_type")
        .filter(agent_id=proposal.agent_id, action_type_id=proposal.action_type_id)
        .first()
    )
    return Switch(mandate=mandate) if mandate else Switch(agent=proposal.agent)
