"""The browser of the tests marked `browser`: where it is, who sits at it, and the few words by which a test uses it.

A test must not be faster than its page. `press` waits until the page takes keys; whatever leads to another page stands
inside `with leaving(page):` or is followed by `arrived(page, heading)`; what is read once is read after the page's own
answer. `expect` tries again for PATIENCE seconds (tests/e2e/conftest.py), so a busy machine is slow and never wrong."""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    TimeoutError,
    ViewportSize,
    expect,
)

from accounts.models import User
from approvals import news

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
WIDE: ViewportSize = {"width": 1360, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}
PICTURES = os.environ.get("COUNTERSIGN_PICTURES", "")
"""A directory for pictures of the pages that are checked, for people who want to look at them."""
PATIENCE = 45
"""Seconds for which a test waits for what ought to happen at once: longer than a busy machine needs, and than the slow
pulse by which a page finds out what no stream has told it."""
REFUSALS = ("status of 409", "status of 422", "Code 409", "Code 422")
"""The browser's own notes of a refusal, for tests that mean to be refused."""


def chromium() -> str | None:
    """The program's path: CHROMIUM from the environment, or the first one found."""
    if named := os.environ.get("CHROMIUM"):
        return named if Path(named).is_file() else None
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


# — Who sits at it

_HEAR = """window.said = []; new MutationObserver(() => {
    const words = document.getElementById("announcer")?.textContent;
    if (words && words !== window.said.at(-1)) window.said.push(words);
}).observe(document, { subtree: true, childList: true, characterData: true })"""


def signed_in(chrome: Browser, url: str, user: User, **options: Any) -> BrowserContext:
    """A browser of this person; the session is made as the sign-in page would make it."""
    client = Client()
    client.force_login(user)
    context = chrome.new_context(base_url=url, **{"viewport": WIDE, **options})
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}])
    context.add_init_script(_HEAR)
    return context


def watched(context: BrowserContext, meant: Sequence[str] = ()) -> tuple[Page, list[str]]:
    """A page and what it complains about: console messages, faults, requests to anywhere else.

    `meant`: what may be complained about, such as the browser's own note of a refusal ("status of 409").
    """
    page = context.new_page()
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if not any(words in message.text for words in meant):
            complaints.append(f"{message.type}: {message.text}")

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("request", lambda request: None if "127.0.0.1" in request.url else complaints.append(request.url))
    return page, complaints


# — Being there, pressing keys, going on

_TAKES_KEYS = """() => document.readyState === "complete" && document.fonts.status === "loaded"
    && Boolean(window.countersign) && !document.documentElement.classList.contains("is-arriving")
    && !document.querySelector("[data-gate-rest][hidden]")"""
_IS_ANOTHER = f"() => !document.getElementById('main').isLeft && ({_TAKES_KEYS})()"


def ready(page: Page) -> None:
    """Wait until the page is painted, its scripts run, and it is not on its way to another one."""
    page.wait_for_function(_TAKES_KEYS, timeout=PATIENCE * 1000)


def arrived(page: Page, heading: str | re.Pattern[str]) -> None:
    """Wait for the page with this level-1 heading, as a person does before he presses a key."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    ready(page)


def press(page: Page, *keys: str) -> None:
    """Press keys on the keyboard one after the other, each once the page takes it."""
    for key in keys:
        ready(page)
        page.keyboard.press(key)


@contextmanager
def leaving(page: Page) -> Iterator[None]:
    """What is done inside leads to another page, or puts another in the place of this: go on when that one is there."""
    ready(page)
    page.evaluate("document.getElementById('main').isLeft = true")
    yield
    page.wait_for_function(_IS_ANOTHER, timeout=PATIENCE * 1000)


def holding(page: Page) -> None:
    """Wait until the proposal is on screen and claimed."""
    expect(page.locator("#lease")).to_contain_text("Yours")
    ready(page)


def take_next(page: Page) -> None:
    """By its key; the next proposal is then on screen and held."""
    with leaving(page):
        press(page, "n")
    holding(page)


def read_all(page: Page) -> None:
    """Bring all of a proposal that cannot be undone into view, until the gate opens (static/js/desk.js)."""
    words = page.locator("[data-gate-words]")
    for _ in range(200):
        if words.text_content() == "All of it was in view.":
            break
        page.locator("[data-gate-rest]").evaluate(_SHOW_THE_REST)
    expect(words).to_have_text("All of it was in view.")


_SHOW_THE_REST = """(button) => {
    button.click();
    return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""


def announced(page: Page, *words: str) -> None:
    """Wait until a screen reader has been told one of these, also where something else has been said since."""
    page.wait_for_function(
        "(words) => window.said.some((one) => words.some((each) => one.includes(each)))",
        arg=list(words),
        timeout=PATIENCE * 1000,
    )


def posted(page: Page) -> list[str]:
    """The paths that the page posts to from now on: what it has asked the server to do."""
    paths: list[str] = []
    page.on(
        "request",
        lambda request: paths.append(urlsplit(request.url).path) if request.method == "POST" else None,
    )
    return paths


_LISTEN = """() => { window.heard ??= (document.addEventListener("countersign:news",
    (event) => window.heard.push(...event.detail.topics)), []); }"""


def heard(page: Page, person: User) -> set[str]:
    """The topics this page has heard of since it was asked last, up to a hint that its person is sent now.

    Asked for the first time after a page was opened, it waits until the page's stream is there.
    """
    marker = news.person_topic(person.pk)
    page.evaluate(_LISTEN)
    deadline = time.monotonic() + PATIENCE
    while marker not in page.evaluate("window.heard"):
        assert time.monotonic() < deadline, "the page hears nothing"
        news.people_told([person.pk])
        with suppress(TimeoutError):
            page.wait_for_function("(topic) => window.heard.includes(topic)", arg=marker, timeout=3000)
    return set(page.evaluate("window.heard.splice(0)")) - {marker}


def soon(is_true: Callable[[], bool], *, within: float = PATIENCE) -> None:
    """For what a page sends without waiting for an answer, such as when it is left."""
    deadline = time.monotonic() + within
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


# — How it looks

_AT_REST = """() => Promise.all(document.getAnimations()
    .filter((each) => each instanceof CSSTransition).map((each) => each.finished.catch(() => null)))"""


def faults(page: Page, name: str) -> list[str]:
    """What axe finds, and whether the page is wider than the window; a picture of it where pictures are wanted."""
    expect(page.locator(".htmx-request")).to_have_count(0)
    page.evaluate(_AT_REST)  # in the middle of a transition a colour is none of the design's
    picture(page, name)
    violations = Axe().run(page).response["violations"]
    found = [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in violations]
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*found, *([f"{wider} px too wide"] if wider > 0 else [])]


def picture(page: Page, name: str) -> None:
    """A picture of the whole page, where COUNTERSIGN_PICTURES names a directory."""
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        words = re.sub(r"[^\w.]+", "-", name).strip("-")
        page.screenshot(path=Path(PICTURES) / f"{words}.png", full_page=True)
