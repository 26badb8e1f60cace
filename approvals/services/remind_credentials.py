"""Credentials that end soon: their agent's people are told 14, 7 and 1 days before, once each."""

from datetime import datetime, timedelta

from django.db import transaction

from accounts.models import User
from agents import permissions
from agents.models import AgentState, Credential
from approvals import notifications
from approvals.notifications import Topic

DAYS = (14, 7, 1)


def remind(*, now: datetime) -> int:
    """A step of the tick. A worker that was down tells the latest of what it missed, once."""
    ending = Credential.objects.filter(
        revoked_at=None,
        replaced_by=None,
        expires_at__gt=now,
        expires_at__lte=now + timedelta(days=max(DAYS)),
    ).exclude(agent__state=AgentState.RETIRED)
    told = 0
    for pk, expires_at, reminded in ending.values_list("pk", "expires_at", "reminded"):
        due = min(days for days in DAYS if expires_at - now <= timedelta(days=days))
        if reminded is None or reminded > due:
            told += _tell(pk, due)
    return told


def _tell(credential_id: int, due: int) -> int:
    with transaction.atomic(durable=True):
        credential = (
            Credential.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
            .select_related("agent")
            .filter(pk=credential_id, revoked_at=None, replaced_by=None)
            .first()
        )
        if credential is None or (credential.reminded is not None and credential.reminded <= due):
            return 0
        credential.reminded = due
        credential.save(update_fields=["reminded"])
        agent = credential.agent
        managers = User.objects.filter(permissions.managers_of(agent)).values_list("pk", flat=True)
        named = credential.label or credential.key_id
        what = "identity" if credential.is_identity else "credential"
        within = "within a day" if due == 1 else f"in less than {due} days"
        remedy = "Register it again" if credential.is_identity else "Rotate it"
        notifications.tell(
            {agent.owner_id, *managers},
            topic=Topic.AGENT,
            text=f"The {what} {named} of {agent.name} ends {within}. {remedy} before the agent is locked out.",
            key=f"credential:{credential.pk}:{due}",
            link=f"/agents/{agent.slug}/#credentials",
        )
    return 1
