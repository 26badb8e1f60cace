"""What can this person do, who can do this, and the history of every role that was given."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from accounts import permissions, selectors
from accounts.http import person as me
from accounts.models import User
from accounts.roles import ROLES, Duty, Role, Scope
from accounts.selectors import Past
from approvals import places, rights

PAGE = 40


@login_required
@require_safe
def person_access(request: HttpRequest, person_id: int) -> HttpResponse:
    """Everything one person may do, each with its way, and what separation of duties keeps from him."""
    permissions.check_can_see_people(me(request))
    found = get_object_or_404(User, pk=person_id)
    context = {
        "person": found,
        "abilities": rights.abilities(found),
        "barred": rights.barred(found),
        "decides": bool(found.held.reach(Duty.REVIEW)),
        "may_edit": me(request).is_admin,
    }
    return render(request, "approvals/admin/person_access.html", context)


@login_required
@require_safe
def access_of(request: HttpRequest, scope: str, scope_id: str) -> HttpResponse:
    """Who may do a duty on one thing."""
    permissions.check_can_see_people(me(request))
    place = places.find(scope, scope_id)
    offered = rights.duties_on(place.scope)
    asked = request.GET.get("duty", "")
    duty = Duty(asked) if asked in offered else offered[0]
    who = rights.who_can(duty, place)
    page = Paginator(who.people, PAGE).get_page(request.GET.get("page"))
    context = {
        "place": place,
        "duty": duty,
        "does": rights.DOES[duty],
        "duties": [(one, rights.DOES[one]) for one in offered],
        "page": page,
        "ables": who.of(list(page)),
        "pages_query": f"{urlencode({'duty': duty.value})}&",
        "shut": rights.must_not_judge(place) if place.scope is Scope.AGENT else [],
        "decides": duty is Duty.REVIEW,
    }
    return render(request, "approvals/admin/access_of.html", context)


@login_required
@require_safe
def access_history(request: HttpRequest) -> HttpResponse:
    """Every role ever given: by whom and why, how it ended, by whom and why."""
    permissions.check_can_see_people(me(request))
    past, words = _past(request.GET.dict())
    page = Paginator(selectors.assignments(past), PAGE).get_page(request.GET.get("page"))
    known = places.named(places.of_assignment(one) for one in page)
    context = {
        "page": page,
        "rows": [(one, known[places.of_assignment(one)]) for one in page],
        "past": past,
        "place": places.named([(past.scope, past.scope_id)])[past.scope, past.scope_id]
        if past.scope
        else None,
        "roles": list(ROLES),
        "query": words,
        "pages_query": f"{urlencode(words)}&" if words else "",
    }
    return render(request, "approvals/admin/access_history.html", context)


def _past(given: dict[str, str]) -> tuple[Past, dict[str, str]]:
    """What is asked for, and its address; what cannot be read narrows nothing."""
    person = User.objects.filter(pk=_number(given.get("person", ""))).first()
    team = Group.objects.filter(pk=_number(given.get("team", ""))).first()
    scope = Scope(given["scope"]) if given.get("scope") in Scope.__members__.values() else None
    role = given.get("role", "")
    past = Past(
        person=person,
        team=team,
        scope=scope,
        scope_id=given.get("on", "")[:60].replace("\x00", "") if scope else "",
        role=role if role in Role.__members__.values() else "",
        state=given.get("state", "") if given.get("state") in ("live", "ended") else "",
    )
    words: dict[str, Any] = {
        "person": person.pk if person else "",
        "team": team.pk if team else "",
        "scope": past.scope or "",
        "on": past.scope_id,
        "role": past.role,
        "state": past.state,
    }
    return past, {name: str(value) for name, value in words.items() if value}


def _number(text: str) -> int:
    """A primary key; 0 is nobody's."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
