"""The permission matrix, and one cell of it: what the holder may do there, why, and the form that changes it."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from accounts import permissions, selectors
from accounts.exceptions import NotFound
from accounts.http import person as me
from accounts.models import PendingChange, RoleAssignment, User
from accounts.roles import ROLES, Role, Scope
from accounts.services import assignments
from approvals import matrix, places, rights
from approvals.forms.roles import GiveForm, GiveSomewhereForm, TakeForm
from approvals.places import Place


@login_required
@require_safe
def access_matrix(request: HttpRequest) -> HttpResponse:
    permissions.check_can_see_people(me(request))
    asked = matrix.Asked.of(request.GET.dict())
    found = matrix.matrix(asked)
    context = {
        "matrix": found,
        "asked": asked,
        "kinds": _choices(asked, "rows", "people", "teams"),
        "things": _choices(asked, "columns", "queues", "agents", "domains"),
        "letters": [(letter, role) for role, letter in matrix.LETTERS.items()],
        "how": matrix.HOW,
        "roles": list(ROLES),
        "teams": selectors.teams() if asked.rows == "people" else [],
        "rows_query": _query(asked, page=""),
        "columns_query": _query(asked, across=""),
    }
    return render(request, "approvals/admin/access_matrix.html", context)


def _choices(asked: matrix.Asked, name: str, *values: str) -> list[tuple[str, str, bool]]:
    """Label, address and whether it is the present one; a switch begins at the first page."""
    now = asked.rows if name == "rows" else f"{asked.columns}s"
    other = {"page": "1"} if name == "rows" else {"across": "1", "on": ""}
    if name == "rows":
        other |= {"q": "", "team": ""}
    return [
        (one.capitalize(), f"?{urlencode(asked.address(**{name: one}, **other))}", one == now)
        for one in values
    ]


def _query(asked: matrix.Asked, **other: str) -> str:
    words = urlencode(asked.address(**other))
    return f"{words}&" if words else ""


@login_required
@vary_on_headers("HX-Request")
def access_cell(request: HttpRequest, kind: str, holder_id: int, scope: str, scope_id: str) -> HttpResponse:
    """GET shows it; POST gives a role. In the matrix htmx takes the panel and the cell out of the same page."""
    permissions.check_can_see_people(me(request))
    holder, place = _holder(kind, holder_id), places.find(scope, scope_id)
    if request.method == "POST":
        permissions.check_is_admin(me(request))
    held = {one.role for one in rights.holding(holder).on(place) if one.role and _is_here(one, place)}
    form = GiveForm(request.POST if request.method == "POST" else None, place=place, held=held)
    if request.method == "POST" and form.is_valid():
        given = assignments.give(
            **form.given, to=holder, actor=me(request), scope=place.scope, scope_id=place.key
        )
        return _told(request, _given(given, holder, place, form.given["role"]), holder, place)
    return _cell(request, holder, place, form=form)


@login_required
@require_POST
def role_end(request: HttpRequest, assignment_id: int) -> HttpResponse:
    """Take a role away, and show the cell it stood in."""
    permissions.check_is_admin(me(request))
    form = TakeForm(request.POST)
    why = form.cleaned_data["why"] if form.is_valid() else ""
    taken = assignments.take(
        assignment_id=assignment_id, actor=me(request), why=why or "taken back by an admin"
    )
    key = places.of_assignment(taken)
    place = places.named([key])[key]
    words = f"The role {Role(taken.role).label.lower()} for {place.what} is taken from {taken.holder}."
    return _told(request, words, taken.holder, place)


@login_required
def role_give(request: HttpRequest, kind: str, holder_id: int) -> HttpResponse:
    """A role for one holder on anything: where the thing is known by name rather than by its column."""
    permissions.check_is_admin(me(request))
    holder = _holder(kind, holder_id)
    is_post = request.method == "POST"
    form = GiveSomewhereForm(request.POST if is_post else None)
    if is_post and form.is_valid():
        place = form.places[form.cleaned_data["place"]]
        given = assignments.give(**form.given, to=holder, actor=me(request))
        messages.success(request, _given(given, holder, place, form.given["role"]))
        return redirect(_page_of(holder))
    context = {"form": form, "holder": holder, "page": _page_of(holder), "roles": ROLES.values()}
    status = 422 if is_post else 200
    return render(request, "approvals/admin/role_give.html", context, status=status)


def _holder(kind: str, holder_id: int) -> User | Group:
    if kind == "person":
        return get_object_or_404(User, pk=holder_id)
    if kind == "team":
        return get_object_or_404(Group, pk=holder_id)
    raise NotFound("Roles are given to people and to teams.")


def _kind(holder: User | Group) -> str:
    return "person" if isinstance(holder, User) else "team"


def _page_of(holder: User | Group) -> str:
    name = "approvals:person" if isinstance(holder, User) else "accounts:team"
    return reverse(name, args=[holder.pk])


def _is_here(ground: rights.Ground, place: Place) -> bool:
    """Whether it was given to the holder himself on this very thing: what the cell's form changes."""
    return ground.team is None and (ground.place.scope, ground.place.key) == (place.scope, place.key)


def _given(given: RoleAssignment | PendingChange, holder: User | Group, place: Place, role: Role) -> str:
    label = role.label.lower()
    if isinstance(given, PendingChange):
        return (
            f"A second admin has to agree before {holder} is {label} for {place.what}. "
            "Nothing has changed yet; it waits under Changes."
        )
    return f"{holder} is {label} for {place.what} now."


def _told(request: HttpRequest, words: str, holder: User | Group, place: Place) -> HttpResponse:
    """In the matrix the panel itself says what happened; a page of its own says it after a redirect."""
    if request.headers.get("HX-Request"):
        return _cell(request, holder, place, told=words)
    messages.success(request, words)
    return redirect(_address(holder, place))


def _address(holder: User | Group, place: Place) -> str:
    return reverse(
        "approvals:access_cell", args=[_kind(holder), holder.pk, place.scope.value, place.in_address]
    )


def _cell(
    request: HttpRequest,
    holder: User | Group,
    place: Place,
    *,
    form: GiveForm | None = None,
    told: str = "",
) -> HttpResponse:
    """The page of one cell; 422 where what was typed was refused."""
    held = rights.holding(holder)
    grounds = held.on(place)
    here = [one for one in grounds if _is_here(one, place)]
    if form is None:
        form = GiveForm(place=place, held={one.role for one in here if one.role})
    context: dict[str, Any] = {
        "holder": holder,
        "kind": _kind(holder),
        "holder_page": _page_of(holder),
        "place": place,
        "cell": matrix.cell(holder, held.rights, place),
        "here": here,
        "elsewhere": [one for one in grounds if one not in here],
        "form": form,
        "address": _address(holder, place),
        "letters": f"c-{_kind(holder)}-{holder.pk}-{place.in_address}",
        "told": told,
        "may_edit": me(request).is_admin,
        "is_self": holder == me(request),
        "is_off": isinstance(holder, User) and not holder.is_active,
        "is_in_place": bool(request.headers.get("HX-Request")),
        "matrix_query": _where(place, holder),
    }
    status = 422 if form.is_bound and form.errors and not told else 200
    response = render(request, "approvals/admin/access_cell.html", context, status=status)
    if context["is_in_place"]:
        response["HX-Push-Url"] = "false"  # the address stays the matrix's
    return response


def _where(place: Place, holder: User | Group) -> str:
    """The matrix with this row and column in it."""
    asked = {"rows": "teams" if isinstance(holder, Group) else "people", "q": str(holder)}
    if place.scope is not Scope.EVERYTHING:
        asked |= {"columns": f"{place.scope}s", "on": place.name}
    return urlencode(asked)
