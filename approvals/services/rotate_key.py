"""Rotate the key that signs grants; older public keys stay published so that their grants still verify."""

from django.db import transaction
from django.utils import timezone

from approvals import keys
from approvals.models import SigningKey
from audit import recording
from audit.events import Kind, Target, system


def rotate_key() -> SigningKey:
    """Retire the signing key and make the next one."""
    with transaction.atomic(durable=True):
        old = SigningKey.objects.select_for_update(no_key=True).filter(retired_at=None).first()
        if old is not None:
            old.retired_at = timezone.now()
            old.save(update_fields=["retired_at"])
        new = keys.create()
        recording.record(
            actor=system("rotate_signing_key"),
            kind=Kind.SIGNING_KEY_ROTATED,
            target=Target("signing_key", new.kid[:64]),
            before={"kid": old.kid} if old else None,
            after={"kid": new.kid},
        )
    return new
