"""The first admin: a single-use link, printed on the machine, makes the first person."""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import NotAllowed
from accounts.models import SetupToken, User
from audit import recording
from audit.events import Kind, Target, system

VALID_FOR = timedelta(hours=24)


def setup_link(base_url: str) -> str | None:
    """A fresh single-use address to create the first admin, or None when there is one already.

    Only its hash is stored; a new link makes earlier ones worthless."""
    with transaction.atomic():
        if User.objects.admins().exists():
            return None
        token = secrets.token_urlsafe(32)
        SetupToken.objects.all().delete()
        SetupToken.objects.create(token_hash=_hash(token), expires_at=timezone.now() + VALID_FOR)
    return f"{base_url.rstrip('/')}/welcome/{token}/"


def is_valid(token: str) -> bool:
    """Whether this link would still create the first admin."""
    return SetupToken.objects.filter(token_hash=_hash(token), expires_at__gt=timezone.now()).exists()


def create_first_admin(*, token: str, email: str, name: str, password: str) -> User:
    """Use the link up and create the admin; refused when it was used, replaced or is older than a day."""
    with transaction.atomic(durable=True):
        used, _ = SetupToken.objects.filter(token_hash=_hash(token), expires_at__gt=timezone.now()).delete()
        if not used or User.objects.admins().exists():
            raise NotAllowed("This link was used or is too old. Start the server again for a new one.")
        user = User.objects.create_superuser(email=email, password=password, name=name)
        recording.record(
            actor=system("setup"),
            kind=Kind.PERSON_CREATED,
            target=Target("person", str(user.pk)),
            after={"email": user.email, "name": user.name, "admin": True},
        )
    return user


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
