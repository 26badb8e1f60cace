"""Agents that are killed (signal 9) at the worst moments, by every way to connect one, while the server is killed too.

Two processes a way: one dies after the redemption and before the money moves, the other after it has moved and before
anybody was told. The server dies while all of them wait, and their decisions fall while it is away."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from approvals.models import Grant, Proposal, Verdict
from tests.factories import Desk, desk
from tests.sdk.processes import ROOT, answers, process, until

pytestmark = pytest.mark.django_db(transaction=True)
DOOMED = ROOT / "tests" / "sdk" / "doomed.py"
WAYS = ("client", "decorator", "langchain", "langgraph", "pydantic-ai", "openai-agents")
MOMENTS = ("redeemed", "ran")
PATIENCE = 240
"""Seconds for a dozen processes that load frameworks, all at once, on a busy machine. A grant lives longer."""


def started(way: str, *orders: str, folder: Path, known: dict[str, str]) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, str(DOOMED), way, *orders],
        cwd=folder,
        env=known,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(running: subprocess.Popen[str]) -> tuple[int, str, str]:
    said, complaints = running.communicate(timeout=PATIENCE)
    return running.returncode, said, complaints


@pytest.fixture
def the() -> Desk:
    the = desk()
    the.action_type.grant_seconds = 3600
    the.action_type.save(update_fields=["grant_seconds"])
    return the


@pytest.mark.timeout(900)
def test_nothing_runs_twice_and_the_next_run_is_told(the: Desk, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    known = os.environ | {
        "PYTHONPATH": str(ROOT / "sdk" / "src"),
        "COUNTERSIGN_URL": address,
        "COUNTERSIGN_TOKEN": the.token,
        "ACTION_TYPE": the.action_type.name,
    }
    known.pop("COUNTERSIGN_TOKEN_FILE", None)
    running: dict[tuple[str, str], subprocess.Popen[str]] = {}
    try:
        with process(port) as server:
            until(lambda: answers(address))
            for way in WAYS:
                for moment in MOMENTS:
                    running[way, moment] = started(
                        way, moment, folder=tmp_path / way, known=known | {"DIE": "1"}
                    )
            until(lambda: all_wait(running), PATIENCE)
            server.send_signal(signal.SIGKILL)
            server.wait(20)
        for proposal in Proposal.objects.all():
            the.decide(proposal, Verdict.APPROVE)
        with process(port):
            died = {name: ended(one) for name, one in running.items()}
            assert [
                f"{name}: {said} {wrong[-3000:]}" for name, (code, said, wrong) in died.items() if code != -9
            ] == []
            before = moved(tmp_path)
            assert before == {way: {"ran": 1} for way in WAYS}
            assert [one.state for one in Proposal.objects.all()] == ["executing"] * len(running)
            again = {way: started(way, *MOMENTS, folder=tmp_path / way, known=known) for way in WAYS}
            running |= {(way, "again"): one for way, one in again.items()}
            told = {way: ended(one) for way, one in again.items()}
    finally:
        for one in running.values():
            one.kill()
            one.wait(20)
    assert moved(tmp_path) == before
    assert Proposal.objects.count() == Grant.objects.exclude(redeemed_at=None).count() == len(WAYS) * 2
    for way, (code, said, complaints) in told.items():
        assert code == 0, f"{way}: {complaints}"
        for words in map(json.loads, said.splitlines()):
            assert "not run again" in words, f"{way}: {words}"
            assert ("already_redeemed" in words) is (way in ("client", "decorator")), f"{way}: {words}"
        assert len(said.splitlines()) == len(MOMENTS)


def all_wait(running: dict[tuple[str, str], subprocess.Popen[str]]) -> bool:
    """Every process has proposed. One that has ended by then says why."""
    for (way, moment), one in running.items():
        assert one.poll() is None, f"{way}, {moment}: {ended(one)}"
    return Proposal.objects.filter(state="pending").count() == len(running)


def moved(folder: Path) -> dict[str, Counter[str]]:
    """How often the money moved, by way and order."""
    files = {way: folder / way / "paid" for way in WAYS}
    return {
        way: Counter(path.read_text("utf-8").split() if path.exists() else []) for way, path in files.items()
    }
