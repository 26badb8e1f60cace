"""The pages of docs/connect, run as they are printed: every Python and shell block of each, against a live server.

Where a page shows what is printed, that is what has to be printed. A thread is the reviewer."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import connection

from agents.models import ActionType
from approvals.models import Proposal, Verdict
from config.demo.company import BLUEPRINTS
from tests import factories
from tests.factories import Desk
from tests.live import serving

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = ROOT / "docs" / "connect"
PYTHON = ("python.md", "langchain.md", "langgraph.md", "openai-agents.md", "pydantic-ai.md")
PROPOSALS = {"python.md": 2, "langchain.md": 2, "langgraph.md": 2, "openai-agents.md": 1, "pydantic-ai.md": 2}


def blocks(page: str, language: str) -> list[str]:
    """What the page has in this language, in order."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def _desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """An agent that may propose the demo's `reverse_refund`, as the demo's blueprint describes it."""
    [found] = [
        kind
        for path in BLUEPRINTS
        for kind in yaml.safe_load(path.read_text("utf-8"))["action_types"]
        if kind["name"] == "reverse_refund"
    ]
    described = {name: found[name] for name in ("name", "label", "schema", "currency", "material")}
    real = factories.action_type

    def demo(name: str = "", **extra: Any) -> ActionType:
        return real(**described, title_template=found["title"], amount_pointer=found["amount"])

    monkeypatch.setattr(factories, "action_type", demo)
    return factories.desk()


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
    the, over = _desk(monkeypatch), threading.Event()
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
                for told in [one.communicate(timeout=200)]
            }
        finally:
            for one in running.values():
                one.kill()
                one.wait()
            over.set()
            reviewer.join()


@pytest.mark.timeout(300)
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
    assert set(PYTHON) | {"http.md", "vercel-ai.md"} <= linked
