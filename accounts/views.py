"""People and teams for admins; setting one's password by a link."""

from collections.abc import Callable, Sequence
from functools import partial

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import permissions, selectors, shortcuts
from accounts.carried import given_to_team, joins_of, roles_of_teams
from accounts.exceptions import DomainError, NotFound
from accounts.forms import InviteForm, MemberForm, PreferencesForm, SetPasswordForm, TeamForm
from accounts.http import person as me
from accounts.models import PendingChange, TeamJoin, User
from accounts.roles import Scope
from accounts.services import assignments, people, teams
from accounts.services.preferences import save as save_preferences
from accounts.sign_in import by_new_password
from audit import selectors as trail

PAGE = 50


@login_required
@require_safe
def person_list(request: HttpRequest) -> HttpResponse:
    permissions.check_can_see_people(me(request))
    query = request.GET.get("q", "").replace("\x00", "").strip()[:100]
    state = request.GET.get("state", "active")
    page = Paginator(selectors.people(query=query, state=state), PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "q": query,
        "state": state,
        "pages_query": f"{urlencode({'q': query, 'state': state})}&",
    }
    return render(request, "accounts/people.html", context)


@login_required
@never_cache
def person_invite(request: HttpRequest) -> HttpResponse:
    permissions.check_is_admin(me(request))
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        person, link = people.invite(
            actor=me(request), name=form.cleaned_data["name"], email=form.cleaned_data["email"]
        )
        return _link_page(request, person, link, notes=_begin(request, form, person))
    return render(request, "accounts/invite.html", {"form": form})


def _begin(request: HttpRequest, form: InviteForm, person: User) -> list[str]:
    """Give an invited person the first teams and roles, each by its own use case: what takes a second person waits,
    and what is refused is said, since the person and the link are there by now."""
    steps: list[tuple[str, Callable[[], object]]] = [
        (
            team.name,
            partial(teams.set_member, team_id=team.pk, person_id=person.pk, actor=me(request), member=True),
        )
        for team in form.cleaned_data["teams"]
    ]
    steps += [
        (
            role.label,
            partial(assignments.give, role=role, to=person, actor=me(request), scope=Scope.EVERYTHING),
        )
        for role in form.roles
    ]
    notes = []
    for name, step in steps:
        try:
            done = step()
        except DomainError as error:
            notes.append(f"{name}: {error.detail}")
        else:
            if waits(done):
                notes.append(f"{name}: a second admin has to agree; it waits under Changes.")
    return notes


def waits(done: object) -> bool:
    """Whether a use case has only asked for what needs a second person."""
    return isinstance(done, PendingChange)


@login_required
@never_cache
@require_POST
def person_issue_link(request: HttpRequest, person_id: int) -> HttpResponse:
    person, link = people.issue_link(person_id=person_id, actor=me(request))
    return _link_page(request, person, link)


@login_required
@never_cache
@require_POST
def person_reactivate(request: HttpRequest, person_id: int) -> HttpResponse:
    person, link = people.reactivate(person_id=person_id, actor=me(request))
    return _link_page(request, person, link)


def _link_page(request: HttpRequest, person: User, link: str, *, notes: Sequence[str] = ()) -> HttpResponse:
    """The only page that shows the link."""
    address = request.build_absolute_uri(reverse("accounts:password_set", args=[link]))
    return render(request, "accounts/link.html", {"person": person, "address": address, "notes": notes})


@login_required
def preferences(request: HttpRequest) -> HttpResponse:
    """A person's own settings. "reset" sends the form with the usual keys in place of what it holds."""
    data = request.POST.copy() if request.method == "POST" else None
    if data is not None and "reset" in data:
        for place, action in enumerate(shortcuts.ACTIONS):
            data[f"key_{place}"] = action.key
    form = PreferencesForm(data, initial=PreferencesForm.initial_of(me(request)))
    if request.method == "POST" and form.is_valid():
        save_preferences(person=me(request), **form.cleaned_data)
        messages.success(request, "Your preferences are saved.")
        return redirect("accounts:preferences")
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "teams": me(request).groups.all()}
    return render(request, "accounts/preferences.html", context, status=status)


@never_cache
def password_set(request: HttpRequest, link: str) -> HttpResponse:
    """Where an invited person sets the password; looking at it uses nothing up."""
    person = people.person_behind(link)
    if person is None:
        return render(request, "accounts/link_used.html", status=403)
    form = SetPasswordForm(request.POST or None, person=person)
    if request.method == "POST" and form.is_valid():
        user = people.set_password(link=link, password=form.cleaned_data["password"])
        by_new_password(request, user)
        return redirect("/")
    return render(request, "accounts/password_set.html", {"form": form, "person": person})


def closed(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Doors of allauth that do not exist here: people are invited, and who is locked out gets a new link."""
    raise NotFound("There is no such page. An admin can give you a new link to set your password.")


@login_required
def team_list(request: HttpRequest) -> HttpResponse:
    permissions.check_can_see_people(me(request))
    if request.method == "POST":
        permissions.check_is_admin(me(request))
    form = TeamForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        team = teams.create(name=form.cleaned_data["name"], actor=me(request))
        return redirect("accounts:team", team_id=team.pk)
    query = request.GET.get("q", "").replace("\x00", "").strip()[:100]
    page = Paginator(selectors.teams(query=query), PAGE).get_page(request.GET.get("page"))
    roles = roles_of_teams([one.pk for one in page])
    context = {
        "page": page,
        "rows": [(one, roles.get(one.pk, [])) for one in page],
        "q": query,
        "pages_query": f"{urlencode({'q': query})}&" if query else "",
        "form": form,
    }
    return render(request, "accounts/teams.html", context)


@login_required
@require_safe
def team(request: HttpRequest, team_id: int) -> HttpResponse:
    permissions.check_can_see_people(me(request))
    found = get_object_or_404(Group, pk=team_id)
    context = {
        "team": found,
        "members": _with_joins(found),
        "roles": given_to_team(found),
        "form": MemberForm(team=found),
        "events": trail.latest_about([("team", [str(found.pk)])]),
    }
    return render(request, "accounts/team.html", context)


def _with_joins(team: Group) -> list[tuple[User, TeamJoin | None]]:
    """Members by name, each with since when and by whom."""
    joins = joins_of(teams=[team.pk]).get(team.pk, {})
    return [(one, joins.get(one.pk)) for one in selectors.members(team)]


@login_required
@require_POST
def team_add(request: HttpRequest, team_id: int) -> HttpResponse:
    form = MemberForm(request.POST, team=get_object_or_404(Group, pk=team_id))
    if form.is_valid():
        person = form.cleaned_data["person"]
        done = teams.set_member(team_id=team_id, person_id=person.pk, actor=me(request), member=True)
        if waits(done):
            messages.warning(
                request,
                f"A second admin has to agree before {person} is in the team; it waits under Changes.",
            )
        else:
            messages.success(request, f"{person} is in the team now.")
    else:
        permissions.check_is_admin(me(request))
        messages.error(request, "Choose a person who is not in the team yet.")
    return redirect("accounts:team", team_id=team_id)


@login_required
@require_POST
def team_remove(request: HttpRequest, team_id: int, person_id: int) -> HttpResponse:
    teams.set_member(team_id=team_id, person_id=person_id, actor=me(request), member=False)
    messages.success(request, "Taken out of the team.")
    return redirect("accounts:team", team_id=team_id)
