"""Sessions: kept by what a person does and by nothing else, ended on time, one by one and all at once, and said so."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import sessions
from accounts.browsers import browser_name
from accounts.models import User, assign_role
from accounts.roles import Role
from accounts.services import assignments, people
from approvals.services.deactivate import deactivate
from audit.models import AuditEvent
from config import streaming
from tests import factories

pytestmark = pytest.mark.django_db
PULSE = {"HX-Request": "true"}
CLICK = {"HX-Request": "true", "X-In-Use": "1"}


@pytest.fixture(autouse=True)
def _nobody_has_tried_yet() -> None:
    cache.clear()


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(timezone.now(), tick=False) as traveller:
        yield traveller


def signed_in(user: User, **headers: Any) -> Client:
    client = Client(headers=headers)
    client.force_login(user)
    return client


def is_in(client: Client) -> bool:
    """Asked without being there: what a page asks by itself keeps no session."""
    return client.get("/account/session/", headers={"Sec-Fetch-Mode": "cors"}).json()["person"] is not None


def last(kind: str) -> AuditEvent:
    return AuditEvent.objects.filter(kind=kind).latest("id")


# — Their two ends


def test_a_session_ends_after_thirty_minutes_without_use_and_says_so(clock: Any) -> None:
    client = signed_in(factories.person())
    clock.shift(timedelta(minutes=29, seconds=59))
    assert is_in(client)
    clock.shift(timedelta(seconds=1))
    assert not is_in(client)


def test_the_next_page_says_why_the_session_has_ended(clock: Any) -> None:
    client = signed_in(factories.person())
    clock.shift(timedelta(minutes=31))
    leads = client.get("/queues/")
    assert leads["Location"] == "/account/login/?next=/queues/&ended=idle"
    assert "nothing was done for thirty minutes" in client.get(leads["Location"]).content.decode()


@pytest.mark.parametrize(
    ("headers", "is_kept"),
    [
        ({}, True),
        ({"Sec-Fetch-Mode": "navigate"}, True),
        ({"Sec-Fetch-Mode": "cors"}, False),
        (PULSE, False),
        (CLICK, True),
        ({"HX-Request": "true", "HX-Boosted": "true"}, True),
    ],
    ids=["page", "page of a browser", "what a script fetches", "pulse", "click", "boosted"],
)
def test_only_what_a_person_does_keeps_a_session(clock: Any, headers: dict[str, str], is_kept: bool) -> None:
    client = signed_in(factories.person())
    for _ in range(3):
        clock.shift(timedelta(minutes=14))
        client.get("/queues/", headers=headers)
    assert is_in(client) is is_kept


def test_a_lease_that_a_page_renews_by_itself_keeps_no_session(clock: Any) -> None:
    queue = factories.queue()
    client = signed_in(factories.reviewer(queue))
    for _ in range(3):
        clock.shift(timedelta(minutes=14))
        client.post("/next/", headers=PULSE)
    assert not is_in(client)


def test_a_form_that_is_sent_keeps_a_session(clock: Any) -> None:
    client = signed_in(factories.person())
    for _ in range(3):
        clock.shift(timedelta(minutes=20))
        client.post("/account/session/stay/", headers={"Sec-Fetch-Mode": "cors"})
    assert is_in(client)


def test_a_session_ends_twelve_hours_after_the_sign_in_however_it_is_used(clock: Any) -> None:
    client = signed_in(factories.person())
    for _ in range(36 - 1):
        clock.shift(timedelta(minutes=20))
        assert client.get("/preferences/").status_code == 200
    clock.shift(timedelta(minutes=19))
    assert is_in(client)
    clock.shift(timedelta(minutes=1))
    leads = client.get("/preferences/")
    assert leads["Location"] == "/account/login/?next=/preferences/&ended=long"


def test_a_step_up_makes_no_session_longer(clock: Any) -> None:
    user = factories.person()
    client = signed_in(user)
    key = client.session.session_key
    for _ in range(36):
        clock.shift(timedelta(minutes=19, seconds=50))
        client.get("/preferences/")
    client.post("/account/reauthenticate/", {"password": "a long password"})
    assert client.session.session_key != key
    assert is_in(client)
    clock.shift(timedelta(minutes=7))
    assert not is_in(client)


def test_what_an_open_page_asks_by_itself_ends_with_a_word_and_loses_nothing(clock: Any) -> None:
    client = signed_in(factories.person())
    clock.shift(timedelta(minutes=31))
    answer = client.get("/queues/", headers=PULSE)
    assert answer.status_code == 401
    assert 'id="refusal"' in answer.content.decode()
    assert "what you typed is still here" in answer.content.decode()
    assert 'id="main"' not in answer.content.decode()


def test_a_form_sent_too_late_says_so_and_how_to_get_back_what_was_typed(clock: Any) -> None:
    client = signed_in(factories.person())
    clock.shift(timedelta(minutes=31))
    answer = client.post("/next/")
    assert answer.status_code == 401
    assert "go back: what you typed is still there" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_stream_is_nobodys_when_the_session_has_ended(clock: Any) -> None:
    user = factories.person()
    key = signed_in(user).session.session_key or ""
    assert streaming._listener(key, []) is not None
    clock.shift(timedelta(minutes=31))
    assert streaming._listener(key, []) is None


# — What they cost


def test_a_page_writes_to_its_session_at_most_once_a_minute(clock: Any) -> None:
    client = signed_in(factories.person())

    def writes() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/preferences/").status_code == 200
        return sum(
            not each["sql"].startswith(("SELECT", "SAVEPOINT", "RELEASE", "(SELECT", "WITH"))
            for each in queries
        )

    assert writes() == 0
    clock.shift(timedelta(seconds=61))
    assert [writes(), writes()] == [1, 0]


def test_the_list_of_sessions_takes_the_same_queries_for_one_and_for_forty() -> None:
    user = factories.person()
    client = signed_in(user)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get("/account/security/").status_code == 200
        return len(seen)

    one = queries()
    for _ in range(40):
        signed_in(user)
    assert queries() == one


def test_what_is_over_is_cleared_from_both_tables(clock: Any) -> None:
    signed_in(factories.person())
    clock.shift(timedelta(minutes=31))
    stays = signed_in(factories.person())
    call_command("clearsessions")
    assert [row.session_key for row in UserSession.objects.all()] == [stays.session.session_key]
    assert Session.objects.count() == 1


# — Listed and ended


def test_a_person_sees_his_sessions_and_ends_one() -> None:
    user, other = factories.person(), factories.person()
    here = signed_in(
        user, user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    )
    there = signed_in(user)
    strange = signed_in(other)
    here.get("/preferences/")
    UserSession.objects.filter(session_key=here.session.session_key).update(
        user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    )
    listed = here.get("/account/security/").context["sessions"]
    assert sorted((one.browser, one.is_current) for one in listed) == [
        ("Firefox on Linux", True),
        ("Unknown browser", False),
    ]
    ended = next(one for one in listed if not one.is_current)

    assert strange.post(f"/account/security/sessions/{ended.id}/end/").status_code == 404
    assert is_in(there)
    assert here.post(f"/account/security/sessions/{ended.id}/end/").status_code == 302

    assert [is_in(here), is_in(there), is_in(strange)] == [True, False, True]
    assert last("session.ended").actor_id == str(user.pk)


def test_signing_out_everywhere_else_leaves_this_session() -> None:
    user = factories.person()
    here, there, third = signed_in(user), signed_in(user), signed_in(user)
    here.post("/account/security/sessions/end/")
    assert [is_in(here), is_in(there), is_in(third)] == [True, False, False]
    assert '"number":2' in last("session.ended").content


def test_a_changed_password_ends_all_other_sessions() -> None:
    user = factories.person()
    here, there = signed_in(user), signed_in(user)
    key = here.session.session_key
    words = {
        "oldpassword": "a long password",
        "password1": "another long one",
        "password2": "another long one",
    }
    assert here.post("/account/password/change/", words).status_code == 302
    assert [is_in(here), is_in(there)] == [True, False]
    assert here.session.session_key != key
    assert len(sessions.of(user)) == 1


def test_a_deactivated_person_has_no_session() -> None:
    user, admin = factories.person(), factories.admin()
    client = signed_in(user)
    deactivate(person_id=user.pk, actor=admin)
    assert not is_in(client)
    assert sessions.of(user) == []


def test_who_loses_the_role_of_an_admin_loses_his_sessions() -> None:
    admin, other = factories.admin(), factories.person()
    given, _ = assign_role(Role.ADMIN, to=other)
    client = signed_in(other)
    assignments.take(assignment_id=given.pk, actor=admin, why="changed teams")
    assert not is_in(client)


def test_an_admin_ends_the_sessions_of_another_person_and_nobody_else_does() -> None:
    user, admin = factories.person(), factories.admin()
    client = signed_in(user)
    assert signed_in(factories.person()).post(f"/people/{user.pk}/sessions/end/").status_code == 403
    assert is_in(client)
    assert signed_in(admin).post(f"/people/{user.pk}/sessions/end/").status_code == 302
    assert not is_in(client)
    assert last("session.ended").actor_id == str(admin.pk)


def test_a_new_link_ends_the_sessions() -> None:
    user = factories.person()
    client = signed_in(user)
    people.issue_link(person_id=user.pk, actor=factories.admin())
    assert not is_in(client)


def test_signing_in_gives_a_new_key_and_signing_out_forgets_it() -> None:
    user = factories.person()
    client = Client()
    client.post("/account/passkey/options/")
    before = client.session.session_key
    client.post("/account/login/", {"login": user.email, "password": "a long password"})
    key = client.session.session_key
    assert key != before
    assert UserSession.objects.filter(session_key=key, user=user).exists()
    client.post("/account/logout/")
    assert not UserSession.objects.filter(session_key=key).exists()
    assert not Session.objects.filter(session_key=key).exists()


def test_the_page_knows_how_long_it_has() -> None:
    client = signed_in(factories.person())
    begun: datetime = timezone.now()
    with time_machine.travel(begun + timedelta(seconds=30), tick=False):
        page = client.get("/preferences/").content.decode()
    assert 'data-session="1769"' in page or 'data-session="1770"' in page


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; x64) AppleWebKit/537.36 Chrome/139.0 Safari/537.36", "Chrome on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/139.0 Safari/537.36 Edg/139.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605 Version/17.5 Safari/605", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/139 Mobile Safari/604", "Chrome on iPhone"),
        ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox on Android"),
        ("curl/8.5.0", "curl"),
        ("", "Unknown browser"),
        ("<script>alert(1)</script>", "<script>alert(1)<"),
    ],
)  # fmt: skip
def test_a_browser_has_a_name_that_its_person_knows(header: str, name: str) -> None:
    assert browser_name(header) == name
