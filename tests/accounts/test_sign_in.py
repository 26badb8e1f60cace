"""Signing in by a password: nobody learns who is known, who tries too often waits, stolen passwords are refused."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts import adapter, passwords
from accounts.models import User
from audit.models import AuditEvent
from tests import factories

PASSWORD = "a long password"


@pytest.fixture(autouse=True)
def _nobody_has_tried_yet() -> None:
    cache.clear()


def tried(email: str, password: str = "not the password", **extra: Any) -> Any:
    return Client(**extra).post("/account/login/", {"login": email, "password": password})


# — Nobody learns who is known


def test_an_unknown_address_gets_the_same_answer_and_the_same_work(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = factories.person()
    shut_out = factories.person()
    shut_out.set_unusable_password()
    shut_out.is_active = False
    shut_out.save()
    work: list[str] = []
    hasher = "django.contrib.auth.hashers.MD5PasswordHasher"
    usual = __import__("django.contrib.auth.hashers", fromlist=["x"]).MD5PasswordHasher.encode

    def counted(self: Any, password: str, salt: str, *rest: Any) -> str:
        work.append(password)
        return str(usual(self, password, salt, *rest))

    monkeypatch.setattr(f"{hasher}.encode", counted)
    answers = {}
    for email in (known.email, "nobody@example.com", shut_out.email):
        work.clear()
        response = tried(email)
        page = response.content.decode().replace(email, "ADDRESS")
        answers[email] = (response.status_code, _without_tokens(page), len(work))
    assert answers["nobody@example.com"] == answers[known.email] == answers[shut_out.email]
    assert answers[known.email][2] == 1


def _without_tokens(page: str) -> str:
    import re

    return re.sub(r'value="[A-Za-z0-9]{64}"|"X-CSRFToken": "\w+"', "", page)


# — Too often


def test_too_many_failures_for_one_address_wait_whether_or_not_it_is_known(db: None) -> None:
    user = factories.person()
    for email in (user.email, "nobody@example.com"):
        for number in range(5):
            assert tried(email, REMOTE_ADDR=f"10.0.{len(email)}.{number}").status_code == 200
        response = tried(email, PASSWORD, REMOTE_ADDR="10.9.9.9")
        assert response.status_code == 429
        assert response["Retry-After"] == "300"
        assert "Wait five minutes" in response.content.decode()
    assert AuditEvent.objects.filter(kind="person.sign_in_failed").count() == 10


def test_too_many_failures_from_one_address_wait(db: None) -> None:
    for number in range(10):
        assert tried(f"nobody{number}@example.com").status_code == 200
    assert tried("nobody@example.com")["Retry-After"] == "300"
    user = factories.person()
    assert tried(user.email, PASSWORD, REMOTE_ADDR="10.1.1.1").status_code == 302


def test_an_address_that_signs_in_all_the_time_waits(db: None, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login": "2/m/ip"}
    user = factories.person()
    assert [tried(user.email, PASSWORD).status_code for _ in range(3)] == [302, 302, 429]
    assert tried(user.email, PASSWORD)["Retry-After"] == "60"


def test_a_passkey_is_asked_for_only_so_often(db: None, settings: Any) -> None:
    settings.MFA_RATE_LIMITS = {"webauthn_login": "2/m/ip"}
    client = Client()
    answers = [client.post("/account/passkey/options/") for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert answers[2]["Retry-After"] == "60"


@pytest.mark.parametrize(
    "sent", ["", "no json", "[]", "{}", '{"response": {"userHandle": "MQ"}}', "[" * 5000]
)
def test_what_is_no_passkey_signs_nobody_in(db: None, sent: str) -> None:
    client = Client()
    asked = client.post("/account/passkey/options/").json()["publicKey"]
    assert asked["userVerification"] == "required"
    assert not asked.get("allowCredentials")
    response = client.post("/account/passkey/", {"credential": sent})
    assert response["Location"] == "/account/login/"
    assert "_auth_user_id" not in client.session
    assert AuditEvent.objects.latest("id").kind == "factor.failed"


def test_pages_that_ask_for_a_passkey_keep_nothing_until_they_are_asked(db: None) -> None:
    client = Client()
    client.get("/account/login/")
    assert "sessionid" not in client.cookies


# — Changing it


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"oldpassword": "wrong"}, "oldpassword"),
        ({"password1": "short", "password2": "short"}, "password1"),
        ({"password1": "passwordpassword", "password2": "passwordpassword1"}, "password2"),
    ],
)
def test_a_password_is_not_changed(db: None, client: Client, words: dict[str, str], field: str) -> None:
    user = factories.person()
    client.force_login(user)
    sent = {"oldpassword": PASSWORD, "password1": "a new long one", "password2": "a new long one", **words}
    response = client.post("/account/password/change/", sent)
    assert response.status_code == 422
    assert field in response.context["form"].errors
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)


def test_who_has_a_second_factor_shows_it_before_the_password_is_changed(db: None, client: Client) -> None:
    from tests.accounts.test_second_factor import with_app

    user = factories.person()
    with_app(user)
    client.force_login(user)
    response = client.get("/account/password/change/")
    assert response["Location"] == "/account/reauthenticate/?next=/account/password/change/"


# — Stolen passwords


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def breaches(path: Path, seen: dict[str, int], *, end: str = "\r\n") -> Path:
    """A file as it is published: sorted, one hash and one number to a line."""
    lines = sorted(f"{sha1(password)}:{count}{end}" for password, count in seen.items())
    path.write_text("".join(lines), newline="")
    return path


@given(
    stolen=st.dictionaries(st.text(max_size=12), st.integers(1, 10**8), max_size=60),
    others=st.lists(st.text(max_size=12), max_size=20),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_every_stolen_password_is_found_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, stolen: dict[str, int], others: list[str], end: str
) -> None:
    path = breaches(tmp_path_factory.mktemp("breaches") / "hashes", stolen, end=end)
    for password, count in stolen.items():
        assert passwords.times_seen(path, password) == count
    for password in set(others) - set(stolen):
        assert passwords.times_seen(path, password) == 0


def test_a_large_file_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = breaches(tmp_path / "hashes", {f"password {number}": number + 1 for number in range(20_000)})
    reads = 0
    usual = passwords._line_from

    def counted(*args: Any) -> tuple[int, bytes]:
        nonlocal reads
        reads += 1
        return usual(*args)

    monkeypatch.setattr(passwords, "_line_from", counted)
    assert passwords.times_seen(path, "password 17000") == 17001
    assert passwords.times_seen(path, "never seen") == 0
    assert reads < 60


def test_a_stolen_password_is_refused_in_words(
    db: None, client: Client, tmp_path: Path, settings: Any
) -> None:
    settings.BREACHED_PASSWORDS = str(breaches(tmp_path / "hashes", {"correct horse battery": 12}))
    user = factories.person()
    client.force_login(user)
    chosen = "correct horse battery"
    sent = {"oldpassword": PASSWORD, "password1": chosen, "password2": chosen}
    response = client.post("/account/password/change/", sent)
    assert response.status_code == 422
    assert "lists of stolen passwords" in response.content.decode()
    other = {"oldpassword": PASSWORD, "password1": f"{chosen}!", "password2": f"{chosen}!"}
    assert client.post("/account/password/change/", other).status_code == 302


def test_no_password_is_set_while_the_list_cannot_be_read(tmp_path: Path, settings: Any) -> None:
    settings.BREACHED_PASSWORDS = str(tmp_path / "not there")
    with pytest.raises(ValidationError, match=r"manage\.py doctor"):
        passwords.NotInBreaches().validate("anything at all")
    settings.BREACHED_PASSWORDS = ""
    passwords.NotInBreaches().validate("anything at all")


def test_another_file_is_not_taken_for_the_list(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("password1\npassword2\n")
    with pytest.raises(ValueError, match="no SHA-1"):
        passwords.check_file(other)
    assert passwords.check_file(breaches(tmp_path / "hashes", {"x": 1})) == 44


def test_passwords_are_kept_by_argon2() -> None:
    from config import settings as real

    assert real.PASSWORD_HASHERS[0].endswith("Argon2PasswordHasher")


def test_the_words_of_a_limit_name_nobody() -> None:
    assert "@" not in adapter.too_often().detail
