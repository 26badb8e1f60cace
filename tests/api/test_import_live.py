"""The import addresses on a running server: waiting, allowances, and the migration page's graph as it is printed."""

import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from os import environ
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings

from approvals.models import Proposal
from approvals.states import State
from config import limits, waiting
from config.rates import Rate
from tests.api.importing import ROOT, decide, interrupt
from tests.api.listening import PATIENCE, until
from tests.factories import Desk, desk
from tests.live import serving
from tests.sdk.pages import blocks, demo_desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its own, and however busy the machine is: what is tested is what a bucket says, not how fast it says so."""
    monkeypatch.setattr(limits, "PATIENCE", 30.0)
    monkeypatch.setattr(limits, "_away_until", -1.0)
    monkeypatch.setattr(settings, "SECRET_KEY", secrets.token_hex(32))
    usual = settings.LIMITS.usual
    three = replace(usual, rates={**usual.rates, "propose": Rate(1, 3)})
    monkeypatch.setattr(settings, "LIMITS", replace(settings.LIMITS, usual=three))


def post(url: str, the: Desk, body: Any, key: str = "turn-1") -> httpx.Response:
    headers = the.headers | {"Idempotency-Key": key}
    return httpx.post(f"{url}{ROOT}/agent-inbox", headers=headers, json=body, timeout=PATIENCE)


def beside(url: str, the: Desk, path: str) -> tuple[threading.Thread, list[httpx.Response]]:
    """A GET in a thread of its own; its answer comes into the list."""
    got: list[httpx.Response] = []
    address = f"{url}{ROOT}/{path}?wait=60"
    thread = threading.Thread(
        target=lambda: got.append(httpx.get(address, headers=the.headers, timeout=PATIENCE)), daemon=True
    )
    thread.start()
    return thread, got


@pytest.mark.parametrize("form", ["agent-inbox", "authzen/tasks"])
def test_who_waits_is_answered_by_the_decision(url: str, form: str) -> None:
    the = desk()
    proposal_id = post(url, the, interrupt(the)).json()["proposal"]["id"]
    thread, got = beside(url, the, f"{form}/{proposal_id}")
    until(lambda: bool(waiting.hub._waiting))
    decide(the.reviewer, proposal_id, "approve")
    thread.join(PATIENCE)
    assert got[0].status_code == 200
    if form == "agent-inbox":
        assert got[0].json()["response"]["type"] == "accept"
    else:
        assert got[0].json()["task"]["status"] == "approved"
    known = the.headers | {"If-None-Match": got[0].headers["ETag"]}
    again = httpx.get(f"{url}{ROOT}/{form}/{proposal_id}?wait=60", headers=known, timeout=PATIENCE)
    assert again.status_code == 304


def test_waiting_for_nobodys_is_refused_as_reading_is(url: str) -> None:
    the = desk()
    own = the.propose().pk
    stranger = httpx.get(f"{url}{ROOT}/authzen/tasks/{own}?wait=60", headers=desk().headers, timeout=PATIENCE)
    assert stranger.status_code == 404
    other_way = httpx.get(f"{url}{ROOT}/agent-inbox/{own}?wait=60", headers=the.headers, timeout=PATIENCE)
    assert (other_way.status_code, other_way.json()["code"]) == (404, "not_found")


def test_a_list_costs_as_many_proposals_as_it_holds(url: str, buckets: None) -> None:
    the = desk()
    assert post(url, the, [interrupt(the)] * 3).status_code == 200
    refused = [post(url, the, [interrupt(the)] * 3, key=str(number)) for number in range(2)]
    assert refused[0].status_code == 429 or refused[1].status_code == 429
    last = next(one for one in refused if one.status_code == 429)
    assert (last.json()["code"], int(last.headers["Retry-After"]) >= 1) == ("too_many_requests", True)


@contextmanager
def program(url: str, the: Desk, source: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run it until it has proposed something; it is waited for when the block has decided."""
    path = folder / "agent.py"
    path.write_text(source, encoding="utf-8")
    running = subprocess.Popen(
        [sys.executable, str(path)],
        cwd=folder,
        env=environ
        | {
            "COUNTERSIGN_URL": url,
            "COUNTERSIGN_TOKEN": the.token,
            "HUMANLAYER_API_BASE": f"{url}{ROOT}/humanlayer",
            "HUMANLAYER_API_KEY": the.token,
            "PYTHONPATH": str(Path(__file__).parent),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: Proposal.objects.exists() or running.poll() is not None)
        assert running.poll() is None, running.communicate()[1]
        yield running
    finally:
        running.kill()


def test_agent_inboxs_page_runs_as_it_is_printed(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A LangGraph graph that interrupts in Agent Inbox's shape, resumed with what a reviewer decided in the browser."""
    the = demo_desk(monkeypatch)
    source = "\n".join(blocks("agent-inbox.md", "python"))
    with program(url, the, source, tmp_path) as running:
        proposal = Proposal.objects.get()
        assert proposal.idempotency_key.startswith("ticket-21/")
        decide(the.reviewer, proposal.pk, "approve")
        printed, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, errors
    assert [printed] == blocks("agent-inbox.md", "text")
    assert Proposal.objects.get().state == State.SUCCEEDED


CALLING = """
def reverse_refund(refund_id, amount, reason):
    return f"Took {amount} back for {refund_id}."


print(approved(reverse_refund)(refund_id="rf_0123456789", amount=42.5, reason="It turned up."))
"""


@pytest.mark.parametrize(
    ("verb", "form", "words", "state"),
    [
        ("approve", {}, "Took 42.5 back for rf_0123456789.", State.SUCCEEDED),
        ("reject", {"reason": "wrong_amount", "comment": "Half."}, "Comment: Half.", State.REJECTED),
    ],
)
def test_humanlayers_page_redeems_before_it_acts(
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    form: dict[str, str],
    words: str,
    state: State,
) -> None:
    the = demo_desk(monkeypatch)
    stand_in = "import humanlayer_stand_in\n\nhumanlayer_stand_in.install()\n"
    source = stand_in + "\n".join(blocks("humanlayer.md", "python")) + CALLING
    with program(url, the, source, tmp_path) as running:
        decide(the.reviewer, Proposal.objects.get().pk, verb, **form)
        printed, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, errors
    assert printed.strip().endswith(words)
    assert Proposal.objects.get().state == state
