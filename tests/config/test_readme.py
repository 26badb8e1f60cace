"""The README's walk-through, run as it is printed; only address and data directory are the test's own."""

import re
import stat
import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands
from django.db import connection
from django.utils import timezone

from accounts.models import User
from approvals.ballots import Ballot
from approvals.models import Proposal, Verdict
from approvals.services import settle
from approvals.services.decide import decide
from config.demo import company, people, setup
from tests.live import serving

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def script() -> str:
    """All shell blocks of the walk-through, in order."""
    part = README.split("<!-- walk-through -->")[1].split("<!-- /walk-through -->")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", part, re.DOTALL))


def reviewer_approves() -> None:
    """The one step that the README leaves to a person at the browser."""
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        proposal = Proposal.objects.filter(action_type__name="reverse_refund", state="pending").first()
        if proposal is not None:
            decide(
                proposal_id=proposal.pk,
                reviewer=User.objects.get(email=people.PEOPLE[0].email),
                ballot=Ballot(verdict=Verdict.APPROVE, revision=1, version=1, seen=True),
            )
            settle.settle_due(
                now=timezone.now() + timedelta(minutes=1)
            )  # what beat does after the undo window
            break
        time.sleep(0.1)
    connection.close()


@pytest.mark.timeout(400)
@pytest.mark.django_db(transaction=True)
def test_walk_through_works_as_pasted() -> None:
    setup.set_up_company()
    token = setup.newcomer_path().read_text("utf-8")
    setup.set_up_company()
    assert setup.newcomer_path().read_text("utf-8") == token
    assert stat.S_IMODE(setup.newcomer_path().stat().st_mode) == 0o600
    assert company.NEWCOMER not in setup.read_tokens()  # or the made-up agents would take up its proposals
    person = threading.Thread(target=reviewer_approves)
    with serving() as url:
        text = script().replace("http://127.0.0.1:8000", url).replace("var/demo", str(settings.VAR))
        person.start()
        result = subprocess.run(
            ["sh", "-e", "-c", text],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    person.join()
    assert result.returncode == 0, result.stderr
    [proposal] = Proposal.objects.filter(action_type__name="reverse_refund")
    assert (proposal.state, proposal.outcome.external_id) == ("succeeded", "psp-4711")
    assert '"status":"executing"' in result.stdout


def test_commands_in_the_documents_exist() -> None:
    """Every `manage.py x` and `make x` that README or docs name is there."""
    texts = [README, *(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))]
    named = {command for text in texts for command in re.findall(r"manage\.py ([a-z_]+)", text)}
    assert named - set(get_commands()) == set()
    targets = set(
        re.findall(r"^([a-z-]+)(?: [a-z-]+)*:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for line in re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE):
        targets |= set(line.split())
    made = {target for text in texts for target in re.findall(r"`make ([a-z-]+)", text)}
    assert made - targets == set()
