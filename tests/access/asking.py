"""Every address asked by everybody: the addresses there are, how one is filled in, and what an answer counts as."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any
from unittest import mock
from urllib.parse import urlsplit
from uuid import uuid4

from django.conf import settings
from django.db import connection
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts import session_store, sessions
from audit import recording
from audit.events import Kind
from tests.access.conftest import undone
from tests.access.world import Side, World

OUTSIDERS = ("anon", "gone", "agent", "~agent")
"""Who has no session: nobody, somebody deactivated, an agent with the token of either side."""
PEOPLE = (
    "nobody",
    *("reviewer", "~reviewer", "senior", "~senior", "owner", "~owner", "manager", "~manager"),
    *("editor", "~editor", "prober", "~prober", "reader", "~reader", "auditor", "admin"),
)
EVERYBODY = (*OUTSIDERS, *PEOPLE)
FOR_AGENTS = ("api/v1/", "v1/traces", "tlog/", "scim/", ".well-known/")
"""Addresses that know no session and lead nobody to the page where people sign in."""


@dataclass(frozen=True)
class Sent:
    """What a case sends, where an empty form would not get as far as the question who may."""

    data: Any = field(default_factory=dict)
    json: bool = False
    headers: dict[str, str] = field(default_factory=dict)


def routes(patterns: list[Any] | None = None, prefix: str = "") -> Iterator[str]:
    """Every address as its patterns spell it."""
    for one in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, prefix + str(one.pattern))
        elif isinstance(one, URLPattern):
            yield prefix + str(one.pattern)


ADMINISTRATION = re.compile(r"admin/(?!r/)\w+/\w+/")
"""What Django's administration makes of each model; one row stands for all models."""


def row_of(route: str) -> str:
    """The address as the table names it."""
    if route.startswith("admin/^(?P<app_label>"):
        return "admin/<app_label>/"
    return ADMINISTRATION.sub("admin/*/*/", route)


class Crowd:
    """Everybody's browser or client, signed in once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._clients: dict[str, Client] = {}
        self._cookies: dict[str, dict[str, str]] = {}
        for name in EVERYBODY:
            client = Client(raise_request_exception=False)
            user = world.people.get(name)
            if user is not None:
                client.force_login(user)
                client.get("/absence/")  # the session's book is begun
                if name == "gone":
                    type(user).objects.filter(pk=user.pk).update(is_active=False)
            self._clients[name] = client
            self._cookies[name] = {key: morsel.value for key, morsel in client.cookies.items()}

    def session_of(self, who: str) -> str:
        """The key that this browser's cookie carries; nothing where nobody is signed in."""
        return self._cookies[who].get(settings.SESSION_COOKIE_NAME, "")

    def ask(
        self,
        who: str,
        method: str,
        address: str,
        sent: Sent | None = None,
        *,
        before: Callable[[], None] | None = None,
    ) -> HttpResponseBase:
        """One request, of which nothing remains. A GET runs in a transaction that can only read."""
        client, sent = self._clients[who], sent or Sent()
        headers = dict(sent.headers)
        if who in ("agent", "~agent"):
            the = (self.world.here if who == "agent" else self.world.there).the
            headers |= the.headers
        client.cookies = SimpleCookie(self._cookies[who])
        with undone(), mock.patch("django.test.client.store_rendered_templates"):
            if before is not None:
                before()
            if method == "GET":
                with reading_only():
                    return _whole(client.get(address, sent.data, headers=headers))
            kind = "application/json" if sent.json else None
            call = getattr(client, method.lower())
            more = {"content_type": kind} if kind else {}
            return _whole(call(address, sent.data, headers=headers, **more))


@contextmanager
def reading_only() -> Iterator[None]:
    """The database refuses every write to the end of the transaction. Not written here are the only things that a GET
    may write: the note that somebody has read or was refused, without which the audit log knew of no reading; once a
    minute that a session is in use, without which none could end by being idle; and the session itself, which carries
    a sentence to the next page."""
    record = recording.record

    def noted(*, kind: str, **facts: Any) -> Any:
        return None if kind in NOTES_OF_READING else record(kind=kind, **facts)

    in_use = mock.patch.object(sessions, "TOUCH_EVERY", timedelta(days=1))
    kept = mock.patch.object(session_store.SessionStore, "save")
    with mock.patch.object(recording, "record", noted), in_use, kept, connection.cursor() as cursor:
        cursor.execute("SET LOCAL transaction_read_only = on")
        yield


NOTES_OF_READING = frozenset({Kind.ACTIVITY_READ, Kind.REVIEW_PEEKED, Kind.LOG_READ, Kind.ACCESS_REFUSED})
"""The only events that a GET may write."""


def _whole(answer: Any) -> HttpResponseBase:
    """A file that streams is read while its transaction is open."""
    if getattr(answer, "streaming", False):
        content = answer.getvalue()
        answer.whole = content
    else:
        answer.whole = answer.content
    given: HttpResponseBase = answer
    return given


def word(answer: HttpResponseBase) -> str:
    """What an answer counts as: its status; `login` where it leads to the page where people sign in."""
    location = urlsplit(answer.headers.get("Location", "")).path
    if answer.status_code in (301, 302) and location.endswith("/login/"):
        return "login"
    return str(answer.status_code)


def filled(route: str, world: World, side: Side, who: str, changed: dict[str, object]) -> str:
    """An address of this route about that side's things; what belongs to a person is the person's own."""
    mine = who if who in world.people else "nobody"
    the = side.the
    values: dict[str, object] = {
        "proposal_id": side.pending.pk,
        "activity_id": side.activity.pk,
        "call_id": side.pending.idempotency_key.removeprefix("humanlayer:"),
        "endpoint_id": side.told.endpoint_id,
        "delivery_id": side.told.pk,
        "network_id": world.network.pk,
        "member": side.pending.pk,
        "view_id": world.views[mine].pk,
        "incident_id": side.incident.pk,
        "backtest_id": world.backtest.pk,
        "review_id": side.review.pk,
        "hold_id": world.held.pk,
        "stop_id": world.pulled.pk,
        "notification_id": world.notifications[mine].pk,
        "address_id": world.chat[mine].pk,
        "serving_id": side.serving.pk,
        "probe_id": side.probe.pk,
        "promotion_id": 999_999,
        "signature_id": world.signature.pk,
        "holder_id": side.people["reviewer"].pk,
        "person_id": the.second.pk,
        "team_id": world.team.pk,
        "absence_id": world.absence.pk,
        "calendar_id": world.calendar.pk,
        "credential_id": the.credential.pk,
        "factor_id": 999_999,
        "session_id": 999_999,
        "item_id": 999_999,
        "link_id": 999_999,
        "change_id": 999_999,
        "request_id": world.request.pk,
        "assignment_id": world.given.pk,
        "identity_id": 999_999,
        "token_id": 999_999,
        "scope": "queue",
        "scope_id": the.queue.pk,
        "key": the.second.pk,
        "event_id": world.event.pk,
        "action_type": the.action_type.name,
        "name": the.action_type.name,
        "domain": side.domain,
        "kind": "person",
        "object_type": "proposal",
        "object_id": side.pending.pk,
        "way": "email",
        "token": "no-such-token",
        "link": world.link,
        **changed,
    }
    if route.startswith("access/reviews/"):
        values["review_id"] = 999_999
    if "slug" not in changed:
        values["slug"] = the.agent.slug if route.startswith("agents/") else the.queue.slug
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(values.get(found[1], uuid4())), route)


def line(method: str, route: str, answers: dict[str, str]) -> str:
    """The row that says what was answered, as the table would say it."""
    default = _usual(answers[name] for name in PEOPLE)
    named: dict[str, list[str]] = {}
    for name, answer in answers.items():
        usual = default
        if name in OUTSIDERS and not route.startswith(FOR_AGENTS):
            usual = "login"
        if answer != usual:
            named.setdefault(answer, []).append(name)
    clauses = [f"{answer}: {' '.join(names)}" for answer, names in sorted(named.items())]
    return f'"{method} {route}": "{"; ".join([*clauses, default])}",'


def _usual(answers: Iterable[str]) -> str:
    found = list(answers)
    return max(set(found), key=lambda one: (found.count(one), one))


def expected(row: str, route: str, groups: dict[str, str]) -> dict[str, str]:
    """What a row promises to each. Clauses are separated by `;`, and the last one, without names, is for all others
    who are signed in. Whoever is not is led to sign in, but where agents and machines ask."""
    *clauses, default = (part.strip() for part in row.split(";"))
    promised = dict.fromkeys(EVERYBODY, default)
    if not route.startswith(FOR_AGENTS):
        promised |= dict.fromkeys(OUTSIDERS, "login")
    for clause in clauses:
        answer, _, names = clause.partition(":")
        for name in names.split():
            for one in groups.get(name, name).split():
                if one not in promised:
                    raise KeyError(f"{route}: nobody is called {one}")
                promised[one] = answer.strip()
    return promised
