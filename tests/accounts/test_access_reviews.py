"""Reviews of access: who is asked, what keeping and dropping do, and what silence means."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import (
    Absence,
    AccessReview,
    AccessReviewItem,
    LinkedAccount,
    RoleAssignment,
    User,
    assign_role,
)
from accounts.roles import Role, Scope
from accounts.services import assignments
from agents.models import Mandate
from approvals.models import Notification, Proposal, Queue
from approvals.services import access_review
from approvals.tasks import tend_access
from audit.models import AuditEvent
from tests.factories import admin, auditor, desk, person, queue

pytestmark = pytest.mark.django_db(transaction=True)


def boss(name: str = "Bea Boss") -> User:
    found = person(name)
    assign_role(Role.ADMIN, to=found, given_by=User.objects.admins().order_by("pk").first())
    return found


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def given(on: Queue, by: User, *, to: User | Group | None = None) -> RoleAssignment:
    found = assignments.give(
        role=Role.REVIEWER, to=to or person(), actor=by, scope=Scope.QUEUE, scope_id=str(on.pk)
    )
    assert isinstance(found, RoleAssignment)
    return found


def begun(by: User, place: str = "everything", *, drops: bool = False, days: int = 10) -> AccessReview:
    data = {"name": "Spring", "place": place, "due": (timezone.localtime() + timedelta(days=days)).date()}
    answer = browser(by).post(
        "/access/reviews/begin/", {**data, **({"drops_unanswered": "on"} if drops else {})}
    )
    assert answer.status_code == 302, answer.content.decode()
    return AccessReview.objects.latest("pk")


def item(review: AccessReview, assignment: RoleAssignment) -> AccessReviewItem:
    return AccessReviewItem.objects.get(review=review, assignment=assignment)


def keep(by: User, review: AccessReview, *items: AccessReviewItem) -> Any:
    return browser(by).post(f"/access/reviews/{review.pk}/keep/", {"item": [one.pk for one in items]})


def drop(by: User, one: AccessReviewItem, note: str = "Has moved on") -> Any:
    return browser(by).post(f"/access/reviews/{one.review_id}/items/{one.pk}/drop/", {"note": note})


def events(kind: str) -> list[dict[str, Any]]:
    return [event.data for event in AuditEvent.objects.filter(kind=kind).order_by("id")]


def test_who_gave_a_role_is_asked_and_confirms_it_or_drops_it_at_once() -> None:
    the, ada, bea = queue("refunds"), admin(), boss()
    stays, goes = given(the, bea), given(the, bea)
    review = begun(ada, "queue:refunds")
    assert {one.asked for one in review.items.all()} == {bea}
    assert Notification.objects.get(recipient=bea, kind="access").link == f"/access/reviews/{review.pk}/"
    page = browser(bea).get(f"/access/reviews/{review.pk}/").content.decode()
    assert "Is it still needed?" in page and "Reviewer on the queue Refunds" in page
    assert keep(bea, review, item(review, stays)).status_code == 302
    assert drop(bea, item(review, goes)).status_code == 302
    stays.refresh_from_db()
    goes.refresh_from_db()
    assert (stays.ended_at, stays.confirmed_by) == (None, bea) and stays.confirmed_at is not None
    assert goes.ended_by == bea and goes.ended_why == "dropped in the review “Spring”: Has moved on"
    assert goes.person is not None and not goes.person.held.reaches
    assert [event["detail"]["verdict"] for event in events("access_review.answered")] == ["keep", "drop"]
    assert len(events("role.ended")) == 1
    assert "2 of 2 answered, 1 dropped" in browser(ada).get(f"/access/reviews/{review.pk}/").content.decode()


def test_an_agents_owner_is_asked_about_his_agent_and_nothing_else() -> None:
    the = desk()
    ada, owner = admin(), the.agent.owner
    found = assignments.give(
        role=Role.AGENT_OWNER, to=person("Pat"), actor=ada, scope=Scope.AGENT, scope_id=str(the.agent.pk)
    )
    assert isinstance(found, RoleAssignment) and owner is not None
    review = begun(ada)
    assert item(review, found).asked == owner
    other = AccessReviewItem.objects.filter(review=review).exclude(asked=owner).first()
    assert other is not None
    page = browser(owner).get(f"/access/reviews/{review.pk}/").content.decode()
    assert "Pat" in page and "Rita Reviewer" not in page
    assert keep(owner, review, other).status_code == 403
    assert drop(owner, other).status_code == 403
    assert drop(owner, item(review, found)).status_code == 302
    assert browser(person()).get(f"/access/reviews/{review.pk}/").status_code == 404


@pytest.mark.parametrize("how", ["himself", "linked", "team", "delegate"])
def test_nobody_confirms_a_role_that_is_his_own(how: str) -> None:
    the, ada, bea = queue("refunds"), admin(), boss()
    holder, team = person("Pat"), Group.objects.create(name="tellers")
    if how == "linked":
        LinkedAccount.objects.create(first=min(ada, holder, key=_pk), second=max(ada, holder, key=_pk))
    elif how == "team":
        ada.groups.add(team)
    found = RoleAssignment.objects.create(
        role=Role.REVIEWER, scope=Scope.QUEUE, scope_id=str(the.pk), given_by=ada,
        **({"team": team} if how == "team" else {"person": ada if how == "himself" else holder}),
    )  # fmt: skip
    review = begun(bea, "queue:refunds")
    one = item(review, found)
    if how == "delegate":
        now = timezone.now()
        Absence.objects.create(person=holder, delegate=ada, starts_at=now, ends_at=now + timedelta(days=1))
        assert one.asked == ada, "who gave it; he stands in for the holder only since"
    else:
        assert one.asked == bea
    AccessReviewItem.objects.filter(pk=one.pk).update(asked=ada)
    assert keep(ada, review, one).status_code == 403
    assert drop(ada, one).status_code == 403
    found.refresh_from_db()
    assert found.ended_at is None and found.confirmed_at is None


def _pk(user: User) -> int:
    return user.pk


def test_several_are_kept_together_or_none_and_only_as_many_as_one_page_shows() -> None:
    the, ada = queue("refunds"), admin()
    rows = [given(the, ada) for _ in range(3)]
    review = begun(ada, "queue:refunds")
    items = [item(review, row) for row in rows]
    assert keep(ada, review, items[0]).status_code == 302
    refused = keep(ada, review, *items)
    assert refused.status_code == 409, "one of them was answered meanwhile"
    assert RoleAssignment.objects.exclude(confirmed_at=None).count() == 1
    assert keep(ada, review, *items[1:]).status_code == 302
    assert browser(ada).post(f"/access/reviews/{review.pk}/keep/", {}).status_code == 422
    many = {"item": list(range(1, 27))}
    assert browser(ada).post(f"/access/reviews/{review.pk}/keep/", many).status_code == 422
    assert drop(ada, items[0]).status_code == 409


@pytest.mark.parametrize("drops", [True, False])
def test_what_nobody_answers_is_dropped_or_stays_as_was_chosen_and_the_log_says_which(drops: bool) -> None:
    the, ada, bea = queue("refunds"), admin(), boss()
    kept, silent = given(the, ada), given(the, ada)
    review = begun(bea, "queue:refunds", drops=drops)
    keep(ada, review, item(review, kept))
    AccessReview.objects.update(due_at=timezone.now())
    assert keep(ada, review, item(review, silent)).status_code == 409, "it is over"
    tend_access()
    tend_access()
    kept.refresh_from_db()
    silent.refresh_from_db()
    assert kept.ended_at is None
    assert (silent.ended_at is not None) == drops
    ended = events("access_review.ended")
    assert len(ended) == 1
    told = ended[0]["detail"]
    assert (told["kept"], told["dropped"], told["unanswered"]) == (1, int(drops), int(not drops))
    if drops:
        assert silent.ended_by is None and "nobody confirmed it" in silent.ended_why
        assert events("role.ended")[-1]["actor"]["kind"] == "system"
    page = browser(bea).get(f"/access/reviews/{review.pk}/").content.decode()
    assert ("nobody answered; it stayed" in page) != drops


def test_silence_never_takes_the_last_admin() -> None:
    ada = admin()
    review = begun(ada, drops=True)
    AccessReview.objects.update(due_at=timezone.now())
    tend_access()
    assert ada.is_admin
    one = review.items.get()
    assert (one.verdict, one.note) == ("keep", "This is the last admin. Make somebody else an admin first.")


def test_unused_roles_are_flagged_in_a_review_and_outside_of_one() -> None:
    the = desk()
    ada = admin()
    long_ago = timezone.now() - timedelta(days=91)
    old = RoleAssignment.objects.get(person=the.reviewer)
    RoleAssignment.objects.update(given_at=long_ago, last_used_at=timezone.now())
    RoleAssignment.objects.filter(pk=old.pk).update(last_used_at=long_ago)
    page = browser(auditor()).get("/access/reviews/").content.decode()
    assert "Rita Reviewer" in page and "Ravi Reviewer" not in page
    assert "Mandate:" not in page, "it was given just now"
    review = begun(ada)
    assert {one.assignment for one in review.items.exclude(unused_days=None)} == {old}
    assert item(review, old).unused_days == 91
    assert not review.items.exclude(mandate_id=None).exists()


def test_an_unused_mandate_is_flagged_and_dropping_it_makes_it_inactive_at_once() -> None:
    used, idle = desk(), desk()
    proposal = used.propose()
    with time_machine.travel(timezone.now() + timedelta(days=91)):
        Proposal.objects.filter(pk=proposal.pk).update(created_at=timezone.now() - timedelta(days=5))
        page = browser(admin()).get("/access/reviews/").content.decode()
        assert "Mandate: Refund an order" in page
        assert f"/agents/{idle.agent.slug}/" in page and f"/agents/{used.agent.slug}/" not in page
        review = begun(admin())
        one = review.items.get(mandate_id__isnull=False)
        owner = idle.agent.owner
        assert owner is not None and (one.asked, one.mandate_id) == (owner, idle.mandate.pk)
        assert drop(owner, one, "Not used").status_code == 302
    assert not Mandate.objects.get(pk=idle.mandate.pk).active
    saved = events("mandate.saved")[-1]
    assert (saved["before"]["active"], saved["after"]["active"]) == (True, False)
    assert idle.propose().state == "denied"
    assert used.propose().state == "pending"


def test_who_is_late_is_reminded_once_at_each_moment() -> None:
    the, ada, bea = queue("refunds"), admin(), boss()
    given(the, ada)
    review = begun(bea, "queue:refunds", days=20)
    AccessReview.objects.update(
        begun_at=timezone.now() - timedelta(days=9), due_at=timezone.now() + timedelta(days=2, hours=12)
    )
    tend_access()
    tend_access()
    late = Notification.objects.filter(recipient=ada, key__startswith=f"access-review:{review.pk}:late")
    assert [row.key for row in late] == [f"access-review:{review.pk}:late:3"]
    AccessReview.objects.update(due_at=timezone.now() + timedelta(hours=12))
    tend_access()
    assert late.all().count() == 2
    keep(ada, review, review.items.get())
    assert not Notification.objects.filter(recipient=bea, key__contains=":late").exists()


def test_only_admins_begin_a_review_and_of_something_that_can_be_reviewed() -> None:
    queue("refunds")
    data = {"name": "Spring", "place": "queue:refunds", "due": "2999-01-01"}
    for user in (person(), auditor()):
        assert browser(user).post("/access/reviews/begin/", data).status_code == 403
    ada = browser(admin())
    assert ada.post("/access/reviews/begin/", data).status_code == 409, "nobody holds a role there"
    assert ada.post("/access/reviews/begin/", {**data, "due": "2001-01-01"}).status_code == 422
    assert not AccessReview.objects.exists()


def test_killed_in_the_middle_a_drop_leaves_nothing_and_the_end_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    the, ada = queue("refunds"), admin()
    rows = [given(the, ada) for _ in range(3)]
    review = begun(ada, "queue:refunds", drops=True)
    answer, calls = access_review._answer, []

    def killed(*args: Any, **extra: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        answer(*args, **extra)

    AccessReview.objects.update(due_at=timezone.now())
    monkeypatch.setattr(access_review, "_answer", killed)
    with pytest.raises(KeyboardInterrupt):
        access_review.end_due(now=timezone.now())
    assert RoleAssignment.objects.filter(pk__in=[row.pk for row in rows], ended_at=None).count() == 2
    assert len(events("role.ended")) == 1 and not events("access_review.ended")
    access_review.end_due(now=timezone.now())
    assert len(events("role.ended")) == 3 and len(events("access_review.ended")) == 1
    assert review.items.filter(verdict="drop").count() == 3


def test_the_pages_cost_as_much_for_many_rows_as_for_one() -> None:
    the, ada = queue("refunds"), admin()
    given(the, ada)
    small, client = begun(ada, "queue:refunds"), browser(ada)
    for _ in range(15):
        given(the, ada)
    large = begun(ada, "queue:refunds")
    client.get("/access/reviews/")
    with CaptureQueriesContext(connection) as one:
        client.get(f"/access/reviews/{small.pk}/")
    with CaptureQueriesContext(connection) as many:
        assert client.get(f"/access/reviews/{large.pk}/").content.decode().count('form="keep"') == 18
    assert len(many) == len(one)
