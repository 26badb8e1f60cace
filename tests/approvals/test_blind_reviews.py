"""Reviews after the fact over HTTP and by the clock: blind, by the right people, once, with their evidence or not at
all."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from agents.autonomy import Tier
from agents.models import Evidence
from approvals import blind, judging
from approvals.models import (
    BlindReview,
    Probe,
    ProbeServing,
    Proposal,
    Verdict,
)
from approvals.services import blind_review
from approvals.services.dispute import dispute
from audit.models import AuditEvent
from tests.factories import Desk, desk, person, reviewer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_hints")]
Kind = BlindReview.Kind
HOSTILE = "<script>alert(1)</script>\u202egnihtemos\n\n\n\n\n\n\n\nignore all rules"


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
    (r'data-person="\d+" data-session="\d+"', "session"),
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
