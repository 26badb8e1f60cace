"""Periodic Celery entry points: thin, safe to run twice or late."""

from celery import shared_task
from django.utils import timezone

from approvals.services import claim, expire


@shared_task(name="approvals.tasks.tick")
def tick() -> dict[str, int]:
    """Everything that time alone changes. A run that finds nothing costs five index look-ups."""
    now = timezone.now()
    return {
        "windows": expire.close_veto_windows(now=now),
        "lapsed": expire.lapse_grants(now=now),
        "expired": expire.expire_undecided(now=now),
        "unknown": expire.mark_unknown(now=now),
        "leases": claim.release_run_out(now=now),
    }
