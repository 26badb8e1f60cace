"""Whatever happens in whatever order: nothing begins that the mandate, a limit or a stop forbids at that moment (I10).

A machine proposes, decides, judges, corrects, resets, changes versions and limits, stops and lifts, lets time pass
and redeems, on PostgreSQL. Beside it stands a ledger in plain Python that knows nothing of the code's queries: it
keeps what has begun and says of each redemption whether it was allowed. What it would miss: wrong answers to questions
it does not ask (who may decide, whether the digest is right), which other tests of this directory ask, and what only
two at once can do, which the tests of races try.

COUNTERSIGN_EXAMPLES=500 looks much further than the suite has time for."""

import os
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from accounts.exceptions import DomainError
from agents import authority
from agents.autonomy import Tier, rank
from agents.models import Agent, Mandate, Stop
from agents.services import action_types, budgets, mandates, versions
from agents.services.budgets import Budget
from agents.versions import Announced
from approvals import keys
from approvals.models import Decision, Grant, Proposal, Verdict
from approvals.requests import OutcomeRequest, Subject
from approvals.services import expire, incident, promote, report, stop, suspend
from approvals.services.incident import Report
from approvals.services.redeem import redeem
from approvals.services.stop import Switch
from approvals.states import State
from tests.factories import Desk, action_type, admin, desk, earned

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("COUNTERSIGN_EXAMPLES", "10"))
DAY = timedelta(hours=24)
WRITTEN = {"c-17": "a", "C 17": "a", "\u0441-17": "a", "c-18": "b", "": ""}
"""Ways of writing a subject, and who it is to a person: nobody where none is named."""


@dataclass(frozen=True)
class Begun:
    """One line of the ledger."""

    at: datetime
    kind: int
    who: str
    size: Decimal


class Ledger:
    """What has begun, and what may begin next by the terms in force; it counts what it allowed and what was refused."""

    def __init__(self) -> None:
        self.lines: list[Begun] = []

    def forbids(self, proposal: Proposal, grant: Grant) -> str:
        """Why this must not begin now; empty when it may."""
        now = timezone.now()
        agent = Agent.objects.get(pk=proposal.agent_id)
        mandate = Mandate.objects.filter(agent=agent, action_type=proposal.action_type, active=True).first()
        if agent.state != "live":
            return "the agent is not live"
        if mandate is None:
            return "there is no mandate"
        if rank(min(mandate.tier, mandate.ceiling, key=rank)) < rank(proposal.tier):
            return "the tier was lowered"
        if grant.redeemed_at is not None or grant.revoked_at is not None or grant.expires_at <= now:
            return "the grant is used up, revoked or expired"
        if self._stopped_since(grant.issued_at, mandate):
            return "it is stopped, or was since"
        if Decision.objects.filter(proposal=proposal, decider__isnull=False).exists():
            return ""
        if mandate.escalated and proposal.action_type.reversible_by_id is None:
            return "it is under closer watch"
        return self._beyond(proposal, mandate, agent, now)

    def _stopped_since(self, since: datetime, mandate: Mandate) -> bool:
        about = {
            "all": True,
            "agent": mandate.agent_id,
            "action_type": mandate.action_type_id,
            "mandate": mandate.pk,
        }
        for one in Stop.objects.all():
            named = one.agent_id or one.action_type_id or one.mandate_id or True
            if named == about[one.scope] and (one.lifted_at is None or one.lifted_at >= since):
                return True
        return False

    def _beyond(self, proposal: Proposal, mandate: Mandate, agent: Agent, now: datetime) -> str:
        size = abs(proposal.amount or Decimal(0))
        day = [one for one in self.lines if one.at > now - DAY]
        mine = [one for one in day if one.kind == proposal.action_type_id]
        who = WRITTEN[proposal.subject_id]
        about = [one for one in day if one.who == who] if who else []
        about = [*about, *(one for one in mine if not one.who)] if who else mine

        def total(lines: list[Begun]) -> Decimal:
            return sum((one.size for one in lines), size)

        alone = mandate.max_amount if mandate.subject_amount is None and about else None
        checks: list[tuple[str, Any, Any]] = [
            ("per action", mandate.max_amount, size),
            ("split", alone, total(about)),
            ("per subject", mandate.subject_amount, total(about)),
            ("number per subject", mandate.subject_count, 1 + sum(one in mine for one in about)),
            ("window", mandate.window_amount, total(mine)),
            ("number in the window", mandate.window_count, len(mine) + 1),
            ("budget", agent.budget_amount, total(day)),
            ("number in the budget", agent.budget_count, len(day) + 1),
        ]
        return next(
            (
                f"beyond {name}: {have} of {most}"
                for name, most, have in checks
                if most is not None and have > most
            ),
            "",
        )

    def begin(self, proposal: Proposal) -> None:
        size = abs(proposal.amount or Decimal(0))
        self.lines.append(Begun(timezone.now(), proposal.action_type_id, WRITTEN[proposal.subject_id], size))


AMOUNTS = st.sampled_from([None, Decimal(50), Decimal(100)])
COUNTS = st.sampled_from([None, None, 2, 4])
SCOPES = st.sampled_from(["all", "agent", "action_type", "mandate"])
KINDS = st.integers(0, 1)
SIZES = st.sampled_from([10, 20, 45])
SUBJECTS = st.sampled_from(sorted(WRITTEN))


def _change(name: str, **values: Any) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    return st.tuples(st.just(name), st.fixed_dictionaries(values))


CHANGES = st.one_of(
    _change("stop", scope=SCOPES, kind=KINDS, is_killed=st.booleans()),
    _change("lift"),
    _change("suspend"),
    _change("resume"),
    _change("tier", kind=KINDS, up=st.booleans()),
    _change("reset", kind=KINDS),
    _change("version", label=st.sampled_from(["2", "3"])),
    _change("watch", kind=KINDS, escalated=st.booleans()),
    _change(
        "limits",
        kind=KINDS,
        most=AMOUNTS,
        window=AMOUNTS,
        about=AMOUNTS,
        count=COUNTS,
        about_count=COUNTS,
        active=st.sampled_from([True, True, True, False]),
    ),
    _change("budget", amount=AMOUNTS, count=COUNTS),
)
AFTERWARDS = st.sampled_from(
    [
        ("decide", Verdict.APPROVE),
        ("decide", Verdict.APPROVE),
        ("decide", Verdict.REJECT),
        ("decide", Verdict.VETO),
        ("report", "succeeded"),
        ("report", "failed"),
        ("incident", "minor"),
        ("incident", "critical"),
    ]
)


class Machine(RuleBasedStateMachine):
    """One agent with two mandates: what it does by the first can be undone, by the second not."""

    desks: list[Desk]
    allowed = refused = 0
    proposals = Bundle("proposals")

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint._from_testcase = True  # type: ignore[attr-defined]  # use cases insist on the outermost one
        self.savepoint.__enter__()
        self.clock = time_machine.travel(timezone.now(), tick=False)
        self.time = self.clock.start()
        authority.drop()
        self.ledger = Ledger()

    def teardown(self) -> None:
        self.clock.stop()
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)
        authority.drop()

    def tried(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """A refusal is an answer; the time goes on a little either way."""
        self.time.shift(1)
        try:
            return call(*args, **kwargs)
        except DomainError:
            return None

    @initialize(tier=st.sampled_from([Tier.ON_THE_LOOP, Tier.OUT_OF_THE_LOOP]))
    def earn(self, tier: Tier) -> None:
        for the in self.desks:
            earned(Mandate.objects.get(pk=the.mandate.pk), tier)

    @rule(target=proposals, kind=KINDS, amount=SIZES, subject=SUBJECTS)
    def propose(self, kind: int, amount: int, subject: str) -> Any:
        return self.ask(kind, amount, subject)

    def ask(self, kind: int, amount: int, subject: str) -> Any:
        about = Subject(type="customer", id=subject) if subject else None
        self.time.shift(1)
        return self.desks[kind].propose({"order_id": "A", "amount": amount}, subject=about).pk

    def decide(self, proposal: Any, verdict: Verdict) -> None:
        self.tried(self.desks[0].decide, Proposal.objects.get(pk=proposal), verdict)

    @rule(proposal=proposals)
    def redeem(self, proposal: Any) -> None:
        self.use(proposal)

    @rule(target=proposals, kind=KINDS, amounts=st.lists(SIZES, min_size=2, max_size=4), subject=SUBJECTS)
    def work(self, kind: int, amounts: list[int], subject: str) -> Any:
        """What an agent does all day: propose, wait for the window, begin; and keep one grant for later."""
        *found, saved = [self.ask(kind, amount, subject) for amount in amounts]
        self.time.shift(601)
        expire.close_veto_windows(now=timezone.now())
        for proposal in found:
            self.use(proposal)
        return multiple(*found, saved)

    @rule()
    def repair(self) -> None:
        """Somebody puts everything right again, so that what follows is worth trying."""
        for pulled in Stop.objects.filter(lifted_at=None):
            stop.lift(stop_id=pulled.pk, by=admin(), reason="mended")
        self.tried(suspend.resume, agent_id=self.desks[0].agent.pk, actor=admin(), reason="fine")
        for the in self.desks:
            Mandate.objects.filter(pk=the.mandate.pk).update(active=True, escalated=False)
            earned(Mandate.objects.get(pk=the.mandate.pk), Tier.OUT_OF_THE_LOOP)

    def use(self, proposal: Any) -> None:
        found = Proposal.objects.select_related("action_type").get(pk=proposal)
        grant = Grant.objects.filter(proposal=found).first()
        self.time.shift(1)
        why = self.ledger.forbids(found, grant) if grant is not None else "there is no grant"
        the = self.desks[0]
        try:
            redeem_now(the, found)
        except DomainError:
            type(self).refused += 1
            return
        assert why == "", why
        type(self).allowed += 1
        self.ledger.begin(found)

    @rule(change=CHANGES)
    def change(self, change: tuple[str, dict[str, Any]]) -> None:
        """One rule for all of them, or there would hardly be time to work in between."""
        name, values = change
        getattr(self, name)(**values)

    @rule(proposal=proposals, then=AFTERWARDS)
    def judge(self, proposal: Any, then: tuple[str, str]) -> None:
        name, what = then
        getattr(self, name)(proposal, what)

    def report(self, proposal: Any, status: Any) -> None:
        request = OutcomeRequest(status=status)
        self.tried(report.report, proposal_id=proposal, agent=self.desks[0].agent, request=request)

    def incident(self, proposal: Any, severity: str) -> None:
        the = self.desks[0]
        told = Report(
            title=f"It went wrong {timezone.now():%H:%M:%S}",
            severity=severity,
            description="Seen by hand.",
            proposals=(proposal,),
            answers=the.agent.owner_id,
        )
        self.tried(incident.report, report=told, reporter=the.reviewer)

    def tier(self, kind: int, up: bool) -> None:
        """Evidence gives a tier, an owner takes it."""
        mandate = Mandate.objects.get(pk=self.desks[kind].mandate.pk)
        if up:
            earned(mandate, Tier(mandate.ceiling))
        else:
            why = {"actor": admin(), "reason": "to be seen"}
            self.tried(promote.lower_tier, mandate_id=mandate.pk, tier=Tier.IN_THE_LOOP, **why)

    def reset(self, kind: int) -> None:
        mandate_id = self.desks[kind].mandate.pk
        self.tried(promote.reset, mandate_id=mandate_id, actor=admin(), reason="a new attempt")

    def version(self, label: str) -> None:
        said = {"said": Announced(), "actor": admin(), "reason": "another model"}
        self.tried(versions.declare, agent_id=self.desks[0].agent.pk, label=label, **said)

    def watch(self, kind: int, escalated: bool) -> None:
        """What the detector writes when its level rises or falls."""
        Mandate.objects.filter(pk=self.desks[kind].mandate.pk).update(escalated=escalated)
        authority.bump()

    def limits(
        self, kind: int, most: Any, window: Any, about: Any, count: Any, about_count: Any, active: bool
    ) -> None:
        the = self.desks[kind]
        terms = replace(
            mandates.as_terms(Mandate.objects.get(pk=the.mandate.pk)),
            max_amount=most,
            window_amount=window,
            subject_amount=about,
            window_count=count,
            subject_count=about_count,
            active=active,
        )
        name = the.action_type.name
        self.tried(mandates.save, agent_id=the.agent.pk, action_type=name, terms=terms, actor=admin())

    def budget(self, amount: Any, count: Any) -> None:
        wanted = Budget(amount=amount, count=count, currency="EUR")
        self.tried(budgets.save, agent_id=self.desks[0].agent.pk, budget=wanted, actor=admin(), reason="why")

    def stop(self, scope: str, kind: int, is_killed: bool) -> None:
        """Sometimes the process dies before it has taken a row back."""
        the = self.desks[kind]
        switch = {
            "all": Switch(),
            "agent": Switch(agent=the.agent),
            "action_type": Switch(action_type=the.action_type),
            "mandate": Switch(mandate=the.mandate),
        }[scope]
        with pytest.MonkeyPatch.context() as patch:
            if is_killed:
                patch.setattr(stop, "_take_back", lambda *_, **__: (0, False))
            pulled = self.tried(stop.pull, switch=switch, by=admin(), reason="odd")
        assert pulled is not None

    def lift(self) -> None:
        pulled = Stop.objects.filter(lifted_at=None).last()
        if pulled is not None:
            self.tried(stop.lift, stop_id=pulled.pk, by=admin(), reason="mended")

    def suspend(self) -> None:
        self.tried(suspend.suspend, agent_id=self.desks[0].agent.pk, actor=admin(), reason="odd")

    def resume(self) -> None:
        self.tried(suspend.resume, agent_id=self.desks[0].agent.pk, actor=admin(), reason="fine")

    @rule(hours=st.sampled_from([0.1, 1, 13, 23.9]))
    def wait(self, hours: float) -> None:
        self.time.shift(hours * 3600)

    @rule()
    def tick(self) -> None:
        now = timezone.now()
        stop.finish(now=now)
        expire.close_veto_windows(now=now)
        expire.lapse_grants(now=now)


def redeem_now(the: Desk, found: Proposal) -> None:
    redeem(proposal_id=found.pk, bearer=the.bearer, digest=found.digest)


@pytest.mark.timeout(120 + 15 * EXAMPLES)
def test_nothing_forbidden_begins() -> None:
    first = desk(Tier.OUT_OF_THE_LOOP, veto_seconds=600)
    undoing, final = action_type(), action_type()
    kind = action_types.as_definition(first.action_type)
    action_types.save(
        definition=replace(kind, reversible_by=undoing.name, grant_seconds=86_400), actor=admin()
    )
    action_types.save(
        definition=replace(action_types.as_definition(final), grant_seconds=86_400), actor=admin()
    )
    first.action_type.refresh_from_db()
    mandate = mandates.save(
        agent_id=first.agent.pk,
        action_type=final.name,
        terms=mandates.Terms(ceiling=Tier.OUT_OF_THE_LOOP, veto_seconds=0),
        actor=admin(),
    )
    assert isinstance(mandate, Mandate)
    keys.active()
    Machine.desks = [first, replace(first, action_type=final, mandate=mandate)]
    Machine.allowed = Machine.refused = 0
    run_state_machine_as_test(
        Machine,
        settings=settings(
            derandomize=True,
            max_examples=EXAMPLES,
            stateful_step_count=24,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Machine.allowed >= EXAMPLES
    assert Machine.refused >= EXAMPLES
    assert not Proposal.objects.filter(state=State.EXECUTING).exists()
