"""The preview of an edit: what it promises is what sending does, it changes nothing, and it is no oracle for others."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from agents.autonomy import Tier
from agents.services import action_types
from agents.services.action_types import Definition
from approvals.models import Proposal, Queue, Verdict, Vote
from approvals.services import claim, set_up
from audit.models import AuditEvent
from tests.factories import ARGUMENTS, REFUND_SCHEMA, Desk, admin, desk, policy, queue, reviewer

pytestmark = pytest.mark.django_db(transaction=True)
UNCHANGED = {
    "v:/order_id": "A-1001",
    "v:/amount": "42.5",
    "v:/reason": '"damaged"',
    "v:/iban": "",
    "v:/note": "",
}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def form(proposal: Proposal, **changed: str) -> dict[str, str]:
    """What the form sends with these controls changed; `amount="7"` is the control of /amount."""
    now = Proposal.objects.get(pk=proposal.pk)
    typed = {f"v:/{name}": value for name, value in changed.items()}
    return {"revision": str(now.revision), "version": str(now.version), **UNCHANGED, **typed}


def words(html: str) -> str:
    return (
        re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))
        .replace(" .", ".")
        .replace(" :", ":")
        .strip()
    )


def asked(user: User, proposal: Proposal, **changed: str) -> str:
    """The preview's words for an edit of this person."""
    answer = signed_in(user).post(f"/proposals/{proposal.pk}/edit/preview/", form(proposal, **changed))
    assert answer.status_code == 200
    html = answer.content.decode()
    assert html.strip().startswith('<section class="card preview" id="preview"')
    return words(html)


def sent(user: User, proposal: Proposal, **changed: str) -> Proposal:
    signed_in(user).post(f"/proposals/{proposal.pk}/edit/", form(proposal, **changed))
    return Proposal.objects.get(pk=proposal.pk)


# What it says is what happens


@dataclass(frozen=True)
class Case:
    """A policy, an edit, the words of its preview, and what sending it does: state, same queue, votes that count."""

    name: str
    rules: Callable[[Queue, Queue], list[dict[str, Any]]]
    amount: str
    says: tuple[str, ...]
    state: str
    stays: bool
    votes: int
    reviews_elsewhere: bool = False
    team: str = ""
    quorum: int = 1
    tier: Tier = Tier.IN_THE_LOOP


def large(**review: Any) -> Callable[[Queue, Queue], list[dict[str, Any]]]:
    return lambda here, there: [
        {
            "name": "large",
            "when": "amount > 100",
            "review": {**review, "queue": there.slug if review.get("queue") else here.slug},
        }
    ]


CASES = [
    Case("stays", lambda here, there: [], "40", ("It stays in", "Your vote is enough"), "approved", True, 1),
    Case(
        "advisory",
        lambda here, there: [],
        "40",
        ("Your word is enough", "Nothing is granted"),
        "approved",
        True,
        1,
        tier=Tier.ADVISORY,
    ),
    Case(
        "queue of two",
        lambda here, there: [],
        "40",
        ("It stays in", "counts once; it is not enough. It needs 2 people. Then missing: 1."),
        "pending",
        True,
        1,
        quorum=2,
    ),
    Case(
        "elsewhere, out of sight",
        large(queue=True),
        "500",
        ("It goes to another queue, Other, and out of your sight.", "Your vote would not count there.",
         "You are not a reviewer of this queue."),
        "pending",
        False,
        0,
    ),
    Case(
        "elsewhere, mine too",
        large(queue=True),
        "500",
        ("It goes to another queue: Other.", "Your vote is enough"),
        "approved",
        False,
        1,
        reviews_elsewhere=True,
    ),
    Case(
        "elsewhere, two people",
        large(queue=True, quorum=2),
        "500",
        ("It goes to another queue: Other.", "It needs 2 people. Then missing: 1."),
        "pending",
        False,
        1,
        reviews_elsewhere=True,
    ),
    Case(
        "role I lack",
        large(roles=["finance"]),
        "500",
        ("It stays in", "Your vote would not count there. The policy asks for a member of finance."),
        "pending",
        True,
        0,
    ),
    Case(
        "role I have",
        large(roles=["finance"]),
        "500",
        ("It stays in", "Your vote is enough"),
        "approved",
        True,
        1,
        team="finance",
    ),
    Case(
        "two teams, one of them mine",
        large(required=[{"team": "finance", "votes": 2}, {"team": "security", "votes": 1}]),
        "500",
        ("counts once; it is not enough. It needs 2 of finance and 1 of security.",
         "Then missing: 1 of finance and 1 of security."),
        "pending",
        True,
        1,
        team="finance",
    ),
    Case(
        "denied",
        lambda here, there: [{"name": "huge", "when": "amount > 100", "deny": "Nobody refunds that much."}],
        "500",
        ("The policy would refuse it: Nobody refunds that much. rule huge",),
        "pending",
        True,
        0,
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_it_says_is_what_sending_does(case: Case) -> None:
    the = desk(tier=case.tier)
    other = queue("other")
    the.queue.quorum = case.quorum
    the.queue.save()
    me = reviewer(the.queue, *([other] if case.reviews_elsewhere else []), team=case.team)
    if case.team != "security":
        reviewer(the.queue, team="security")
    if case.team != "finance":
        reviewer(the.queue, team="finance")
    policy(case.rules(the.queue, other), the.queue)
    proposal = the.propose()
    said = asked(me, proposal, amount=case.amount)
    for sentence in case.says:
        assert sentence in said, said
    after = sent(me, proposal, amount=case.amount)
    votes = Vote.objects.filter(reviewer=me, revision__number=after.revision).count()
    assert (after.state, after.queue == the.queue, votes) == (case.state, case.stays, case.votes)


def test_reasons_that_come_and_go_are_told() -> None:
    the = desk(max_amount="100")
    policy([{"name": "medium", "when": "amount > 20", "review": {"queue": the.queue.slug}}], the.queue)
    proposal = the.propose()
    said = asked(the.reviewer, proposal, amount="500")
    assert "More than the mandate's 100" in said
    assert "The amount is read as 500.00 EUR." in said
    assert "It would read Refund" in said and "500" in said
    said = asked(the.reviewer, proposal, amount="5")
    assert "No longer: the rule medium." in said
    assert "mandate's 100" not in said


def test_an_amount_that_cannot_be_read_is_told() -> None:
    the = desk(max_amount="100")
    schema = {**REFUND_SCHEMA, "properties": {**REFUND_SCHEMA["properties"], "amount": {}, "currency": {}}}
    kind = the.action_type
    action_types.save(
        definition=Definition(
            name=kind.name, domain=kind.domain, label=kind.label, schema=schema, currency="EUR",
            title_template=kind.title_template, amount_pointer="/amount", currency_pointer="/currency",
        ),
        actor=admin(),
    )  # fmt: skip
    proposal = the.propose()
    said = asked(the.reviewer, proposal, amount='"a lot"')
    assert "none that can be read" in said and "No amount can be read from it." in said
    said = asked(the.reviewer, proposal, currency='"dollars"')
    assert "The limits are in EUR, the amount is in none." in said
    assert "The amount is read as 42.50 no readable currency." in said


def test_faults_come_before_the_policy_and_say_where() -> None:
    the = desk()
    proposal = the.propose()
    said = asked(the.reviewer, proposal, amount="-1", order_id="")
    assert "2 changes; 1 field needs your attention." in said
    assert "Before the policy is asked: Amount: -1 is less than the minimum of 0" in said
    assert "Your vote" not in said
    assert "Nothing is changed yet." in asked(the.reviewer, proposal)


def test_earlier_votes_are_named_on_the_form() -> None:
    the = desk()
    the.queue.quorum = 2
    the.queue.save()
    proposal = the.propose()
    page = signed_in(the.second).get(f"/proposals/{proposal.pk}/edit/").content.decode()
    assert "voids" not in page
    the.decide(proposal, Verdict.APPROVE)
    page = words(signed_in(the.second).get(f"/proposals/{proposal.pk}/edit/").content.decode())
    assert "Your edit voids 1 approval: Rita Reviewer." in page
    assert "You have already voted on this revision" in asked(the.reviewer, proposal, amount="1")


# Who may not is told so, and nothing else


def test_whoever_may_not_decide_learns_nothing_of_the_policy() -> None:
    the = desk()
    policy([{"name": "secret", "when": "amount > 100", "deny": "The threshold."}], the.queue)
    proposal = the.propose()
    said = asked(the.agent.owner, proposal, amount="500")
    assert "You are not a reviewer of this queue." in said
    assert "threshold" not in said and "secret" not in said
    stranger = signed_in(reviewer(queue("elsewhere")))
    assert stranger.post(f"/proposals/{proposal.pk}/edit/preview/", form(proposal)).status_code == 404
    assert Client().post(f"/proposals/{proposal.pk}/edit/preview/", form(proposal)).status_code == 302


def _taken(the: Desk, proposal: Proposal) -> str:
    claim.claim(proposal_id=proposal.pk, reviewer=the.second)
    return "Ravi Reviewer is on it"


def _decided(the: Desk, proposal: Proposal) -> str:
    the.decide(proposal, Verdict.REJECT, by=the.second)
    return "It is rejected by now"


def _held(the: Desk, proposal: Proposal) -> str:
    Queue.objects.update(undo_seconds=60)
    the.decide(proposal, Verdict.REJECT, by=the.second)
    return "Ravi Reviewer has just decided it"


@pytest.mark.parametrize("event", [_taken, _decided, _held])
def test_what_stands_in_the_way_is_told_instead_of_the_policy(
    event: Callable[[Desk, Proposal], str],
) -> None:
    the = desk()
    proposal = the.propose()
    expected = event(the, proposal)
    said = asked(the.reviewer, proposal, amount="1")
    assert expected in said and "Your vote is enough" not in said


def test_a_form_of_an_earlier_version_is_told_to_open_it_again() -> None:
    the = desk()
    proposal = the.propose()
    data = {**form(proposal, amount="1"), "version": "7"}
    answer = signed_in(the.reviewer).post(f"/proposals/{proposal.pk}/edit/preview/", data)
    assert "It has changed since you began." in answer.content.decode()


# Harmless


def test_it_changes_nothing_and_answers_no_get() -> None:
    the = desk()
    other = queue("other")
    policy(large(queue=True, quorum=2)(the.queue, other), the.queue)
    proposal = the.propose()
    claim.claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    client = signed_in(the.reviewer)
    before = (Proposal.objects.values().get(), AuditEvent.objects.count())
    for amount in ("500", "1", "x", "-1"):
        client.post(f"/proposals/{proposal.pk}/edit/preview/", form(proposal, amount=amount))
        client.post(f"/proposals/{proposal.pk}/edit/", {**form(proposal, amount=amount), "check": "1"})
        client.post(f"/proposals/{proposal.pk}/edit/", {**form(proposal, amount=amount), "undo": "/amount"})
    assert (Proposal.objects.values().get(), AuditEvent.objects.count()) == before
    assert not Vote.objects.exists()
    assert client.get(f"/proposals/{proposal.pk}/edit/preview/").status_code == 405


def test_it_asks_the_database_the_same_number_of_times_for_any_arguments() -> None:
    the = desk()
    short, long = the.propose(), the.propose({**ARGUMENTS, "note": "word " * 20_000})
    client = signed_in(the.reviewer)
    counts = []
    for proposal, note in ((short, "x"), (long, "word " * 19_999)):
        address = f"/proposals/{proposal.pk}/edit/preview/"
        client.post(address, form(proposal, note=note))
        with CaptureQueriesContext(connection) as queries:
            client.post(address, form(proposal, note=note))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 25


def test_the_page_and_the_fragment_say_the_same() -> None:
    """Without JavaScript "Check" shows what the live preview shows."""
    the = desk()
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.second, actor=admin())
    proposal = the.propose()
    client = signed_in(the.reviewer)
    data = form(proposal, amount="7", order_id="B-2")
    fragment = client.post(f"/proposals/{proposal.pk}/edit/preview/", data).content.decode().strip()
    page = client.post(f"/proposals/{proposal.pk}/edit/", {**data, "check": "1"}).content.decode()
    assert fragment in page


def test_steps_and_hidden_fields_made_up_by_hand_do_no_harm() -> None:
    the = desk()
    proposal = the.propose()
    client = signed_in(the.reviewer)
    keys = (
        "",
        "/",
        "/amount",
        "/amount/0",
        "/nothing/99999999999",
        "/x/-1",
        "/\x00",
        "a\r\nb",
        "/order_id/" + "9" * 400,
    )
    for verb in ("add", "remove", "up", "down", "give", "drop", "null", "undo", "switch", "name"):
        for key in keys:
            made_up = {
                f"has:{key}": "null",
                f"from:{key}": "9,n,-1,x",
                f"count:{key}": "-5",
                f"names:{key}": "\x00",
            }
            answer = client.post(f"/proposals/{proposal.pk}/edit/", {**form(proposal), **made_up, verb: key})
            assert answer.status_code == 200, (verb, key)
    assert (Proposal.objects.get().version, Vote.objects.count()) == (1, 0)
