"""Health, errors, and the page that makes the first admin."""

import sys

import redis
from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.http import require_GET

from accounts.services import first_admin
from accounts.sign_in import by_new_password
from agents import http
from config.middleware import is_for_agents, unavailable


@require_GET
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers."""
    return http.as_json({"status": "ok"})


@require_GET
def favicon(request: HttpRequest) -> HttpResponse:
    """Where browsers look for a mark on pages that name none, such as the administration's."""
    return redirect(static("icons/mark.svg"))


@require_GET
def readyz(request: HttpRequest) -> HttpResponse:
    """Database reachable and migrated; Redis only carries hints, so its absence is reported and does no harm."""
    checks = {"database": _database(), "redis": _redis()}
    ready = checks["database"] == "ok"
    return http.as_json({"status": "ok" if ready else "not ready", **checks}, status=200 if ready else 503)


_AWAY = "cannot be reached"
_is_migrated = False


def _database() -> str:
    """A connection that a restarted database has left behind is replaced before anything is said."""
    answer = _ask_database()
    if answer == _AWAY:
        connection.close()
        answer = _ask_database()
    return answer


def _ask_database() -> str:
    """Once migrated, a process asks only whether the database answers: the plan costs some 100 ms."""
    global _is_migrated
    try:
        if not _is_migrated:
            executor = MigrationExecutor(connection)
            if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                return "migrations are missing: run manage.py migrate"
            _is_migrated = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except OperationalError:
        return _AWAY
    return "ok"


def _redis() -> str:
    try:
        client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
        client.ping()
    except redis.RedisError:
        return _AWAY
    return "ok"


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 503 where the fault is that the database is away."""
    if isinstance(sys.exc_info()[1], OperationalError):
        return unavailable(request)
    if is_for_agents(request):
        return http.problem(
            status=500,
            code="server_error",
            title="A fault of ours",
            detail="Something went wrong here. Send the same request again; if it persists, tell the operators.",
        )
    return render(request, "500.html", status=500)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400, or 503 where a session could not be saved because the database went away after the work was done."""
    if isinstance(exception, SessionInterrupted):
        return unavailable(request)
    return render(request, "400.html", status=400)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_for_agents(request):
        return http.problem(
            status=404,
            code="not_found",
            title="Not found",
            detail="There is nothing at this address; see /api/docs.",
        )
    return render(request, "404.html", status=404)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "403_csrf.html", status=403)


class FirstAdminForm(forms.Form):
    """The first person of an installation."""

    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    email = forms.EmailField(widget=forms.EmailInput(attrs={"autocomplete": "email"}))
    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters.",
        validators=[validate_password],
    )


def welcome(request: HttpRequest, token: str) -> HttpResponse:
    """The single-use link that `make run` prints: create the first admin and sign him in."""
    form = FirstAdminForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = first_admin.create_first_admin(token=token, **form.cleaned_data)
        by_new_password(request, user)
        return redirect("/")
    valid = first_admin.is_valid(token)
    return render(
        request, "accounts/welcome.html", {"form": form, "valid": valid}, status=200 if valid else 403
    )
