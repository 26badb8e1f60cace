"""What was set back: the database, the log's files, the sealer's own directory; and what has to be told before it goes
on. On a server of its own."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connections
from pytest_django import DjangoDbBlocker

from audit import rebuilding, restoring, sealer_database, sealer_files
from audit.models import AuditEvent
from audit.sealer_files import Refused
from audit.tlog import notes
from audit.tlog.notes import Signer
from config import addresses
from config.embedded.postgres import Postgres
from tests import sealing
from tests.sealing import Log

Tell = Callable[[], str]


@pytest.fixture
def log(server: Postgres, tmp_path: Path) -> Log:
    """Ten events are sealed, in three checkpoints."""
    made = sealing.fresh_log(server, tmp_path)
    for times in (3, 3, 4):
        made.write(times=times)
        made.seal()
    return made


@pytest.fixture
def owner(log: Log, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Django's connection is the owner's, to this log's database."""
    ours = connections["default"]
    before = ours.settings_dict
    with django_db_blocker.unblock():
        ours.close()
        ours.settings_dict = {**before, **addresses.entry(log.urls["owner"])}
        yield
        ours.close()
        ours.settings_dict = before


@pytest.fixture
def tell(log: Log, owner: None) -> Tell:
    """`manage.py seal --after-restore`."""
    return lambda: restoring.after_restore(
        files=log.files, log=log.path, why="Ada: disk failure, backup of 3 am"
    )


def restore(log: Log, *, keep: int) -> None:
    """As a backup of the database does: events, leaves and the numbering are those of an earlier moment."""
    with log.as_intruder() as intruder:
        intruder.execute("DELETE FROM audit_auditevent WHERE id > %s", [keep])
        intruder.execute("DELETE FROM audit_auditleaf WHERE event > %s", [keep])
        intruder.execute("SELECT setval(pg_get_serial_sequence('audit_auditevent', 'id'), %s)", [keep])


def refusal(log: Log) -> str:
    """It refuses, and signs nothing."""
    before = log.checkpoints()
    with pytest.raises(Refused) as refused:
        log.seal()
    assert log.checkpoints() == before
    return str(refused.value)


def test_a_restored_database_is_refused_until_it_is_told(log: Log, tell: Tell) -> None:
    restore(log, keep=8)
    assert "leaf 8 names event 9 (person.signed_in, " in refusal(log)
    assert "2 of 10 leaves name events that this database has lost" in tell()
    (event,) = AuditEvent.objects.filter(kind="log.restored")
    detail = event.data["detail"]
    assert (detail["lost"], detail["leaves"], detail["left"]) == ([[8, 9]], 10, [])
    assert detail["why"] == "Ada: disk failure, backup of 3 am"
    (new,) = log.write()
    assert min(event.pk, new) > 10, "no number of a leaf is used again"
    log.seal()
    assert log.check() == [*range(1, 11), event.pk, new]
    log.write()
    assert log.seal() == 13


def test_events_under_numbers_that_leaves_have_are_sealed_as_well(log: Log, tell: Tell) -> None:
    """Written between the restore and the moment when somebody told it."""
    restore(log, keep=7)
    again = log.write(times=5)
    assert again == [8, 9, 10, 11, 12]
    assert "which has another content" in refusal(log)
    tell()
    (event,) = AuditEvent.objects.filter(kind="log.restored")
    assert (event.data["detail"]["lost"], event.data["detail"]["left"]) == ([[7, 9]], [[8, 12]])
    log.write(times=2)
    log.seal()
    assert log.check() == [*range(1, 11), *again, event.pk, event.pk + 1, event.pk + 2]
    index = dict(_index(log))
    assert [index[number] for number in range(10, 15)] == again


def test_a_copy_in_another_server_numbers_its_transactions_anew(
    log: Log, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dump keeps the events' transactions; the new server's begin below them. Nothing is lost by that."""
    with log.as_intruder() as intruder:
        log.write(times=4)
        intruder.execute("UPDATE audit_auditevent SET transaction = transaction + 1000000000 WHERE id > 10")
    with monkeypatch.context() as patch:  # the server in which they were written had come so far
        sealed_there = sealer_database._NEW.replace(
            "pg_snapshot_xmin(pg_current_snapshot())::text::bigint", "9e15"
        )
        patch.setattr(
            sealer_database, "_NEW", sealed_there.replace("LIMIT %(limit)s", "LIMIT least(3, %(limit)s)")
        )
        with log.sealer() as one:
            assert one.step() == 3
    unsealed, new = log.events()[-1], log.write()
    assert "numbers its transactions from below" in refusal(log)
    assert "0 of 13 leaves" in tell()
    log.seal()
    log.write()
    log.seal()
    (told,) = AuditEvent.objects.filter(kind="log.restored")
    assert log.check() == [*range(1, 14), *new, unsealed, told.pk, told.pk + 1]


def test_what_a_restore_does_not_explain_is_said(log: Log, tell: Tell) -> None:
    """An old event is gone although newer ones are there: that was no backup."""
    with log.as_intruder() as intruder:
        (old,) = log.write()
        intruder.execute(
            "UPDATE audit_auditevent SET recorded_at = now() - interval '2 hours' WHERE id = %s", [old]
        )
        log.seal()
        log.write()
        log.seal()
        intruder.execute("DELETE FROM audit_auditevent WHERE id = %s", [old])
    assert f"names event {old}" in refusal(log)
    assert "1 of the lost ones (the first is leaf 10) are older than a restore explains" in tell()
    (event,) = AuditEvent.objects.filter(kind="log.restored")
    assert event.data["detail"]["unexplained"] == [[10, 10]]


def test_a_second_restore_is_told_like_the_first(log: Log, tell: Tell) -> None:
    restore(log, keep=8)
    tell()
    log.write(times=3)
    log.seal()
    kept = log.events()[-3]
    restore(log, keep=kept)
    refusal(log)
    assert "2 of 14 leaves" in tell()
    log.write()
    log.seal()
    log.check()
    assert log.files.restore().lost == ((8, 9), (12, 13))


def test_where_nothing_was_lost_there_is_nothing_to_tell(
    log: Log, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="There is nothing to tell"):
        tell()
    monkeypatch.setattr(sealer_files, "PATIENCE", 0.2)
    with log.files.locked(), pytest.raises(Refused, match="A sealer is at work"):
        tell()
    assert not AuditEvent.objects.filter(kind="log.restored").exists()
    assert log.seal() == 10


def test_without_its_notes_of_the_restore_it_refuses_again(log: Log, tell: Tell) -> None:
    restore(log, keep=8)
    tell()
    (log.files.path / "state").unlink()
    refusal(log)


# ── the log's files ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def rebuild(log: Log) -> Tell:
    """`manage.py seal --rebuild-files`."""

    def run() -> str:
        with log.as_sealer() as session:
            return rebuilding.rebuild(session, files=log.files, log=log.path)

    return run


def test_files_that_were_set_back_are_refused_and_come_out_of_the_database(
    log: Log, rebuild: Tell, tmp_path: Path
) -> None:
    shutil.copytree(log.path, tmp_path / "backup")
    log.write(times=300)
    log.seal()
    signed = log.published()
    shutil.rmtree(log.path)
    shutil.copytree(tmp_path / "backup", log.path)
    assert "is signed for 310 leaves, which the log's files do not hold" in refusal(log)
    assert "310 leaves were made again" in rebuild()
    assert log.seal() == 310
    assert log.published() == signed
    assert log.check() == log.events()


def test_files_that_are_lost_come_out_of_the_database(log: Log, rebuild: Tell) -> None:
    signed = log.published()
    shutil.rmtree(log.path)
    with pytest.raises(Refused, match="which the log's files do not hold"):
        log.seal()
    rebuild()
    log.seal()
    assert log.published() == signed
    assert log.check() == log.events()


def test_files_and_memory_set_back_together_are_found_by_the_database(
    log: Log, rebuild: Tell, tmp_path: Path
) -> None:
    for path in (log.path, log.files.path):
        shutil.copytree(path, tmp_path / f"backup-{path.name}")
    log.write(times=5)
    log.seal()
    signed = log.published()
    for path in (log.path, log.files.path):
        shutil.rmtree(path)
        shutil.copytree(tmp_path / f"backup-{path.name}", path)
    assert "The database knows leaf 14, the log's files end before it with 10 leaves" in refusal(log)
    rebuild()
    assert log.seal() == 15
    assert log.published() == signed
    assert log.check() == log.events()


def test_a_damaged_tile_comes_out_of_the_database(log: Log, rebuild: Tell) -> None:
    (tile,) = (log.path / "tile/0/000.p").glob("10")
    tile.write_bytes(bytes(320))
    refusal(log)
    assert "What was there is in" in rebuild()
    log.seal()
    assert log.check() == log.events()


def test_rows_that_were_changed_since_are_not_taken_for_the_log(log: Log, rebuild: Tell) -> None:
    with log.as_intruder() as intruder:
        intruder.execute("UPDATE audit_auditevent SET kind = 'person.signed_out' WHERE id = 4")
    shutil.rmtree(log.path / "tile")
    with pytest.raises(Refused, match="event 4 is not what it was when it was sealed"):
        rebuild()
    with log.as_intruder() as intruder:
        intruder.execute("DELETE FROM audit_auditleaf")
    with pytest.raises(Refused, match="another root than was signed for"):
        rebuild()
    assert not list(log.path.glob("rebuilt-*"))


@pytest.mark.parametrize("gone", ["checkpoint", "last", "day"])
def test_one_of_the_places_of_the_last_checkpoint_may_be_lost(log: Log, gone: str) -> None:
    (day,) = (log.path / "checkpoints").iterdir()
    {"checkpoint": log.path / "checkpoint", "last": log.files.path / "last", "day": day}[gone].unlink()
    log.write()
    assert log.seal() == 11
    assert log.check() == log.events()


def test_a_note_signed_by_somebody_else_is_refused(log: Log) -> None:
    text, _ = notes.split((log.path / "checkpoint").read_text())
    other = Signer(sealing.ORIGIN, Ed25519PrivateKey.generate())
    (log.path / "checkpoint").write_text(other.note(text))
    with pytest.raises(Refused, match="is no checkpoint of this log"):
        log.seal()
    (log.path / "key").write_text(f"{other.verifier}\n")
    with pytest.raises(Refused, match="is another log's key"):
        log.seal()


def _index(log: Log) -> list[tuple[int, int]]:
    with log.connected() as session:
        return [
            (int(number), int(event))
            for number, event in session.execute("SELECT number, event FROM audit_auditleaf")
        ]
