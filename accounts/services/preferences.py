"""How a person wants to see the pages. No audit event: it changes nothing for anybody else."""

from django.db import transaction

from accounts.models import User

THEMES = ("", "light", "dark")
"""Empty follows the device."""


def save(*, person: User, theme: str, keys: bool) -> User:
    """Keep theme and whether single keys act; other preferences are left alone."""
    with transaction.atomic(durable=True):
        person = User.objects.select_for_update(of=("self",), no_key=True).get(pk=person.pk)
        person.preferences = {
            **person.preferences,
            "theme": theme if theme in THEMES else "",
            "keys": "on" if keys else "off",
        }
        person.save(update_fields=["preferences"])
    return person
