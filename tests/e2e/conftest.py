"""What every browser test stands on: the application on a real port, and a browser that is empty again afterwards."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from approvals import news
from tests import browser
from tests.live import serving

expect.set_options(timeout=browser.PATIENCE * 1000)
LONGEST = 400
"""Seconds for one test: looking at a dozen pages with axe takes a busy machine minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONGEST))


@pytest.fixture(scope="package", autouse=True)
def patient_news() -> Iterator[None]:
    """A busy machine's Redis may take longer than the second for which news wait for it before they are dropped."""
    usual, news.AWAY, news.post._client = news.AWAY, 15.0, None
    yield
    news.AWAY, news.post._client = usual, None


@pytest.fixture
def url() -> Iterator[str]:
    """The address of the application, which ends with the test."""
    with serving() as address:
        yield address


@pytest.fixture(scope="package")
def one_browser(chromium: str) -> Iterator[Browser]:
    """Starting it takes a second or two, so there is one for all of these tests."""
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright's loop runs in the test's own thread
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=list(browser.ARGUMENTS)) as launched,
    ):
        yield launched


@pytest.fixture
def chrome(one_browser: Browser, url: str) -> Iterator[Browser]:
    """The browser. Its windows are closed before the server goes, so that no page of one test speaks to the next."""
    yield one_browser
    for context in one_browser.contexts:
        context.close()
