"""Two who answer at once: a request, a change and a line of a review are answered once, with one event."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.exceptions import DomainError
from accounts.models import PendingChange, RoleAssignment, assign_role
from accounts.roles import Role, Scope
from accounts.second_person import What
from accounts.services import assignments
from approvals.services import access_request, access_review, second_person
from audit.models import AuditEvent
from tests.factories import admin, hours_ago, person, queue
from tests.races.test_over_http import at_once

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 5


def tried(call: Callable[..., object], **arguments: Any) -> Callable[[], str]:
    def run() -> str:
        try:
            call(**arguments)
        except DomainError as error:
            return error.code
        return "done"

    return run


def count(kind: str) -> int:
    return AuditEvent.objects.filter(kind=kind).count()


def test_one_answer_to_a_request_wins_and_the_role_is_given_once_or_not() -> None:
    the, ada, bea = queue("refunds"), admin(), person("Bea")
    assign_role(Role.ADMIN, to=bea)
    for number in range(1, ROUNDS + 1):
        pat = person()
        asked = access_request.ask(
            person=pat, role=Role.REVIEWER, scope=Scope.QUEUE, scope_id=str(the.pk), reason="x"
        )
        answers = at_once(
            tried(access_request.approve, request_id=asked.pk, actor=ada),
            tried(access_request.approve, request_id=asked.pk, actor=bea),
            tried(access_request.decline, request_id=asked.pk, actor=bea, answer="no"),
            tried(access_request.withdraw, request_id=asked.pk, actor=pat),
        )
        asked.refresh_from_db()
        assert sorted(answers) == ["conflict"] * 3 + ["done"], answers
        assert (asked.answered_at is None) == (answers[3] == "done")
        assert RoleAssignment.objects.filter(person=pat).exists() == ("done" in answers[:2])
        assert count("access.answered") + count("access.withdrawn") == number
    assert count("role.given") == RoleAssignment.objects.filter(role="reviewer").count()


def test_one_second_person_wins_and_the_change_is_made_once_or_not() -> None:
    ada = admin()
    others = [person("Bea"), person("Cem")]
    for other in others:
        assign_role(Role.ADMIN, to=other)
    second_person.set_level(kinds=[What.ROLE], actor=ada, reason="Four eyes")
    for _ in range(ROUNDS):
        pat = person()
        change = assignments.give(role=Role.AUDITOR, to=pat, actor=ada, scope=Scope.EVERYTHING)
        assert isinstance(change, PendingChange)
        pk = change.pk
        answers = at_once(
            tried(second_person.approve, change_id=pk, actor=others[0]),
            tried(second_person.approve, change_id=pk, actor=others[1]),
            tried(second_person.decline, change_id=pk, actor=others[1], answer="no"),
            tried(second_person.withdraw, change_id=pk, actor=ada),
        )
        assert sorted(answers) == ["conflict"] * 3 + ["done"], answers
        assert RoleAssignment.objects.filter(person=pat).count() == ("done" in answers[:2])
    assert count("change.answered") + count("change.withdrawn") == ROUNDS


def test_two_ask_for_the_same_change_and_one_of_them_waits() -> None:
    ada, bea = admin(), person("Bea")
    assign_role(Role.ADMIN, to=bea)
    second_person.set_level(kinds=[What.ROLE], actor=ada, reason="Four eyes")
    for _ in range(ROUNDS):
        pat = person()
        answers = at_once(
            *[
                tried(assignments.give, role=Role.AUDITOR, to=pat, actor=who, scope=Scope.EVERYTHING)
                for who in (ada, bea)
            ]
        )
        assert sorted(answers) == ["conflict", "done"], answers
    assert PendingChange.objects.filter(what="role").count() == ROUNDS


def test_a_review_drops_a_role_once_while_it_ends_and_is_taken() -> None:
    the, ada = queue("refunds"), admin()
    for number in range(1, ROUNDS + 1):
        given = assignments.give(
            role=Role.REVIEWER, to=person(), actor=ada, scope=Scope.QUEUE, scope_id=str(the.pk)
        )
        assert isinstance(given, RoleAssignment)
        review = access_review.begin(
            name="Spring", scope=Scope.QUEUE, scope_id=str(the.pk), due_at=hours_ago(-1),
            drops_unanswered=True, actor=ada,
        )  # fmt: skip
        item = review.items.get()
        late = hours_ago(-2)
        at_once(
            tried(access_review.end_due, now=late),
            tried(access_review.end_due, now=late),
            tried(access_review.drop, review_id=review.pk, item_id=item.pk, actor=ada, note="x"),
            tried(assignments.take, assignment_id=given.pk, actor=ada, why="x"),
        )
        access_review.end_due(now=late)
        item.refresh_from_db()
        assert item.verdict == "drop"
        assert count("role.ended") == count("access_review.answered") == number
        assert count("access_review.ended") == number
