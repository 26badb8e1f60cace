"""Content: kept in the event's transaction, ended by age, hold and erasure, and every proof goes on verifying."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from agents.activity_items import subject_of
from agents.autonomy import Tier
from approvals.models import Comment, Proposal, Verdict
from approvals.redaction import Subject
from approvals.requests import Turn
from approvals.services import encrypt, hold, retain
from audit import chain, content, keys
from audit.content import Gone, New
from audit.models import AuditEvent, Content, ContentKind
from audit.proofs import leaf_of
from audit.tlog import folder, merkle
from audit.tlog.folder import Folder
from tests import factories
from tests.approvals.test_erase import ANNA, SECRET, erased, proposed, rejected
from tests.factories import Desk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk() -> Desk:
    return factories.desk()


def kept(*, kind: ContentKind = ContentKind.PROMPT, about: Subject = ANNA, days: float = 0) -> Content:
    """One text that came so many days ago."""
    at = timezone.now() - timedelta(days=days)
    with transaction.atomic():
        return content.keep([New(kind, (about.type, about.id), b"Dear Anna")], at=at)[0]


def said(row: Content) -> bytes | Gone:
    now = Content.objects.get(pk=row.pk)
    return content.open_all([now])[now.pk]


def test_nothing_is_kept_outside_a_transaction() -> None:
    with pytest.raises(RuntimeError):
        content.keep([New(ContentKind.PROMPT, None, b"x")], at=timezone.now())


def test_a_row_cannot_be_changed_or_deleted_by_the_application() -> None:
    row = kept()

    for statement in (
        "DELETE FROM audit_content",
        "UPDATE audit_content SET ciphertext = '\\x00'",
        "UPDATE audit_content SET commitment = '\\x00'",
    ):
        with (
            pytest.raises(DatabaseError),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)

    assert said(row) == b"Dear Anna"


def _sealed(path: Path, *, since: int = 0) -> tuple[int, bytes]:
    """Put every event after `since` into the log's folder, as the sealer does; (last event, root)."""
    events = list(AuditEvent.objects.filter(pk__gt=since).order_by("transaction", "pk"))
    size = AuditEvent.objects.filter(pk__lte=since).count()
    root = folder.append(path, size, [leaf_of(event).data for event in events])
    return max(event.pk for event in events), root


def _check(path: Path, root: bytes, size: int) -> None:
    """What a verifier checks of each event: its text against its commitment, its leaf against the root."""
    tree = Folder(path, size)
    for index, event in enumerate(AuditEvent.objects.order_by("transaction", "pk")[:size]):
        assert chain.commitment(bytes(event.salt), event.content.encode()) == bytes(event.commitment)
        leaf = merkle.leaf_hash(leaf_of(event).data)
        assert merkle.is_included(leaf, index, size, merkle.inclusion_proof(tree.node, index, size), root)


def test_every_proof_verifies_before_and_after_an_erasure(desk: Desk, tmp_path: Path) -> None:
    found = rejected(desk)
    row = Content.objects.get(pk=str(found.kept_context_id))
    last, old_root = _sealed(tmp_path)
    old = AuditEvent.objects.count()
    _check(tmp_path, old_root, old)

    erased()

    _check(tmp_path, old_root, old)
    _, root = _sealed(tmp_path, since=last)
    new = AuditEvent.objects.count()
    _check(tmp_path, root, new)
    tree = Folder(tmp_path, new)
    assert merkle.is_consistent(old, old_root, new, root, merkle.consistency_proof(tree.node, old, new))
    named = AuditEvent.objects.get(object_id=str(found.pk), object_version=1).data["detail"]["context"]
    assert named == content.named(Content.objects.get(pk=row.pk)), "what was sealed of it stays"
    events = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET.encode() not in events and ANNA.id.encode() not in events


def test_words_of_people_leave_the_events_and_come_back_on_pages(desk: Desk) -> None:
    found = rejected(desk)
    events = list(AuditEvent.objects.filter(object_id=str(found.pk)))
    assert all(SECRET not in event.content for event in events)

    content.reveal(events)
    shown = [value for event in events for value in (event.words or {}).values()]
    assert sorted(set(shown)) == [f"I know {SECRET}", f"Not for {SECRET}"]

    erased()
    events = list(AuditEvent.objects.filter(object_id=str(found.pk)))
    content.reveal(events)
    shown = [value for event in events for value in (event.words or {}).values()]
    assert shown and all(value.startswith("(erased on ") for value in shown)


def test_revealing_costs_the_same_for_one_event_and_for_many(
    desk: Desk, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        rejected(desk)
    events = list(AuditEvent.objects.filter(kind="proposal.commented"))
    assert len(events) == 3

    for some in (events[:1], events):
        for event in some:
            event.words = None
        with django_assert_num_queries(1):
            content.reveal(some)


def test_a_reason_in_an_event_names_no_subject() -> None:
    desk = factories.desk(Tier.OUT_OF_THE_LOOP, subject_count=1)
    first, second = proposed(desk), proposed(desk)

    found = {one["code"]: one["detail"] for one in second.reasons}
    assert "limit_subject_count" not in str(first.reasons) and ANNA.id in found["limit_subject_count"]
    events = AuditEvent.objects.filter(object_id=str(second.pk))
    told = events.get(object_version=1).data["after"]["reasons"]
    assert "limit_subject_count" in [one["code"] for one in told]
    assert all(ANNA.id not in event.content for event in events)


@pytest.mark.parametrize("days", [None, 10])
def test_content_runs_out_by_kind_and_is_told_of(days: int | None) -> None:
    old, young = kept(days=11), kept(days=9)
    other = kept(kind=ContentKind.OUTPUT, days=11)
    retain.save(days={ContentKind.PROMPT: days}, actor=factories.admin())

    assert retain.expire(now=timezone.now()) == (0 if days is None else 1)

    assert said(young) == said(other) == b"Dear Anna"
    gone = said(old)
    if days is None:
        assert gone == b"Dear Anna"
        return
    assert isinstance(gone, Gone) and (gone.why, gone.days) == ("retention", 11)
    event = AuditEvent.objects.get(kind="content.expired")
    assert event.data["detail"] == {"texts": 1, "days": 10}
    assert retain.expire(now=timezone.now()) == 0


def test_batches_end_everything_that_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retain, "BATCH", 2)
    rows = [kept(days=11) for _ in range(5)]
    retain.save(days={ContentKind.PROMPT: 10}, actor=factories.admin())

    assert retain.expire(now=timezone.now()) == 5

    assert all(isinstance(said(row), Gone) for row in rows)
    assert AuditEvent.objects.filter(kind="content.expired").count() == 3


@pytest.mark.parametrize("over", [ANNA, None])
def test_a_hold_outlasts_the_retention(over: Subject | None) -> None:
    held, free = kept(days=11), kept(about=Subject("customer", "bob"), days=11)
    retain.save(days={ContentKind.PROMPT: 10}, actor=factories.admin())
    placed = hold.place(subject=over, reason="Lawsuit", actor=factories.admin())

    retain.expire(now=timezone.now())

    assert said(held) == b"Dear Anna"
    assert isinstance(said(free), Gone) == (over is not None)
    hold.lift(hold_id=placed.pk, reason="Settled", actor=factories.admin())
    retain.expire(now=timezone.now())
    assert isinstance(said(held), Gone) and isinstance(said(free), Gone)


def test_a_hold_keeps_what_led_to_a_proposal_too(desk: Desk) -> None:
    """Activity comes under the key of its trace, which names nobody."""
    proposed(desk, trace_id="trace-1")
    led, other = (
        kept(about=Subject(*subject_of(desk.agent.slug, trace)), days=11) for trace in ("trace-1", "trace-2")
    )
    retain.save(days={ContentKind.PROMPT: 10}, actor=factories.admin())
    hold.place(subject=ANNA, reason="Lawsuit", actor=factories.admin())

    retain.expire(now=timezone.now())

    assert said(led) == b"Dear Anna"
    assert isinstance(said(other), Gone)


def test_what_was_stored_in_plain_is_read_and_moved_in_batches(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encrypt, "BATCH", 2)
    found = [desk.propose() for _ in range(3)]
    turns = [{"role": "user", "content": SECRET, "name": ""}]
    Proposal.objects.update(plain_context=turns)
    assert all(Proposal.objects.get(pk=one.pk).context == turns for one in found)

    assert encrypt.move(now=timezone.now()) == 3
    assert encrypt.move(now=timezone.now()) == 0

    for one in found:
        now = Proposal.objects.get(pk=one.pk)
        assert (now.plain_context, now.context) == ([], turns)
    named = [
        event.data["detail"]["proposals"] for event in AuditEvent.objects.filter(kind="content.encrypted")
    ]
    assert sorted(pk for batch in named for pk in batch) == sorted(str(one.pk) for one in found)


def test_without_keys_nothing_is_accepted_and_pages_go_on(desk: Desk, settings: Any) -> None:
    found = proposed(desk)
    master = Path(settings.CONTENT_KEYS_DIR) / "master"
    away = master.rename(master.with_name("master.away"))
    keys._cache.clear()
    body = {
        "action_type": desk.action_type.name,
        "arguments": factories.ARGUMENTS,
        "context": [{"role": "user", "content": "hello"}],
    }
    try:
        answer = Client().post(
            "/api/v1/proposals",
            body,
            content_type="application/json",
            headers=desk.headers | {"Idempotency-Key": "once"},
        )
        reviewer = Client()
        reviewer.force_login(desk.reviewer)
        page = reviewer.get(f"/proposals/{found.pk}/")
        refused = reviewer.post(f"/proposals/{found.pk}/comment/", {"text": "hello"})
    finally:
        away.rename(master)

    assert (answer.status_code, answer.json()["code"]) == (503, "keys_away")
    assert answer.headers["Retry-After"] == "30"
    assert Proposal.objects.count() == 1
    assert refused.status_code == 503 and not Comment.objects.exists()
    assert page.status_code == 200 and "It cannot be opened" in page.content.decode()
    assert desk.decide(found, Verdict.APPROVE).final


def test_a_conversation_of_a_repeat_is_stored_once(desk: Desk) -> None:
    for _ in range(2):
        desk.propose(key="once", context=[Turn(role="user", content="hello")])

    assert Content.objects.filter(kind=ContentKind.CONTEXT).count() == 1
