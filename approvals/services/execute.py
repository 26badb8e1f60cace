"""Have approved actions carried out: redeem the grant, call the address that the action type names, record the outcome.

The call is written down in the transaction that uses the grant up, and leased before it is made. Whoever is killed
leaves a lease that runs out: what may be repeated is then called again under the same key, and of everything else
nobody knows what the other side did, so a person finds out. Nothing is called after its grant has expired, nor by a
process that slept through its lease; what one that was overtaken has to say is not recorded."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import DataError, connection, transaction
from django.db import Error as DatabaseFault
from django.db.models import Count, Q
from django.utils import timezone

from accounts.exceptions import DomainError
from agents import fetching, stops
from agents.autonomy import lower, rank
from agents.models import AgentState, Mandate
from approvals import executing, webhooks
from approvals.executing import Meaning
from approvals.models import ExecutorCall, Grant, Proposal
from approvals.services import redeem, report
from approvals.states import State

log = structlog.get_logger(__name__)

LONGEST = 30.0
"""Seconds that an executor has for its answer."""
LEASE = timedelta(seconds=60)
RUN_SECONDS = 20.0
CALLERS = 3
AT_ONCE = 2
"""Calls under way to one address: an executor that hangs must not take every caller."""
LOOKED_AT = 200
_LOCK = 0x65786563
"""The first half of the advisory locks that count the callers."""
_TURN = 1000
"""The second half of the one that who begins a call holds, so that `AT_ONCE` is counted by one at a time."""

Clock = Callable[[], datetime]


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class _Call:
    """One call, leased."""

    row: ExecutorCall
    proposal: Proposal
    grant: Grant
    began: float
    """When its lease was taken, by the clock that nobody sets."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """A call that is not made any more, and why."""

    row: ExecutorCall
    meaning: Meaning


def run(
    *, seconds: float = RUN_SECONDS, clock: Clock = timezone.now, is_over: Callable[[], bool] = _never
) -> int:
    """Carry out what is approved, for `seconds` at most; how many calls were made. Where `is_over`, nothing more is
    begun: a process that has to end is killed soon, and in the middle of a call that would be an unknown outcome.
    `clock` is for tests."""
    end = time.monotonic() + seconds
    count = 0
    refused: set[UUID] = set()

    def has_ended() -> bool:
        return is_over() or time.monotonic() >= end

    with _place() as may_call:
        while may_call and not has_ended():
            # By turns what is new and what is repeated: an address that fails again and again holds up no other's first
            # call, and what is new does not take a repetition its grant's time.
            is_fresh = count % 2 == 0 and _redeem_one(clock(), refused, has_ended)
            call = _begin(clock(), is_fresh=is_fresh)
            if call is not None:
                _make(call, clock)
                count += 1
            elif not is_fresh and not _redeem_one(clock(), refused, has_ended):
                break
    return count


def _redeem_one(now: datetime, refused: set[UUID], is_over: Callable[[], bool] = _never) -> bool:
    """Use up the grant of the action that has waited longest. What is refused (a stop, a suspended agent, a limit)
    stays as it is, and lapses unless the refusal ends before its grant does; this run does not ask again, so that it
    stands in nobody's way."""
    due = Proposal.objects.filter(
        state=State.APPROVED,
        planted=False,
        grant__redeemed_at=None,
        grant__revoked_at=None,
        grant__expires_at__gt=now,
    ).exclude(Q(action_type__executor_url="") | Q(action_type__executor_url__in=_busy(now)))
    waiting = due.order_by("changed_at").values_list("pk", flat=True)
    while found := list(waiting.exclude(pk__in=refused)[:LOOKED_AT]):
        for pk in found:
            if is_over():
                return False
            if _redeemed(pk):
                return True
            refused.add(pk)
    return False


def _redeemed(proposal_id: UUID) -> bool:
    try:
        redeem.redeem_for_executor(proposal_id=proposal_id)
    except DomainError as refusal:
        log.info("not_redeemed", proposal=str(proposal_id), why=refusal.detail[:300])
        return False
    return True


def _busy(now: datetime) -> list[str]:
    """Addresses with as many calls under way as one may have."""
    under_way = ExecutorCall.objects.filter(ended_at=None, leased_until__gt=now).values("url")
    return list(under_way.annotate(n=Count("pk")).filter(n__gte=AT_ONCE).values_list("url", flat=True))


def _begin(now: datetime, *, is_fresh: bool = False) -> _Call | None:
    """The call that is due, leased. One that was cut off and may not be repeated, or whose grant is over, ends."""
    while True:
        found = _next(now, is_fresh=is_fresh)
        if not isinstance(found, _Ended):
            return found
        _end(found.row, found.meaning, counts=False)


def _next(now: datetime, *, is_fresh: bool) -> "_Call | _Ended | None":
    began = time.monotonic()
    with transaction.atomic(durable=True):
        stops.share()
        _lock("pg_advisory_xact_lock", _TURN)
        row = (
            ExecutorCall.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
            .filter(Q(leased_until=None) | Q(leased_until__lte=now), ended_at=None, not_before__lte=now)
            .exclude(url__in=_busy(now))
            .order_by(*(("attempts",) if is_fresh else ()), "not_before", "pk")
            .first()
        )
        if row is None:
            return None
        was_cut_off = row.leased_until is not None
        proposal = Proposal.objects.select_related("agent", "action_type", "grant").get(pk=row.proposal_id)
        grant = proposal.grant
        over = _over(row, proposal, was_cut_off=was_cut_off, is_late=grant.expires_at <= now)
        if over is None:
            row.attempts += 1
            row.leased_until = now + LEASE
            row.sent = row.sent or was_cut_off
            row.save(update_fields=["attempts", "leased_until", "sent"])
            return _Call(row, proposal, grant, began)
    return _Ended(row, over)


def _over(row: ExecutorCall, proposal: Proposal, *, was_cut_off: bool, is_late: bool) -> Meaning | None:
    """Why a call is not made any more; None where it is."""
    if proposal.state != State.EXECUTING:
        return executing.unknown("It was settled before it could be called again.")
    may_have_arrived = row.sent or was_cut_off
    if was_cut_off and not row.repeats:
        return executing.unknown("The call was cut off. Nobody knows what the executor did.")
    if _is_stopped(proposal) or not _is_mandated(proposal):
        words = "It was stopped before it was called again."
        return executing.unknown(words) if may_have_arrived else executing.never_reached(words)
    if not is_late:
        return None
    if may_have_arrived:
        return executing.unknown("It was called, and its grant expired before an answer came.")
    return executing.never_reached(row.said or "Its grant expired before it could be called.")


def _is_stopped(proposal: Proposal) -> bool:
    """Whether a stop covers it, or its agent is not live: what was redeemed before is not called any more either."""
    stop = stops.over(
        agent_id=proposal.agent_id,
        action_type_id=proposal.action_type_id,
        since=proposal.grant.issued_at,
    )
    return stop is not None or proposal.agent.state != AgentState.LIVE


def _is_mandated(proposal: Proposal) -> bool:
    """Whether the agent may still do this as far by itself as when it was redeemed."""
    mandate = Mandate.objects.filter(
        agent_id=proposal.agent_id, action_type_id=proposal.action_type_id, active=True
    ).first()
    return mandate is not None and rank(lower(mandate.tier, mandate.ceiling)) >= rank(proposal.tier)


def _make(call: _Call, clock: Clock) -> None:
    row = call.row
    try:
        answer = _answer(call, clock)
    except fetching.NotReached as fault:
        # Nothing was sent now; where an earlier call may have arrived, that one is still unanswered.
        found = executing.unknown(str(fault)) if row.sent else executing.never_reached(str(fault))
        _again_or_end(call, found, None, clock(), may_repeat=True, counts=False, sent=row.sent)
    except fetching.NotFetched as fault:
        _again_or_end(
            call,
            executing.unknown(str(fault)),
            None,
            clock(),
            may_repeat=row.repeats,
            counts=False,
            sent=True,
        )
    else:
        found = executing.meaning(answer, is_repeated=row.sent)
        # A server that says it is too busy has not done it: no earlier call stands open because of this one.
        _again_or_end(
            call,
            found,
            answer.status,
            clock(),
            may_repeat=row.repeats and executing.is_passing(answer.status),
            counts=not executing.is_passing(answer.status),
            sent=row.sent or not found.is_clear,
        )


def _answer(call: _Call, clock: Clock) -> fetching.Answer:
    """Raises what `fetching.post` raises. Whoever slept between the lease and here calls nobody."""
    body, headers = executing.body_of(call.proposal), executing.headers(call.grant.token, str(call.grant.pk))
    allowed = webhooks.open_networks(webhooks.Purpose.EXECUTORS)
    left = LONGEST - (time.monotonic() - call.began)
    # A machine that was suspended has a steady clock that stood still.
    is_overtaken = call.row.leased_until is None or call.row.leased_until <= clock()
    if left <= 0 or is_overtaken:
        raise fetching.NotReached("The caller was held up, and nothing was sent.")
    return fetching.post(
        call.row.url, body=body, headers=headers, allowed=allowed, longest=left, most=executing.MOST
    )


def _again_or_end(
    call: _Call,
    found: Meaning,
    status: int | None,
    now: datetime,
    *,
    may_repeat: bool,
    counts: bool,
    sent: bool,
) -> None:
    again = executing.next_attempt(now, call.row.attempts, end=call.grant.expires_at) if may_repeat else None
    if again is None:
        _end(call.row, found, status=status, counts=counts)
        return
    with transaction.atomic(durable=True):
        ExecutorCall.objects.filter(pk=call.row.pk, ended_at=None, attempts=call.row.attempts).update(
            leased_until=None, not_before=again, status=status, said=found.said, sent=sent
        )


def _end(row: ExecutorCall, found: Meaning, *, status: int | None = None, counts: bool) -> None:
    try:
        is_recorded = _recorded(row, found, status=status, counts=counts)
    except (DomainError, DataError) as error:  # an answer that cannot be kept is an answer all the same
        found = executing.unknown(f"{found.said} What it says cannot be kept: {error}"[:500])
        is_recorded = _recorded(row, found, status=status, counts=counts)
    log.info(
        "executed" if is_recorded else "overtaken",
        proposal=str(row.proposal_id),
        status=found.outcome.status,
        why=found.said[:300],
    )


def _recorded(row: ExecutorCall, found: Meaning, *, status: int | None, counts: bool) -> bool:
    return report.report_of_executor(
        proposal_id=row.proposal_id,
        attempt=row.attempts,
        request=found.outcome,
        status=status,
        said=found.said,
        counts=counts,
    )


@contextmanager
def _place() -> Iterator[bool]:
    """One of `CALLERS` places, held by a session's advisory lock, which also a killed process gives back."""
    place = next((number for number in range(CALLERS) if _lock("pg_try_advisory_lock", number)), None)
    try:
        yield place is not None
    finally:
        if place is not None:
            with suppress(DatabaseFault):
                _lock("pg_advisory_unlock", place)


def _lock(function: str, number: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s, %s)", [_LOCK, number])
        row = cursor.fetchone()
    return bool(row and row[0])
