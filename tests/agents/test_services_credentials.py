"""Credentials: shown once, at most 90 days, rotated with an overlap, revoked at once, by who manages the agent."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.exceptions import Invalid, NotAllowed, NotFound
from accounts.models import User
from agents import authority, tokens
from agents.models import Credential
from agents.services import assign_owners, credentials
from audit.models import AuditEvent
from tests.factories import admin, desk, person

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("days", [0, -1, 91, 10_000])
def test_a_credential_lives_at_most_90_days(days: int) -> None:
    the = desk()
    with pytest.raises(Invalid):
        credentials.issue(agent_id=the.agent.pk, actor=the.agent.owner, days=days)
    assert Credential.objects.count() == 1


def test_only_the_hash_is_kept() -> None:
    the = desk()
    credential, token = credentials.issue(agent_id=the.agent.pk, actor=the.agent.owner, label="ci")
    assert credential.token_hash == tokens.digest(token)
    assert credential.expires_at - timezone.now() <= timedelta(days=90)
    stored = [str(value) for row in Credential.objects.values_list() for value in row]
    secret = token.split("_")[2]
    assert not any(secret in value for value in stored)
    assert not AuditEvent.objects.filter(content__contains=secret).exists()


def test_only_who_manages_the_agent_handles_its_credentials() -> None:
    the = desk()
    before = Credential.objects.values_list("pk", "expires_at", "revoked_at")
    kept = list(before)
    for one in (the.reviewer, person(), desk().agent.owner):
        with pytest.raises(NotAllowed):
            credentials.issue(agent_id=the.agent.pk, actor=one)
        with pytest.raises(NotAllowed):
            credentials.rotate(credential_id=the.credential.pk, actor=one)
        with pytest.raises(NotAllowed):
            credentials.revoke(credential_id=the.credential.pk, actor=one)
    assert list(before.filter(pk=the.credential.pk)) == kept
    with pytest.raises(NotFound):
        credentials.issue(agent_id=0, actor=admin())
    with pytest.raises(NotFound):
        credentials.revoke(credential_id=0, actor=admin())


def test_an_inactive_owner_manages_nothing() -> None:
    the = desk()
    the.agent.owner.is_active = False
    the.agent.owner.save(update_fields=["is_active"])
    with pytest.raises(NotAllowed):
        credentials.issue(agent_id=the.agent.pk, actor=the.agent.owner)


def test_rotation_overlaps_and_never_lengthens_the_old_one() -> None:
    the = desk()
    Credential.objects.update(expires_at=timezone.now() + timedelta(hours=2))
    fresh, _ = credentials.rotate(credential_id=the.credential.pk, actor=admin(), overlap=timedelta(days=7))
    old = Credential.objects.get(pk=the.credential.pk)
    assert old.replaced_by == fresh
    assert old.expires_at <= timezone.now() + timedelta(hours=2)
    for overlap in (timedelta(seconds=-1), timedelta(days=8)):
        with pytest.raises(Invalid):
            credentials.rotate(credential_id=fresh.pk, actor=admin(), overlap=overlap)
    with pytest.raises(Invalid, match="Not rotated"):
        credentials.rotate(credential_id=the.credential.pk, actor=admin())


def test_a_revoked_one_is_not_rotated_back_to_life() -> None:
    the = desk()
    credentials.revoke(credential_id=the.credential.pk, actor=admin())
    with pytest.raises(Invalid):
        credentials.rotate(credential_id=the.credential.pk, actor=admin())


def test_revoking_twice_is_one_event_and_moves_authority_once() -> None:
    the = desk()
    credentials.revoke(credential_id=the.credential.pk, actor=admin())
    number = authority.current()
    credentials.revoke(credential_id=the.credential.pk, actor=admin())
    assert authority.current() == number
    assert AuditEvent.objects.filter(kind="credential.revoked").count() == 1


def test_a_manager_handles_credentials_and_hands_no_rights_on() -> None:
    """Only the owner and admins say who manages: else one leaked right could not be taken back for good."""
    the = desk()
    manager, friend = person(), person()
    assign_owners.assign_manager(agent_id=the.agent.pk, to=manager, actor=the.agent.owner)
    credentials.issue(agent_id=the.agent.pk, actor=manager)
    with pytest.raises(NotAllowed):
        assign_owners.assign_manager(agent_id=the.agent.pk, to=friend, actor=manager)
    assign_owners.assign_manager(agent_id=the.agent.pk, to=manager, actor=admin(), allowed=False)
    with pytest.raises(NotAllowed):
        credentials.issue(agent_id=the.agent.pk, actor=User.objects.get(pk=manager.pk))


def test_every_change_moves_authority() -> None:
    the = desk()
    seen = [authority.current()]
    _, _ = credentials.issue(agent_id=the.agent.pk, actor=admin())
    seen.append(authority.current())
    credentials.rotate(credential_id=the.credential.pk, actor=admin())
    seen.append(authority.current())
    credentials.revoke(credential_id=the.credential.pk, actor=admin())
    seen.append(authority.current())
    assign_owners.assign_manager(agent_id=the.agent.pk, to=person(), actor=admin())
    seen.append(authority.current())
    assert seen == sorted(set(seen))


def test_the_cache_is_bounded_and_its_answers_stay() -> None:
    """Made-up tokens must not fill the memory, nor empty it under another thread's hand."""
    the = desk()
    cache = authority.fresh()
    for number in range(authority.MAX_KNOWN + 10):
        authority._keep(cache._bearers, number.to_bytes(32, "big"), None)
    assert len(cache._bearers) <= authority.MAX_KNOWN
    found = cache.bearer(tokens.digest(the.token))
    assert found is not None
    assert found.agent == the.agent
