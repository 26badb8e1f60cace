"""Every page that a link leads to, in both themes and widths: axe, the console, its weight over the wire, its picture.

`make pictures` runs this with COUNTERSIGN_PICTURES set, which adds a picture of each page in all four looks."""

import gzip
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.urls import Resolver404, resolve
from playwright.sync_api import Browser, CDPSession, Page, expect

from accounts.models import User
from agents.models import Agent
from approvals.models import Notification, Proposal
from approvals.notifications import Topic, tell
from approvals.services import send_webhooks, webhooks
from tests import database
from tests.browser import NARROW, PICTURES, WIDE, faults, signed_in, watched
from tests.receiver import allow_loopback

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
COLD = 150_000
"""Bytes that a page may cost with an empty cache, everything counted."""
LOOKS: list[tuple[str, Any, str]] = [("wide", WIDE, "light"), ("narrow", NARROW, "dark")]
if PICTURES:
    LOOKS += [("wide", WIDE, "dark"), ("narrow", NARROW, "light")]
KNOWN = {
    *("approvals:queue_list", "approvals:queue", "approvals:proposal", "approvals:proposal_edit"),
    *("approvals:proposal_print", "approvals:agent_list", "approvals:agent", "approvals:setup"),
    *("approvals:monitor", "approvals:stop_list", "approvals:blind_list", "approvals:probe_library"),
    *(
        "approvals:probe_record",
        "approvals:backtest_list",
        "approvals:dispute_list",
        "approvals:incident_list",
    ),
    *("approvals:incident_report", "approvals:mandate", "agents:version_list", "approvals:what_if"),
    *("accounts:people", "accounts:preferences", "accounts:absence", "accounts:team", "audit:explorer"),
    *("approvals:webhook_list", "approvals:webhook_add", "approvals:webhook", "approvals:webhook_edit"),
    *("approvals:webhook_rotate", "approvals:webhook_delivery", "approvals:network_list"),
    *("audit:log", "audit:event", "approvals:trail", "approvals:subject_list", "approvals:retention"),
}
"""Pages that have to be among those found, or the links are broken."""
LINKS = "() => [...document.querySelectorAll('a[href]:not([download])')].map(a => a.getAttribute('href'))"
OWNER = "Ingrid Solheim"
ROLES = ("Leonie Brandt", "Margaret Doyle", OWNER, "Tomasz Wrona", "Astrid Hale")


@dataclass(slots=True)
class Crawl:
    """What one look at everything found; `seen` has one address per page, so that a list's rows count once."""

    seen: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    heaviest: tuple[int, str] = (0, "")


@pytest.fixture
def company(url: str, settings: Any, tmp_path: Path) -> str:
    settings.VAR = tmp_path
    with database.acting_as("owner"):  # as `prepare` does: nobody else may say when something happened
        call_command("demo_seed", proposals=160, waiting=25, verbosity=0)
    waiting = Proposal.objects.filter(state="pending").first()
    assert waiting is not None
    everybody = list(User.objects.values_list("pk", flat=True))
    _listens()
    tell(everybody, topic=Topic.COMMENTED, text="Somebody wrote about it.", key="e2e", proposal=waiting)
    return url


def _listens() -> None:
    """An endpoint of the owner's that nothing answers at, so that its pages have something to say."""
    allow_loopback()
    agent = Agent.objects.get(slug="refund-desk")
    added, _ = webhooks.add(
        agent_id=agent.pk, url="http://127.0.0.1:9/", events=[], label="", actor=agent.owner
    )
    webhooks.test(endpoint_id=added.pk, actor=agent.owner)
    send_webhooks.send_due()


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
    user = User.objects.get(name=role)
    context = signed_in(chrome, url, user, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    page, heard = watched(context)
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
    todo = [("/", 0)]
    if role == ROLES[0]:  # whichever proposal the links lead to first may be one that nobody edits any more
        mine = Proposal.objects.filter(state="pending", queue__slug="refunds").values_list("pk", flat=True)
        todo += [(f"/proposals/{pk}/", 1) for pk in mine[:4]]
    if role == OWNER:
        todo += [("/agents/refund-desk/webhooks/", 1)]
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
        found.faults += [f"{here}: {fault}" for fault in faults(page, f"{name}-{look}")]
        found.faults += [f"{here}: {line}" for line in heard]
        _weigh(here, weight, found)
        todo += [(href, steps + 1) for href in page.evaluate(LINKS)]
    context.close()


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
    expect(page.locator(".htmx-request")).to_have_count(0)
    page.wait_for_timeout(150)
    wire.remove_listener("Network.loadingFinished", finished)
    wire.remove_listener("Network.requestWillBeSent", asked)
    return sum(sizes)


def _weigh(here: str, weight: int, found: Crawl) -> None:
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
