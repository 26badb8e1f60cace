"""The pages about data subjects and retention: who may look and act, and what they never put into addresses."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User, assign_role
from accounts.roles import Role
from approvals.models import Proposal
from audit import ending
from audit.models import AuditEvent, ContentKind, LegalHold, Retention
from tests import factories
from tests.approvals.test_erase import ANNA, SECRET, proposed, rejected
from tests.factories import Desk

pytestmark = pytest.mark.django_db(transaction=True)
SUBJECTS, RETENTION = "/audit/subjects/", "/audit/retention/"
WHO = {"subject_type": ANNA.type, "subject_id": ANNA.id}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def auditor() -> User:
    found = factories.person("Olga Auditor")
    assign_role(Role.AUDITOR, to=found)
    return found


@pytest.fixture
def admin() -> Client:
    return signed_in(factories.admin())


def text(response: Any) -> str:
    return str(response.content.decode())


def test_what_is_kept_is_counted_and_nothing_is_changed(desk: Desk, admin: Client) -> None:
    rejected(desk)
    events = AuditEvent.objects.exclude(kind="log.read").count()

    page = admin.post(SUBJECTS, WHO)

    assert page.status_code == 200
    about = page.context["about"]
    assert (about.proposals, about.may_be_erased, about.undecided) == (1, True, [])
    assert {one.kind: one.count for one in about.kept}[ContentKind.CONTEXT] == 1
    assert AuditEvent.objects.exclude(kind="log.read").count() == events


def test_a_proposal_leads_to_its_subject_without_naming_it_in_an_address(desk: Desk, admin: Client) -> None:
    found = rejected(desk)

    page = admin.get(SUBJECTS, {"proposal": str(found.pk)})

    assert page.context["about"].proposals == 1
    assert admin.get(SUBJECTS, {"proposal": "nonsense"}).status_code == 200


def test_undecided_ones_are_named_and_no_form_is_offered(desk: Desk, admin: Client) -> None:
    found = proposed(desk)

    page = text(admin.post(SUBJECTS, WHO))

    assert f"/proposals/{found.pk}/" in page and "Erase for good" not in page
    refused = admin.post(SUBJECTS + "erase/", WHO | {"typed": ANNA.id, "reason": "Asked"})
    assert refused.status_code == 409 and "Nothing was erased" in text(refused)
    assert Proposal.objects.get(pk=found.pk).erased_at is None


def test_an_erasure_over_http_and_the_pages_afterwards(desk: Desk, admin: Client) -> None:
    found = rejected(desk)

    done = admin.post(SUBJECTS + "erase/", WHO | {"typed": ANNA.id, "reason": "Asked"}, follow=True)

    assert done.redirect_chain == [(SUBJECTS, 302)] and "Erased. The key is destroyed." in text(done)
    for address in (
        f"/proposals/{found.pk}/",
        f"/proposals/{found.pk}/print/",
        f"/agents/{desk.agent.slug}/",
    ):
        page = admin.get(address)
        assert page.status_code == 200
        assert "Erased on" in text(page) and "Lindenweg" not in text(page) and ANNA.id not in text(page)
    for event in AuditEvent.objects.filter(object_id=str(found.pk)):
        page = admin.get(f"/audit/events/{event.pk}/")
        assert page.status_code == 200 and "Lindenweg" not in text(page)
    then = admin.get(f"/proposals/{found.pk}/as-decided/")
    assert then.status_code == 200 and "Lindenweg" not in text(then)
    history = text(signed_in(desk.reviewer).get("/history/"))
    assert "Erased on" in history and "Lindenweg" not in history
    assert str(found.pk) not in text(admin.get("/proposals/", {"q": "lindenweg", "state": "open"}))
    assert "Lindenweg" not in text(admin.get("/audit/"))


def test_a_mistyped_confirmation_comes_back_at_its_field(desk: Desk, admin: Client) -> None:
    rejected(desk)

    page = admin.post(SUBJECTS + "erase/", WHO | {"typed": "anna", "reason": ""})

    assert page.status_code == 422
    assert set(page.context["erasing"].errors) == {"reason"}
    page = admin.post(SUBJECTS + "erase/", WHO | {"typed": "anna", "reason": "Asked"})
    assert set(page.context["erasing"].errors) == {"typed"}


def test_auditors_look_and_others_do_not(desk: Desk) -> None:
    rejected(desk)
    looking = signed_in(auditor())

    page = looking.post(SUBJECTS, WHO)
    assert page.status_code == 200 and "Erase for good" not in text(page)
    assert looking.get(RETENTION).status_code == 200
    assert looking.post(SUBJECTS + "erase/", WHO | {"typed": ANNA.id, "reason": "x"}).status_code == 403
    assert looking.post("/audit/holds/", {"reason": "x"}).status_code == 403
    assert looking.post(RETENTION + "save/", {"days_prompt": "9"}).status_code == 403
    for address in (SUBJECTS, RETENTION):
        assert signed_in(desk.reviewer).get(address).status_code == 403
        assert Client().get(address).status_code == 302
    assert not Retention.objects.exists() and not LegalHold.objects.exists()


def test_a_hold_stands_until_it_is_lifted_with_a_reason(desk: Desk, admin: Client) -> None:
    rejected(desk)

    admin.post("/audit/holds/", WHO | {"reason": "Lawsuit 17"})
    page = admin.post(SUBJECTS, WHO)
    assert not page.context["about"].may_be_erased and "Lawsuit 17" in text(page)
    held = LegalHold.objects.get()
    assert admin.post(f"/audit/holds/{held.pk}/lift/", {"reason": ""}).status_code == 422
    assert LegalHold.objects.get().lifted_at is None
    admin.post(f"/audit/holds/{held.pk}/lift/", {"reason": "Settled"})

    assert admin.post(SUBJECTS, WHO).context["about"].may_be_erased
    assert admin.post(f"/audit/holds/{held.pk}/lift/", {"reason": "Again"}).status_code == 409


def test_retention_is_previewed_and_saved(desk: Desk, admin: Client) -> None:
    rejected(desk)

    seen = admin.post(RETENTION + "save/", {"days_context": "40", "preview": "1"})
    assert seen.context["is_preview"] and not Retention.objects.exists()
    saved = admin.post(RETENTION + "save/", {"days_context": "40"}, follow=True)

    assert saved.status_code == 200 and ending.retention()[ContentKind.CONTEXT] == 40
    event = AuditEvent.objects.get(kind="retention.saved")
    assert (event.data["before"], event.data["after"]) == ({"days": "for ever"}, {"days": 40})


@pytest.mark.parametrize("days", ["0", "-1", "many", "30", "99999999"])
def test_no_kind_is_kept_for_nonsense(admin: Client, days: str) -> None:
    assert admin.post(RETENTION + "save/", {"days_context": days}).status_code == 422
    assert not Retention.objects.exists()


def test_pages_stand_with_a_hostile_name(desk: Desk, admin: Client) -> None:
    hostile = {"subject_type": "<b>customer</b>", "subject_id": "<script>alert(1)</script>\u202e" + "x" * 150}

    page = text(admin.post(SUBJECTS, hostile))

    assert "<script>alert" not in page and "Nothing is kept about this subject" in page
    assert SECRET not in page
