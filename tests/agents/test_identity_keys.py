"""An issuer's keys: fetched once, kept as long as they may be, asked for again seldom, and never from anywhere else."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jwk

from agents import fetching, identity, issuers
from agents.exceptions import BadToken, IssuerUnavailable
from agents.fetching import NotFetched
from tests.issuer import Issuer, issuing

DISCOVERY = "/.well-known/openid-configuration"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(issuers, "clock", made)
    return made


def verify(issuer: Issuer, **extra: Any) -> str:
    """What becomes of a new token of the issuer: empty, or the code of its refusal."""
    identity.forget()
    try:
        identity.verify(issuer.token(**extra), issuer.url)
    except BadToken as error:
        return error.code
    return ""


def test_keys_are_fetched_once(issuer: Issuer, clock: Clock) -> None:
    assert [verify(issuer) for _ in range(5)] == [""] * 5
    assert issuer.asked == {DISCOVERY: 1, "/keys": 1}


@pytest.mark.parametrize(
    ("said", "good"),
    [("max-age=3600", 3600), ("public, max-age=120", 120), ("max-age=1", 60), ("no-store", 600), ("", 600),
     ("max-age=9999999", 86_400), ("max-age=x", 600), ("s-maxage=5", 600)],
)  # fmt: skip
def test_they_are_good_as_long_as_the_server_says_within_a_minute_and_a_day(
    said: str, good: int, issuer: Issuer, clock: Clock
) -> None:
    issuer.cache_control = said
    assert verify(issuer) == ""
    clock.now += good - 1
    assert verify(issuer) == ""
    assert issuer.asked["/keys"] == 1
    clock.now += 1
    assert verify(issuer) == ""
    assert issuer.asked["/keys"] == 2


def test_a_new_key_is_found_and_an_old_one_forgotten(issuer: Issuer, clock: Clock) -> None:
    assert verify(issuer) == ""
    old = issuer.keys["first"]
    issuer.rotate("second")
    clock.now += 60
    assert verify(issuer) == ""
    assert verify(issuer, kid="first", key=old) == "token_key_unknown"
    assert issuer.asked["/keys"] == 2


def test_made_up_key_ids_ask_once_a_minute(issuer: Issuer, clock: Clock) -> None:
    assert verify(issuer) == ""
    clock.now += 60
    key = issuer.keys["first"]
    assert {verify(issuer, kid=f"made-up-{n}", key=key) for n in range(50)} == {"token_key_unknown"}
    assert issuer.asked["/keys"] == 2
    assert verify(issuer) == ""
    clock.now += 60
    assert verify(issuer, kid="another", key=key) == "token_key_unknown"
    assert issuer.asked["/keys"] == 3


def test_the_issuer_may_be_down_for_a_day(issuer: Issuer, clock: Clock) -> None:
    assert verify(issuer) == ""
    issuer.is_down = True
    for hours in (2, 10, 23):
        clock.now = 1000 + hours * 3600
        assert verify(issuer) == ""
    clock.now = 1000 + 24 * 3600
    with pytest.raises(IssuerUnavailable) as refused:
        verify(issuer)
    assert (refused.value.status, refused.value.extra["retry_after"]) == (503, 5)
    issuer.is_down = False
    clock.now += 60
    assert verify(issuer) == ""


def test_who_was_never_reached_is_asked_again_after_seconds(issuer: Issuer, clock: Clock) -> None:
    issuer.is_down = True
    for _ in range(3):
        with pytest.raises(IssuerUnavailable):
            verify(issuer)
    assert issuer.asked[DISCOVERY] == 1
    issuer.is_down = False
    clock.now += 5
    assert verify(issuer) == ""


def test_many_at_once_ask_once(issuer: Issuer) -> None:
    issuer.wait.clear()
    tokens = [issuer.token() for _ in range(8)]
    failed: list[Exception] = []

    def run(token: str) -> None:
        try:
            identity.verify(token, issuer.url)
        except Exception as error:  # noqa: BLE001 - whatever it was, the test shows it
            failed.append(error)

    threads = [threading.Thread(target=run, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    issuer.wait.set()
    for thread in threads:
        thread.join(30)
    assert not failed
    assert issuer.asked == {DISCOVERY: 1, "/keys": 1}


def test_only_signing_keys_that_are_strong_enough_are_taken(issuer: Issuer) -> None:
    weak = jwk.RSAKey.generate_key(1024, {"kid": "weak"})
    secret = {"kty": "oct", "kid": "secret", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}
    curve = jwk.ECKey.generate_key("P-521", {"kid": "curve"}).as_dict(private=False)
    sealing = issuer.keys["first"].as_dict(private=False) | {"kid": "sealing", "use": "enc"}
    nameless = {name: value for name, value in sealing.items() if name not in ("kid", "use")}
    odd: list[Any] = [
        secret,
        weak.as_dict(private=False),
        curve,
        sealing,
        nameless,
        "x",
        None,
        {"kty": "RSA", "kid": "r"},
    ]
    body = json.dumps({"keys": [*odd, issuer.keys["first"].as_dict(private=False)]}).encode()
    issuer.answers["/keys"] = (200, {}, body)
    assert issuers.key(issuer.url, "first") is not None
    assert [issuers.key(issuer.url, kid) for kid in ("secret", "weak", "curve", "sealing", "r")] == [None] * 5


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (DISCOVERY, (302, {"Location": "http://127.0.0.1:1/"}, b"")),
        (DISCOVERY, (200, {}, b"[]")),
        (DISCOVERY, (200, {}, b"{" * 10_000)),
        (
            DISCOVERY,
            (200, {}, b'{"issuer": "https://other.example", "jwks_uri": "https://other.example/keys"}'),
        ),
        ("/keys", (301, {"Location": "/elsewhere"}, b"")),
        ("/keys", (200, {}, b'{"keys": []}')),
        ("/keys", (200, {}, b"x" * (fetching.MOST + 1))),
    ],
)
def test_what_is_no_key_set_is_none(path: str, answer: Any, issuer: Issuer) -> None:
    issuer.answers[path] = answer
    with pytest.raises(IssuerUnavailable):
        verify(issuer)
    assert "/elsewhere" not in issuer.asked


def test_an_issuer_that_drips_is_cut(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "LONGEST", 0.3)
    issuer.wait.clear()
    began = time.monotonic()
    with pytest.raises(NotFetched):
        fetching.get(issuer.url + DISCOVERY)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://127.0.0.1:1/",
        "https://[::1]:1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "https://0.0.0.0/",
        "https://user:secret@example.com/",
        "file:///etc/passwd",
        "https://example.com:99999/",
    ],
)
def test_nothing_private_is_asked_outside_a_development_installation(url: str, settings: Any) -> None:
    settings.ISSUERS_ON_LOOPBACK = False
    with pytest.raises(NotFetched) as refused:
        fetching.get(url)
    assert "cannot be reached" not in str(refused.value)


def test_an_admin_can_allow_a_server_of_the_company(issuer: Issuer, settings: Any) -> None:
    """By TLS all the same: what answers here has none, so the attempt gets as far as its handshake."""
    settings.ISSUERS_ON_LOOPBACK = False
    settings.ISSUER_HOSTS = frozenset({"127.0.0.1"})
    with pytest.raises(NotFetched, match="cannot be reached"):
        fetching.get(issuer.url.replace("http:", "https:") + DISCOVERY)
    with pytest.raises(NotFetched, match="must begin with https"):
        fetching.get(issuer.url + DISCOVERY)
    assert not issuer.asked
