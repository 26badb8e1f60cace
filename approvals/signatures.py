"""Requests that wait for a second signature, and those that were answered."""

from django.db.models import QuerySet

from agents.models import SecondSignature


def waiting() -> list[SecondSignature]:
    """Requests of owners that an admin has to answer, the oldest first."""
    return list(_signatures().filter(signed_at=None, declined_at=None).order_by("id")[:200])


def answered() -> list[SecondSignature]:
    """The latest answers."""
    found = _signatures().exclude(signed_at=None, declined_at=None).select_related("signed_by")
    return list(found.order_by("-id")[:30])


def _signatures() -> QuerySet[SecondSignature]:
    return SecondSignature.objects.filter(kind=SecondSignature.Kind.EARNING).select_related(
        "asked_by", "agent", "mandate__agent", "mandate__action_type"
    )
