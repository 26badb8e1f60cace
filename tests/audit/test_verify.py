"""Exporting and verifying offline: parts of a log, kept texts, restored backups, every edge of a tile, one file."""

import ast
import io
import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cryptography
import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit import chain, content, exporting, proofs, recording
from audit.events import Kind, Target, system
from audit.management.commands.audit_verifier import write as write_verifier
from audit.models import AuditEvent, AuditLeaf, ContentKind
from audit.sealer_database import Database
from audit.sealer_files import SealerFiles
from audit.sealing import Sealer
from audit.tlog import command, findings, folder, leaves, merkle, notes, stretches, tiles
from audit.tlog.report import Trust
from audit.tlog.rows import PER_FILE, file_name
from tests import database, factories
from tests.audit import sealed, tampering
from tests.audit.tampering import Log

ROOT = Path(__file__).resolve().parents[2]
LATER = {
    "datetime": {"UTC"},
    "typing": {"Self", "Never", "assert_never", "LiteralString"},
    "enum": {"StrEnum"},
}
"""Names of the standard library that Python 3.10 has not."""
START = datetime(2026, 1, 1, tzinfo=UTC)


def grown(path: Path, sizes: list[int], *, turned: bool = False, first: int = 0) -> Path:
    """An export of made-up events with a checkpoint at each size, and the rows from leaf `first` on."""
    (path / "events").mkdir(parents=True)
    (path / "checkpoints").mkdir()
    lines: dict[int, list[str]] = defaultdict(list)
    note = ""
    for before, size in zip([0, *sizes], sizes, strict=False):
        data = []
        for number in range(before, size):
            text, salt = _said(number).encode(), number.to_bytes(32, "big")
            digest = chain.commitment(salt, text)
            at = leaves.written(START + timedelta(seconds=number))
            transaction_ = 1 if turned and number == size - 1 else 700 + number
            leaf = leaves.Leaf(number + 1, "person.signed_in", at, transaction_, digest.hex())
            data.append(leaf.data)
            if number >= first:
                lines[number // PER_FILE].append(_line(number, leaf, text.decode(), salt))
        root = folder.append(path, before, data)
        note = sealed.SIGNER.note(notes.Checkpoint(sealed.ORIGIN, size, root).text)
        with (path / "checkpoints" / "2026-01-01").open("a") as file:
            file.write(note)
    for place, rows in lines.items():
        (path / file_name(place)).write_text("".join(rows))
    (path / "checkpoint").write_text(note)
    (path / "key").write_text(f"{sealed.SIGNER.verifier}\n")
    events = {"first": first, "count": sizes[-1] - first, "pending": 0}
    manifest = {"version": 1, "events": events, "with_content": False}
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def _said(number: int) -> str:
    """Every fifth with what JSON has to escape twice."""
    label = 'Ada \\"the first\\" \\\\ \\n' if number % 5 == 0 else "Ada"
    return (
        f'{{"actor":{{"id":"7","kind":"human","label":"{label}"}},"kind":"person.signed_in",'
        f'"object":{{"id":"{number}","type":"person"}}}}'
    )


def _line(number: int, leaf: leaves.Leaf, text: str, salt: bytes) -> str:
    row = exporting.Line(
        leaf=number, event=leaf.event, transaction=str(leaf.transaction), recorded_at=leaf.time, kind=leaf.kind,
        actor_kind="human", actor_id="7", object_type="person", object_id=str(number), object_version=None,
        content=text, salt=salt.hex(), commitment=leaf.commitment,
    )  # fmt: skip
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"


@pytest.mark.parametrize("sizes", [[1], [255], [256], [257, 511, 512], [513, 600]])
def test_every_edge_of_a_tile(sizes: list[int], tmp_path: Path) -> None:
    report, text = tampering.found(grown(tmp_path / "e", sizes), Trust((sealed.SIGNER.verifier,)))
    assert report.holds, text
    assert (report.events, report.checkpoints) == (sizes[-1], len(sizes))


def test_more_than_one_stretch_by_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """66,000 leaves: three levels of tiles, and rows in two files; then one of them is changed."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    path = grown(tmp_path / "e", [65_535, 65_537, 66_000], first=59_500)
    trust = Trust((sealed.SIGNER.verifier,))
    report, text = tampering.found(path, trust)
    assert report.holds, text
    assert (report.events, report.size, report.checkpoints) == (6_500, 66_000, 3)
    assert report.root == folder.Folder(path, 66_000).root()
    file = path / "events/000006.jsonl"
    file.write_text(
        file.read_text().replace('"person","object_id":"65536"', '"person","object_id":"65537"', 1)
    )
    report, text = tampering.found(path, trust)
    assert (
        "Of event 65537 (person.signed_in, leaf 65536), the column object_id is not what the content" in text
    )
    assert report.findings.total == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(count=st.integers(0, 700), at=st.integers(0, 700))
def test_roots_at_every_size_are_those_of_the_definition(count: int, at: int) -> None:
    hashes = [merkle.leaf_hash(str(number).encode()) for number in range(count)]
    rows = stretches.rows_above(hashes)
    at = min(at, count)
    assert stretches.root(stretches.peaks(rows, at)) == merkle.root(
        lambda level, index: rows[level][index], at
    )


def test_an_order_that_no_restore_explains(tmp_path: Path) -> None:
    path = grown(tmp_path / "e", [40], turned=True)
    report, text = tampering.found(path, Trust((sealed.SIGNER.verifier,)))
    assert set(report.findings.counts) == {"order"}
    assert "At leaf 39 an event follows that was committed before the one in front of it." in text


def test_a_part_by_leaves_and_by_days(log: Log, tmp_path: Path) -> None:
    report, text = tampering.found(log.export(tmp_path / "a", first=3, last=9), log.trust())
    assert report.holds, text
    assert (report.first, report.events, report.size) == (3, 7, len(log.events))
    assert f"The rows of {len(log.events) - 7} events outside the exported range" in text
    today = timezone.now().date()
    report, text = tampering.found(
        log.export(tmp_path / "b", since=today - timedelta(days=1), until=today), log.trust()
    )
    assert report.holds, text
    with pytest.raises(exporting.Refused, match="No event is there to export"):
        log.export(tmp_path / "c", since=today + timedelta(days=2))
    assert not (tmp_path / "c").exists()


def test_exporting_is_recorded_first_and_never_overwrites(log: Log, tmp_path: Path, settings: object) -> None:
    settings.LOG_DIR = log.path  # type: ignore[attr-defined]
    out = io.StringIO()
    call_command("audit_export", str(tmp_path / "e"), stdout=out)
    size = len(log.events)
    assert out.getvalue().startswith(f"{size} events, leaves 0 to {size - 1} of {size}, in ")
    event = AuditEvent.objects.get(kind=Kind.LOG_EXPORTED)
    detail = event.data["detail"]
    assert (detail["first"], detail["last"], detail["content"]) == (0, size - 1, False)
    with pytest.raises(CommandError, match="is there already"):
        call_command("audit_export", str(tmp_path / "e"))
    (tmp_path / "e" / "UNFINISHED").touch()
    with pytest.raises(CommandError, match=r"holds an export that was interrupted. Remove it \(rm -r "):
        call_command("audit_export", str(tmp_path / "e"))
    assert AuditEvent.objects.filter(kind=Kind.LOG_EXPORTED).count() == 1


def test_an_export_that_breaks_off_is_known(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "_copy_log", full)
    with pytest.raises(OSError, match="No space"):
        log.export(tmp_path / "e")
    report, text = tampering.found(tmp_path / "e", log.trust())
    assert "The export was interrupted before it was whole." in text
    assert not report.holds
    assert AuditEvent.objects.filter(kind=Kind.LOG_EXPORTED).exists()


def test_nothing_sealed_yet_says_what_to_do(transactional_db: None, tmp_path: Path, settings: object) -> None:
    settings.LOG_DIR = tmp_path / "nothing"  # type: ignore[attr-defined]
    with pytest.raises(CommandError, match="nothing was sealed yet"):
        call_command("audit_export", str(tmp_path / "e"))


@pytest.fixture
def texts(log: Log) -> list[str]:
    """Three kept texts named by one sealed event: plain, not UTF-8, and one whose time was up."""
    bodies = [b"Refund the order, please.", b"\xff\x00", b"gone"]
    with transaction.atomic():
        kept = content.keep(
            [content.New(ContentKind.PROMPT, ("customer", "c-17"), body) for body in bodies],
            at=timezone.now(),
        )
        recording.record(
            actor=system("test"), kind=Kind.ACTIVITY_RECORDED, target=Target("trace", "1"),
            detail={"items": [content.named(one) for one in kept]},
        )  # fmt: skip
    type(kept[2]).objects.filter(pk=kept[2].pk).update(
        ciphertext=None, gone_at=timezone.now(), gone_why="retention"
    )
    log.checkpoints.append(sealed.seal(log.path).size)
    return [str(one.pk) for one in kept]


def test_kept_texts_are_checked_and_erased_ones_named(log: Log, texts: list[str], tmp_path: Path) -> None:
    path = log.export(tmp_path / "e", content=True)
    report, text = tampering.found(path, log.trust())
    assert report.holds, text
    assert report.contents > 3, "what reviewers were shown is kept too"
    assert report.gone == 1
    assert json.loads((path / f"content/{texts[0]}.json").read_text())["body"] == "Refund the order, please."
    assert json.loads((path / f"content/{texts[2]}.json").read_text())["gone"] == "retention"
    first, second = (path / f"content/{one}.json" for one in texts[:2])
    first.write_text(first.read_text().replace("please", "at once"))
    _, text = tampering.found(path, log.trust())
    assert f"The content {texts[0]}, named by event " in text
    assert "was exchanged" in text
    first.write_bytes(second.read_bytes())
    second.unlink()
    report, text = tampering.found(path, log.trust())
    assert report.findings.counts == {"content": 2}, text
    (path / "content" / f"{texts[0][:-1]}z.json").write_text("{}")
    _, text = tampering.found(path, log.trust())
    assert "is named by no event of this export" in text


def test_a_restored_backup_is_found_unless_the_log_records_it(log: Log, tmp_path: Path) -> None:
    """The database goes back to an old state, the files stay; then the log is told."""
    size, kept = len(log.events), log.checkpoints[1]
    with tampering.untriggered() as intruder:
        intruder.execute("DELETE FROM audit_auditevent WHERE id = ANY(%s)", [log.events[kept:]])
        intruder.execute("DELETE FROM audit_auditleaf WHERE number >= %s", [kept])
    report, text = tampering.found(log.export(tmp_path / "a"), log.trust())
    assert report.findings.counts["missing"] == size - kept, text
    with transaction.atomic():
        recording.record(
            actor=system("seal"), kind=Kind.LOG_RESTORED, target=Target("log", "log"),
            detail={"why": "disk died, by Olga", "leaves": size, "lost": [[kept, size - 1]], "lost_count": size - kept,
                    "unexplained": [], "unexplained_count": 0, "left": [], "left_count": 0, "floor": size},
        )  # fmt: skip
    _seal_behind(log, size)
    report, text = tampering.found(log.export(tmp_path / "b"), log.trust())
    assert report.holds, text
    assert f"{size - kept} sealed events have no row, because the database was set back to a backup" in text
    assert "disk died, by Olga" in text


def _seal_behind(log: Log, size: int) -> None:
    """What has no leaf goes behind leaves whose rows are gone, as the sealer puts it after a restore."""
    known = AuditLeaf.objects.values_list("event", flat=True)
    events = AuditEvent.objects.exclude(pk__in=known).order_by("transaction", "id")
    entries = [(event.pk, proofs.leaf_of(event).data) for event in events]
    root = folder.append(log.path, size, [data for _, data in entries])
    with tampering.untriggered() as writer:
        for number, (event, data) in enumerate(entries, size):
            row = [number, event, merkle.leaf_hash(data)]
            writer.execute("INSERT INTO audit_auditleaf (number, event, hash) VALUES (%s, %s, %s)", row)
    note = sealed.SIGNER.note(notes.Checkpoint(sealed.ORIGIN, size + len(entries), root).text)
    (log.path / "checkpoint").write_text(note)
    with next((log.path / "checkpoints").iterdir()).open("a") as file:
        file.write(note)


def test_the_command_needs_neither_settings_nor_database(export: Path, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "nowhere", "DATABASE_URL": "nothing"}
    arguments = [
        sys.executable,
        "manage.py",
        "audit_verify",
        str(export),
        "--key",
        str(sealed.SIGNER.verifier),
    ]
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "VERIFIED. " in done.stdout
    other = notes.Verifier(sealed.ORIGIN, bytes(32))
    done = subprocess.run(
        [*arguments[:-1], str(other)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "Somebody else signed this log than the one whose key you trust." in done.stdout
    done = subprocess.run(
        [*arguments[:3], str(tmp_path / "none")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2


def test_one_file_with_cryptography_alone(export: Path, tmp_path: Path) -> None:
    """No site-packages, no repository: only the standard library, the file, and what cryptography needs."""
    verifier, again = tmp_path / "verifier.pyz", tmp_path / "again.pyz"
    write_verifier(verifier)
    write_verifier(again)
    assert verifier.read_bytes() == again.read_bytes()
    packages = Path(cryptography.__file__).parent.parent
    alone = tmp_path / "packages"
    alone.mkdir()
    for name in (
        "cryptography",
        "cffi",
        "pycparser",
        *(file.name for file in packages.glob("_cffi_backend*")),
    ):
        if (packages / name).exists():
            (alone / name).symlink_to(packages / name)
    key = tmp_path / "log.vkey"
    key.write_text(str(sealed.SIGNER.verifier))
    done = subprocess.run(
        [sys.executable, "-S", "-s", str(verifier), str(export), "--key", str(key)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(alone)},
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "VERIFIED. " in done.stdout
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(verifier), str(export)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == "This needs the Python package cryptography: python3 -m pip install cryptography\n"


def test_the_verifier_is_written_for_python_3_10() -> None:
    """Its grammar, and the names of the standard library that came later."""
    for path in sorted((ROOT / "audit" / "tlog").glob("*.py")):
        tree = ast.parse(path.read_text(), feature_version=(3, 10))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                names = {name.name for name in node.names}
                assert not names & LATER.get(node.module or "", set()), path
                assert node.module != "tomllib", path


def test_hostile_files_end_in_findings(export: Path) -> None:
    """Whatever an export says, the verifier says what is wrong with it, and nothing reaches the terminal raw."""
    log = tampering.original()
    (export / "checkpoints" / "2026-11-23").write_bytes(b"\x1b[2J\xff")
    (export / "timestamps" / f"{log.checkpoints[1]}.tsr").write_bytes(b"\x30\x80" * 999)
    (export / "timestamps" / f"{log.checkpoints[1]}.txt").write_text("\x1b]0;owned\x07\n")
    (export / "cosignatures" / "5").write_text("\n\n— \x1b 0\n")
    (export / "events" / "000001.jsonl").write_text("[" * 100_000)
    (export / "events" / "unsealed.jsonl").write_text(
        '{"event":"\x1b[31m","kind":[[]],"recorded_at":{}}\n[]\n'
    )
    report, text = tampering.found(export, log.trust())
    assert {"history", "timestamp", "cosignature", "extra", "unsealed"} <= set(report.findings.counts)
    assert not any(ord(sign) < 32 and sign != "\n" for sign in text)


def test_a_checkpoint_that_claims_any_size(export: Path) -> None:
    """The signature is right; the leaves are not there, and nobody waits for them."""
    log = tampering.original()
    note = sealed.SIGNER.note(notes.Checkpoint(sealed.ORIGIN, 10**15, bytes(32)).text)
    (export / "checkpoint").write_text(note)
    manifest = json.loads((export / "manifest.json").read_text())
    manifest["events"]["count"] = 10**15
    (export / "manifest.json").write_text(json.dumps(manifest))
    report, text = tampering.found(export, log.trust())
    assert "bundle" in report.findings.counts
    assert "signed statements, because leaves before their end are missing" in text


def test_findings_are_bounded(tmp_path: Path) -> None:
    path = grown(tmp_path / "e", [300])
    file = path / "events/000000.jsonl"
    file.write_text(file.read_text().replace('"actor_id":"7"', '"actor_id":"8"'))
    report, text = tampering.found(path, Trust((sealed.SIGNER.verifier,)))
    assert report.findings.total == 300
    assert text.count("the column actor_id") == 20
    assert "✗ columns: 280 more like that." in text
    assert "NOT VERIFIED: 300 findings" in text
    assert tiles.WIDTH == 256
    assert (
        command.main([str(path), "--key", str(sealed.SIGNER.verifier)], program="x", out=io.StringIO()) == 1
    )


def test_every_finding_has_its_meaning_in_the_docs() -> None:
    text = (ROOT / "docs" / "audit.md").read_text()
    sections = set(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    assert sections == set(findings.MEANING)


def test_what_the_sealer_itself_wrote(transactional_db: None, tmp_path: Path) -> None:
    """Decisions, the sealer in its own role, an export, a verification: the whole way without a stand-in."""
    factories.desk().approved()
    files, path = SealerFiles(tmp_path / "sealer"), tmp_path / "log"
    with database.connected("sealer") as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        sealer = Sealer(database=Database(connection), files=files, log=path, origin="test.example/log")
        sealer.recover()
        deadline = (
            time.monotonic() + 60
        )  # it waits for the oldest transaction of the whole server, a neighbour's too
        while AuditLeaf.objects.count() < AuditEvent.objects.count() and time.monotonic() < deadline:
            sealer.step()
    exporting.export(log=path, into=tmp_path / "e", asked=exporting.Asked(), actor=system("test"))
    key = notes.verifier((path / "key").read_text())
    report, text = tampering.found(tmp_path / "e", Trust((key,)))
    assert report.holds, text
    assert report.events == report.size == AuditLeaf.objects.count()
    assert report.pending == 1, "the event of the export itself"
