"""The page about the company's directory: where people sign in, its tokens, and the teams it fills."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import directory_lists, permissions
from accounts.forms_directory import TeamForm, TokenForm
from accounts.http import person as me
from accounts.services import directory
from audit import selectors as trail


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    permissions.check_can_see_people(me(request))
    return _page(request)


@login_required
@never_cache
@require_POST
def token_issue(request: HttpRequest) -> HttpResponse:
    """The only page that shows the token."""
    permissions.check_is_admin(me(request))
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _page(request, token_form=form)
    token, text = directory.issue_token(actor=me(request), **form.cleaned_data)
    context = {"token": token, "text": text, "address": _address(request)}
    return render(request, "accounts/directory_token.html", context)


@login_required
@require_POST
def token_revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    token = directory.revoke_token(token_id=token_id, actor=me(request))
    messages.success(request, f"The token {token.label} opens nothing any more.")
    return redirect("accounts:directory")


@login_required
@require_POST
def team_connect(request: HttpRequest) -> HttpResponse:
    permissions.check_is_admin(me(request))
    form = TeamForm(request.POST)
    if not form.is_valid():
        return _page(request, team_form=form)
    team = form.cleaned_data["team"]
    directory.connect_team(team_id=team.pk, claim=form.cleaned_data["claim"], actor=me(request))
    messages.success(request, f"The directory fills {team} from now on.")
    return redirect("accounts:directory")


@login_required
@require_POST
def team_disconnect(request: HttpRequest, team_id: int) -> HttpResponse:
    team = directory.disconnect_team(team_id=team_id, actor=me(request))
    messages.success(request, f"The directory does not fill {team} any more.")
    return redirect("accounts:directory")


def _page(
    request: HttpRequest, *, token_form: TokenForm | None = None, team_form: TeamForm | None = None
) -> HttpResponse:
    tokens, teams = list(directory_lists.tokens()), list(directory_lists.teams())
    about = [
        ("directory_token", [str(token.pk) for token in tokens]),
        ("team", [str(entry.team_id) for entry in teams]),
    ]
    context = {
        "providers": directory_lists.providers(),
        "tokens": tokens,
        "teams": teams,
        "token_form": token_form or TokenForm(),
        "team_form": team_form or TeamForm(),
        "address": _address(request),
        "events": trail.latest_about(about, limit=15),
    }
    wrong = token_form is not None or team_form is not None
    return render(request, "accounts/directory.html", context, status=422 if wrong else 200)


def _address(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("accounts:directory")).rpartition("/directory/")[0] + "/scim/v2"
