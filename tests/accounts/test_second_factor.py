"""Second factors: set up, shown, used up, lost, asked for, and refused where they are missing."""

import time
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core import signing
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts import second_factor
from accounts.adapter import FactorAdapter
from accounts.exceptions import NotAllowed
from accounts.models import User
from accounts.services import factors
from audit.models import AuditEvent
from tests import factories

pytestmark = pytest.mark.django_db
PASSWORD = "a long password"


@pytest.fixture(autouse=True)
def _nobody_has_tried_yet() -> None:
    """Attempts are counted in the cache, by address: every test's is the same."""
    cache.clear()


def code_of(secret: str, *, steps: int = 0) -> str:
    return str(totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30 + steps)))


def with_app(user: User) -> tuple[str, list[str]]:
    """A person with an authenticator app, its secret, and his recovery codes. The app's code of now is used up."""
    secret = totp.generate_totp_secret()
    return secret, factors.add_app(person=user, secret=secret, code=code_of(secret))


def password_given(user: User) -> tuple[Client, Any]:
    client = Client()
    return client, client.post("/account/login/", {"login": user.email, "password": PASSWORD})


def kinds(user: User) -> list[str]:
    rows = AuditEvent.objects.filter(object_type="person", object_id=str(user.pk)).order_by("id")
    return list(rows.values_list("kind", flat=True))


def stepped_up(user: User) -> Client:
    """Signed in by his password just now, which is a step-up of its own."""
    client, response = password_given(user)
    assert response.status_code == 302, response.content
    return client


# — Setting up an authenticator app


def test_an_app_is_set_up_by_a_right_code_and_recovery_codes_are_shown_once() -> None:
    user = factories.person()
    client = stepped_up(user)
    page = client.get("/account/security/app/")
    form = page.context["form"]
    assert page.context["picture"].startswith("data:image/svg+xml;base64,")
    sent = {"secret": form.initial["secret"], "code": code_of(form.drawn)}

    shown = client.post("/account/security/app/", sent)

    made = shown.context["made"]
    assert len(set(made)) == 10
    for code in made:
        assert code in shown.content.decode()
        assert code not in client.get("/account/security/").content.decode()
        assert code not in client.get("/account/security/codes/").content.decode()
    assert second_factor.has_one(user)
    assert kinds(user)[-2:] == ["factor.added", "factor.codes_made"]


def test_opening_the_page_of_the_app_keeps_nothing() -> None:
    user = factories.person()
    client = stepped_up(user)
    before = dict(client.session)
    first = client.get("/account/security/app/").context["form"].drawn
    assert client.get("/account/security/app/").context["form"].drawn != first
    assert dict(client.session) == before
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize("fault", ["wrong code", "another's secret", "own secret", "too old"])
def test_an_app_is_not_set_up(fault: str) -> None:
    user = factories.person()
    client = stepped_up(user)
    form = client.get("/account/security/app/").context["form"]
    secret, code = form.initial["secret"], code_of(form.drawn)
    if fault == "wrong code":
        code = code_of(form.drawn, steps=50)
    if fault == "another's secret":
        said = {"secret": form.drawn, "person": user.pk + 1}
        secret = signing.dumps(said, salt="countersign.authenticator-app")
    if fault == "own secret":
        secret = signing.dumps({"secret": "A" * 32, "person": user.pk}, salt="of one's own")
        code = code_of("A" * 32)
    if fault == "too old":
        with time_machine.travel(time.time() - 1000):
            said = {"secret": form.drawn, "person": user.pk}
            secret = signing.dumps(said, salt="countersign.authenticator-app")

    response = client.post("/account/security/app/", {"secret": secret, "code": code})

    assert response.status_code == 422
    assert not Authenticator.objects.exists()


def test_secrets_lie_in_the_database_encrypted(settings: Any) -> None:
    user = factories.person()
    secret, made = with_app(user)
    stored = str([row.data for row in Authenticator.objects.all()])
    assert secret not in stored
    assert not any(code.replace("-", "") in stored for code in made)
    kept = Authenticator.objects.get(type="totp").data["secret"]
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = (
        [settings.SECRET_KEY],
        "a new key of this installation",
    )
    assert FactorAdapter().decrypt(kept) == secret


# — Signing in with it


def test_a_password_alone_signs_nobody_in_who_has_an_app() -> None:
    user = factories.person()
    secret, _ = with_app(user)
    client, response = password_given(user)
    assert response["Location"] == "/account/second/"
    assert "_auth_user_id" not in client.session
    assert client.get("/preferences/")["Location"].startswith("/account/login/")

    response = client.post("/account/second/", {"code": code_of(secret, steps=1)})

    assert response["Location"] == "/"
    assert client.get("/preferences/").status_code == 200
    assert kinds(user)[-2:] == ["factor.used", "person.signed_in"]


def test_a_code_works_once() -> None:
    user = factories.person()
    secret, _ = with_app(user)
    code = code_of(secret, steps=1)
    assert password_given(user)[0].post("/account/second/", {"code": code}).status_code == 302

    again = password_given(user)[0].post("/account/second/", {"code": code})

    assert again.status_code == 422
    assert "_auth_user_id" not in again.client.session
    assert kinds(user)[-1] == "factor.failed"


def test_an_earlier_code_is_worthless_after_a_later_one() -> None:
    user = factories.person()
    secret, _ = with_app(user)
    assert factors.use_code(person=user, typed=code_of(secret, steps=1), signing_in=True)
    assert factors.use_code(person=user, typed=code_of(secret), signing_in=True) is None


@pytest.mark.parametrize("typed", ["{}", " {} ", "{0:.4}-{0:.0}"])
def test_a_recovery_code_signs_in_once(typed: str) -> None:
    user = factories.person()
    _, made = with_app(user)
    code = made[3]
    typed = {"{}": code, " {} ": f" {code} "}.get(typed, code.replace("-", ""))
    assert password_given(user)[0].post("/account/second/", {"code": typed}).status_code == 302
    assert kinds(user)[-2:] == ["factor.code_used", "person.signed_in"]
    assert password_given(user)[0].post("/account/second/", {"code": typed}).status_code == 422


def test_new_recovery_codes_make_the_old_ones_worthless() -> None:
    user = factories.person()
    _, old = with_app(user)
    new = factors.make_codes(person=user)
    assert not set(old) & set(new)
    assert factors.use_code(person=user, typed=old[0], signing_in=True) is None
    assert factors.use_code(person=user, typed=new[0], signing_in=True)


def test_failed_second_factors_run_into_a_limit_that_says_when_to_come_back() -> None:
    user = factories.person()
    secret, _ = with_app(user)
    client, _ = password_given(user)
    for _ in range(5):
        assert client.post("/account/second/", {"code": "000000"}).status_code == 422

    response = client.post("/account/second/", {"code": code_of(secret, steps=1)})

    assert response.status_code == 429
    assert int(response["Retry-After"]) == 300
    assert kinds(user).count("factor.failed") == 5


# — Step-up


def test_who_has_no_factor_steps_up_by_the_password(client: Client) -> None:
    user = factories.person()
    client.force_login(user)
    response = client.get("/account/security/app/")
    assert response["Location"] == "/account/reauthenticate/?next=%2Faccount%2Fsecurity%2Fapp%2F"
    key = client.session.session_key

    wrong = client.post("/account/reauthenticate/", {"password": "not it", "next": "/account/security/app/"})
    right = client.post("/account/reauthenticate/", {"password": PASSWORD, "next": "/account/security/app/"})

    assert wrong.status_code == 422
    assert right["Location"] == "/account/security/app/"
    assert client.session.session_key != key
    assert client.get("/account/security/app/").status_code == 200
    assert kinds(user)[-2:] == ["person.sign_in_failed", "session.stepped_up"]


def test_who_has_a_factor_steps_up_by_it_alone(client: Client) -> None:
    user = factories.person()
    secret, _ = with_app(user)
    client.force_login(user)
    address = f"/account/security/factors/{Authenticator.objects.get(type='totp').pk}/remove/"
    assert client.get(address)["Location"].startswith("/account/reauthenticate/")
    assert client.post("/account/reauthenticate/", {"password": PASSWORD}).status_code == 403
    assert client.get(address).status_code == 302
    assert client.post("/account/reauthenticate/", {"code": code_of(secret, steps=1)}).status_code == 302
    assert client.get(address).status_code == 200


def test_a_step_up_holds_for_five_minutes() -> None:
    user = factories.person()
    begun = timezone.now()
    with time_machine.travel(begun, tick=False) as clock:
        client = stepped_up(user)
        clock.shift(299)
        assert client.get("/account/security/app/").status_code == 200
        clock.shift(2)
        assert client.get("/account/security/app/")["Location"].startswith("/account/reauthenticate/")
        response = client.post("/account/security/codes/")
        assert response["Location"].startswith("/account/reauthenticate/")


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_a_step_up_leads_nowhere_else(client: Client, elsewhere: str) -> None:
    client.force_login(factories.person())
    response = client.post("/account/reauthenticate/", {"password": PASSWORD, "next": elsewhere})
    assert response["Location"] == "/account/security/"


# — Removing


def test_removing_the_last_factor_takes_the_codes_and_ends_other_sessions() -> None:
    user = factories.person()
    with_app(user)
    elsewhere = Client()
    elsewhere.force_login(user)
    here = Client()
    here.force_login(user)
    row = Authenticator.objects.get(type="totp")

    factors.remove(person=user, factor_id=row.pk, session_key=here.session.session_key or "")

    assert not Authenticator.objects.exists()
    assert here.get("/preferences/").status_code == 200
    assert elsewhere.get("/preferences/").status_code == 302
    assert kinds(user)[-2:] == ["factor.removed", "session.ended"]


def test_nobody_removes_anothers_factor() -> None:
    user, other = factories.person(), factories.person()
    with_app(user)
    row = Authenticator.objects.get(type="totp")
    assert stepped_up(other).post(f"/account/security/factors/{row.pk}/remove/").status_code == 404
    assert Authenticator.objects.filter(pk=row.pk).exists()


def test_an_admin_takes_lost_factors_away_but_not_his_own(client: Client) -> None:
    user, admin = factories.person(), factories.admin()
    with_app(user)
    with_app(admin)
    client.force_login(user)
    assert client.post(f"/people/{admin.pk}/factors/take/").status_code == 403
    client.force_login(admin)
    assert client.post(f"/people/{admin.pk}/factors/take/").status_code == 403
    assert client.post(f"/people/{user.pk}/factors/take/").status_code == 302
    assert not second_factor.has_one(user)
    assert second_factor.has_one(admin)
    assert password_given(user)[1]["Location"] == "/"


def test_admins_see_on_a_persons_page_where_and_with_what_he_signs_in(client: Client) -> None:
    user, boss, reader = factories.person("Nora"), factories.admin(), factories.auditor()
    page = f"/people/{user.pk}/"
    client.force_login(boss)
    plain = client.get(page).content.decode()
    assert "/factors/take/" not in plain and "/sessions/end/" not in plain
    theirs = Client(
        headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
    )
    theirs.post("/account/login/", {"login": user.email, "password": PASSWORD})
    with_app(user)

    html = client.get(page).content.decode()
    for words in (
        "Firefox",
        "authenticator app",
        f"{page}factors/take/",
        f"{page}sessions/end/",
        f"{page}accounts/",
    ):
        assert words in html
    own = client.get(f"/people/{boss.pk}/").content.decode()
    assert "/factors/take/" not in own and "/sessions/end/" not in own
    client.force_login(reader)
    read = client.get(page).content.decode()
    assert "set up" in read
    for words in ("Firefox", "/factors/take/", "/sessions/end/"):
        assert words not in read

    client.force_login(boss)
    told = client.post(f"{page}sessions/end/", follow=True).content.decode()
    assert "Nora is signed out everywhere. Sessions ended: 1." in told and "Firefox" not in told
    assert theirs.get("/preferences/").status_code == 302
    assert "/factors/take/" not in client.post(f"{page}factors/take/", follow=True).content.decode()


# — Being required


@pytest.fixture
def required(settings: Any) -> None:
    settings.SECOND_FACTOR = "required"


@pytest.mark.parametrize(
    ("who", "is_called_for"),
    [("admin", True), ("reviewer of high risk", True), ("reviewer", False), ("auditor", False)],
)
def test_whose_roles_call_for_a_second_factor(required: None, who: str, is_called_for: bool) -> None:
    risky, usual = factories.queue(needs_second_factor=True), factories.queue()
    people = {
        "admin": factories.admin(),
        "reviewer of high risk": factories.reviewer(risky),
        "reviewer": factories.reviewer(usual),
        "auditor": factories.auditor(),
    }
    user = people[who]
    assert second_factor.is_required_of(user) is is_called_for


def test_every_page_leads_to_the_set_up_until_there_is_one(required: None, client: Client) -> None:
    user = factories.reviewer(factories.queue(needs_second_factor=True))
    client.force_login(user)
    assert client.get("/queues/")["Location"] == "/account/security/"
    assert client.get("/notifications/settings/")["Location"] == "/account/security/"
    refused = client.post("/next/")
    assert refused.status_code == 403
    assert "second factor" in refused.content.decode()
    fragment = client.get("/queues/", headers={"HX-Request": "true"})
    assert fragment.status_code == 403
    assert 'id="refusal"' in fragment.content.decode()
    for address in ("/account/security/", "/preferences/", "/account/logout/", "/account/session/"):
        assert client.get(address).status_code == 200, address


def test_a_session_of_a_password_does_not_count_once_there_is_a_factor(required: None) -> None:
    user = factories.reviewer(factories.queue(needs_second_factor=True))
    before = Client()
    before.force_login(user)
    secret, _ = with_app(user)
    leads = before.get("/queues/?page=1")
    assert leads["Location"] == "/account/reauthenticate/?next=%2Fqueues%2F%3Fpage%3D1"
    assert before.post("/next/").status_code == 403
    shown = before.post("/account/reauthenticate/", {"code": code_of(secret, steps=1), "next": "/queues/"})
    assert shown["Location"] == "/queues/"
    assert before.get("/queues/").status_code == 200


def test_who_has_just_set_one_up_goes_on_at_once(required: None) -> None:
    user = factories.reviewer(factories.queue(needs_second_factor=True))
    client = stepped_up(user)
    form = client.get("/account/security/app/").context["form"]
    client.post("/account/security/app/", {"secret": form.initial["secret"], "code": code_of(form.drawn)})
    assert client.get("/queues/").status_code == 200


def test_whose_roles_call_for_one_keeps_the_last(required: None) -> None:
    admin = factories.admin()
    with_app(admin)
    row = Authenticator.objects.get(type="totp")
    with pytest.raises(NotAllowed, match="your only one"):
        factors.remove(person=admin, factor_id=row.pk, session_key="")


def test_what_takes_a_second_factor_is_refused_where_permission_is_checked(required: None) -> None:
    user = factories.person()
    with pytest.raises(second_factor.SecondFactorNeeded):
        second_factor.check_shown(user)
    with_app(user)
    second_factor.check_shown(user)  # outside a request: a command, a task


def test_a_factor_that_is_only_offered_keeps_nobody_out(client: Client) -> None:
    admin = factories.admin()
    client.force_login(admin)
    assert client.get("/queues/").status_code == 200
    second_factor.check_shown(admin)
    words = client.get("/account/security/").content.decode()
    assert "Second factors are not enforced in this installation" in words
