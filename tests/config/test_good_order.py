"""What people have left undone is said with its remedy, and is silent again once it is done."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.models import PersonPermission, User
from agents.models import Agent, Credential
from approvals.models import Queue
from config import doctor, good_order
from tests.factories import admin, desk, person, queue

pytestmark = pytest.mark.django_db


def test_one_admin_is_too_few_and_two_are_enough() -> None:
    User.objects.admins().update(is_active=False)
    assert "There is no admin" in str(good_order.admins())
    first = admin()
    assert "There is one admin" in str(good_order.admins())
    second = User.objects.create_superuser(email="second@example.org", password="x", name="Second")
    assert first != second
    assert good_order.admins() is None


def test_admins_without_a_second_factor_are_named_under_https(settings: Any) -> None:
    first = admin()
    settings.IS_HTTPS, settings.SECOND_FACTOR = False, "offered"
    assert "not enforced here" in str(good_order.second_factors()), "on one machine, too"
    settings.IS_HTTPS = True
    assert "Unset COUNTERSIGN_SECOND_FACTOR" in str(good_order.second_factors())
    settings.SECOND_FACTOR = "required"
    assert first.email in str(good_order.second_factors())
    for one in User.objects.admins():
        Authenticator.objects.create(user=one, type=Authenticator.Type.TOTP, data={})
    assert good_order.second_factors() is None


def test_credentials_that_end_soon_and_owners_who_have_left_are_named() -> None:
    the = desk()
    assert (good_order.credentials(), good_order.owners()) == (None, None)
    Credential.objects.filter(pk=the.credential.pk).update(expires_at=timezone.now() + timedelta(days=5))
    assert the.agent.slug in str(good_order.credentials())
    User.objects.filter(pk=the.agent.owner_id).update(is_active=False)
    assert the.agent.slug in str(good_order.owners())
    Agent.objects.filter(pk=the.agent.pk).update(state="retired")
    assert (good_order.credentials(), good_order.owners()) == (None, None)


def test_rights_set_by_hand_are_named_and_those_of_roles_are_not() -> None:
    the = desk()
    assert good_order.rights_by_hand() is None, f"{the.reviewer} reviews by a role"
    somebody, where = person("Hanna Hand"), queue()
    may = Permission.objects.get(codename="review_queue", content_type__model=Queue._meta.model_name)
    PersonPermission.objects.create(
        user=somebody, permission=may, content_type=may.content_type, object_pk=str(where.pk)
    )
    assert somebody.email in str(good_order.rights_by_hand())


def test_the_doctor_says_all_of_it_as_notices(capsys: pytest.CaptureFixture[str]) -> None:
    User.objects.admins().update(is_active=False)
    doctor._what_is_left_undone()
    assert "! There is no admin" in capsys.readouterr().out
