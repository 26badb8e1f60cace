"""What people have left undone: who could lock everybody out, what runs out, whose rights nobody gave.

Asked by `manage.py doctor` when the database can be reached. Nothing here keeps an installation from working today, so
each finding is a notice with its remedy, and the exit code does not change."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from accounts import second_factor
from accounts.models import PersonPermission, TeamPermission, User
from agents.models import Agent, Credential

SOON = timedelta(days=14)
NAMED = 5


def admins() -> str | None:
    number = User.objects.admins().count()
    if number == 0:
        return "There is no admin. Make one: `manage.py createsuperuser`, or the link that `make run` prints."
    if number == 1:
        return (
            "There is one admin. When he is away nobody can stop an agent or let somebody in, and nobody can sign a "
            "change that needs two. Give a second person the role, under People."
        )
    return None


def second_factors() -> str | None:
    without = [person for person in User.objects.admins() if not second_factor.has_one(person)]
    if settings.IS_HTTPS and settings.SECOND_FACTOR != second_factor.REQUIRED:
        return (
            "A second factor is offered and required of nobody: a stolen password is enough to change who may approve "
            "what. Unset COUNTERSIGN_SECOND_FACTOR."
        )
    if settings.SECOND_FACTOR != second_factor.REQUIRED and without and not settings.DEMO:
        return (
            "Second factors are not enforced here, since it is not served by https, and admins have none: "
            f"{_names(person.email for person in without)}. Set COUNTERSIGN_SECOND_FACTOR=required to enforce them."
        )
    if settings.IS_HTTPS and without:
        return (
            f"Without a second factor: {_names(person.email for person in without)}. They are asked for one when they "
            "sign in next; until then a stolen password lets somebody set up his own."
        )
    return None


def credentials() -> str | None:
    now = timezone.now()
    ending = Credential.objects.filter(
        revoked_at=None, expires_at__gt=now, expires_at__lte=now + SOON, replaced_by=None, agent__state="live"
    )
    slugs = _distinct(ending, "agent__slug")
    if not slugs:
        return None
    return (
        f"Credentials end within {SOON.days} days: {_names(iter(slugs))}. Rotate them on the agents' pages."
    )


def owners() -> str | None:
    slugs = _distinct(Agent.objects.filter(state="live", owner__is_active=False), "slug")
    if not slugs:
        return None
    return (
        f"Live agents whose owner has left: {_names(iter(slugs))}. Nobody answers for them, and nothing of theirs "
        "passes without a person. Name another owner on their pages."
    )


def rights_by_hand() -> str | None:
    by_hand = [
        *PersonPermission.objects.filter(assignment=None).values_list("user__email", flat=True).distinct(),
        *TeamPermission.objects.filter(assignment=None).values_list("group__name", flat=True).distinct(),
    ]
    if not by_hand:
        return None
    return (
        f"Rights that no role gave, set by hand: {_names(iter(sorted(set(by_hand))))}. Nobody reviews them and they "
        "have no end. Give a role instead, under People, and take the permission back in the administration."
    )


def _distinct(rows: "QuerySet[Agent] | QuerySet[Credential]", field: str) -> list[str]:
    return [str(value) for value in rows.order_by(field).values_list(field, flat=True).distinct()]


def _names(found: Iterator[str]) -> str:
    """The first few, and how many more."""
    names = list(found)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


EVERYTHING: tuple[Callable[[], str | None], ...] = (
    admins,
    second_factors,
    credentials,
    owners,
    rights_by_hand,
)
