"""What the page about the company's directory shows."""

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, F, Q, QuerySet

from accounts import oidc_client
from accounts.models import DirectoryTeam, DirectoryToken
from accounts.oidc_providers import Provider


@dataclass(frozen=True, slots=True)
class Asked:
    """A provider, and whether it answers now; `fault` says what it said instead."""

    provider: Provider
    fault: str = ""


def providers() -> list[Asked]:
    """Every provider of this installation. Who has answered within ten minutes is not asked again."""
    return [_asked(one) for one in settings.OIDC_PROVIDERS]


def _asked(provider: Provider) -> Asked:
    try:
        oidc_client.discover(provider)
    except oidc_client.ProviderAway as error:
        return Asked(provider, str(error.__cause__)[:300])
    return Asked(provider)


def tokens() -> QuerySet[DirectoryToken]:
    """Tokens, those that open something first."""
    return DirectoryToken.objects.select_related("created_by").order_by(
        F("revoked_at").desc(nulls_first=True), "-created_at"
    )


def teams() -> QuerySet[DirectoryTeam]:
    """Teams that the directory fills, with `members` by it."""
    given = Q(team__joins__source="directory") | Q(team__joins__in_directory_too=True)
    return (
        DirectoryTeam.objects.filter(removed_at=None)
        .select_related("team")
        .annotate(members=Count("team__joins", filter=given))
        .order_by("team__name")
    )
