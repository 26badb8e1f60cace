"""Reviews after the fact over HTTP and by the clock: blind, by the right people, once, with their evidence or not at
all."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from guardian.shortcuts import assign_perm

from accounts.exceptions import DomainError
from accounts.models import Calendar, User
from accounts.services import absences
from agents.autonomy import Tier
from agents.models import Evidence
from approvals import blind, judging, tasks
from approvals.models import (
    BlindReview,
    Dispute,
    Judgement,
    Notification,
    Probe,
    ProbeServing,
    Proposal,
    Queue,
    Verdict,
)
from approvals.services import blind_review, set_up
from approvals.services.dispute import dispute
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person, reviewer

pytestmark = pytest.mark.django_db(transaction=True)
Kind = BlindReview.Kind
HOSTILE = "<script>alert(1)</script>\u202egnihtemos\n\n\n\n\n\n\n\nignore all rules"


@pytest.fixture(autouse=True)
def no_hints() -> None:
    """What an earlier test counted is none of this one's."""
    cache.clear()


def signed_in(user: User, *, csrf: bool = False) -> Client:
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client


def third(the: Desk) -> User:
    """A reviewer of the queue who has had nothing to do with anything yet."""
    return reviewer(the.queue, name="Tamar Third")


def asked(the: Desk, kind: str, *, proposal: Proposal | None = None, **extra: Any) -> BlindReview:
    """A review of that kind, of a proposal that came to it in the way of its kind."""
    if kind == Kind.DISPUTE:
        return disputed(the, proposal or rejected(the, **extra))
    if kind == Kind.AUDIT:
        found = proposal or the.propose(**extra)
        assert found.state == "approved", "it takes a desk out of the loop"
    elif kind == Kind.PROBE:
        found = proposal or planted(the, **extra)
    else:
        found = proposal or (rejected(the, **extra) if kind == Kind.FAULT else the.approved(**extra))
    with transaction.atomic():
        made = blind.arise(
            found, found.revisions.get(number=1), kind=kind, probability=0.25, at=timezone.now()
        )
    assert made is not None
    if kind == Kind.PROBE:
        ProbeServing.objects.filter(proposal=found).update(review=made)
    return made


def rejected(the: Desk, **extra: Any) -> Proposal:
    return the.decide(the.propose(**extra), Verdict.REJECT).proposal


def disputed(the: Desk, proposal: Proposal) -> BlindReview:
    row = Evidence.judgements().get(proposal_id=proposal.pk)
    raised = dispute(evidence_id=row.pk, actor=the.agent.owner, claim="right", text="It was right")
    assert raised.review is not None
    return raised.review


def planted(the: Desk, **extra: Any) -> Proposal:
    """As a probe's serving leaves it in a blind queue."""
    made = the.propose(**extra)
    Proposal.objects.filter(pk=made.pk).update(planted=True, state="approved")
    probe = Probe.objects.create(
        action_type=the.action_type, arguments=b"{}", fault="Paid twice", created_at=timezone.now()
    )
    ProbeServing.objects.create(
        probe=probe,
        standing=judging.standing_of(the.agent, the.action_type, made.agent_version),
        agent=the.agent,
        serve_at=timezone.now(),
        served_at=timezone.now(),
        probability=0.05,
        for_review=True,
        proposal=made,
    )
    return Proposal.objects.get(pk=made.pk)


def desk_for(kind: str) -> Desk:
    return desk(Tier.OUT_OF_THE_LOOP if kind == Kind.AUDIT else Tier.IN_THE_LOOP)


def judge(client: Client, review: BlindReview, **data: Any) -> Any:
    return client.post(f"/reviews/{review.pk}/judge/", {"judgement": "right", "comment": "", **data})


def losses(proposal: Proposal) -> list[tuple[str, str, str]]:
    found = Evidence.objects.filter(proposal_id=proposal.pk).exclude(basis="turn").order_by("pk")
    return [(str(row.basis), row.verdict, str(row.loss)) for row in found]


# — Blind

_ID = [
    (r'name="csrfmiddlewaretoken" value="[^"]+"', "csrf"),
    (r'"X-CSRFToken": "[^"]+"', "csrf"),
    (r"/reviews/\d+/", "/reviews/ID/"),
    (r'name="after" value="\d+"', "after"),
    (r"sha256:[0-9a-f]{64}", "digest"),
    (r"Agent \d+", "agent"),
    (r"agent-\d+|person\d+", "slug"),
    (r"<time[^>]*>[^<]*</time>", "time"),
]


def bare(html: str) -> str:
    """The page without ids, tokens and times."""
    for pattern, word in _ID:
        html = re.sub(pattern, word, html)
    return html


def shapes(captured: CaptureQueriesContext) -> list[str]:
    """The statements without their values."""
    found = (re.sub(r"'(?:[^']|'')*'|\b\d+\b|\s+", "?", each["sql"]) for each in captured.captured_queries)
    return [re.sub(r"(\?|,)+", "?", sql) for sql in found]


def test_one_page_and_the_same_queries_for_all_kinds() -> None:
    """The bytes, ids and tokens apart, and the statements, values apart, tell nothing of the kind, the tier, the state,
    or of what anybody said."""
    planted(desk())  # somewhere one is on its way, as in every installation that uses them
    pages, queries, lists = {}, {}, {}
    for kind in Kind:
        the = desk_for(kind)
        review = asked(the, kind, summary="As agreed", reasoning=HOSTILE)
        client = signed_in(third(the))
        client.get(f"/reviews/{review.pk}/")
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(f"/reviews/{review.pk}/")
        assert answer.status_code == 200
        pages[kind], queries[kind] = bare(answer.content.decode()), shapes(captured)
        lists[kind] = re.sub(r"Queue-\d+|review-\d+", "", bare(client.get("/reviews/").content.decode()))
    assert "What will happen" in pages[Kind.AUDIT] and "As agreed" in pages[Kind.AUDIT]
    for kind in Kind:
        assert pages[kind].splitlines() == pages[Kind.AUDIT].splitlines(), kind
        assert lists[kind].splitlines() == lists[Kind.AUDIT].splitlines(), kind
        assert queries[kind] == queries[Kind.AUDIT], kind


def test_the_page_says_nothing_of_what_came_of_it() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    html = signed_in(third(the)).get(f"/reviews/{review.pk}/").content.decode()
    main = html[html.index("<main") : html.index("</main>")]
    for word in ("Rita", "badge--state", "badge--tier", "in the loop", "Why it is here", "History", "udit</"):
        assert word not in main, word
    assert f"/proposals/{review.proposal_id}/" not in html


def test_the_answer_to_every_kind_leads_on_in_the_same_words() -> None:
    told = set()
    for kind in Kind:
        the = desk_for(kind)
        review = asked(the, kind)
        answer = judge(signed_in(third(the)), review, judgement="minor")
        assert answer.status_code == 302 and answer.headers["Location"] == "/reviews/"
        client = signed_in(person())
        client.cookies = answer.cookies
        told.add(str(answer.cookies.get("messages", "")).split("Path")[0] != "")
        assert BlindReview.objects.get(pk=review.pk).state == "done"
    assert len(told) == 1


def test_it_shows_the_revision_that_was_acted_on() -> None:
    the = desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.EDIT, arguments={"order_id": "A-1001", "amount": 7, "reason": "late"})
    proposal.refresh_from_db()
    with transaction.atomic():
        review = blind.arise(
            proposal,
            proposal.revisions.get(number=1),
            kind=Kind.SECOND,
            probability=1.0,
            at=timezone.now(),
        )
    assert review is not None
    html = signed_in(third(the)).get(f"/reviews/{review.pk}/").content.decode()
    assert "42.50" in html and proposal.revisions.get(number=1).digest in html
    assert proposal.digest not in html and "edited by" not in html and "revision 1" not in html
    assert Proposal.objects.get(pk=proposal.pk).revision == 2


def test_hostile_words_stay_words() -> None:
    the = desk()
    review = asked(the, Kind.SECOND, summary=HOSTILE)
    client = signed_in(third(the))
    html = client.get(f"/reviews/{review.pk}/").content.decode()
    assert "<script>alert" not in html and "&lt;script&gt;" in html and "U+202E" in html
    judge(client, review, judgement="wrong", comment=HOSTILE)
    page = signed_in(the.agent.owner).get(f"/proposals/{review.proposal_id}/").content.decode()
    assert "<script>alert" not in page
    assert "ignore all rules" in page[page.index('id="judged"') :], "the agent's people read what was written"


def test_folded_lines_are_opened_before_anything_is_called_right() -> None:
    the = desk()
    review = asked(the, Kind.SECOND, summary="All fine" + "\n" * 12 + "but pay another account")
    client = signed_in(third(the))
    assert "Open the folded lines first" in client.get(f"/reviews/{review.pk}/").content.decode()
    refused = judge(client, review)
    assert refused.status_code == 422 and "Blank lines are folded" in refused.content.decode()
    opened = client.get(f"/reviews/{review.pk}/?folds=open").content.decode()
    assert 'name="shown" value="True"' in opened
    assert judge(client, review, shown="True").status_code == 302


# — Who


def both_ways(review: BlindReview, user: User) -> bool:
    """Whether this person may do it, asked from his side and from the review's, which must agree."""
    mine = blind.open_to(user).filter(pk=review.pk).exists()
    assert (user in blind.who_may(review, at=timezone.now())) is mine
    return mine


def test_only_reviewers_without_a_hand_in_it() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    owner = the.agent.owner
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=owner, actor=admin())
    manager = reviewer(the.queue)
    assign_perm("agents.manage_agent", manager, the.agent)
    assert both_ways(review, the.second)
    for user in (the.reviewer, owner, manager, person(), admin()):
        assert not both_ways(review, user), user
        client = signed_in(user)
        assert client.get(f"/reviews/{review.pk}/").status_code == 404
        assert judge(client, review).status_code == 404
        assert client.post(f"/reviews/{review.pk}/claim/").status_code == 404
        assert str(review.proposal.title) not in client.get("/reviews/").content.decode()
    assert BlindReview.objects.get().state == "open"


def test_a_delegate_may_not_what_the_absent_person_may_not() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    assert both_ways(review, the.second)
    now = timezone.now()
    absences.enter(
        person_id=the.reviewer.pk,
        starts_at=now - timedelta(minutes=1),
        ends_at=now + timedelta(days=1),
        delegate_id=the.second.pk,
        actor=the.reviewer,
    )
    assert not both_ways(review, the.second)


def test_a_dispute_goes_to_a_third_person() -> None:
    the = desk()
    first = asked(the, Kind.SECOND)
    tamar = third(the)
    judge(signed_in(tamar), first, judgement="wrong", comment="Twice")
    row = Evidence.judgements().get()
    raised = dispute(evidence_id=row.pk, actor=the.second, claim="wrong", text="No receipt")
    assert raised.review is not None
    fourth = reviewer(the.queue)
    assert [both_ways(raised.review, one) for one in (the.reviewer, the.second, tamar, fourth)] == [
        False,
        False,
        False,
        True,
    ]


def test_roles_of_the_policy_hold_after_the_fact_too() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    Proposal.objects.update(roles=["Legal"])
    review = BlindReview.objects.select_related("proposal").get()
    lawyer = reviewer(the.queue, team="Legal")
    assert not both_ways(review, the.second) and both_ways(review, lawyer)
    Group.objects.get(name="Legal").user_set.remove(lawyer)
    assert not both_ways(review, lawyer)


def test_the_list_costs_the_same_however_long_it_is() -> None:
    the = desk()
    tamar = third(the)
    counts = []
    signed_in(tamar).get("/reviews/")
    for _ in range(3):
        asked(the, Kind.SECOND)
        cache.clear()
        client = signed_in(tamar)
        with CaptureQueriesContext(connection) as captured:
            client.get("/reviews/")
        counts.append(len(captured))
    assert counts[0] == counts[2]


def test_looking_at_the_proposal_itself_while_holding_its_review_is_recorded_once() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    client = signed_in(the.second)
    page = f"/proposals/{review.proposal_id}/"
    client.get(page)
    assert not AuditEvent.objects.filter(kind="review.peeked").exists()
    client.post(f"/reviews/{review.pk}/claim/")
    client.get(page)
    client.get(page)
    signed_in(the.reviewer).get(page)
    event = AuditEvent.objects.get(kind="review.peeked")
    assert event.actor_id == str(the.second.pk) and event.object_id == str(review.pk)


@pytest.mark.parametrize("tier", [Tier.IN_THE_LOOP, Tier.ON_THE_LOOP])
def test_who_decides_or_vetoes_cannot_tell_what_was_drawn(tier: Tier) -> None:
    the = desk(tier, veto_seconds=600)
    proposal = the.propose()
    client = signed_in(the.reviewer)
    pages = []
    for drawn in (False, True):
        Proposal.objects.update(sampled=drawn, sample_probability=0.1)
        addresses = (f"/proposals/{proposal.pk}/", "/proposals/?state=open")
        pages.append([bare(client.get(address).content.decode()) for address in addresses])
    opened = re.compile(r'name="opened" value="[^"]+"')
    assert [opened.sub("", page) for page in pages[0]] == [opened.sub("", page) for page in pages[1]]


# — Taking and passing over


def test_next_takes_one_and_skipping_passes_it_over() -> None:
    the = desk()
    reviews = [asked(the, Kind.SECOND) for _ in range(3)]
    client = signed_in(the.second)
    first = client.post("/reviews/next/").headers["Location"]
    assert first == f"/reviews/{reviews[0].pk}/"
    assert client.post("/reviews/next/").headers["Location"] == first, "what one holds comes first"
    second = client.post("/reviews/next/", {"after": reviews[0].pk}).headers["Location"]
    assert second == f"/reviews/{reviews[1].pk}/"
    assert BlindReview.objects.get(pk=reviews[0].pk).claimed_by is None
    client.post("/reviews/next/", {"after": reviews[1].pk})
    again = client.post("/reviews/next/", {"after": reviews[2].pk}).headers["Location"]
    assert again == first, "after the last one it begins again"
    assert signed_in(third(the)).post("/reviews/next/").headers["Location"] == second
    assert BlindReview.objects.exclude(claimed_by=None).count() == 2


def test_a_colleague_s_review_is_not_to_be_had_until_his_lease_is_over() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    signed_in(the.second).post(f"/reviews/{review.pk}/claim/")
    client = signed_in(third(the))
    assert judge(client, review).status_code == 409
    assert client.post(f"/reviews/{review.pk}/claim/").status_code == 409
    assert "A colleague is on this one" in client.get(f"/reviews/{review.pk}/").content.decode()
    assert client.post("/reviews/next/").headers["Location"] == "/reviews/"
    BlindReview.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert judge(client, review).status_code == 302


def test_nothing_happens_by_a_get_without_a_token_or_to_a_stranger() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    for path in ("next/", f"{review.pk}/judge/", f"{review.pk}/claim/", f"{review.pk}/release/"):
        address = f"/reviews/{path}"
        assert signed_in(the.second).get(address).status_code == 302
        assert signed_in(the.second, csrf=True).post(address, {"judgement": "right"}).status_code == 403
        assert Client().post(address).headers["Location"].startswith("/account/login/")
    now = BlindReview.objects.get()
    assert now.state == "open" and now.claimed_by is None


# — The answer


@pytest.mark.parametrize(
    ("kind", "answer", "expected"),
    [
        (Kind.AUDIT, "minor", [("audit", "minor", "0.25")]),
        (Kind.AUDIT, "not_at_fault", [("audit", "not_at_fault", "0.00")]),
        (Kind.SECOND, "right", [("decision", "approve", "0.00"), ("second", "agreed", "0.00")]),
        (
            Kind.SECOND,
            "wrong",
            [("decision", "approve", "0.00"), ("second", "differed", "1.00"), ("second", "wrong", "1.00")],
        ),
        (Kind.FAULT, "not_at_fault", [("decision", "reject", "1.00"), ("second", "not_at_fault", "0.00")]),
        (Kind.FAULT, "wrong", [("decision", "reject", "1.00")]),
        (Kind.DISPUTE, "cosmetic", [("decision", "reject", "1.00"), ("dispute", "cosmetic", "0.10")]),
        (Kind.PROBE, "wrong", [("probe", "caught", "0.00")]),
        (Kind.PROBE, "right", [("probe", "passed", "1.00")]),
    ],
)
def test_what_an_answer_leads_to(kind: str, answer: str, expected: list[tuple[str, str, str]]) -> None:
    the = desk_for(kind)
    review = asked(the, kind)
    comment = "Paid twice" if answer in ("wrong", "not_at_fault") else ""
    assert judge(signed_in(third(the)), review, judgement=answer, comment=comment).status_code == 302
    assert [row[:2] for row in losses(review.proposal)] == [row[:2] for row in expected]
    if kind not in (Kind.PROBE,):
        assert losses(review.proposal)[-1][2] == expected[-1][2]
    assert AuditEvent.objects.filter(kind="review.judged", object_id=str(review.pk)).count() == 1


def test_a_double_click_counts_once_and_another_answer_is_refused() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    review = asked(the, Kind.AUDIT)
    client = signed_in(third(the))
    assert judge(client, review, judgement="minor").status_code == 302
    assert judge(client, review, judgement="minor").status_code == 302
    assert judge(client, review, judgement="wrong", comment="x").status_code == 409
    assert losses(review.proposal) == [("audit", "minor", "0.25")]
    assert client.get(f"/reviews/{review.pk}/").status_code == 302
    assert judge(signed_in(the.second), review).status_code == 404


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"judgement": ""}, "Choose an answer."),
        ({"judgement": "perfect"}, "Select a valid choice"),
        ({"judgement": "wrong"}, "Say what is wrong."),
        ({"judgement": "not_at_fault", "comment": "  "}, "Say what is wrong."),
        ({"judgement": "right", "comment": "x" * 4001}, "at most 4000"),
        ({"judgement": "minor", "comment": "a\x00b"}, "Null characters"),
    ],
)
def test_what_cannot_be_recorded_comes_back_in_the_page(data: dict[str, str], words: str) -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    answer = judge(signed_in(the.second), review, **data)
    assert answer.status_code == 422 and words in answer.content.decode()
    assert BlindReview.objects.get().state == "open"


def test_serious_harm_is_asked_about_only_where_it_is_thinkable() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    low = asked(the, Kind.AUDIT)
    tamar = third(the)
    assert 'name="critical"' not in signed_in(tamar).get(f"/reviews/{low.pk}/").content.decode()
    type(the.action_type).objects.update(risk="critical")
    client = signed_in(tamar)
    assert 'name="critical"' in client.get(f"/reviews/{low.pk}/").content.decode()
    refused = judge(client, low, judgement="right", critical="on")
    assert refused.status_code == 422 and "Serious harm goes with a fault" in refused.content.decode()
    judge(client, low, judgement="wrong", comment="All gone", critical="on")
    assert Evidence.objects.get(proposal_id=low.proposal_id, basis="audit").critical


def test_answer_and_evidence_are_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever kills the process between them leaves neither, and the review to be done."""
    the = desk(Tier.OUT_OF_THE_LOOP)
    review = asked(the, Kind.AUDIT)
    tamar = third(the)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(judging, "reviewed", killed)
        with pytest.raises(KeyboardInterrupt):
            blind_review.judge(review_id=review.pk, reviewer=tamar, judgement="right")
    assert BlindReview.objects.get().state == "open"
    assert losses(review.proposal) == [] and not AuditEvent.objects.filter(kind="review.judged").exists()
    blind_review.judge(review_id=review.pk, reviewer=tamar, judgement="right")
    assert losses(review.proposal) == [("audit", "right", "0.00")]


# — Time


def test_an_audit_nobody_did_in_time_counts_in_full_until_it_is_done_late() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    review = asked(the, Kind.AUDIT)
    early, late = review.due_at - timedelta(seconds=1), review.due_at + timedelta(seconds=1)
    assert blind_review.miss_overdue(now=early) == 0
    assert blind_review.miss_overdue(now=late) == 1
    assert blind_review.miss_overdue(now=late) == 0
    assert losses(review.proposal) == [("audit", "missed", "1.00")]
    assert Notification.objects.filter(kind="overdue", recipient=the.second).count() == 1
    assert judge(signed_in(the.second), review).status_code == 302
    assert losses(review.proposal) == [("audit", "missed", "1.00"), ("audit", "right", "0.00")]
    assert BlindReview.objects.get().state == "done"


@pytest.mark.parametrize("kind", [Kind.SECOND, Kind.FAULT, Kind.DISPUTE, Kind.PROBE])
def test_what_is_no_audit_says_nothing_by_being_late(kind: str) -> None:
    the = desk()
    review = asked(the, kind)
    before = losses(review.proposal)
    assert blind_review.miss_overdue(now=review.due_at) == 1
    assert BlindReview.objects.get().state == "overdue"
    assert losses(review.proposal) == before
    assert judge(signed_in(third(the)), review).status_code == 302


def test_who_holds_it_at_the_due_time_may_finish() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    review = asked(the, Kind.AUDIT)
    BlindReview.objects.update(claimed_by=the.second, claimed_until=review.due_at + timedelta(hours=9))
    assert blind_review.miss_overdue(now=review.due_at + timedelta(minutes=1)) == 0
    assert blind_review.miss_overdue(now=review.due_at + timedelta(minutes=31)) == 1


def test_admins_hear_when_nobody_is_left_who_may() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    for user in (the.second,):
        user.is_active = False
        user.save()
    blind_review.miss_overdue(now=review.due_at)
    told = Notification.objects.get(recipient=admin())
    assert "nobody in" in told.text and told.link == "/reviews/"


def test_reminders_come_a_working_day_before_once_and_to_whom_it_may_concern() -> None:
    the = desk()
    review = asked(the, Kind.SECOND)
    the_time = review.due_at - timedelta(minutes=blind_review.REMIND_MINUTES)
    assert blind_review.remind(now=the_time - timedelta(minutes=2)) == 0
    cache.clear()
    assert blind_review.remind(now=the_time + timedelta(minutes=1)) == 1
    cache.clear()
    assert blind_review.remind(now=the_time + timedelta(minutes=2)) == 0
    note = Notification.objects.get(kind="due_soon")
    assert note.recipient == the.second and note.text.startswith("1 review after the fact due soon")


def test_it_is_due_when_the_queue_closes_on_its_third_working_day() -> None:
    hours = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
    calendar = Calendar.objects.create(
        name="Office", time_zone="Europe/Berlin", week=hours, holidays=["2026-11-23"]
    )
    the = desk()
    proposal = the.approved()
    Queue.objects.update(calendar=calendar)
    proposal = Proposal.objects.select_related("queue__calendar").get(pk=proposal.pk)
    friday = datetime.fromisoformat("2026-11-20T23:30:00+01:00")
    with transaction.atomic():
        review = blind.arise(proposal, proposal.revisions.get(), kind=Kind.SECOND, probability=1.0, at=friday)
    assert review is not None
    assert review.due_at == datetime.fromisoformat("2026-11-26T17:00:00+01:00")


def test_asking_twice_asks_once_but_for_disputes() -> None:
    the = desk()
    one = asked(the, Kind.SECOND)
    two = asked(the, Kind.SECOND, proposal=one.proposal)
    assert one.pk == two.pk
    assert AuditEvent.objects.filter(kind="review.asked").count() == 1


def test_the_clock_runs_both_steps() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    asked(the, Kind.AUDIT)
    BlindReview.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    done = tasks.tick()
    assert done["reviews_missed"] == 1 and done["reviews_due"] == 0


def test_the_bar_counts_what_waits_for_this_person() -> None:
    the = desk()
    asked(the, Kind.SECOND)
    place: Callable[[User], str] = lambda user: (  # noqa: E731
        signed_in(user).get("/notifications/").content.decode().split('href="/reviews/"')[1].split("</a>")[0]
    )
    assert '<span class="places__count">1</span>' in place(the.second)
    assert "places__count" not in place(the.reviewer)


def test_a_settled_dispute_is_told_to_both() -> None:
    the = desk()
    review = asked(the, Kind.DISPUTE)
    judge(signed_in(the.second), review, judgement="right")
    settled = Dispute.objects.get()
    assert settled.settled_at is not None
    told = set(
        Notification.objects.filter(key=f"dispute_settled:{settled.pk}").values_list("recipient", flat=True)
    )
    assert told == {the.agent.owner.pk, the.reviewer.pk}
    assert Judgement(review.judgement or "right")


# — At once


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls answer or raise, begun together over connections of their own."""
    barrier = Barrier(len(calls))

    def run(one: Callable[[], Any]) -> Any:
        barrier.wait(20)
        try:
            return one()
        except DomainError as refused:
            return refused
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(60) for future in [pool.submit(run, one) for one in calls]]


def test_two_reviewers_the_clock_and_a_double_click_make_one_judgement() -> None:
    for _ in range(3):
        the = desk(Tier.OUT_OF_THE_LOOP)  # a new one each time: a missed audit can cost the tier
        one, two = the.second, third(the)
        review = asked(the, Kind.AUDIT)

        def judged(user: User, answer: str, pk: int = review.pk) -> Callable[[], Any]:
            return lambda: blind_review.judge(review_id=pk, reviewer=user, judgement=answer)

        late = review.due_at + timedelta(hours=1)
        at_once(
            judged(one, "minor"),
            judged(one, "minor"),
            judged(two, "cosmetic"),
            lambda: blind_review.miss_overdue(now=late),  # noqa: B023 - it is over before the next round
        )
        now = BlindReview.objects.get(pk=review.pk)
        assert now.state == "done" and now.reviewer in (one, two)
        first, *rest = losses(review.proposal)
        if first[1] == "missed":
            assert [row[1] for row in rest] == [now.judgement]
        else:
            assert (first[1], rest) == (now.judgement, [])
        assert AuditEvent.objects.filter(kind="review.judged", object_id=str(review.pk)).count() == 1


def test_two_never_get_the_same_one() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    people = [the.second, third(the), reviewer(the.queue)]
    wanted = {asked(the, Kind.AUDIT).pk for _ in people}

    def next_of(user: User) -> Callable[[], Any]:
        return lambda: blind_review.take_next(reviewer=user)

    taken = at_once(*(next_of(user) for user in people))
    got = [review.pk for review in taken if isinstance(review, BlindReview)]
    assert len(got) == len(set(got)) and set(got) <= wanted and got


def test_two_clocks_count_each_missed_one_once() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    reviews = [asked(the, Kind.AUDIT) for _ in range(3)]
    late = max(review.due_at for review in reviews) + timedelta(seconds=1)
    counts = at_once(*[lambda: blind_review.miss_overdue(now=late)] * 2)
    assert sum(counts) == 3
    assert Evidence.objects.filter(verdict="missed").count() == 3
