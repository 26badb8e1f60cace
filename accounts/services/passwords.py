"""A person changes his own password."""

from django.db import transaction

from accounts import sessions
from accounts.models import User
from audit import recording
from audit.events import Kind, Target


def change(*, person: User, password: str, session_key: str) -> None:
    """Set a password that a form has checked. All other sessions of the person end."""
    with transaction.atomic(durable=True):
        found = User.objects.select_for_update(of=("self",), no_key=True).get(pk=person.pk)
        found.set_password(password)
        found.save(update_fields=["password"])
        recording.record(
            actor=person.actor(), kind=Kind.PASSWORD_SET, target=Target("person", str(person.pk))
        )
        sessions.end_all(person, why="the password was changed", except_key=session_key, by=person)
    person.password = found.password
