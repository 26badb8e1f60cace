"""Every page that a link leads to, in both themes and widths: axe, the console, its weight over the wire, its picture.

`make pictures` runs this with COUNTERSIGN_PICTURES set, which adds a picture of each page in all four looks."""

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client
from django.urls import Resolver404, resolve
from playwright.sync_api import Browser, CDPSession, ConsoleMessage, Page, sync_playwright

from accounts.models import User
from approvals.models import Notification, Proposal
from approvals.notifications import Topic, tell
from tests import browser
from tests.live import serving

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]
PICTURES = os.environ.get("COUNTERSIGN_PICTURES", "")
COLD = 150_000
"""Bytes that a page may cost with an empty cache, everything counted."""
WIDE, NARROW = {"width": 1360, "height": 900}, {"width": 390, "height": 844}
LOOKS: list[tuple[str, Any, str]] = [("wide", WIDE, "light"), ("narrow", NARROW, "dark")]
if PICTURES:
    LOOKS += [("wide", WIDE, "dark"), ("narrow", NARROW, "light")]
KNOWN = {
    *("approvals:queue_list", "approvals:queue", "approvals:proposal", "approvals:proposal_edit"),
    *("approvals:proposal_print", "approvals:agent_list", "approvals:agent", "approvals:setup"),
    *("accounts:people", "accounts:preferences", "accounts:absence", "accounts:team", "audit:explorer"),
}
"""Pages that have to be among those found, or the links are broken."""
LINKS = "() => [...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))"
ROLES = ("Leonie Brandt", "Margaret Doyle", "Ingrid Solheim", "Tomasz Wrona", "Astrid Hale")


@dataclass(slots=True)
class Crawl:
    """What one look at everything found; `seen` has one address per page, so that a list's rows count once."""

    seen: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    heaviest: tuple[int, str] = (0, "")


@pytest.fixture
def company(settings: Any, tmp_path: Path) -> Iterator[str]:
    settings.VAR = tmp_path
    call_command("demo_seed", proposals=160, waiting=25, verbosity=0)
    waiting = Proposal.objects.filter(state="pending").first()
    assert waiting is not None
    everybody = list(User.objects.values_list("pk", flat=True))
    tell(everybody, topic=Topic.COMMENTED, text="Somebody wrote about it.", key="e2e", proposal=waiting)
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=list(browser.ARGUMENTS))


@pytest.mark.parametrize(("name", "viewport", "scheme"), LOOKS, ids=[f"{a}-{c}" for a, _, c in LOOKS])
def test_every_page_in_this_look(
    chrome: Browser, company: str, name: str, viewport: Any, scheme: Any
) -> None:
    found = Crawl()
    for role in ROLES:
        _walk(chrome, company, role, found, viewport, scheme, f"{name}-{scheme}")
    assert found.faults == [], "\n".join(found.faults)
    assert found.seen.keys() >= KNOWN, sorted(KNOWN - found.seen.keys())
    print(
        f"{len(found.seen)} pages; the heaviest, {found.heaviest[1]}, weighs {found.heaviest[0]:,} bytes cold"
    )
    assert Notification.objects.exists()


def _walk(chrome: Browser, url: str, role: str, found: Crawl, viewport: Any, scheme: Any, look: str) -> None:
    client = Client()
    client.force_login(User.objects.get(name=role))
    context = chrome.new_context(
        base_url=url, viewport=viewport, color_scheme=scheme, reduced_motion="reduce"
    )
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}])
    page = context.new_page()
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
    heard = _listening(page, found)
    todo = [("/", 0)]
    opened: set[str] = set()
    while todo:
        path, steps = todo.pop(0)
        name = _name(path)
        if name is None or path in opened or (name in found.seen and steps > 1):
            continue
        opened.add(path)
        if name in found.seen:  # the first pages of each role lead to pages that others do not have
            page.goto(path)
            todo += [(href, steps + 1) for href in page.evaluate(LINKS)]
            continue
        found.seen[name] = path
        heard.clear()
        weight = _opened(page, wire, path)
        here = f"{role} {path}"
        found.faults += [f"{here}: {line}" for line in heard]
        _judge(page, here, weight, found)
        if PICTURES:
            target = Path(PICTURES) / f"{name.replace(':', '-')}-{look}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(target), full_page=True)
        todo += [(href, steps + 1) for href in page.evaluate(LINKS)]
    context.close()


def _listening(page: Page, found: Crawl) -> list[str]:
    heard: list[str] = []

    def console(message: ConsoleMessage) -> None:
        heard.append(f"{message.type}: {message.text}")

    page.on("console", console)
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    page.on("request", lambda request: None if "127.0.0.1" in request.url else heard.append(request.url))
    return heard


HEADERS = 300


@cache
def _sent(path: str) -> int | None:
    """What a static file weighs as it is served once collected: compressed, where that is smaller (here, tests serve
    the sources)."""
    found = finders.find(path.removeprefix("/static/"))
    if not isinstance(found, str):
        return None
    content = Path(found).read_bytes()
    return min(len(content), len(gzip.compress(content, 9))) + HEADERS


def _opened(page: Page, wire: CDPSession, path: str) -> int:
    """Open it with an empty cache; what came over the wire, in bytes."""
    sizes: list[int] = []
    names: dict[str, str] = {}

    def asked(event: dict[str, Any]) -> None:
        names[event["requestId"]] = urlsplit(event["request"]["url"]).path

    def finished(event: dict[str, Any]) -> None:
        name = names.get(event["requestId"], "")
        known = _sent(name) if name.startswith("/static/") else None
        sizes.append(int(event["encodedDataLength"]) if known is None else known)

    wire.on("Network.requestWillBeSent", asked)
    wire.on("Network.loadingFinished", finished)
    page.goto(path, wait_until="load")
    page.wait_for_timeout(150)
    wire.remove_listener("Network.loadingFinished", finished)
    wire.remove_listener("Network.requestWillBeSent", asked)
    return sum(sizes)


def _judge(page: Page, here: str, weight: int, found: Crawl) -> None:
    for violation in Axe().run(page).response["violations"]:
        found.faults.append(f"{here}: axe {violation['id']}: {violation['nodes'][0]['html'][:200]}")
    wider = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wider > 0:
        found.faults.append(f"{here}: {wider} px wider than the screen")
    if weight > COLD:
        found.faults.append(f"{here}: {weight:,} bytes over the wire")
    if weight > found.heaviest[0]:
        found.heaviest = (weight, here)


def _name(href: str) -> str | None:
    """The name of the page an address leads to; None for what is no page of ours."""
    parts = urlsplit(href)
    if parts.scheme or parts.netloc or not parts.path.startswith("/") or parts.path.startswith("/static/"):
        return None
    try:
        match = resolve(parts.path)
    except Resolver404:
        return None
    if "admin" in match.namespaces:
        return "admin:index" if match.view_name == "admin:index" else None
    return match.view_name or None
