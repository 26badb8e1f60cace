"""How a person wants to see and use the pages. It changes nothing for anybody else, and is an event all the same: which
key gives which verdict, and on which clock times stood there, belong to how a decision came about."""

from collections.abc import Mapping

from django.db import transaction

from accounts import shortcuts
from accounts.exceptions import Invalid
from accounts.models import User
from audit import recording
from audit.events import Kind, Target

THEMES = ("", "light", "dark")
"""Empty follows the device."""
NOT_CHOSEN = "UTC"
"""What stands as the zone of who has chosen none; who wants UTC itself has "Etc/UTC"."""


def save(
    *,
    person: User,
    theme: str,
    time_zone: str,
    keys: str,
    key_map: Mapping[str, str],
    advance: bool,
) -> User:
    """Keep theme, time zone (empty: the device's), how keys act and which, and whether a decision leads on to the next.

    Other preferences are left alone. Raises `Invalid` for keys that are none or taken twice."""
    faults = shortcuts.faults(key_map)
    if faults:
        raise Invalid(
            "These keys cannot be used.",
            errors=[{"field": name, "message": text} for name, text in faults.items()],
        )
    with transaction.atomic(durable=True):
        person = User.objects.select_for_update(of=("self",), no_key=True).get(pk=person.pk)
        before = _facts(person)
        person.preferences = {
            **person.preferences,
            "theme": theme if theme in THEMES else "",
            "keys": keys if keys in shortcuts.WAYS else "on",
            "key_map": shortcuts.different(key_map),
            "advance": advance,
        }
        person.time_zone = time_zone or NOT_CHOSEN
        person.save(update_fields=["preferences", "time_zone"])
        after = _facts(person)
        if after != before:
            recording.record(
                actor=person.actor(),
                kind=Kind.PREFERENCES_SAVED,
                target=Target("person", str(person.pk)),
                before=before,
                after=after,
            )
    return person


def _facts(person: User) -> dict[str, object]:
    chosen = {name: person.preferences.get(name) for name in ("theme", "keys", "key_map", "advance")}
    return {**chosen, "time_zone": person.time_zone}
