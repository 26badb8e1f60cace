"""Rows of the log that somebody changed in the database: each is found by its check, and told in a sentence."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from tests.audit import tampering
from tests.audit.tampering import Log, untriggered
from tests.database import Connection, as_owner

pytestmark = pytest.mark.django_db(transaction=True)

APPROVED = "proposal.approved"


def event(log: Log, kind: str = APPROVED) -> int:
    return log.events[log.leaf_of(kind)]


@dataclass(frozen=True)
class Tampering:
    """What somebody does, the check that finds it, and a part of the sentence; {event} and {leaf} are filled in."""

    name: str
    do: Callable[[Connection, Log], object]
    check: str
    says: str


def update(assignment: str) -> Callable[[Connection, Log], object]:
    return lambda db, log: db.execute(f"UPDATE audit_auditevent SET {assignment} WHERE id = %s", [event(log)])


def edit_and_commit_anew(db: Connection, log: Log) -> None:
    row = db.execute("SELECT content, salt FROM audit_auditevent WHERE id = %s", [event(log)]).fetchone()
    assert row is not None
    content, commitment = tampering.changed_content((row[0], bytes(row[1])))
    db.execute(
        "UPDATE audit_auditevent SET content = %s, commitment = %s WHERE id = %s",
        [content, commitment, event(log)],
    )


def delete_all_traces(db: Connection, log: Log) -> None:
    """The row, and what the database knows of its leaf."""
    db.execute("DELETE FROM audit_auditleaf WHERE event = %s", [event(log)])
    db.execute("DELETE FROM audit_auditevent WHERE id = %s", [event(log)])


def insert(db: Connection, log: Log) -> None:
    """A copy of an event with its transaction, as if it had been there all the time."""
    db.execute(
        "INSERT INTO audit_auditevent SELECT (jsonb_populate_record(e, jsonb_build_object("
        "'id', 1000000, 'object_version', NULL, 'object_id', 'forged'))).* FROM audit_auditevent e WHERE id = %s",
        [event(log)],
    )


def insert_with_leaf(db: Connection, log: Log) -> None:
    """The same, and a place in the index that no file knows."""
    insert(db, log)
    db.execute("INSERT INTO audit_auditleaf (number, event, hash) VALUES (1000000, 1000000, 'x')")


def take_the_place(db: Connection, log: Log) -> None:
    """A forged event in the leaf of a real one."""
    insert(db, log)
    db.execute("UPDATE audit_auditleaf SET event = 1000000 WHERE event = %s", [event(log)])


def swap(db: Connection, log: Log) -> None:
    first, second = event(log), event(log, "proposal.rejected")
    for old, new in ((first, -1), (second, first), (-1, second)):
        db.execute("UPDATE audit_auditevent SET id = %s WHERE id = %s", [new, old])


def cut_the_tail(db: Connection, log: Log) -> None:
    db.execute("DELETE FROM audit_auditevent WHERE id = ANY(%s)", [log.events[log.checkpoints[-2] :]])


def cut_the_tail_and_its_leaves(db: Connection, log: Log) -> None:
    cut_the_tail(db, log)
    db.execute("DELETE FROM audit_auditleaf WHERE number >= %s", [log.checkpoints[-2]])


CHANGED = "Event {event} (proposal.approved, leaf {leaf}) was changed after it was sealed"
NOT_SEALED = "Of event {event} (proposal.approved, leaf {leaf}), the column {column} is not what was sealed"
NOT_SAID = (
    "Of event {event} (proposal.approved, leaf {leaf}), the column {column} is not what the content says"
)
GONE = "Event {event} (proposal.approved, leaf {leaf}, of "


def column(name: str, value: str, check: str, says: str) -> Tampering:
    return Tampering(f"column {name}", update(f"{name} = {value}"), check, says.replace("{column}", name))


TAMPERINGS = [
    Tampering("content", update("content = replace(content, 'approve', 'approvE')"), "commitment", CHANGED),
    Tampering("content with a fitting commitment", edit_and_commit_anew, "commitment", CHANGED),
    column("kind", "'proposal.rejected'", "sealed", NOT_SEALED.replace("approved", "rejected")),
    column("transaction", "transaction - 1", "sealed", NOT_SEALED),
    column("recorded_at", "recorded_at - interval '3 days'", "sealed", NOT_SEALED),
    column("actor_kind", "'agent'", "columns", NOT_SAID),
    column("actor_id", "'4711'", "columns", NOT_SAID),
    column("object_type", "'queue'", "columns", NOT_SAID),
    column("object_id", "'another'", "columns", NOT_SAID),
    column("object_version", "4711", "columns", NOT_SAID),
    Tampering("salt", update("salt = decode(repeat('00', 32), 'hex')"), "commitment", CHANGED),
    Tampering(
        "commitment",
        update("commitment = decode(repeat('00', 32), 'hex')"),
        "commitment",
        "Of event {event} (proposal.approved, leaf {leaf}), the row's own commitment does not fit its content",
    ),
    Tampering("delete", lambda db, log: db.execute("DELETE FROM audit_auditevent WHERE id = %s", [event(log)]),
              "missing", GONE),
    Tampering("delete row and leaf", delete_all_traces, "missing", GONE),
    Tampering("insert", insert, "unsealed", "Event 1000000 (proposal.approved, said to be of "),
    Tampering("insert with a leaf", insert_with_leaf, "unsealed", "Event 1000000 (proposal.approved, "),
    Tampering("take the place", take_the_place, "sealed", "Leaf {leaf} is another event's than the line says"),
    Tampering("reorder", swap, "commitment", "Event {event} (proposal.rejected, leaf {leaf}) was changed after"),
    Tampering("cut the tail", cut_the_tail, "missing", "is sealed, and its row is not here."),
    Tampering("cut the tail with its leaves", cut_the_tail_and_its_leaves, "missing", "is sealed, and its row is"),
]  # fmt: skip


@pytest.mark.parametrize("tampering_", TAMPERINGS, ids=lambda one: one.name)
def test_a45_what_a_superuser_does_to_rows_is_found(tampering_: Tampering, log: Log, tmp_path: Path) -> None:
    with untriggered() as intruder:
        tampering_.do(intruder, log)
    report, text = tampering.found(log.export(tmp_path / "export"), log.trust())
    leaf = log.leaf_of(APPROVED)
    assert tampering_.check in report.findings.counts, text
    assert tampering_.says.format(event=log.events[leaf], leaf=leaf) in text
    assert f"✗ {tampering_.check}: " in text
    assert "NOT VERIFIED" in text


def test_an_untouched_log_verifies(log: Log, tmp_path: Path) -> None:
    report, text = tampering.found(log.export(tmp_path / "export"), log.trust())
    assert report.holds, text
    assert report.events == report.size == len(log.events)
    assert report.checkpoints == len(log.checkpoints)
    assert report.stamps and report.cosigned
    assert report.remarks == []
    assert report.unchecked == [
        "Prompts, outputs and other kept texts: they are not in this export (--with-content)."
    ]
    assert text.splitlines()[-1].startswith(
        f"VERIFIED. {len(log.events)} events in {len(log.events)} leaves, "
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_auditevent SET content = '{}'",
        "UPDATE audit_auditevent SET recorded_at = now() - interval '1 day'",
        "DELETE FROM audit_auditevent",
        "TRUNCATE audit_auditevent",
        "UPDATE audit_auditleaf SET event = event + 1",
        "DELETE FROM audit_auditleaf",
    ],
)
def test_application_and_owner_are_refused(statement: str, log: Log, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    with as_owner() as owner, pytest.raises(psycopg.Error):
        owner.execute(statement)
    report, text = tampering.found(log.export(tmp_path / "export"), log.trust())
    assert report.holds, text


def test_an_owner_who_drops_the_triggers_is_found(log: Log, tmp_path: Path) -> None:
    """DDL is his right; the tree is not in his database."""
    with untriggered(as_owner) as owner:
        owner.execute("UPDATE audit_auditevent SET content = '{}' WHERE id = %s", [event(log)])
    report, text = tampering.found(log.export(tmp_path / "export"), log.trust())
    leaf = log.leaf_of(APPROVED)
    assert CHANGED.format(event=log.events[leaf], leaf=leaf) in text
    assert not report.holds
