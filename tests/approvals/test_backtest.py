"""Backtests: the command, the upload over HTTP, the worker that dies, who may see what."""

import asyncio
import io
import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from accounts.models import User
from agents import backtest_report
from approvals import tasks
from approvals.models import Backtest
from approvals.services import backtest
from audit.models import AuditEvent
from config.bridge import MAX_BODY, ROOMY, Bridge
from tests.factories import Desk, admin, desk, person

pytestmark = pytest.mark.django_db(transaction=True)


def rows(number: int, *, wrong_every: int = 0, **more: Any) -> bytes:
    made = []
    for n in range(number):
        at = (
            f"2026-01-{1 + n // 24:02d}T{n % 24:02d}:00:00Z"
            if n < 24 * 31
            else f"2026-02-{1 + (n - 744) // 24:02d}"
        )
        at = at if "T" in at else f"{at}T{n % 24:02d}:00:00Z"
        verdict = "reject" if wrong_every and n % wrong_every == 0 else "approve"
        line = {"at": at, "agent": "refund-bot", "action_type": "refund_order", "verdict": verdict}
        made.append(json.dumps({**line, "reviewer": f"r{n % 2}", "amount": 10, "currency": "EUR", **more}))
    return ("\n".join(made) + "\n").encode()


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


FORM = {"ceiling": "out_of_the_loop", "catch_rate": "1", "seeds": "2"}


def post(client: Client, content: bytes, *, name: str = "past.jsonl", **fields: str) -> Any:
    return client.post("/backtests/", {"file": SimpleUploadedFile(name, content), **FORM, **fields})


def uploaded(client: Client, content: bytes, **fields: str) -> Backtest:
    response = post(client, content, **fields)
    assert response.status_code == 302, response.content.decode()[:3000]
    return Backtest.objects.latest("id")


def words(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.fixture
def the() -> Desk:
    return desk()


# ── By command ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_command_tells_tier_time_and_reason(tmp_path: Path) -> None:
    file = tmp_path / "past.jsonl"
    file.write_bytes(rows(700))
    out = io.StringIO()
    call_command("backtest", str(file), "--json", "--seeds", "2", stdout=out)
    (key,) = json.loads(out.getvalue())["keys"]
    assert key["tier"] == "on_the_loop" and key["reached"]["on_the_loop"]["seeds"] == 2
    assert key["changes"][0]["at"] >= "2026-01-08" and "probes caught" in key["changes"][0]["words"]
    assert key["unreviewed"]["mean"] == 700 - key["reviews"]["mean"]
    assert key["money"]["EUR"]["wrong"] == "0.00"
    text = io.StringIO()
    call_command("backtest", str(file), "--ceiling", "in_the_loop", stdout=text)
    assert "In the loop" in text.getvalue() and "On the loop" not in text.getvalue()


def test_command_names_every_bad_line_and_computes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "past.jsonl"
    file.write_bytes(rows(3) + b'{"agent": "a"}\n' + rows(1, verdict="fine"))
    out = io.StringIO()
    with pytest.raises(CommandError) as refused:
        call_command("backtest", str(file), stdout=out)
    assert str(refused.value).startswith("Nothing was computed.\nline 4, action_type: give a text")
    assert "line 5, verdict: give one of approve" in str(refused.value)
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--on-p0", "0.2"], "on_p0"), (["--catch-rate", "2"], "catch rate"), (["--seeds", "0"], "seeds")],
)
def test_command_refuses_absurd_options(tmp_path: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("backtest", str(tmp_path / "none.jsonl"), *arguments)


def test_command_without_the_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="check the path"):
        call_command("backtest", str(tmp_path / "none.jsonl"))


# ── By upload ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_upload_is_run_by_the_worker_and_shown(the: Desk) -> None:
    client = signed_in(the.agent.owner)
    row = uploaded(client, rows(700), on_p0="0.94")
    assert row.state == "waiting" and row.options["overrides"] == {"on_p0": 0.94}
    assert "Waits for a worker" in words(client, f"/backtests/{row.pk}/")
    assert backtest.run_waiting() == 1
    row.refresh_from_db()
    assert (row.state, row.error) == ("done", "")
    page = words(client, f"/backtests/{row.pk}/")
    assert "refund-bot" in page and "after line" in page and "probes caught" in page
    assert page.count('class="plot__svg"') >= 2
    assert "Reviewers catch every error" in page
    assert client.get(f"/backtests/{row.pk}/result.json").json()["lines"] == 700
    assert client.get(f"/backtests/{row.pk}/progress/").headers["HX-Refresh"] == "true"
    assert backtest.run_waiting() == 0


def test_upload_says_the_same_as_the_command(the: Desk, tmp_path: Path) -> None:
    content = rows(400, wrong_every=90)
    row = uploaded(signed_in(the.agent.owner), content)
    backtest.run_waiting()
    row.refresh_from_db()
    file = tmp_path / "past.jsonl"
    file.write_bytes(content)
    out = io.StringIO()
    call_command("backtest", str(file), "--json", "--seeds", "2", stdout=out)
    assert row.result is not None
    assert json.loads(out.getvalue())["keys"] == row.result["keys"]


def test_faults_are_told_by_line_and_nothing_else_is_kept(the: Desk) -> None:
    client = signed_in(the.agent.owner)
    row = uploaded(client, rows(3) + b"{bad\n")
    backtest.run_waiting()
    row.refresh_from_db()
    assert row.state == "failed" and row.result is not None and set(row.result) == {"faults"}
    page = words(client, f"/backtests/{row.pk}/")
    assert "Nothing was computed." in page and "not JSON" in page and ">4<" in page


@pytest.mark.parametrize(
    ("content", "fields", "said"),
    [
        (b"\x1f\x8b\x08\x00" + b"0" * 50, {}, "not a text"),
        (b"PK\x03\x04" + b"0" * 50, {}, "not a text"),
        (b"\x00\x01\x02", {}, "not a text"),
        (b"", {}, "empty"),
        (b"{}", {"on_p0": "2"}, "from 0.6 to 0.9999"),
        (b"{}", {"alpha": "nan"}, "Enter a number"),
        (b"{}", {"seeds": "1000"}, "less than or equal to 20"),
        (b"{}", {"catch_rate": "1.5"}, "less than or equal to 1"),
        (b"{}", {"ceiling": "advisory"}, "not one of the available choices"),
    ],
)
def test_unfit_uploads_are_refused_beside_their_field(
    the: Desk, content: bytes, fields: dict[str, str], said: str
) -> None:
    response = post(signed_in(the.agent.owner), content, **fields)
    assert response.status_code == 422
    assert said in response.content.decode()
    assert not Backtest.objects.exists()


def test_ten_megabytes_are_the_most(the: Desk) -> None:
    response = post(signed_in(the.agent.owner), b"x" * (backtest.MAX_BYTES + 1))
    assert response.status_code == 422 and "larger than 10 MB" in response.content.decode()


def test_body_that_the_door_cut_off_is_called_too_large(the: Desk) -> None:
    """Of 12 MB the door hands on 11 and a bit, which no longer hold a whole file."""
    client = signed_in(the.agent.owner)
    boundary = "cut"
    parts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in FORM.items()
    )
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
    body = (parts + head).encode() + b"x" * ROOMY["/backtests/"]
    response = client.post("/backtests/", body, content_type=f"multipart/form-data; boundary={boundary}")
    assert response.status_code == 422 and "larger than 10 MB" in response.content.decode()
    assert not Backtest.objects.exists()


def test_markup_in_names_stays_text(the: Desk) -> None:
    client = signed_in(the.agent.owner)
    evil = '<img src=x onerror="alert(1)">'
    row = uploaded(client, rows(80, agent=evil, version=evil, action_type=evil), name="<b>.jsonl")
    bad = uploaded(client, json.dumps({evil: 1}).encode())
    backtest.run_waiting()
    for page in (words(client, f"/backtests/{row.pk}/"), words(client, f"/backtests/{bad.pk}/")):
        assert "<img" not in page and "&lt;img" in page
    assert "<b>.jsonl" not in words(client, "/backtests/")


def test_owners_managers_admins_and_auditors_may_and_each_sees_his_own(the: Desk) -> None:
    mine = uploaded(signed_in(the.agent.owner), rows(2))
    assert signed_in(admin()).get("/backtests/").status_code == 200
    for stranger, status in ((admin(), 404), (the.reviewer, 403)):
        client = signed_in(stranger)
        assert client.get(f"/backtests/{mine.pk}/").status_code == status
        assert client.get(f"/backtests/{mine.pk}/progress/").status_code == status
        assert client.get(f"/backtests/{mine.pk}/result.json").status_code == status
        assert client.post(f"/backtests/{mine.pk}/remove/").status_code == 404
    for nobody in (the.reviewer, person()):
        assert signed_in(nobody).get("/backtests/").status_code == 403
        assert post(signed_in(nobody), rows(1)).status_code == 403
    assert Client().get("/backtests/").status_code == 302
    assert Backtest.objects.count() == 1


def test_get_removes_nothing_and_removal_is_audited(the: Desk) -> None:
    client = signed_in(the.agent.owner)
    row = uploaded(client, rows(2))
    assert client.get(f"/backtests/{row.pk}/remove/").status_code == 405
    assert client.post(f"/backtests/{row.pk}/remove/").status_code == 302
    assert not Backtest.objects.exists()
    kinds = (
        AuditEvent.objects.filter(kind__startswith="backtest.").order_by("id").values_list("kind", flat=True)
    )
    assert list(kinds) == ["backtest.uploaded", "backtest.removed"]


def test_three_at_once_a_person(the: Desk) -> None:
    client = signed_in(the.agent.owner)
    for _ in range(backtest.MOST_WAITING):
        uploaded(client, rows(2))
    assert post(client, rows(2)).status_code == 409
    backtest.run_waiting()
    assert post(client, rows(2)).status_code == 302


# ── The worker ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_progress_is_kept_on_the_way(the: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest, "_EVERY", 0.0)
    row = uploaded(signed_in(the.agent.owner), rows(1300))
    seen: list[int] = []
    whole = backtest_report.backtest

    def watched(*args: Any) -> Any:
        going = whole(*args)
        while True:
            try:
                number = next(going)
            except StopIteration as ended:
                return ended.value
            yield number
            seen.append(Backtest.objects.get(pk=row.pk).progress)

    monkeypatch.setattr(backtest_report, "backtest", watched)
    backtest.run_waiting()
    row.refresh_from_db()
    assert row.state == "done" and row.total == 3 * 1300
    assert seen == sorted(seen) and len(set(seen)) >= 3 and 0 < seen[0] < row.total


def test_run_begins_again_after_its_worker_was_killed(
    the: Desk, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    """A worker dies in the middle with its connection: nobody runs it, the clock sees that, and it is begun again."""
    row = uploaded(signed_in(the.agent.owner), rows(700))
    arrived, killed = threading.Event(), threading.Event()
    whole = backtest_report.backtest

    def dying(*args: Any) -> Any:
        arrived.set()
        killed.wait(20)
        connections.close_all()  # what a kill leaves behind: the lock goes with the connection
        raise SystemExit

    monkeypatch.setattr(backtest_report, "backtest", dying)

    def work() -> None:
        with pytest.raises(SystemExit):
            backtest.run_waiting()
        connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    assert arrived.wait(20)
    assert not backtest.is_waiting(), "somebody is at it"
    assert backtest.run_waiting() == 0, "a second worker leaves it alone"
    killed.set()
    worker.join(20)
    row.refresh_from_db()
    assert row.state == "running"
    sent: list[int] = []
    monkeypatch.setattr(tasks.run_backtests, "apply_async", lambda **_: sent.append(1))
    tasks.tick()
    assert sent == [1]
    monkeypatch.setattr(backtest_report, "backtest", whole)
    assert tasks.run_backtests() == 1
    row.refresh_from_db()
    assert row.state == "done"
    tasks.tick()
    assert sent == [1]


def test_removed_while_it_runs_ends_the_run(the: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest, "_EVERY", 0.0)
    row = uploaded(signed_in(the.agent.owner), rows(1100))
    whole = backtest_report.backtest

    def removing(*args: Any) -> Any:
        backtest.remove(backtest_id=row.pk, actor=the.agent.owner)
        return (yield from whole(*args))

    monkeypatch.setattr(backtest_report, "backtest", removing)
    assert backtest.run_waiting() == 1
    assert not Backtest.objects.exists()


def test_fault_of_ours_ends_it_once_and_for_all(the: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    row = uploaded(signed_in(the.agent.owner), rows(2))

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(backtest_report, "backtest", broken)
    assert backtest.run_waiting() == 1
    row.refresh_from_db()
    assert row.state == "failed" and "could not be computed" in row.error
    assert not backtest.is_waiting()


def test_uploads_go_after_thirty_days(the: Desk) -> None:
    row = uploaded(signed_in(the.agent.owner), rows(2))
    backtest.run_waiting()
    now = timezone.now()
    assert backtest.sweep(now=now + timedelta(days=29)) == 0
    assert backtest.sweep(now=now + timedelta(days=31)) == 1
    assert not Backtest.objects.filter(pk=row.pk).exists()


def test_the_list_costs_the_same_with_one_and_with_three(the: Desk) -> None:
    client = signed_in(the.agent.owner)
    uploaded(client, rows(2))
    client.get("/backtests/")

    def queries() -> int:
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as caught:
            client.get("/backtests/")
        assert not any('"content"' in query["sql"] for query in caught.captured_queries)
        return len(caught)

    one = queries()
    uploaded(client, rows(2))
    uploaded(client, rows(2))
    assert queries() == one


# ── The door ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "method", "most"),
    [
        ("/backtests/", "POST", ROOMY["/backtests/"]),
        ("/backtests/", "PUT", MAX_BODY),
        ("/queues/", "POST", MAX_BODY),
    ],
)
def test_only_the_upload_takes_a_large_body(path: str, method: str, most: int) -> None:
    sizes: list[int] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        sizes.append(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [])
        return [b""]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * (1 << 20), "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        pass

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "http_version": "1.1",
        "headers": [],
    }
    bridge = Bridge(application)
    asyncio.run(bridge(scope, receive, send))
    bridge.close()
    assert most < sizes[0] <= most + (1 << 20)
