"""Which private networks may be called by webhooks and executors: an admin's word, in the log."""

from django.db import transaction

from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import User
from agents import networks, permissions
from approvals.models import OpenNetwork
from audit import recording
from audit.events import Kind, Target


def allow(*, network: str, purpose: str, reason: str, actor: User) -> OpenNetwork:
    """From now on servers in this network are called for this purpose, without TLS too where an address says so."""
    permissions.check_is_admin(actor)
    if purpose not in OpenNetwork.Purpose.values:
        message = f"must be one of {', '.join(OpenNetwork.Purpose.values)}"
        raise Invalid("Not allowed.", errors=[{"field": "purpose", "message": message}])
    try:
        found = networks.checked([network.strip()])
    except ValueError as error:
        raise Invalid("Not allowed.", errors=[{"field": "network", "message": str(error)}]) from error
    with transaction.atomic(durable=True):
        opened, is_new = OpenNetwork.objects.get_or_create(
            network=found[0], defaults={"purpose": purpose, "reason": reason, "allowed_by": actor}
        )
        if not is_new:
            raise Conflict(f"{opened} is allowed already. Close it first, to allow it for something else.")
        _record(opened, actor, Kind.NETWORK_ALLOWED)
    return opened


def close(*, network_id: int, actor: User) -> OpenNetwork:
    """Its servers are not called any more, from the next attempt on."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        opened = OpenNetwork.objects.select_for_update(of=("self",)).filter(pk=network_id).first()
        if opened is None:
            raise NotFound("There is no such network.")
        _record(opened, actor, Kind.NETWORK_CLOSED)
        opened.delete()
    return opened


def _record(opened: OpenNetwork, actor: User, kind: Kind) -> None:
    recording.record(
        actor=actor.actor(),
        kind=kind,
        target=Target("network", opened.network),
        after={"network": opened.network, "purpose": opened.purpose, "reason": opened.reason},
    )
