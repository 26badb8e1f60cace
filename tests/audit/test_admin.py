"""Django's admin: nothing that a use case guards can be changed there, and what can leaves an event."""

import pytest
from django.contrib import admin as django_admin
from django.test import Client
from django.urls import reverse

from accounts.models import User
from approvals.models import Verdict
from audit.admin_base import AuditedAdmin, ReadOnlyAdmin
from audit.models import AuditEvent
from tests.factories import admin, desk

pytestmark = pytest.mark.django_db(transaction=True)


def boss() -> Client:
    client = Client()
    client.force_login(admin())
    return client


def test_only_people_are_editable() -> None:
    registry = django_admin.site._registry
    assert all(isinstance(one, AuditedAdmin) for one in registry.values())
    assert {model.__name__ for model, one in registry.items() if not isinstance(one, ReadOnlyAdmin)} == {
        "User"
    }


def test_every_list_opens_and_nothing_can_be_added() -> None:
    the = desk()
    the.decide(the.propose(), Verdict.APPROVE)
    client = boss()

    for model in django_admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert client.get(reverse(f"{name}_changelist")).status_code == 200, name
        assert client.get(reverse(f"{name}_add")).status_code == 403, name
        first = model._default_manager.first()
        if first is not None:
            assert client.get(reverse(f"{name}_change", args=[first.pk])).status_code == 200, name
            assert client.post(reverse(f"{name}_delete", args=[first.pk])).status_code == 403, name


def test_read_only_record_is_not_changed_by_post() -> None:
    the = desk()
    address = reverse("admin:agents_agent_change", args=[the.agent.pk])

    assert boss().post(address, {"name": "Mine", "state": "live"}).status_code == 403
    the.agent.refresh_from_db()
    assert the.agent.name != "Mine"


def test_secrets_are_not_shown() -> None:
    the = desk()
    proposal = the.approved()
    client = boss()
    for name, pk, secret in (
        ("admin:agents_credential_change", the.credential.pk, the.token),
        ("admin:approvals_grant_change", proposal.grant.pk, proposal.grant.token),
    ):
        assert secret not in client.get(reverse(name, args=[pk])).content.decode()


def test_changed_person_leaves_an_event_and_keeps_his_roles() -> None:
    the = desk()
    data = {
        "name": "Rita Renamed",
        "time_zone": "Europe/Vienna",
        "is_superuser": "on",
        "email": "x@example.com",
    }

    boss().post(reverse("admin:accounts_user_change", args=[the.reviewer.pk]), data)

    user = User.objects.get(pk=the.reviewer.pk)
    assert (user.name, user.is_superuser, user.email) == ("Rita Renamed", False, the.reviewer.email)
    event = AuditEvent.objects.get(kind="admin.changed")
    assert (event.object_type, event.object_id, event.data["detail"]["verb"]) == (
        "user",
        str(user.pk),
        "changed",
    )


def test_administration_is_for_admins() -> None:
    the = desk()
    client = Client()
    client.force_login(the.agent.owner)

    assert client.get("/admin/").status_code == 302
    assert client.get(reverse("admin:audit_auditevent_changelist")).status_code == 302
