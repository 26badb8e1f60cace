"""What holds for every test: browser tests need a browser, and say so loudly where there is none."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from approvals import news
from config import limits
from tests import browser, database, toolchains
from tests.smtp import MailServer, receiving

SHARED_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def pytest_configure() -> None:
    """With REQUIRE_BROWSER=1 (continuous integration) the absence of a browser is an error. Parallel processes share a
    Redis whose channels know no databases, so each has a channel of its own: what one changes is no news to another.
    Redis may answer late on a busy machine; it is away only where a test takes it away."""
    news.CHANNEL += os.environ.get("PYTEST_XDIST_WORKER", "")
    limits.PATIENCE = 10.0
    if os.environ.get("REQUIRE_BROWSER") == "1" and not browser.chromium():
        raise pytest.UsageError(
            "REQUIRE_BROWSER=1, but no Chromium was found. Install it (apt install chromium) or name it: CHROMIUM=/path"
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests out whose tool is not there, a browser, Go or Node; the closing lines say so."""
    wanted = [item for item in items if item.get_closest_marker("browser")]
    if wanted and not browser.chromium():
        items[:] = [item for item in items if item not in wanted]
        config.hook.pytest_deselected(items=wanted)
    wanted = [item for item in items if item.get_closest_marker("go")]
    if wanted and not toolchains.has_go():
        items[:] = [item for item in items if item not in wanted]
        config.hook.pytest_deselected(items=wanted)
    wanted = [item for item in items if item.get_closest_marker("node_mcp")]
    if wanted and not toolchains.has_node_mcp():
        items[:] = [item for item in items if item not in wanted]
        config.hook.pytest_deselected(items=wanted)
    wanted = [item for item in items if item.get_closest_marker("node")]
    if wanted and not toolchains.has_node():
        items[:] = [item for item in items if item not in wanted]
        config.hook.pytest_deselected(items=wanted)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not browser.chromium():
        terminalreporter.section("BROWSER TESTS DID NOT RUN", sep="!", red=True, bold=True)
        terminalreporter.line(
            "No Chromium was found. Install it (apt install chromium) or name it: CHROMIUM=/path"
        )
    if not toolchains.has_go():
        terminalreporter.section("GO'S TRANSPARENCY LOG DID NOT CHECK OURS", sep="!", red=True, bold=True)
        terminalreporter.line(toolchains.MISSING)
    if not toolchains.has_node_mcp():
        terminalreporter.section(
            "MCP CLIENTS AND SERVERS OF OTHERS DID NOT RUN", sep="!", red=True, bold=True
        )
        terminalreporter.line(toolchains.NO_NODE_MCP)
    if not toolchains.has_node():
        terminalreporter.section(
            "NODE DID NOT RUN WHAT THE DOCUMENTS PRINT FOR IT", sep="!", red=True, bold=True
        )
        terminalreporter.line(toolchains.NO_NODE)
    if not SHARED_DATA.is_dir():
        terminalreporter.section("REAL PROPOSALS WERE NOT REPLAYED", sep="!", yellow=True, bold=True)
        terminalreporter.line(
            "There is no ../shared/data beside this directory, so tests used the samples in tests/ only."
        )


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Who makes the tests' database owns it, as in every installation."""
    database.become("owner")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """From here on the tests are the application's own role, and may do no more in the database than web may."""
    emptying = database.Emptying()
    with pytest.MonkeyPatch.context() as patch:
        # On the class: inside a browser's event loop Django has a connection object of its own.
        patch.setattr(type(connection.ops), "execute_sql_flush", lambda _, statements: emptying(statements))
        database.become("app")
        yield
    emptying.close()
    database.become("owner")


@pytest.fixture(autouse=True)
def _nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proposal is drawn for a review after the fact, unless a test says how the coin falls."""
    submit = sys.modules.get("approvals.services.submit")
    if submit is not None:
        monkeypatch.setattr(submit._random, "random", lambda: 0.999999)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path, for Playwright's `executable_path`."""
    path = browser.chromium()
    assert path is not None, "browser tests are left out where no browser is"
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path | None:
    """Recorded proposals of real agents, or None on a machine that has none; the closing lines then say so."""
    return SHARED_DATA if SHARED_DATA.is_dir() else None


@pytest.fixture
def mailbox(settings: Any) -> Iterator[MailServer]:
    """Our own mail server, and the settings that lead there."""
    with receiving() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.MAIL = replace(settings.MAIL, host="127.0.0.1")
        yield server
