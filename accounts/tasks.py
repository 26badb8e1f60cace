"""Housekeeping of sessions, and of roles whose time is over."""

from celery import shared_task
from django.core.management import call_command

from accounts.services import assignments


@shared_task(name="accounts.tasks.clear_sessions")
def clear_sessions() -> None:
    call_command("clearsessions")


@shared_task(name="accounts.tasks.end_roles")
def end_roles() -> int:
    """What has run out counts for nothing already; this writes its event and signs out who was an admin by it."""
    return assignments.sweep()
