"""Identity providers on the sign-in page."""

from django import template
from django.conf import settings

from accounts.oidc_providers import Provider

register = template.Library()


@register.simple_tag
def identity_providers() -> tuple[Provider, ...]:
    """Where people can sign in besides here, in the environment's order."""
    found: tuple[Provider, ...] = settings.OIDC_PROVIDERS
    return found
