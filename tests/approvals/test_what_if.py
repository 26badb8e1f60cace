"""What-if: other thresholds over recorded evidence, other limits and rules over what was proposed, over HTTP.

Small records are made by use cases. Long ones are copies of one proposal and its evidence that use cases made, at other
times and with other losses: a thousand walks through the desk would say no more and take minutes."""

import itertools
import re
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from agents import what_if as words
from agents.autonomy import Tier
from agents.backtest import ON, Action, Rules
from agents.models import Evidence
from agents.tier_model import Thresholds
from approvals.models import Proposal, Verdict
from approvals.requests import Subject
from approvals.services import what_if, what_if_limits
from approvals.services.what_if_limits import Asked
from approvals.states import State
from tests.factories import ARGUMENTS, Desk, admin, desk, person

pytestmark = pytest.mark.django_db(transaction=True)
_numbers = itertools.count(1)


def address(the: Desk, **question: Any) -> str:
    query = "&".join(f"{name}={value}" for name, value in question.items())
    return f"/agents/{the.agent.slug}/mandates/{the.action_type.name}/what-if/?{query}"


def page(the: Desk, user: User | None = None, *, status: int = 200, **question: Any) -> str:
    client = Client()
    client.force_login(user or the.agent.owner)
    response = client.get(address(the, **question))
    assert response.status_code == status
    return " ".join(response.content.decode().split())


THRESHOLDS: dict[str, Any] = {"part": "evidence", "ceiling": "out_of_the_loop"}
LIMITS: dict[str, Any] = {"part": "limits", "window_hours": 24, "effect": "review", "days": 30}


def lately(the: Desk, amounts: Iterable[float], **extra: Any) -> list[Proposal]:
    return [the.propose({**ARGUMENTS, "amount": amount}, **extra) for amount in amounts]


def record(
    the: Desk,
    losses: Iterable[float | None],
    *,
    audited: float | None = None,
    every: timedelta = timedelta(hours=6),
) -> None:
    """So many judged actions, the latest now, each reviewed beforehand; or, with `audited`, run and drawn for an audit
    with that chance, where None was not drawn."""
    given = list(losses)
    model = the.approved()
    first = Evidence.objects.get(proposal_id=model.pk)
    begin = timezone.now() - every * len(given)
    proposals: list[Proposal] = []
    evidence: list[Evidence] = []
    for number, loss in enumerate(given):
        at = begin + every * number
        row = Proposal.objects.get(pk=model.pk) if not proposals else _copy(proposals[0])
        row.pk, row.idempotency_key, row.created_at = uuid4(), f"copy-{next(_numbers)}", at
        row.tier = Tier.ON_THE_LOOP if audited else Tier.IN_THE_LOOP
        row.state = State.SUCCEEDED if audited or not loss else State.REJECTED
        row.sample_probability, row.sampled = (audited, loss is not None) if audited else (None, False)
        proposals.append(row)
        if loss is not None:
            judged = _copy(first)
            judged.pk, judged.proposal_id, judged.key = None, row.pk, f"copy:{row.pk}"
            judged.judged_at = judged.counts_at = at
            judged.loss, judged.verdict = Decimal(str(loss)), "reject" if loss else "approve"
            judged.judged_by_id = (the.reviewer.pk, the.second.pk)[number % 2]
            judged.probability = audited or 1.0
            judged.basis = Evidence.Basis.AUDIT if audited else Evidence.Basis.DECISION
            judged.detail = {"audit": True} if audited else {}
            evidence.append(judged)
            if number % 12 == 0:
                probe = _copy(judged)
                probe.pk, probe.key, probe.basis, probe.verdict = None, f"probe:{row.pk}", "probe", "caught"
                probe.proposal_id, probe.loss = None, Decimal(0)
                evidence.append(probe)
    Evidence.objects.filter(pk=first.pk).delete()
    Proposal.objects.filter(pk=model.pk).update(state=State.WITHDRAWN)
    Proposal.objects.bulk_create(proposals)
    Evidence.objects.bulk_create(evidence)


def _copy(row: Any) -> Any:
    return type(row)(**{field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields})


# ── Limits and rules ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_cap_is_told_in_a_sentence_with_its_figures() -> None:
    the = desk()
    for number, proposal in enumerate(lately(the, [100, 200, 400, 501, 600, 700, 800])):
        the.decide(proposal, Verdict.REJECT if number in (1, 4, 5) else Verdict.APPROVE)
    found = page(the, **LIMITS, max_amount=500)
    assert (
        "With a cap of 500 EUR, 4 of the last 30 days&#x27; 7 proposals would have gone to review; 2 of those were "
        "rejected or found wrong, 2 right as proposed."
    ) in found
    assert "By the limits in force it is 0." in found
    assert "in the loop, so a person looks at all of them today" in found
    assert "With no limits, 0 of the last 30 days&#x27; 7 proposals" in page(the, **LIMITS)


@pytest.mark.parametrize(
    "terms",
    [
        {"max_amount": "300"},
        {"window_count": 3},
        {"window_amount": "900"},
        {"subject_count": 2},
        {"subject_amount": "700"},
        {"max_amount": "450", "window_count": 6, "subject_count": 3},
    ],
    ids=lambda terms: "+".join(terms),
)
def test_what_if_sends_to_people_what_submitting_does(terms: dict[str, Any]) -> None:
    """The same actions are proposed to two agents on the loop: one without limits, which is asked what if, and one
    whose mandate has these limits. Proposal by proposal they agree; rejecting frees the window for neither."""
    amounts = [100, 250, 400, 300, 500, 50, 350, 200]
    free, bound = desk(tier=Tier.ON_THE_LOOP), desk(tier=Tier.ON_THE_LOOP, **terms)
    sent = []
    for place, amount in enumerate(amounts):
        subject = Subject(type="customer", id=f"c-{place % 3}") if place % 4 else None
        arguments = {**ARGUMENTS, "amount": amount}
        free.propose(arguments, subject=subject)
        sent.append(bound.propose(arguments, subject=subject).state == State.PENDING)
    limits = {name: Decimal(value) if isinstance(value, str) else value for name, value in terms.items()}
    answer = what_if_limits.ask(free.mandate, Asked(limits=limits, window_hours=24, rule=None, days=30))
    assert 0 < sum(sent) < len(sent)
    assert (answer.total, answer.held.number, answer.now) == (8, sum(sent), 0)
    as_bound = what_if_limits.ask(bound.mandate, Asked(limits={}, window_hours=24, rule=None, days=30))
    assert (as_bound.held.number, as_bound.now) == (0, sum(sent))


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        ("review", "With the rule, 2 of the last 30 days&#x27; 3 proposals would have gone to review"),
        ("cap", "With the rule, 2 of the last 30 days&#x27; 3 proposals would have gone to review"),
        ("deny", "The rule would have denied 2."),
    ],
)
def test_rule_is_tried_on_what_was_proposed(effect: str, said: str) -> None:
    the = desk(tier=Tier.ON_THE_LOOP)
    lately(the, [10, 60, 70])
    assert said in page(the, **{**LIMITS, "effect": effect}, when="args.amount%20%3E%2050.0")


def test_rule_that_fails_sends_to_review_and_says_so() -> None:
    the = desk(tier=Tier.ON_THE_LOOP)
    lately(the, [10, 60])
    found = page(the, **LIMITS, when="args.nothing%20%3E%205")
    assert "could not be evaluated 2 times" in found and "2 of the last 30 days&#x27; 2 proposals" in found


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"when": "history.rejected%20%3E%202"}, "A condition on history cannot be tried here"),
        ({"when": "nonsense%20%3E"}, "Nothing was computed"),
        ({"when": "somebody.else"}, "Speaks of"),
        ({"max_amount": "-1"}, "greater than or equal to 0"),
        ({"max_amount": "NaN"}, "Enter a number"),
        ({"window_hours": "0"}, "greater than or equal to 1"),
        ({"days": "4000"}, "not one of the available choices"),
        ({"effect": "grant"}, "not one of the available choices"),
    ],
)
def test_limits_that_make_no_sense_are_refused_beside_their_field(
    question: dict[str, str], said: str
) -> None:
    found = page(desk(), **{**LIMITS, **question})
    assert said in found and "would have gone to review;" not in found


def test_probes_and_older_proposals_are_not_counted() -> None:
    the = desk(tier=Tier.ON_THE_LOOP)
    planted, old, _ = lately(the, [600, 700, 800])
    Proposal.objects.filter(pk=planted.pk).update(planted=True)
    Proposal.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=40))
    assert "1 of the last 30 days&#x27; 1 proposal would" in page(the, **LIMITS, max_amount=500)
    assert "2 of the last 90 days&#x27; 2 proposals would" in page(
        the, **{**LIMITS, "days": 90}, max_amount=500
    )


def test_what_is_not_looked_at_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    the = desk(tier=Tier.ON_THE_LOOP)
    lately(the, [600, 700, 800])
    monkeypatch.setattr(what_if_limits, "MOST", 2)
    found = page(the, **LIMITS, max_amount=500)
    assert "There is more than was looked at: the latest 2 proposals" in found
    reviewed = desk()
    for _ in range(3):
        reviewed.approved()
    monkeypatch.setattr(what_if, "MOST", 2)
    assert "Looked at were the latest 2 actions" in page(reviewed, **THRESHOLDS)


# ── Thresholds ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_stricter_thresholds_are_reached_later_or_never() -> None:
    the = desk(ceiling="out_of_the_loop")
    record(the, [1.0 if number == 20 else 0.0 for number in range(400)])
    same = page(the, **THRESHOLDS)
    assert "the same as by the thresholds in force." in same
    later = page(the, **THRESHOLDS, on_p0=0.97)
    when = re.search(r"It would have got on the loop on (.*?), after (\d+) reviews; .*? after (\d+)\.", later)
    assert when is not None and int(when[2]) > int(when[3])
    assert "It would not have got on the loop; by the thresholds in force it got there" in page(
        the, **THRESHOLDS, on_p0=0.99, out_p0=0.995
    )
    assert "It would not have got on the loop" in page(the, **{**THRESHOLDS, "ceiling": "in_the_loop"})


def test_what_would_have_run_and_was_wrong_is_named() -> None:
    the = desk(ceiling="out_of_the_loop")
    record(the, [1.0 if number in (250, 320) else 0.0 for number in range(400)])
    answer = what_if.ask(the.mandate, what_if.Asked({}, "out_of_the_loop"))
    assert answer is not None and 0 < answer.then.wrong <= 2
    assert answer.then.unreviewed == answer.now.unreviewed > 0
    rejected = {str(row.pk) for row in Proposal.objects.filter(state=State.REJECTED)}
    assert {str(row.pk) for row in answer.wrong} <= rejected and answer.wrong
    found = page(the, **THRESHOLDS)
    assert re.search(
        r"\d+ of 400 actions would have run unreviewed, \d+ by the thresholds in force\. [\d.]+ of", found
    )
    assert "Judged wrong, and would have run" in found
    assert all(f"/proposals/{row.pk}/" in found for row in answer.wrong)


def test_less_auditing_thins_and_more_cannot_be_known() -> None:
    """Recorded on the loop with a fifth audited. Nobody knows what reviewing all of it beforehand would have shown; and
    of the record a run on the loop under a lower rate is a sample that is smaller still."""
    the = desk(ceiling="out_of_the_loop")
    record(the, [None if number % 5 else 0.0 for number in range(900)], audited=0.2, every=timedelta(hours=2))
    found = page(the, **THRESHOLDS, audit_on=0.1, early_on=0.1)
    assert "cannot be known" in found and "means of 5 draws" in found
    answer = what_if.ask(the.mandate, what_if.Asked({"audit_on": 0.1, "early_on": 0.1}, "out_of_the_loop"))
    assert answer is not None and answer.then.first(ON) is not None
    assert 0 < answer.then.audits < answer.now.audits
    more = what_if.ask(the.mandate, what_if.Asked({"audit_on": 0.5, "early_on": 0.5}, "out_of_the_loop"))
    assert more is not None and more.then.unknown > answer.then.unknown


def test_estimate_weighs_by_the_recorded_chance() -> None:
    """20 errors among audits drawn with 0.25 speak for about 80 among all, whatever the model does with them."""
    at = timezone.now()
    rows = [
        Action(
            at=at + timedelta(hours=number),
            number=number,
            loss=(1.0 if number % 20 == 0 else 0.0) if number < 200 or number % 4 == 0 else None,
            probability=1.0 if number < 200 else 0.25,
            reviewer=number % 2,
        )
        for number in range(1, 600)
    ]
    eager = Thresholds.of(
        {"on_p0": 0.8, "out_p0": 0.8, "cool_down_days": 0, "exposure_days": 0, "maturity_hours": 0},
        risk="low",
    )
    found = words.replay(rows, [], Rules(thresholds=eager, catch_rate=1.0), times=1)
    first = found.first(ON)
    assert first is not None and first.number < 200
    ran = [row for row in rows if row.number > first.number and row.is_wrong]
    assert found.wrong == len(ran)
    assert found.estimated == pytest.approx(sum(1 / row.probability for row in ran))


def test_corrected_judgement_counts_as_it_stands() -> None:
    the = desk(ceiling="out_of_the_loop")
    record(the, [0.0] * 300)
    row = Evidence.objects.filter(basis="decision").order_by("id")[250]
    worse = _copy(row)
    worse.pk, worse.key, worse.corrects_id, worse.basis = None, "correction", row.pk, "outcome"
    worse.loss, worse.verdict, worse.loss_before = Decimal(1), "failed", Decimal(0)
    worse.save(force_insert=True)
    answer = what_if.ask(the.mandate, what_if.Asked({}, "out_of_the_loop"))
    assert answer is not None and answer.then.wrong == 1


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"on_p0": "2"}, "from 0.6 to 0.9999"),
        ({"alpha": "NaN"}, "Enter a number"),
        ({"audit_on": "0.9"}, "first audits are no rarer than later"),
        ({"ceiling": "advisory"}, "not one of the available choices"),
    ],
)
def test_absurd_thresholds_are_refused_beside_their_field(question: dict[str, str], said: str) -> None:
    the = desk()
    the.approved()
    assert said.lower() in page(the, **{**THRESHOLDS, **question}).lower()


def test_nothing_recorded_is_said() -> None:
    assert "Nothing is recorded for this version yet." in page(desk(), **THRESHOLDS)
    assert "Nothing was proposed in the last 30 days." in page(desk(), **LIMITS)


# ── Who, and at what price ────────────────────────────────────────────────────────────────────────────────────────────


def test_owner_and_admin_see_it_and_others_find_nothing() -> None:
    the = desk()
    for allowed in (the.agent.owner, admin()):
        assert "What if" in page(the, allowed)
    for stranger in (the.reviewer, person()):
        page(the, stranger, status=404)
    assert Client().get(address(the)).status_code == 302
    client = Client()
    client.force_login(the.agent.owner)
    assert client.post(address(the), LIMITS).status_code == 405


def test_titles_stay_text() -> None:
    the = desk(tier=Tier.ON_THE_LOOP)
    the.propose({**ARGUMENTS, "amount": 900, "order_id": "<img src=x>"})
    found = page(the, **LIMITS, max_amount=500)
    assert "<img" not in found and "&lt;img" in found


@pytest.mark.parametrize(
    "question", [{**THRESHOLDS}, {**LIMITS, "max_amount": 50}, {**LIMITS, "when": "true"}]
)
def test_it_only_reads_and_costs_the_same_for_one_and_for_many(question: dict[str, Any]) -> None:
    the = desk()
    client = Client()
    client.force_login(the.agent.owner)

    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert client.get(address(the, **question)).status_code == 200
        # A cursor, for arguments that need not be in memory all at once.
        reads = ("SELECT", "(SELECT", "DECLARE")
        assert [query["sql"] for query in caught.captured_queries if not query["sql"].startswith(reads)] == []
        return len(caught)

    the.approved(arguments={**ARGUMENTS, "amount": 60})
    queries()
    one = queries()
    for _ in range(3):
        the.approved(arguments={**ARGUMENTS, "amount": 70})
    assert queries() == one
