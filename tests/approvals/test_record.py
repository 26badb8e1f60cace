"""What the page says of an agent: its accuracy with the bound, similar earlier proposals, who may decide, the print."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Absence, User
from approvals import record, selectors
from approvals.models import Proposal, Verdict
from approvals.requests import Subject
from approvals.services.amend import revise
from tests.database import as_owner
from tests.factories import Desk, desk, person, policy, reviewer

pytestmark = pytest.mark.django_db(transaction=True)
IBAN, OTHER = "DE89370400440532013000", "NL91ABNA0417164300"
CUSTOMER = Subject(type="customer", id="c-17")


def page(user: User, proposal: Proposal, tail: str = "", **cookies: str) -> str:
    client = Client()
    client.force_login(user)
    for name, value in cookies.items():
        client.cookies[name] = value
    response = client.get(f"/proposals/{proposal.pk}/{tail}")
    assert response.status_code == 200
    html: str = response.content.decode()
    return html


def words(html: str) -> str:
    """A page as it is read: no markup, no doubled blanks."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def refund(the: Desk, number: int, **extra: Any) -> Proposal:
    arguments = {
        "order_id": f"A-{number}",
        "amount": 40 + number % 10,
        "iban": IBAN,
        **extra.pop("arguments", {}),
    }
    return the.propose(arguments, **{"subject": CUSTOMER, **extra})


def test_accuracy_is_said_with_its_bound_and_not_from_a_handful() -> None:
    the = desk()
    for number in range(5):
        the.decide(refund(the, number), Verdict.APPROVE)
    open_one = refund(the, 99)
    assert "5 judged, 0 wrong ; too few to say more." in words(page(the.reviewer, open_one))
    for number in range(5, 24):
        the.decide(refund(the, number), Verdict.REJECT if number == 7 else Verdict.APPROVE)
    text = words(page(the.reviewer, open_one))
    assert (
        "24 judged, 1 wrong ; accuracy at least 76 % (95 % one-sided, however often one looks; version 1)"
        in text
    )


def test_another_version_of_the_agent_starts_afresh() -> None:
    the = desk()
    the.decide(refund(the, 1), Verdict.APPROVE)
    proposal = refund(the, 2)
    Proposal.objects.filter(pk=proposal.pk).update(agent_version="2")
    text = words(page(the.reviewer, proposal))
    assert "Nothing of version 2 has been judged yet." in text
    assert "1 judged of earlier versions are not counted." in text


def test_similar_ones_come_with_verdict_reason_comment_and_a_link_only_for_who_may_look() -> None:
    the = desk()
    rejected = refund(the, 1)
    the.decide(rejected, Verdict.REJECT, comment="That lamp was never delivered.")
    far = the.propose({"order_id": "Z", "amount": 9000})
    the.decide(far, Verdict.APPROVE)
    proposal = refund(the, 11)
    html = page(the.reviewer, proposal)
    section = html[html.index('<ol class="precedents">') : html.index("</ol>", html.index('"precedents"'))]
    assert section.index(str(rejected.pk)) < section.index(str(far.pk))
    text = words(section)
    assert "Rejected" in text and "Not allowed" in text and "That lamp was never delivered." in text
    assert "same subject, same amount, 2 of 3 values the same" in text and "Rita Reviewer" in text

    elsewhere = desk()
    Proposal.objects.filter(pk=rejected.pk).update(queue=elsewhere.queue)
    hidden = page(the.reviewer, proposal)
    assert f"/proposals/{rejected.pk}/" not in hidden
    assert "That lamp was never delivered." in hidden
    assert f"/proposals/{rejected.pk}/" in page(the.agent.owner, proposal)


def test_a_flood_of_undecided_ones_pushes_nothing_out_of_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "REMEMBERED", 3)
    monkeypatch.setattr(record, "OF_SUBJECT", 2)
    the = desk()
    the.decide(refund(the, 1), Verdict.APPROVE)
    for number in range(4):
        the.decide(refund(the, 50 + number, subject=Subject(type="customer", id="c-99")), Verdict.APPROVE)
    for number in range(6):
        refund(the, 10 + number)
    planted = refund(the, 2, arguments={"iban": OTHER})
    assert 'data-signal="recipient"' in page(the.reviewer, planted)


def test_other_agents_and_other_versions_of_the_truth_are_not_compared_with() -> None:
    the = desk()
    the.decide(refund(the, 2, arguments={"iban": OTHER}), Verdict.REJECT)
    proposal = refund(the, 3)
    other = desk()
    other.decide(refund(other, 1, arguments={"iban": OTHER}), Verdict.APPROVE)
    html = page(the.reviewer, proposal)
    assert "data-signal" not in html


def test_arguments_too_long_to_compare_are_left_out() -> None:
    the = desk()
    long = refund(the, 1, arguments={"note": "x" * record.LARGEST})
    the.decide(long, Verdict.APPROVE)
    assert record.judged_before(selectors.proposal_for(the.reviewer, refund(the, 2).pk)) == []


def test_who_can_decide_names_absent_people_with_their_delegates() -> None:
    the = desk()
    cara = person("Cara Colleague")
    Absence.objects.create(
        person=the.second,
        delegate=cara,
        starts_at=timezone.now() - timedelta(hours=1),
        ends_at=timezone.now() + timedelta(days=2),
    )
    text = words(page(the.reviewer, the.propose()))
    who = text[text.index("Who can decide this") : text.index("The record")]
    assert "Rita Reviewer (you)" in who
    assert re.search(r"Ravi Reviewer away until \w+ \d+ \w+, \d\d:\d\d; Cara Colleague stands in", who)
    assert "Olga Owner" not in who


def test_seats_say_which_teams_are_still_needed() -> None:
    the = desk()
    rule = {
        "name": "large",
        "when": "amount > 500",
        "note": "Finance and security look at large refunds.",
        "review": {"required": [{"team": "finance", "votes": 1}, {"team": "security", "votes": 1}]},
    }
    policy([rule], the.queue)
    the.reviewer.groups.add(Group.objects.get_or_create(name="finance")[0])
    second = reviewer(the.queue, name="Sina Security", team="security")
    proposal = the.propose({"order_id": "A-1", "amount": 900})
    before = words(page(second, proposal))
    assert "The amount is more than 500. Finance and security look at large refunds." in before
    assert (
        "2 more votes needed" in before
        and "1 of finance 1 still needed 1 of security 1 still needed" in before
    )
    the.decide(proposal, Verdict.APPROVE)
    after = words(page(second, proposal))
    assert "Rita Reviewer voted to approve" in after
    assert "1 of finance done 1 of security 1 still needed" in after
    assert "Sina Security (you) security" in after


def test_the_page_takes_the_same_number_of_queries_with_one_and_with_forty_earlier_ones() -> None:
    the = desk()
    the.decide(refund(the, 1), Verdict.APPROVE)
    proposal = refund(the, 100)
    client = Client()
    client.force_login(the.reviewer)
    counts = []
    for more in (0, 39):
        for number in range(more):
            the.decide(refund(the, 2 + number), Verdict.APPROVE if number % 5 else Verdict.REJECT)
        client.get(f"/proposals/{proposal.pk}/")
        with CaptureQueriesContext(connection) as queries:
            client.get(f"/proposals/{proposal.pk}/")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_the_look_back_is_made_by_its_indexes() -> None:
    the = desk()
    the.decide(refund(the, 1), Verdict.APPROVE)
    proposal = selectors.proposal_for(the.reviewer, refund(the, 2).pk)
    with CaptureQueriesContext(connection) as queries:
        record.judged_before(proposal)
    latest, subject, *_ = (query["sql"] for query in queries)
    assert "evidence_latest" in plan_without_rivals(latest, "agents_evidence", "evidence_latest")
    of_subject = plan_without_rivals(subject, "approvals_proposal", "proposal_approved_subject")
    assert "proposal_approved_subject" in of_subject


def plan_without_rivals(sql: str, table: str, index: str) -> str:
    """How the statement is planned where the table has no other index, and neither reading it whole nor sorting is
    wanted: on a table of two rows the planner's own choice among several tells nothing."""
    with as_owner() as owner, owner.transaction(force_rollback=True):
        rivals = owner.execute(
            """
            SELECT CASE WHEN c.oid IS NULL THEN format('DROP INDEX %%s', i.indexrelid::regclass)
                        ELSE format('ALTER TABLE %%s DROP CONSTRAINT %%I CASCADE', i.indrelid::regclass, c.conname)
                   END
            FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
            WHERE i.indrelid = %s::regclass AND i.indexrelid <> %s::regclass
            """,
            [table, index],
        ).fetchall()
        for (away,) in rivals:
            owner.execute(away.encode())
        for way in ("seqscan", "sort", "incremental_sort", "bitmapscan"):
            owner.execute(f"SET LOCAL enable_{way} = off".encode())
        return "\n".join(row[0] for row in owner.execute(f"EXPLAIN {sql}".encode()))


def test_the_print_has_everything_and_nothing_to_press() -> None:
    the = desk()
    proposal = refund(the, 1, summary="Lamp broken")
    the.decide(proposal, Verdict.RETURN, comment="Which lamp?")
    revise(
        proposal_id=proposal.pk,
        agent=the.agent,
        arguments={"order_id": "A-1", "amount": 7},
        reply="The red one.",
    )
    the.decide(proposal, Verdict.APPROVE, comment="Fine now.")
    html = page(the.second, proposal, "print/")
    text = words(html[html.index("<main") : html.index("</main>")])
    now = Proposal.objects.get(pk=proposal.pk)
    for part in (
        "Lamp broken", "Which lamp?", "The red one.", "Fine now.", "Approved by Rita Reviewer (human)", now.digest,
        str(now.pk), "Revision 1, by the agent", "Revision 2, by the agent", "Olga Owner", "not redeemed",
    ):  # fmt: skip
        assert part in text, part
    assert '{"amount":7,"order_id":"A-1"}' in text.replace("&quot;", '"')
    main = html[html.index("<main") : html.index("</main>")]
    assert not re.search(r"<(form|button|input|textarea|details)\b", main)
    assert "ago<" not in main[main.index('id="history"') :]
    assert now.grant.token not in html
    stranger = Client()
    stranger.force_login(person())
    assert stranger.get(f"/proposals/{proposal.pk}/print/").status_code == 404


@pytest.mark.parametrize(
    ("chosen", "cookie", "zone"),
    [
        ("UTC", "", "UTC"),
        ("UTC", "America/New_York", "America/New_York"),
        ("UTC", "Europe%2FVienna", "Europe/Vienna"),
        ("Europe/Vienna", "America/New_York", "Europe/Vienna"),
        ("UTC", "../../etc/passwd", "UTC"),
        ("UTC", "Europe/Atlantis", "UTC"),
        ("nonsense", "Asia/Tokyo", "Asia/Tokyo"),
    ],
)
def test_times_are_on_the_readers_clock(chosen: str, cookie: str, zone: str) -> None:
    the = desk()
    the.reviewer.time_zone = chosen
    the.reviewer.save(update_fields=["time_zone"])
    html = page(the.reviewer, the.propose(), "print/", tz=cookie)
    assert f"Times are in {zone}." in html


def test_relative_times_carry_the_exact_one_of_the_readers_zone() -> None:
    the = desk()
    the.reviewer.time_zone = "Asia/Tokyo"
    the.reviewer.save(update_fields=["time_zone"])
    exact = r'<time datetime="[^"]+\+00:00" title="\w{3} \d+ \w{3} \d{4}, [\d:]+ JST"'
    assert re.search(exact, page(the.reviewer, the.propose()))
