"""People changed by two at once: an installation keeps an admin, a link sets one password."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from accounts.exceptions import DomainError
from accounts.models import User
from accounts.services import people
from approvals.services.deactivate import deactivate
from tests.factories import admin

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], object]) -> list[bool]:
    """Whether each call went through; they start together on connections of their own."""
    start = Barrier(len(calls))

    def run(call: Callable[[], object]) -> bool:
        try:
            start.wait(10)
            call()
        except DomainError:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.parametrize("attempt", range(5))
def test_two_admins_who_remove_each_other_leave_one(attempt: int) -> None:
    one = admin()
    other = User.objects.create_superuser("other@example.com", "a long password", name="Otto")

    went = at_once(
        lambda: people.change(person_id=one.pk, actor=other, name="Ada", is_admin=False, is_auditor=False),
        lambda: deactivate(person_id=other.pk, actor=one),
    )

    assert sorted(went) == [False, True]
    assert User.objects.admins().count() == 1


def test_link_used_twice_at_once_sets_one_password() -> None:
    user, link = people.invite(email="nina@example.com", name="Nina", actor=admin())

    went = at_once(
        lambda: people.set_password(link=link, password="the first password"),
        lambda: people.set_password(link=link, password="the second password"),
    )

    assert sorted(went) == [False, True]
    user.refresh_from_db()
    word = "first" if went[0] else "second"
    assert user.check_password(f"the {word} password")
