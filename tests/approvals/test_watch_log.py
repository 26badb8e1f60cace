"""The alarm: what is not sealed in time, why as far as it can be seen, and what is gone; admins are told once."""

import pytest
from django.db import transaction

from approvals.models import Notification
from approvals.services.watch_log import watch_log
from audit import recording
from audit.events import Kind, Target, system
from audit.models import AuditEvent
from audit.sealer_database import Database
from tests.database import as_superuser, connected
from tests.factories import admin, person

pytestmark = pytest.mark.django_db(transaction=True)


def record() -> AuditEvent:
    with transaction.atomic():
        return recording.record(actor=system("test"), kind=Kind.SIGNED_IN, target=Target("person", "1"))


def seal(*events: AuditEvent, start: int = 0) -> None:
    """Their rows in the index, which is all that the alarm looks at."""
    with connected("sealer") as session:
        for number, event in enumerate(events, start):
            session.execute(
                "INSERT INTO audit_auditleaf VALUES (%s, %s, %s, now())", [number, event.pk, b"h" * 32]
            )


def grow_old(*events: AuditEvent) -> None:
    _by_force(
        "UPDATE audit_auditevent SET recorded_at = recorded_at - interval '1 hour' WHERE id = ANY(%s)", events
    )


def _by_force(statement: str, events: tuple[AuditEvent, ...]) -> None:
    with as_superuser() as superuser, superuser.transaction():
        superuser.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER USER")
        superuser.execute(statement.encode(), [[event.pk for event in events]])
        for trigger in ("append_only_rows", "append_only_table"):
            superuser.execute(f"ALTER TABLE audit_auditevent ENABLE ALWAYS TRIGGER {trigger}")


def alarms(kind: Kind = Kind.LOG_STALLED) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(kind=kind).order_by("id"))


def working(problem: str = "") -> None:
    with connected("sealer") as session:
        Database(session).say(size=1, problem=problem)


def test_a_stall_alarms_the_admins_once_and_again_when_it_comes_back() -> None:
    one, other = admin(), person()
    first, waiting = record(), record()
    seal(first)
    assert watch_log() == 0, "it is young"
    grow_old(first, waiting)
    assert watch_log() == 1
    assert watch_log() == 1
    (alarm,) = alarms()
    assert alarm.data["detail"]["event"] == waiting.pk
    assert alarm.data["detail"]["why"].startswith("No sealer has ever worked on this database")
    (told,) = Notification.objects.filter(kind="log")
    assert told.recipient == one and told.recipient != other
    assert f"event {waiting.pk} has waited since" in told.text and told.link == "/audit/log/"
    rest = list(AuditEvent.objects.filter(pk__gt=first.pk).order_by("id"))
    seal(*rest, start=1)
    assert watch_log() == 0
    later = record()
    grow_old(later)
    assert watch_log() == 1
    assert len(alarms()) == 2


@pytest.mark.parametrize(
    ("beat", "problem", "words"),
    [
        ("10 minutes", "", "The sealer was last heard of at "),
        (
            "1 second",
            "The log cannot be written: disk full",
            "The sealer says: The log cannot be written: disk full",
        ),
    ],
)
def test_the_alarm_names_what_it_can_see_of_the_sealer(beat: str, problem: str, words: str) -> None:
    working(problem)
    with connected("sealer") as session:
        session.execute("UPDATE audit_sealerstate SET beat_at = now() - %s::interval", [beat])
    grow_old(record())
    watch_log()
    assert alarms()[0].data["detail"]["why"].startswith(words)


def test_the_alarm_names_the_transaction_that_holds_sealing_back() -> None:
    """Another test's session on this server may be older than ours, so which one it names is not certain."""
    with connected("app") as slow, slow.transaction():
        slow.execute("SELECT pg_current_xact_id()")
        working()
        grow_old(record())
        watch_log()
    why = alarms()[0].data["detail"]["why"]
    assert why.startswith("A transaction that has not ended holds it back: open since ")
    assert "PostgreSQL's process " in why


def test_a_row_put_in_under_an_old_transactions_number_is_found_at_night() -> None:
    first, second = record(), record()
    inserted = record()
    seal(first, second)
    working()
    _by_force("UPDATE audit_auditevent SET transaction = 3 WHERE id = ANY(%s)", (inserted,))
    grow_old(inserted)
    assert watch_log() == 0, "what comes after the last leaf is looked at by the minute"
    assert watch_log(thoroughly=True) == 1
    assert "under the number of an old transaction" in alarms()[0].data["detail"]["why"]


def test_a_sealed_event_whose_row_is_gone_is_found_at_night() -> None:
    one = admin()
    first, removed, last = record(), record(), record()
    seal(first, removed, last)
    _by_force("DELETE FROM audit_auditevent WHERE id = ANY(%s)", (removed,))
    assert watch_log(thoroughly=True) == 1
    (alarm,) = alarms(Kind.LOG_EVENTS_GONE)
    assert alarm.data["detail"] == {"count": 1, "leaf": 1, "event": removed.pk, "told": 1}
    assert Notification.objects.filter(kind="log", recipient=one).exists()


def test_what_a_told_restore_has_lost_is_no_alarm() -> None:
    first, lost, last = record(), record(), record()
    seal(first, lost, last)
    _by_force("DELETE FROM audit_auditevent WHERE id = ANY(%s)", (lost,))
    with transaction.atomic():
        told = recording.record(
            actor=system("seal"),
            kind=Kind.LOG_RESTORED,
            target=Target("log", "log"),
            detail={"lost": [[1, 1]]},
        )
    seal(told, start=3)
    assert watch_log(thoroughly=True) == 0
