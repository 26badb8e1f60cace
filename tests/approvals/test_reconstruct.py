"""What a vote keeps of the page it was given on, and the page that shows it again."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User, assign_role
from accounts.roles import Role
from accounts.services import absences
from agents.autonomy import Tier
from agents.services import action_types
from agents.services.action_types import as_definition
from approvals.ballots import Ballot
from approvals.models import Proposal, Verdict
from approvals.requests import Subject, Turn
from approvals.services import amend, set_up, settle
from approvals.services.decide_several import Choice, decide_several
from approvals.sheet_shape import Sheet, read, written
from audit import chain, content
from audit.models import AuditEvent, Content
from tests.factories import ARGUMENTS, Desk, admin, desk, person, policy, reviewer

pytestmark = pytest.mark.django_db(transaction=True)

SAID: dict[str, Any] = {
    "summary": "Refund 42.50 EUR to the customer.",
    "reasoning": "The parcel came damaged.",
    "subject": Subject(type="customer", id="c-17"),
    "context": [Turn(role="user", content="My parcel is broken.")],
}


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def auditor() -> User:
    user = person("Audra Auditor")
    assign_role(Role.AUDITOR, to=user)
    return user


def voted(proposal: Proposal) -> AuditEvent:
    return AuditEvent.objects.filter(object_id=str(proposal.pk), kind="proposal.voted").latest("id")


def kept(event: AuditEvent) -> Sheet:
    """The sheet that an event names, opened."""
    row = Content.objects.get(pk=event.data["detail"]["sheet"]["content"])
    body = content.open_all([row])[row.pk]
    assert isinstance(body, bytes)
    sheet = read(body)
    assert sheet is not None
    return sheet


def labels(sheet: Sheet) -> list[tuple[str, str]]:
    return [(one.label, one.text) for one in sheet.shown.lines.entries]


def page(user: User, proposal: Proposal, event: AuditEvent | None = None) -> str:
    query = f"?event={event.pk}" if event else ""
    answer = client_of(user).get(f"/proposals/{proposal.pk}/as-decided/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


# What is kept


def test_a_vote_keeps_what_its_page_showed() -> None:
    the = desk()
    the.approved()
    the.approved()
    the.decide(the.propose(), Verdict.REJECT)
    policy([{"name": "all", "when": "true", "review": {"quorum": 1}}], the.queue)
    proposal = the.propose(**SAID)
    html = client_of(the.reviewer).get(f"/proposals/{proposal.pk}/").content.decode()
    the.decide(proposal, Verdict.APPROVE)

    sheet = kept(voted(proposal))
    shown = sheet.shown
    assert labels(sheet) == [("Amount", "42.50"), ("Order", "A-1001"), ("Reason", "damaged")]
    assert all(text in html for _, text in labels(sheet))
    assert "".join(part.text for part in shown.lines.title) == "Refund 42.50 EUR for order A-1001"
    assert (shown.proposal.digest, shown.proposal.version) == (proposal.digest, 1)
    assert (shown.remembered, sheet.page, sheet.voter) == (True, "proposal", the.reviewer.pk)
    assert shown.said.summary.sha256 == hashlib.sha256(SAID["summary"].encode()).hexdigest()
    assert [one.rule for one in shown.why if one.rule] == ["all"]
    assert shown.policy and (shown.policy.number, shown.policy.domain) == (2, "customer_operations")
    assert shown.known and (shown.known.accuracy.judged, shown.known.accuracy.wrong) == (3, 1)
    assert sorted(one.verdict for one in shown.known.similar) == ["approve", "approve", "reject"]
    assert sheet.queue and (sheet.queue.slug, sheet.queue.quorum) == (the.queue.slug, 1)
    assert sheet.tier and (sheet.tier.tier, sum(sheet.tier.standing["counts"])) == ("in_the_loop", 1)
    assert sheet.tier.thresholds["on_p0"] > 0.5
    assert sheet.entitled and [one.name for one in sheet.entitled.may] == ["Ravi Reviewer", "Rita Reviewer"]


def test_the_sheet_is_sealed_with_the_vote_and_says_no_word_in_the_clear() -> None:
    the = desk()
    proposal = the.propose(**SAID)
    the.decide(proposal, Verdict.APPROVE)
    event = voted(proposal)
    row = Content.objects.get(pk=event.data["detail"]["sheet"]["content"])
    assert event.data["detail"]["sheet"] == content.named(row)
    assert chain.commitment(bytes(event.salt), event.content.encode()) == bytes(event.commitment)
    assert b"A-1001" not in bytes(row.ciphertext or b"") and "A-1001" not in event.content
    assert row.subject != "" and SAID["summary"].encode() not in written(kept(event))


def test_facts_that_changed_between_page_and_vote_are_those_of_the_page() -> None:
    """The page said that nothing had been judged; a colleague approved another one before the vote came."""
    the = desk()
    other, proposal = the.propose(), the.propose()
    client_of(the.reviewer).get(f"/proposals/{proposal.pk}/")
    the.decide(other, Verdict.APPROVE, by=the.second)
    the.decide(proposal, Verdict.APPROVE)
    shown = kept(voted(proposal)).shown
    assert shown.known and (shown.remembered, shown.known.accuracy.judged) == (True, 0)


def test_without_what_was_remembered_the_facts_are_those_of_the_vote(no_hints: None) -> None:
    the = desk()
    the.approved()
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    shown = kept(voted(proposal)).shown
    assert shown.known and (shown.remembered, shown.known.accuracy.judged) == (False, 1)
    assert "no longer remembered" in page(the.reviewer, proposal)


def test_what_somebody_put_into_redis_is_not_believed() -> None:
    the = desk()
    proposal = the.propose()
    cache.set(f"shown:{proposal.pk}:1:{the.reviewer.pk}", b"forged")
    the.decide(proposal, Verdict.APPROVE)
    assert kept(voted(proposal)).shown.remembered is False


def test_another_persons_page_is_not_mine() -> None:
    the = desk()
    proposal = the.propose()
    client_of(the.second).get(f"/proposals/{proposal.pk}/")
    the.decide(proposal, Verdict.APPROVE)
    assert kept(voted(proposal)).shown.remembered is False


VOTES: list[tuple[Verdict, dict[str, Any]]] = [
    (Verdict.APPROVE, {}),
    (Verdict.REJECT, {}),
    (Verdict.RETURN, {}),
    (Verdict.EDIT, {"arguments": {**ARGUMENTS, "amount": 40}}),
]


@pytest.mark.parametrize(("verdict", "extra"), VOTES)
def test_every_verdict_keeps_a_sheet_of_the_revision_that_was_looked_at(
    verdict: Verdict, extra: dict[str, Any]
) -> None:
    the = desk()
    proposal = the.propose()
    the.decide(proposal, verdict, **extra)
    sheet = kept(voted(proposal))
    assert (sheet.verdict, sheet.shown.proposal.revision) == (str(verdict), 1)
    assert ("Amount", "42.50") in labels(sheet)
    changes = [(one.label, one.before, one.after) for one in sheet.changes]
    assert changes == ([("Amount", "42.5", "40")] if verdict == Verdict.EDIT else [])


def test_a_veto_keeps_one_too() -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=600)
    proposal = the.propose()
    answer = client_of(the.reviewer).post(
        f"/monitor/{proposal.pk}/veto/", {"revision": 1, "version": 1, "reason": "not_allowed"}
    )
    assert answer.status_code in (200, 302)
    sheet = kept(voted(proposal))
    assert (sheet.page, sheet.verdict, sheet.shown.proposal.state) == ("monitor", "veto", "scheduled")
    assert "vetoed it" in page(the.reviewer, proposal)


def test_several_at_once_keep_one_each() -> None:
    the = desk(at={"bulk_amount": Decimal(100)})
    found = [the.propose({**ARGUMENTS, "order_id": f"B-{n}"}) for n in range(3)]
    choices = [
        Choice(
            proposal_id=one.pk,
            ballot=Ballot(verdict=Verdict.REJECT, revision=1, version=1, reason="not_allowed"),
        )
        for one in found
    ]
    decide_several(queue_id=the.queue.pk, reviewer=the.reviewer, choices=choices)
    sheets_of = [kept(voted(one)) for one in found]
    assert [one.page for one in sheets_of] == ["alike"] * 3
    assert [dict(labels(one))["Order"] for one in sheets_of] == ["B-0", "B-1", "B-2"]


def test_a_verdict_held_back_keeps_the_sheet_of_its_own_moment() -> None:
    the = desk(at={"undo_seconds": 30})
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    held = AuditEvent.objects.get(object_id=str(proposal.pk), kind="proposal.decision_held")
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.second, actor=admin(), allowed=False)
    assert settle.settle_due(now=timezone.now() + timedelta(minutes=1)) == 1
    assert voted(proposal).data["detail"]["sheet"] == held.data["detail"]["sheet"]
    entitled = kept(held).entitled
    assert entitled and [one.name for one in entitled.may] == ["Ravi Reviewer", "Rita Reviewer"]
    assert Content.objects.filter(kind="sheet").count() == 1


def test_a_verdict_taken_back_still_shows_what_was_seen() -> None:
    the = desk(at={"undo_seconds": 30})
    proposal = the.propose()
    the.decide(proposal, Verdict.REJECT)
    settle.undo(proposal_id=proposal.pk, reviewer=the.reviewer)
    assert "taken back or dropped" in page(the.reviewer, proposal)


def test_a_refused_vote_keeps_nothing() -> None:
    the = desk()
    proposal = the.propose()
    stranger = person()
    with pytest.raises(Exception, match="not a reviewer"):
        the.decide(proposal, Verdict.APPROVE, by=stranger)
    assert not Content.objects.filter(kind="sheet").exists()


def _owner(the: Desk) -> None:
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.agent.owner, actor=admin())


def _stand_in(the: Desk) -> None:
    now = timezone.now()
    absences.enter(
        person_id=the.agent.owner_id,
        delegate_id=the.second.pk,
        starts_at=now - timedelta(hours=1),
        ends_at=now + timedelta(hours=1),
        note="",
        actor=admin(),
    )


def _away(the: Desk) -> None:
    reviewer(the.queue, name="Zoe")


@pytest.mark.parametrize(
    ("change", "may", "excluded"),
    [
        (_owner, ["Ravi Reviewer", "Rita Reviewer"], [("Olga Owner", "owns the agent")]),
        (_stand_in, ["Rita Reviewer"], [("Ravi Reviewer", "stands in for the agent’s owner")]),
        (_away, ["Ravi Reviewer", "Rita Reviewer", "Zoe"], []),
    ],
)
def test_the_sheet_says_who_could_decide_and_why_others_could_not(
    change: Callable[[Desk], None], may: list[str], excluded: list[tuple[str, str]]
) -> None:
    the = desk()
    change(the)
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    entitled = kept(voted(proposal)).entitled
    assert entitled is not None
    assert [one.name for one in entitled.may] == may
    assert [(one.name, one.why) for one in entitled.excluded] == excluded
    assert (entitled.count, entitled.shut_out) == (len(may), len(excluded))


def test_a_second_vote_tells_of_the_first_and_through_which_team_each_may() -> None:
    the = desk()
    policy([{"name": "two", "when": "true", "review": {"quorum": 2}}], the.queue)
    team = reviewer(name="Tara", team="treasury").groups.get()
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=team, actor=admin())
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    the.decide(proposal, Verdict.APPROVE, by=the.second)
    sheet = kept(voted(proposal))
    assert [(one.reviewer, one.verdict) for one in sheet.votes] == [("Rita Reviewer", "approve")]
    assert sheet.entitled is not None
    assert [(one.name, one.through) for one in sheet.entitled.may] == [
        ("Ravi Reviewer", ["a right of their own"]),
        ("Tara", ["treasury"]),
    ]
    assert [one.why for one in sheet.entitled.excluded] == ["had voted on this revision"]


def test_a_vote_on_a_page_that_was_open_asks_only_this_much_more(no_hints: None) -> None:
    """The budget: nine queries beside those of the vote, whatever the record holds."""
    the = desk()
    for _ in range(5):
        the.approved()
    asked = []
    for _ in range(2):
        proposal = the.propose()
        client_of(the.reviewer).get(f"/proposals/{proposal.pk}/")
        with CaptureQueriesContext(connection) as found:
            the.decide(proposal, Verdict.APPROVE)
        asked.append([one["sql"] for one in found])
    assert len(asked[1]) == len(asked[0]) <= 50
    extra = [one for one in asked[1] if "audit_content" in one and "INSERT" in one]
    assert len(extra) == 1


# The page


def test_the_page_shows_the_sheet_and_the_proof_and_what_has_changed_since() -> None:
    the = desk()
    proposal = the.propose(**SAID)
    the.decide(proposal, Verdict.APPROVE)
    policy([], the.queue)
    definition = as_definition(the.action_type)
    action_types.save(definition=replace(definition, label="Pay back", risk="high"), actor=admin())
    html = page(auditor(), proposal)
    event = voted(proposal)
    assert "Refund an order, as decided" in html and "Recorded." in html and "Rebuilt" not in html
    assert "42.50" in html and SAID["reasoning"] in html and "My parcel is broken." in html
    assert f'href="/audit/events/{event.pk}/"' in html
    assert event.data["detail"]["sheet"]["commitment"] in html
    assert "<del>version 1</del> → <ins>version 2</ins>" in html
    assert "<del>medium</del> → <ins>high</ins>" in html
    assert "through a right of their own" in html


def test_looking_is_logged_once_a_minute_and_strangers_see_nothing() -> None:
    the = desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    page(the.reviewer, proposal)
    page(the.reviewer, proposal)
    [read_event] = AuditEvent.objects.filter(kind="log.read")
    assert read_event.data["detail"]["asked"]["proposal"] == str(proposal.pk)
    address = f"/proposals/{proposal.pk}/as-decided/"
    assert client_of(person()).get(address).status_code == 404
    assert Client().get(address).status_code == 302
    assert client_of(the.reviewer).post(address).status_code == 405
    assert client_of(the.reviewer).get(address + "?event=1").status_code == 404


def test_an_undecided_one_says_so_and_each_vote_has_its_own_page() -> None:
    the = desk()
    proposal = the.propose()
    assert "Nobody has decided it yet" in page(the.reviewer, proposal)
    the.decide(proposal, Verdict.RETURN)
    first = voted(proposal)
    less = {**ARGUMENTS, "amount": 30}
    amend.revise(proposal_id=proposal.pk, agent=the.agent, arguments=less, reply="Less it is.")
    the.decide(proposal, Verdict.APPROVE)
    assert [label for label in ("42.50", "30.00") if label in page(the.reviewer, proposal, first)] == [
        "42.50"
    ]
    second = page(the.reviewer, proposal)
    assert "30.00" in second and "Less it is." in second and f"?event={first.pk}" in second
