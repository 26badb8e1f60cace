"""The pages of docs/connect, run as they are printed: every Python and shell block of each, against a live server.

Where a page shows what is printed, that is what has to be printed. A thread is the reviewer."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.db import connection

from approvals.models import Proposal, Verdict
from config.demo import setup
from tests.factories import Desk
from tests.live import serving
from tests.sdk.pages import PAGES, ROOT, blocks, demo_desk

PYTHON = ("python.md", "langchain.md", "langgraph.md", "openai-agents.md", "pydantic-ai.md", "mcp.md")
PROPOSALS = {
    "python.md": 2,
    "langchain.md": 2,
    "langgraph.md": 2,
    "openai-agents.md": 1,
    "pydantic-ai.md": 2,
    "mcp.md": 1,
}


def _review(the: Desk, over: threading.Event) -> None:
    """Approve whatever comes, until it is over."""
    try:
        while not over.is_set():
            for proposal in Proposal.objects.filter(state="pending"):
                the.decide(proposal, Verdict.APPROVE)
            over.wait(0.1)
    finally:
        connection.close()


@pytest.fixture
def printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> dict[str, tuple[int, str, str]]:
    """Exit code, output and errors of every page; they run side by side."""
    the, over = demo_desk(monkeypatch), threading.Event()
    reviewer = threading.Thread(target=_review, args=(the, over))
    with serving() as url:
        environment = os.environ | {
            "COUNTERSIGN_URL": url,
            "COUNTERSIGN_TOKEN": the.token,
            "PYTHONPATH": str(ROOT / "sdk" / "src"),
        }
        environment.pop("COUNTERSIGN_TOKEN_FILE", None)
        running = {}
        for page in (*PYTHON, "http.md"):
            folder = tmp_path / page
            folder.mkdir()
            if page in PYTHON:
                (folder / "agent.py").write_text("\n".join(blocks(page, "python")), encoding="utf-8")
                command = [sys.executable, "agent.py"]
            else:
                command = ["sh", "-e", "-c", "\n".join(blocks(page, "sh"))]
            running[page] = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        reviewer.start()
        try:
            return {
                page: (one.returncode, *told)
                for page, one in running.items()
                for told in [one.communicate(timeout=400)]
            }
        finally:
            for one in running.values():
                one.kill()
                one.wait()
            over.set()
            reviewer.join()


@pytest.mark.timeout(500)
def test_every_page_does_what_it_says(printed: dict[str, tuple[int, str, str]]) -> None:
    for page, (code, output, errors) in printed.items():
        assert code == 0, f"{page}: {errors}"
        assert output == "".join(blocks(page, "text")), page
    made = Proposal.objects.order_by("pk").select_related("outcome")
    assert [one.state for one in made] == ["succeeded"] * (sum(PROPOSALS.values()) + 1)


def test_every_page_is_listed_and_led_to() -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([a-z-]+\.md)\)", index))
    assert {path.name for path in PAGES.glob("*.md")} - {"README.md"} <= linked
    assert f"var/demo/{setup.newcomer_path().name}" in index
    assert set(PYTHON) | {"http.md", "vercel-ai.md"} <= linked
