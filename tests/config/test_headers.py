"""Every kind of answer, by every door, carries the headers that keep a browser from doing what nobody meant."""

import asyncio
import json
import os
import re
import subprocess
import sys
from typing import Any, cast

import httpx
import pytest
from django.test import Client
from django.urls import reverse

from config import asgi, headers
from config.preflight import ROOT
from tests.audit.test_coverage import address, routes
from tests.factories import admin, desk

pytestmark = pytest.mark.django_db(transaction=True)
ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": headers.PERMISSIONS,
}


def policy(response: Any) -> dict[str, list[str]]:
    parts = [part.split() for part in response.headers["content-security-policy"].split(";")]
    return {part[0]: part[1:] for part in parts if part}


def faults(response: Any) -> list[str]:
    """What one answer lacks."""
    found = [name for name, value in ALWAYS.items() if response.headers.get(name) != value]
    said = policy(response) if "content-security-policy" in response.headers else {}
    scripts = said.get("script-src", said.get("default-src", ["nothing said"]))
    if scripts not in (["'self'"], ["'none'"]):
        found.append(f"script-src {scripts}")
    if said.get("frame-ancestors") != ["'none'"] or said.get("base-uri") != ["'none'"]:
        found.append("frame-ancestors, base-uri")
    if "unsafe" in str(said) or "*" in str(said):
        found.append(f"a loose policy: {said}")
    if "cache-control" not in response.headers:
        found.append("cache-control")
    return found


def get(paths: list[str], **extra: Any) -> dict[str, httpx.Response]:
    """GET them all through the ASGI application, as uvicorn would."""

    async def ask() -> dict[str, httpx.Response]:
        transport = httpx.ASGITransport(app=cast(Any, asgi.application))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", **extra) as client:
            return {path: await client.get(path) for path in paths}

    return asyncio.run(ask())


def test_every_route_answers_with_all_headers() -> None:
    """Whatever the answer is: a page, a sign-in, a 404, a 405."""
    client = Client()
    client.force_login(admin())
    cookies = {"sessionid": client.cookies["sessionid"].value}
    paths = sorted(
        {address(route) for route, _ in routes() if not re.search(r"[(?^$\\]", route)} - {"/stream/"}
    )
    assert len(paths) > 100
    answers = get(paths, cookies=cookies)
    assert {path: found for path, answer in answers.items() if (found := faults(answer))} == {}
    assert {200, 302, 404, 405} <= {answer.status_code for answer in answers.values()}


def test_every_door_answers_with_all_headers() -> None:
    """Files, agents' JSON and problems, long-polls, streams refused, errors: with no session at all."""
    the = desk()
    proposal = the.propose()
    paths = [
        "/static/css/tokens.css",
        "/static/icons/sprite.svg",
        "/static/nothing-there.js",
        "/api/v1/me",
        f"/api/v1/proposals/{proposal.pk}?wait=1&after_version=0",
        f"/api/v1/proposals/{proposal.pk}?wait=x",
        "/stream/?watch=queues",
        "/no/such/page",
        "/account/login/",
        "/admin/login/",
        "/tlog/nothing",
        "/.well-known/jwks.json",
        "/healthz",
    ]
    answers = get(paths, headers=the.headers)
    assert {path: found for path, answer in answers.items() if (found := faults(answer))} == {}
    assert answers["/api/v1/me"].headers["cache-control"] == "no-store"
    assert answers["/account/login/"].status_code == 200


def test_a_fault_of_ours_has_the_headers_too_and_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("the secret is 4711")

    monkeypatch.setattr(asgi._bridge, "_application", broken)
    answer = get(["/queues/"])["/queues/"]
    assert (answer.status_code, answer.json()["code"], faults(answer)) == (500, "server_error", [])
    assert "4711" not in answer.text


@pytest.mark.parametrize(("within", "said"), [(True, "; includeSubDomains"), (False, "")])
def test_https_is_remembered_for_a_year(settings: Any, within: bool, said: str) -> None:
    assert b"strict-transport-security" not in headers.wanted(), "over http it would say nothing"
    settings.IS_HTTPS, settings.SECURE_HSTS_SECONDS = True, 365 * 24 * 3600
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = within
    assert headers.wanted()[b"strict-transport-security"].decode() == f"max-age=31536000{said}"


def test_an_answer_that_says_more_keeps_its_own_words() -> None:
    own = [(b"Cache-Control", b"public, max-age=300"), (b"content-security-policy", b"script-src 'self'")]
    completed = headers.completed(own)
    assert completed[:2] == own
    names = [name.lower() for name, _ in completed]
    assert len(names) == len(set(names))


def test_htmx_evaluates_nothing_and_speaks_to_nobody_else() -> None:
    page = Client().get(reverse("account_login")).content.decode()
    found = re.search(r"<meta name=\"htmx-config\" content='([^']+)'", page)
    assert found is not None
    config = json.loads(found[1])
    assert config["allowEval"] is False and config["allowScriptTags"] is False
    assert config["selfRequestsOnly"] is True and config["includeIndicatorStyles"] is False


def test_htmx_is_of_the_2_0_line_and_comes_from_here() -> None:
    page = Client().get(reverse("account_login")).content.decode()
    sources = re.findall(r"<script[^>]*\bsrc=\"([^\"]+)\"", page)
    assert sources and all(source.startswith("/static/") for source in sources)
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", page), "no script in the page"
    (path,) = [source for source in sources if "htmx" in source]
    script = get([path])[path]
    assert script.status_code == 200
    assert re.search(r"version:\s*\"2\.0\.\d+\"", script.text)


def _settings_under_https(*words: str) -> str:
    """What an installation behind https answers to a line of Python; in a process of its own."""
    answer = subprocess.run(
        [sys.executable, "-c", "import django; django.setup(); " + "; ".join(words)],
        cwd=ROOT,
        env=os.environ
        | {"COUNTERSIGN_URL": "https://c.example.org", "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return answer.stdout.strip().splitlines()[-1]


def test_cookies_under_https_belong_to_this_host_alone() -> None:
    said = _settings_under_https(
        "from django.conf import settings as s",
        "print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, "
        "s.SESSION_COOKIE_HTTPONLY, s.SESSION_COOKIE_SAMESITE, s.SESSION_COOKIE_PATH, s.SESSION_COOKIE_DOMAIN)",
    )
    assert said == "__Host-sessionid __Host-csrftoken True True True Lax / None"


def test_pages_are_led_to_https_and_agents_are_not() -> None:
    said = _settings_under_https(
        "import httpx",
        "from config.wsgi import application",
        "c = httpx.Client(transport=httpx.WSGITransport(app=application), base_url='http://c.example.org')",
        "p, a = c.get('/account/login/'), c.get('/api/v1/me')",
        "print(p.status_code, p.headers['location'], a.status_code)",
    )
    assert said == "301 https://c.example.org/account/login/ 401"
