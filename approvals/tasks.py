"""Periodic Celery entry points: thin, safe to run twice or late."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from approvals import log_guard
from approvals.services import (
    access_request,
    access_review,
    attend,
    backtest,
    blind_review,
    claim,
    deliver,
    encrypt,
    erase,
    execute,
    expire,
    ownership,
    probe_serve,
    promote,
    rebuild,
    remind_credentials,
    retain,
    rollback,
    second_person,
    send_webhooks,
    settle,
    stop,
    watch_log,
    webhooks,
)

_stopping = threading.Event()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    """Whoever asks the worker to end kills it soon after: nothing long is begun any more."""
    _stopping.set()


def _tend_backtests(*, now: datetime) -> int:
    """Old uploads go; one that waits, or whose worker was killed, is begun (again)."""
    if backtest.is_waiting():
        run_backtests.apply_async(expires=60)
    return backtest.sweep(now=now)


_STEPS: dict[str, Callable[..., int]] = {
    "held": settle.settle_due,
    "stops": stop.finish,
    "windows": expire.close_veto_windows,
    "lapsed": expire.lapse_grants,
    "expired": expire.expire_undecided,
    "unknown": expire.mark_unknown,
    "leases": claim.release_run_out,
    "attention": attend.attend,
    "reviews_missed": blind_review.miss_overdue,
    "reviews_due": blind_review.remind,
    "maturity": promote.mature_due,
    "owners": ownership.tend,
    "credentials": remind_credentials.remind,
    "rollbacks": rollback.tell_of_silence,
    "backtests": _tend_backtests,
    "erasures": erase.go_on,
    "contexts": encrypt.move,
}


_DECIDING = frozenset({"held", "windows"})
"""Steps that decide: they wait while the audit log cannot be written, and a veto stays possible as long."""


@shared_task(name="approvals.tasks.tick")
def tick() -> dict[str, int]:
    """Everything that time alone changes. A run that finds nothing costs a few index look-ups.

    A step that fails (a signing key that cannot be opened, say) does not stop the others; its error comes last."""
    now = timezone.now()
    done: dict[str, int] = {}
    failed: Exception | None = None
    is_open = log_guard.is_open()
    for name, step in _STEPS.items():
        if name in _DECIDING and not is_open:
            continue
        try:
            done[name] = step(now=now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - expiry must not wait for a fault in something else
            failed = failed or error
    if failed is not None:
        raise failed
    return done


@shared_task(name="approvals.tasks.deliver")
def send_messages() -> int:
    """E-mails and chat messages that are due, apart from `tick`, whose clock no mail server may hold up."""
    return deliver.send_due()


@shared_task(name="approvals.tasks.webhooks")
def send_the_webhooks() -> int:
    """What agents' endpoints are to hear of; one of these always listens, so that a decision leaves at once."""
    return send_webhooks.send_due(waits=True, is_over=_stopping.is_set)


@shared_task(name="approvals.tasks.execute")
def carry_out() -> int:
    """Approved actions whose type names an address that Countersign itself calls."""
    return execute.run(is_over=_stopping.is_set)


@shared_task(name="approvals.tasks.clear_webhooks")
def clear_webhooks() -> int:
    """Hourly: what arrived or died a month ago."""
    return webhooks.clear(now=timezone.now())


@shared_task(name="approvals.tasks.probe")
def probe() -> int:
    """Probes, apart from `tick`: each waits for its own moment, so that they keep to no beat."""
    return probe_serve.run(now=timezone.now())


@shared_task(name="approvals.tasks.assess")
def assess() -> int:
    """Which standings have earned another tier; apart from `tick`, whose clock ten thousand must not hold up."""
    return promote.assess_due(now=timezone.now())


@shared_task(name="approvals.tasks.watch_log")
def watch_the_log() -> int:
    """Events that should have been sealed by now: an alarm to all admins, once per stall."""
    return watch_log.watch_log()


@shared_task(name="approvals.tasks.watch_log_thoroughly")
def watch_the_log_thoroughly() -> int:
    """Nightly: each event against each leaf, in both directions."""
    return watch_log.watch_log(thoroughly=True)


@shared_task(name="approvals.tasks.rebuild_evidence")
def rebuild_evidence() -> int:
    """Nightly: every standing from its evidence; a difference alarms the admins."""
    return sum(bool(checked.differences) for checked in rebuild.rebuild())


@shared_task(name="approvals.tasks.expire_content")
def expire_content() -> int:
    """Nightly: what has been kept as long as its kind is kept."""
    return retain.expire(now=timezone.now())


@shared_task(name="approvals.tasks.access")
def tend_access() -> dict[str, int]:
    """What asks for a person's word about access: told of, and closed where nobody answered in time."""
    now = timezone.now()
    return {
        "requests": access_request.expire(now=now),
        "changes": second_person.tend(now=now),
        "late": access_review.remind(now=now),
        "reviews": access_review.end_due(now=now),
    }


@shared_task(name="approvals.tasks.backtests")
def run_backtests() -> int:
    """Uploaded backtests, one after the other and one at a time in the whole installation."""
    return backtest.run_waiting()
