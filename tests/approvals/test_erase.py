"""Erasing a data subject: what goes, what stays, what forbids it, and that a kill at any moment only delays it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Invalid, NotAllowed
from agents.activity_items import subject_of
from approvals import redaction
from approvals.exceptions import StillUndecided, UnderHold
from approvals.models import Comment, Outcome, Proposal, Revision, Verdict, Vote
from approvals.probe_records import content_of
from approvals.redaction import Subject
from approvals.requests import Subject as Named
from approvals.requests import Turn
from approvals.services import erase, hold, probe_library
from approvals.services.comment import comment
from approvals.states import State
from audit import content, ending, keys
from audit.content import Gone
from audit.models import AuditEvent, Content, ContentKind, DataSubject, Erasure
from tests import factories
from tests.factories import Desk

pytestmark = pytest.mark.django_db(transaction=True)
ANNA = Subject("customer", "anna.mueller@example.org")
SECRET = "Anna Müller, Lindenweg 4"


def proposed(desk: Desk, subject: Subject = ANNA, **extra: Any) -> Proposal:
    return desk.propose(
        {"order_id": "A-1", "amount": 12.5, "note": SECRET},
        summary=f"Refund {SECRET}",
        reasoning=f"{SECRET} asked",
        context=[Turn(role="user", content=f"I am {SECRET}")],
        subject=Named(type=subject.type, id=subject.id),
        current_state={"name": SECRET},
        metadata={"who": SECRET},
        **extra,
    )


def rejected(desk: Desk, **extra: Any) -> Proposal:
    found = proposed(desk, **extra)
    comment(proposal_id=found.pk, author=desk.second, text=f"I know {SECRET}")
    return desk.decide(found, Verdict.REJECT, comment=f"Not for {SECRET}").proposal


def erased(**extra: Any) -> erase.Erased:
    given: dict[str, Any] = {"subject": ANNA, "typed": ANNA.id, "reason": "Asked on 3 March."}
    return erase.erase(**(given | {"actor": factories.admin()} | extra))


def everything() -> str:
    """Every operational row that could tell of somebody, as text."""
    rows: list[Any] = []
    for model in (Proposal, Revision, Comment, Vote, Outcome, Erasure):
        rows += model._default_manager.values()
    return repr(rows) + repr(list(Revision.objects.values_list("canonical", flat=True)))


def test_a_conversation_is_stored_encrypted_and_named_by_the_event(desk: Desk) -> None:
    found = proposed(desk)

    row = Content.objects.get(pk=str(found.kept_context_id))
    assert found.context == [{"role": "user", "content": f"I am {SECRET}", "name": ""}]
    assert found.plain_context == []
    assert SECRET.encode() not in bytes(row.ciphertext or b"")
    event = AuditEvent.objects.get(object_id=str(found.pk), object_version=1)
    assert event.data["detail"]["context"] == content.named(row)
    assert row.subject == ANNA.reference


def test_erasing_takes_what_tells_of_him_and_leaves_what_was_decided(desk: Desk) -> None:
    found = rejected(desk)
    other = rejected(desk, subject=Subject("customer", "bob"))
    row = Content.objects.get(pk=str(found.kept_context_id))
    before = list(AuditEvent.objects.order_by("pk").values())
    digest, votes = found.digest, Vote.objects.filter(proposal=found).count()

    done = erased()

    assert done.is_done
    now = Proposal.objects.get(pk=found.pk)
    assert SECRET not in repr(Proposal.objects.filter(pk=found.pk).values())
    assert now.erased_at is not None and now.subject_id == ANNA.reference
    assert now.context == [] and isinstance(now.context_gone, Gone) and now.context_gone.why == "erased"
    assert (now.state, now.digest, Vote.objects.filter(proposal=found).count()) == ("rejected", digest, votes)
    assert Revision.objects.get(proposal=found).canonical == b"{}"
    assert keys.reading(row.subject) is None
    row.refresh_from_db()
    assert (row.ciphertext, row.gone_why) == (None, "erased")
    untouched = Proposal.objects.get(pk=other.pk)
    assert untouched.summary and untouched.context and untouched.erased_at is None
    assert list(AuditEvent.objects.order_by("pk").values())[: len(before)] == before
    last = AuditEvent.objects.latest("pk")
    assert (last.kind, last.object_id) == ("subject.erased", ANNA.reference)
    assert last.data["after"]["proposals"] == 1 and last.data["after"]["contents"] >= 1
    assert ANNA.id not in last.content
    assert Erasure.objects.get().subject_id == ""


def test_nothing_of_him_is_left_in_any_operational_row(desk: Desk) -> None:
    rejected(desk)
    assert SECRET in everything() or "Lindenweg" in everything()

    erased()

    assert "Lindenweg" not in everything() and ANNA.id not in everything()
    ask = Revision.objects.extra(where=["document @@ plainto_tsquery('simple', 'lindenweg')"])
    assert not ask.exists()


def test_another_spelling_is_the_same_person(desk: Desk) -> None:
    found = rejected(desk, subject=Subject("Customer", " ANNA.Mueller@example.org"))

    erased()

    assert Proposal.objects.get(pk=found.pk).erased_at is not None


@pytest.mark.parametrize("state", [State.PENDING, State.RETURNED, State.APPROVED])
def test_what_is_undecided_refuses_and_is_named(desk: Desk, state: State) -> None:
    found = proposed(desk)
    if state == State.RETURNED:
        desk.decide(found, Verdict.RETURN)
    elif state == State.APPROVED:
        desk.decide(found, Verdict.APPROVE)

    with pytest.raises(StillUndecided) as refused:
        erased()

    assert found.title in refused.value.detail
    assert Proposal.objects.get(pk=found.pk).context
    assert not Erasure.objects.exists() and not DataSubject.objects.exists()


@pytest.mark.parametrize("over", [ANNA, None])
def test_a_legal_hold_refuses_until_it_is_lifted(desk: Desk, over: Subject | None) -> None:
    rejected(desk)
    placed = hold.place(subject=over, reason="Lawsuit 17", actor=factories.admin())

    with pytest.raises(UnderHold):
        erased()
    hold.lift(hold_id=placed.pk, reason="Settled", actor=factories.admin())

    assert erased().is_done
    held = AuditEvent.objects.filter(kind__startswith="hold.")
    assert [one.kind for one in held.order_by("pk")] == ["hold.placed", "hold.lifted"]
    assert all(ANNA.id not in one.content for one in held)


@pytest.mark.parametrize(
    "wrong",
    [
        {"typed": "anna"},
        {"typed": ""},
        {"reason": ""},
        {"reason": "x" * 501},
        {"reason": f"{ANNA.id.upper()} wants it"},
        {"subject": Subject("customer", " ")},
    ],
)
def test_a_slip_erases_nothing(desk: Desk, wrong: dict[str, Any]) -> None:
    rejected(desk)

    with pytest.raises(Invalid):
        erased(**wrong)

    assert not Erasure.objects.exists()


def test_only_admins_erase(desk: Desk) -> None:
    with pytest.raises(NotAllowed):
        erased(actor=desk.reviewer)


class Killed(BaseException):
    """As abrupt as a kill: nothing catches it."""


def dying(on: Callable[..., Any], times: int) -> Callable[..., Any]:
    """`on`, dead before its n-th call and after each that is done."""
    left = times

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        return on(*args, **kwargs)

    return call


@pytest.mark.parametrize(
    ("place", "name", "times"),
    [
        (keys, "destroy", 0),
        (ending, "drop_erased", 0),
        (ending, "drop_erased", 1),
        (redaction, "redact", 0),
        (redaction, "redact", 1),
        (erase, "_finish", 0),
    ],
)
def test_a_kill_anywhere_only_delays_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, times: int
) -> None:
    monkeypatch.setattr(erase, "BATCH", 1)
    found = [rejected(desk), rejected(desk)]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, dying(getattr(place, name), times))
        with pytest.raises(Killed):
            erased()
    assert not AuditEvent.objects.filter(kind="subject.erased").exists()

    assert erase.go_on(now=timezone.now()) == 1
    assert erase.go_on(now=timezone.now()) == 0

    assert all(Proposal.objects.get(pk=one.pk).erased_at for one in found)
    assert "Lindenweg" not in everything() and ANNA.id not in everything()
    assert AuditEvent.objects.filter(kind="subject.erased").count() == 1
    assert not Content.objects.filter(subject=ANNA.reference, ciphertext__isnull=False).exists()


def test_what_comes_afterwards_is_kept_under_another_key(desk: Desk) -> None:
    rejected(desk)
    erased()

    later = proposed(desk)

    assert Proposal.objects.get(pk=later.pk).context
    with pytest.raises(StillUndecided):
        erased()
    desk.decide(later, Verdict.REJECT)
    assert erased().is_done
    assert Proposal.objects.get(pk=later.pk).context_gone is not None


def test_what_led_to_his_proposals_goes_with_them(desk: Desk) -> None:
    now = timezone.now()
    named = subject_of(desk.agent.slug, "trace-1")
    with transaction.atomic():
        mine, other = content.keep(
            [
                content.New(ContentKind.PROMPT, named, SECRET.encode()),
                content.New(ContentKind.PROMPT, subject_of(desk.agent.slug, "trace-2"), b"another"),
            ],
            at=now,
        )
    rejected(desk, trace_id="trace-1")

    erased()

    rows = Content.objects.in_bulk([mine.pk, other.pk])
    told = content.open_all(rows.values())
    assert isinstance(told[mine.pk], Gone) and told[other.pk] == b"another"


def test_a_probe_made_of_his_proposal_says_nothing_any_more(desk: Desk) -> None:
    found = rejected(desk)
    draft = probe_library.Draft(
        content=content_of(found, found.current_revision), fault=f"{SECRET} again", source_id=found.pk
    )
    probe = probe_library.add(action_type=desk.action_type.name, draft=draft, actor=factories.admin())

    erased()

    probe.refresh_from_db()
    assert not probe.active and "Lindenweg" not in repr(vars(probe))
    last = AuditEvent.objects.filter(object_type="probe", object_id=str(probe.pk)).latest("pk")
    assert (last.kind, last.data["after"]) == ("probe.retired", {"active": False})
