"""What is taken out of the log: exact, bounded in memory, harmless in a spreadsheet, checkable without us, logged."""

import csv
import hashlib
import io
import json
import subprocess
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client

from accounts.models import assign_role
from accounts.roles import Role
from accounts.services import people
from approvals.models import Verdict
from audit import search, spreadsheet
from audit.models import AuditEvent
from audit.search import Wanted
from audit.tlog import merkle, notes
from tests.audit.sealed import SIGNER, seal, settled
from tests.factories import admin, desk, person
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def log_dir(settings: Any, tmp_path: Path) -> Path:
    settings.LOG_DIR = tmp_path / "log"
    return tmp_path / "log"


def auditor() -> Client:
    user = person("Audra Auditor")
    assign_role(Role.AUDITOR, to=user)
    client = Client()
    client.force_login(user)
    return client


def exported(client: Client, form: str, query: str = "") -> bytes:
    settled()
    response = client.post(f"/audit/export/?{query}", {"form": form})
    assert response.status_code == 200, response
    return b"".join(response) if response.streaming else response.content


def unpacked(content: bytes, into: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(into)
    return into


def checked(folder: Path, *key: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(folder / "verify.sh"), *key], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'<U+0009>x"),
        ("\rx", "'<U+000D>x"),
        ("  =1", "'  =1"),
        ("＝1", "'＝1"),
        ("a=1", "a=1"),
        ("a\u202eb", "a<U+202E>b"),
        ("a\nb", "a<U+000A>b"),
        ("zero\u200bwidth", "zero<U+200B>width"),
        (None, ""),
        ({"a": "ö"}, '{"a":"ö"}'),
        (7, "7"),
    ],
)
def test_a21_cell_stays_a_text(value: object, shown: str) -> None:
    assert spreadsheet.cell(value) == shown


def test_a21_table_is_read_back_whole_and_starts_no_formula() -> None:
    people.invite(
        email="x@example.com", name='=HYPERLINK("https://evil.example","x"), "quoted"', actor=admin()
    )
    desk()
    client = auditor()

    text = exported(client, "csv").decode("utf-8-sig")

    assert text.count("\n") == text.count("\r\n")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    wanted = AuditEvent.objects.exclude(kind__startswith="log.").order_by("recorded_at", "id")
    assert [int(row["event"]) for row in rows] == list(wanted.values_list("pk", flat=True))
    assert [cell for row in rows for cell in row.values() if cell[:1] in set("=+-@\t\r")] == []
    assert any('"name":"=HYPERLINK' in row["after"] for row in rows)


def test_json_lines_are_exact_and_carry_their_leaves(log_dir: Path) -> None:
    people.invite(email="x@example.com", name="zero\u200bwidth \u2028 “quoted”", actor=admin())
    the = desk()
    the.decide(the.propose(), Verdict.REJECT)
    seal(log_dir, upto=AuditEvent.objects.get(kind="proposal.voted").pk)

    client = auditor()
    invited = json.loads(exported(client, "jsonl", "kind=person.created"))
    assert "zero\u200bwidth \u2028 “quoted”" in invited["content"]

    lines = exported(client, "jsonl", "kind=proposal.").decode().split("\n")

    assert lines.pop() == ""
    found = [json.loads(line) for line in lines]
    assert [one["kind"] for one in found] == ["proposal.pending", "proposal.voted", "proposal.rejected"]
    assert [one["leaf"] is None for one in found] == [False, False, True]
    for one in found:
        event = AuditEvent.objects.get(pk=one["event"])
        assert one["content"] == event.content
        made = hashlib.sha256(bytes.fromhex(one["salt"]) + one["content"].encode()).hexdigest()
        assert made == one["commitment"] == bytes(event.commitment).hex()


def test_export_is_logged_before_with_filter_and_count() -> None:
    desk()
    client = auditor()

    lines = exported(client, "jsonl", "kind=agent.registered&words=&page=1").splitlines()

    event = AuditEvent.objects.get(kind="log.exported")
    detail = event.data["detail"]
    assert (detail["form"], detail["asked"], detail["count"]) == ("jsonl", {"kind": "agent.registered"}, 1)
    assert (len(lines), event.data["actor"]["label"]) == (1, "Audra Auditor")
    assert [one.kind for one in client.get("/audit/?kind=log.").context["events"]] == ["log.exported"]


@pytest.mark.parametrize("query", ["kind=nonsense", "since=yesterday", "policy_version=x"])
def test_filter_that_cannot_be_read_exports_nothing(query: str) -> None:
    desk()
    client = auditor()

    response = client.post(f"/audit/export/?{query}", {"form": "csv"})

    assert (response.status_code, AuditEvent.objects.filter(kind="log.exported").exists()) == (302, False)
    assert "Nothing was exported" in client.get(response["Location"]).content.decode()
    assert client.get("/audit/export/").status_code == 405


def test_selection_in_parts_is_the_whole_and_ends_at_its_horizon() -> None:
    the = desk()
    settled()
    below = search.horizon()
    the.decide(the.propose(), Verdict.APPROVE)
    settled()

    assert search.count(Wanted(), below) < search.count(Wanted(), search.horizon())
    for wanted in (Wanted(), Wanted(actor_kind="human", actor_id=str(admin().pk))):
        parts = list(search.selection(wanted, below, at_once=3))
        events = [event.pk for part in parts for event in part]
        assert all(len(part) <= 3 for part in parts)
        assert events == sorted(set(events))
        assert len(events) == search.count(wanted, below) > 3
        assert all(event.transaction < below for part in parts for event in part)


def test_large_export_needs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand parts of which one is held: the stream's own memory does not grow with their number."""
    desk()
    part = list(AuditEvent.objects.all())

    def many(wanted: Wanted, below: int) -> Iterator[list[AuditEvent]]:
        for _ in range(1000):
            yield part

    monkeypatch.setattr(search, "selection", many)
    response = auditor().post("/audit/export/", {"form": "csv"})
    tracemalloc.start()
    sent = sum(len(piece) for piece in response)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert sent > 2_000_000
    assert most < 1_000_000


def test_export_arrives_piece_by_piece_over_a_port() -> None:
    desk()
    client = auditor()
    settled()
    with serving() as url:
        form = {"form": "jsonl", "csrfmiddlewaretoken": "x" * 32}
        cookies = {"sessionid": client.cookies["sessionid"].value, "csrftoken": "x" * 32}
        with httpx.stream("POST", f"{url}/audit/export/", data=form, cookies=cookies) as answer:
            assert (answer.status_code, answer.headers.get("transfer-encoding")) == (200, "chunked")
            lines = [json.loads(line) for line in answer.iter_lines()]
        page = httpx.get(f"{url}/audit/", cookies=cookies)
    assert len(lines) == AuditEvent.objects.exclude(kind__startswith="log.").count()
    assert (
        page.headers["content-length"] == str(len(page.content)) or "gzip" in page.headers["content-encoding"]
    )


def test_evidence_is_proved_by_ordinary_commands(log_dir: Path, tmp_path: Path) -> None:
    people.invite(email="x@example.com", name="zero\u200bwidth, 'quotes' and \\ \U0001f600", actor=admin())
    the = desk()
    the.decide(the.propose(), Verdict.REJECT)
    made = seal(log_dir)
    client = auditor()

    folder = unpacked(exported(client, "zip", "sealed=sealed"), tmp_path / "out")
    result = checked(folder, str(SIGNER.verifier))

    assert (result.returncode, result.stdout.count("WRONG")) == (0, 0), result.stdout + result.stderr
    assert f"{made.size} events, {made.size} proved to be in the log, 0 without" in result.stdout
    proofs = json.loads((folder / "proofs.json").read_text())
    for one in proofs["proofs"]:
        leaf = merkle.leaf_hash(one["entry"].encode())
        path = [bytes.fromhex(step["hash"]) for step in one["path"]]
        assert merkle.is_included(leaf, one["leaf"], made.size, path, made.root)
    assert notes.opened((folder / "checkpoint").read_text(), SIGNER.verifier) == made
    assert "zero" in (folder / "bundle.html").read_text()
    assert "\u200b" not in (folder / "bundle.html").read_text()


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("events.jsonl", "not_allowed", "was_allowed", "not what its commitment was made of"),
        ("events.jsonl", '"kind":"proposal.voted"', '"kind":"proposal.noted"', "says something else"),
        ("events.jsonl", '"recorded_at":"20', '"recorded_at":"19', "is not in the log"),
        ("checkpoint", "log.example/test\n", "log.example/best\n", "not signed"),
        ("proofs.json", '"side": "left"', '"side": "right"', "not of leaf"),
    ],
)
def test_evidence_that_was_changed_is_refused(
    log_dir: Path, tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    the = desk()
    the.decide(the.propose(), Verdict.REJECT)
    seal(log_dir)
    folder = unpacked(exported(auditor(), "zip", "kind=proposal."), tmp_path / "out")
    assert checked(folder, str(SIGNER.verifier)).returncode == 0
    path = folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))

    result = checked(folder, str(SIGNER.verifier))

    assert result.returncode == 1
    assert said in result.stdout


def test_evidence_under_another_key_is_refused(log_dir: Path, tmp_path: Path) -> None:
    desk()
    seal(log_dir)
    folder = unpacked(exported(auditor(), "zip", "sealed=sealed"), tmp_path / "out")

    result = checked(folder, "log.example/test+00000000+AAAA")

    assert (result.returncode, "not the one that you trust" in result.stdout) == (1, True)


def test_one_event_is_taken_with_its_proof(log_dir: Path, tmp_path: Path) -> None:
    desk()
    seal(log_dir)
    event = AuditEvent.objects.get(kind="agent.registered")
    client = auditor()

    response = client.post(f"/audit/events/{event.pk}/proof/")

    folder = unpacked(response.content, tmp_path / "out")
    assert "1 events, 1 proved" in checked(folder, str(SIGNER.verifier)).stdout
    assert AuditEvent.objects.get(kind="log.exported").data["detail"]["asked"] == {"event": event.pk}


def test_evidence_to_print_is_bounded(log_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from audit import evidence_bundle

    desk()
    made = seal(log_dir)
    client = auditor()

    page = exported(client, "print", "sealed=sealed").decode()
    assert page.count("Proved: leaf") == made.size
    monkeypatch.setattr(evidence_bundle, "MOST", 3)
    response = client.post("/audit/export/?sealed=sealed", {"form": "print"})
    assert response.status_code == 302
    assert f"{made.size} events are selected" in client.get(response["Location"]).content.decode()
    assert AuditEvent.objects.filter(kind="log.exported").count() == 1
