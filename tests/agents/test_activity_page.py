"""What a proposal's page shows of what led to it, to whom, and that a probe does not stand out by having nothing."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from agents.models import Activity
from approvals import activity
from approvals.disguise import Content as Disguised
from approvals.models import ProbeServing, Proposal, Verdict
from approvals.reading import transcript
from approvals.services import probe_library, probe_serve, set_up
from approvals.services.redeem import redeem
from audit import keys
from audit.models import AuditEvent
from tests import factories
from tests.agents.spans import SAID, TRACE, USER, run
from tests.agents.test_activity import item, send
from tests.agents.test_activity_otlp import send as export
from tests.factories import Desk, desk

pytestmark = pytest.mark.django_db


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(
    the: Desk, proposal: Proposal, by: User | None = None, tail: str = "activity/", htmx: bool = False
) -> str:
    answer = signed_in(by or the.reviewer).get(
        f"/proposals/{proposal.pk}/{tail}", headers={"HX-Request": "true"} if htmx else {}
    )
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def section(html: str) -> str:
    found = re.search(r'<section class="card" id="activity".*?</section>', html, re.DOTALL)
    assert found is not None
    return found.group()


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_an_instrumented_agents_run_can_be_read_from_its_proposal() -> None:
    the = desk()
    assert export(the, run().SerializeToString()).status_code == 200
    proposal = the.propose(trace_id=TRACE)
    lead = section(page(the, proposal, tail=""))
    assert "7 steps" in words(lead)
    assert USER not in lead
    told = words(section(page(the, proposal)))
    order = [
        "Step refunds", "took 9.0 s", "Prompt chat m-large", "m-large-2026-10", "412 tokens in",
        "Refund what was lost.", USER, "Output chat m-large", "31 tokens out", "track_parcel (call_1)",
        "Tool call track_parcel", "took 500 ms", "A-1001", "Tool result track_parcel", "Rotterdam",
        "tool, result call_1", SAID,
    ]  # fmt: skip
    place = 0
    for word in order:
        place = told.find(word, place)
        assert place >= 0, word
    assert "unverified" in told


def test_steps_stand_inside_the_span_they_happened_in() -> None:
    the = desk()
    export(the, run().SerializeToString())
    found = re.findall(r"doing--in-(\d)", page(the, the.propose(trace_id=TRACE)))
    assert found == ["0", "1", "1", "1", "1", "1", "1"]


def test_a_loop_of_parents_ends() -> None:
    the = desk()
    send(the, item(span_id="a", parent_span_id="b"), item(span_id="b", parent_span_id="a", kind="output"),
         item(span_id="c", parent_span_id="c", kind="step", content=None))  # fmt: skip
    assert len(re.findall(r"doing--in-[01]", page(the, the.propose(trace_id="t-1")))) == 3


def test_a_prompt_that_repeats_the_one_before_shows_what_is_new() -> None:
    the = desk()
    asked = [{"role": "user", "content": f"question {number}"} for number in range(3)]
    later = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    send(
        the,
        item(content=asked),
        item(span_id="s-2", started_at=later, content=[*asked, {"role": "user", "content": "more"}]),
    )
    told = words(page(the, the.propose(trace_id="t-1")))
    assert "3 parts as in the prompt before" in told
    assert told.count("question 1") == 2


def test_another_agent_with_the_same_trace_says_nothing_here() -> None:
    theirs, ours = desk(), desk()
    send(theirs, item(content="a stranger's words"))
    proposal = ours.propose(trace_id="t-1")
    assert "told nothing" in words(section(page(ours, proposal, tail="")))
    assert "a stranger" not in page(ours, proposal)
    strange = Activity.objects.get()
    answer = signed_in(ours.reviewer).get(f"/proposals/{proposal.pk}/activity/{strange.pk}/")
    assert answer.status_code == 404


def test_who_may_not_see_the_proposal_may_not_see_what_led_to_it() -> None:
    other, the = desk(), desk()
    send(the, item())
    proposal = the.propose(trace_id="t-1")
    row = Activity.objects.get()
    for tail in ("activity/", f"activity/{row.pk}/"):
        address = f"/proposals/{proposal.pk}/{tail}"
        assert signed_in(other.reviewer).get(address).status_code == 404
        assert Client().get(address).status_code == 302
        assert signed_in(the.agent.owner).get(address).status_code == 200


HOSTILE = (
    "<img src=x onerror=alert(1)> pay\u200bpal \u202egro.knab\n\n\n\n\n\n\nrm -rf [x](https://evil.example)"
)


def test_everything_an_agent_wrote_is_inert_and_nothing_is_hidden() -> None:
    the = desk()
    send(the, item(content=HOSTILE, name=HOSTILE, model="m\u202e", facts={"provider": "<b>\u200b"}),
         item(kind="output", content=[{"role": "<i>\u202e", "content": HOSTILE}]))  # fmt: skip
    proposal = the.propose(trace_id="t-1")
    for tail in ("activity/", f"activity/{Activity.objects.get(kind='prompt').pk}/"):
        html = page(the, proposal, tail=tail)
        for bad in ("<img src=x", "<i>", "<b>\u200b", "\u202e", "\u200b", 'href="https://evil'):
            assert bad not in html
        assert "U+202E" in html
        assert "blank lines" in html
        assert "hx-disable" in html


def test_a_long_text_folds_and_stands_in_full_on_its_own_page() -> None:
    the = desk()
    send(the, item(content="begin " + "x" * 70_000 + " end"))
    proposal, row = the.propose(trace_id="t-1"), Activity.objects.get()
    listed = words(page(the, proposal))
    assert f"{transcript.MOST - transcript.SHOWN:,} more characters" in listed
    assert "64,010 more characters: all of it" in listed
    first = page(the, proposal, tail=f"activity/{row.pk}/")
    assert "Characters 1 to 60,000 of 70,010" in words(first)
    assert " end" in words(page(the, proposal, tail=f"activity/{row.pk}/?from=60000"))
    assert "Characters 1 to" in words(page(the, proposal, tail=f"activity/{row.pk}/?from=junk"))


def test_thousands_are_read_a_page_at_a_time_without_gap_or_repeat() -> None:
    the = desk()
    begun = datetime.now(UTC) - timedelta(minutes=9)
    times = [(begun + timedelta(seconds=number // 3)).isoformat() for number in range(60)]
    send(
        the,
        *(
            item(span_id=f"s{number}", name=f"step-{number:02}", started_at=at)
            for number, at in enumerate(times)
        ),
    )
    proposal = the.propose(trace_id="t-1")
    seen: list[str] = []
    address = f"/proposals/{proposal.pk}/activity/"
    client = signed_in(the.reviewer)
    while address:
        html = client.get(address).content.decode()
        assert len(re.findall('<li class="doing ', html)) <= activity.PAGE
        seen += re.findall(r"<b dir=\"auto\">(step-\d\d)</b>", html)
        following = re.search(r'rel="next" href="([^"]+)"', html)
        address = following.group(1) if following else ""
    assert len(seen) == 60
    assert sorted(seen) == [f"step-{number:02}" for number in range(60)]
    assert [name[:6] for name in seen[::3]] == sorted(name[:6] for name in seen[::3])
    assert client.get(f"/proposals/{proposal.pk}/activity/?after=junk").status_code == 200


def test_as_many_queries_for_three_as_for_one() -> None:
    counts = []
    for number in (1, 3):
        the = desk()
        send(the, *(item(span_id=f"s{one}", parent_span_id="gone") for one in range(number)))
        proposal = the.propose(trace_id="t-1")
        client = signed_in(the.reviewer)
        client.get(f"/proposals/{proposal.pk}/activity/")
        with CaptureQueriesContext(connection) as captured:
            client.get(f"/proposals/{proposal.pk}/activity/")
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_the_part_for_htmx_is_that_of_the_page() -> None:
    the = desk()
    send(the, item())
    proposal = the.propose(trace_id="t-1")
    plain = section(page(the, proposal))
    part = section(page(the, proposal, htmx=True))
    said = '<p class="visually-hidden" data-announce>1 step of the agent shown</p>'
    assert part.replace(' tabindex="-1" autofocus', "").replace(said, "") == plain


def test_what_was_erased_says_so_and_keeps_its_place() -> None:
    the = desk()
    send(the, item(subject={"type": "customer", "id": "c-9"}))
    name = keys.reference(("customer", "c-9"))
    mark = keys.identity(name)
    assert mark is not None
    keys.destroy(name, mark)
    told = words(page(the, the.propose(trace_id="t-1")))
    assert "Its key cannot be read." in told
    assert "chat m-large" in told


def test_reading_it_is_recorded_once_for_a_while() -> None:
    the = desk()
    send(the, item())
    proposal = the.propose(trace_id="t-1")
    page(the, proposal, tail="")
    read = AuditEvent.objects.filter(kind="activity.read", object_id=str(proposal.pk))
    assert not read.exists()
    page(the, proposal)
    page(the, proposal)
    page(the, proposal, by=the.second)
    assert sorted(event.actor_id for event in read) == sorted([str(the.reviewer.pk), str(the.second.pk)])


# Probes


def probe_of(the: Desk) -> None:
    content = Disguised(
        arguments={"order_id": "B-7", "amount": 61.0, "reason": "damaged"}, summary="Refund B-7."
    )
    draft = probe_library.Draft(content=content, fault="Never damaged.", faulty=["/amount"])
    probe_library.add(action_type=the.action_type.name, draft=draft, actor=factories.admin())


def planted(the: Desk, monkeypatch: pytest.MonkeyPatch) -> Proposal:
    monkeypatch.setattr("approvals.probing._random.random", lambda: 0.0)
    probe_serve.plan(now=timezone.now() - timedelta(minutes=10))
    the.propose()
    probe_serve.plan(now=timezone.now() + timedelta(minutes=1))
    serving = ProbeServing.objects.get()
    assert probe_serve.serve_due(now=serving.serve_at + timedelta(seconds=1)) == 1
    serving.refresh_from_db()
    assert serving.proposal is not None
    return serving.proposal


def without_ids(html: str, proposal: Proposal) -> str:
    return html.replace(str(proposal.pk), "ID")


def test_a_planted_proposal_says_of_what_led_to_it_exactly_what_a_real_one_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    the = desk()
    probe_of(the)
    probe = planted(the, monkeypatch)
    send(the, item())
    real = the.propose(trace_id="t-1")
    for reader in (the.reviewer, the.second):
        for tail in ("", "activity/"):
            both = [without_ids(section(page(the, one, by=reader, tail=tail)), one) for one in (probe, real)]
            assert both[0] == both[1]
            assert "is shown once it has run" in both[0]
    row = Activity.objects.get()
    for one in (probe, real):
        assert signed_in(the.reviewer).get(f"/proposals/{one.pk}/activity/{row.pk}/").status_code == 404


def test_an_admin_who_reviews_the_queue_is_a_reviewer_here(monkeypatch: pytest.MonkeyPatch) -> None:
    the = desk()
    probe_of(the)
    send(the, item())
    real, admin = the.propose(trace_id="t-1"), User.objects.create_superuser("a@example.com", "p", name="Ann")
    assert "Where is my order" in page(the, real, by=admin)
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=admin, actor=factories.admin())
    assert "Where is my order" not in page(the, real, by=User.objects.get(pk=admin.pk))


def test_where_probes_are_in_use_it_is_shown_to_who_has_voted_and_to_all_once_it_has_run() -> None:
    the = desk()
    probe_of(the)
    send(the, item())
    real = the.propose(trace_id="t-1")
    assert "Where is my order" in page(the, real, by=the.agent.owner)
    the.decide(real, Verdict.APPROVE)
    assert "Where is my order" in page(the, real)
    assert "Where is my order" not in page(the, real, by=the.second)
    redeem(proposal_id=real.pk, bearer=the.bearer, digest=Proposal.objects.get(pk=real.pk).digest, token=None)
    assert "Where is my order" in page(the, real, by=the.second)


def test_while_a_probe_is_out_its_retirement_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    the = desk()
    probe_of(the)
    probe = planted(the, monkeypatch)
    serving = ProbeServing.objects.get(proposal=probe)
    probe_library.retire(probe_id=serving.probe_id, actor=factories.admin())
    send(the, item())
    assert "Where is my order" not in page(the, the.propose(trace_id="t-1"))


CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
CUT = {"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}], "finish_reason": "length"}


@pytest.mark.parametrize(
    ("content", "pieces"),
    [
        ("plain", [("", "plain")]),
        ("[not json", [("", "[not json")]),
        ('{"a":1}', [("", '{\n  "a": 1\n}')]),
        ([], [("", "[]")]),
        ([{"role": "user", "content": "hi"}], [("user", "hi")]),
        (
            [{"role": "user", "content": [{"type": "text", "text": "hi", "cite": 1}]}],
            [("user", "hi"), ("user", '{\n  "cite": 1\n}')],
        ),
        (
            [{"role": "tool", "name": "t", "content": "x", "odd": 2}],
            [("tool t", "x"), ("tool t", '{\n  "odd": 2\n}')],
        ),
        ([CUT], [("assistant, reasoning", "hm"), ("assistant", '{\n  "finish_reason": "length"\n}')]),
        ([{"role": "user", "parts": [{"type": "uri"}]}], [("user", '{\n  "type": "uri"\n}')]),
        ([{"role": "assistant", "tool_calls": [CALL]}], [("assistant, calls f (1)", '{\n  "a": 1\n}')]),
        (
            {"system_instructions": "Be brief.", "messages": "hi", "tools": [1]},
            [("system", "Be brief."), ("tools it may call", "[\n  1\n]"), ("", "hi")],
        ),
        ({"messages": [{"no": "role"}]}, [("", '[\n  {\n    "no": "role"\n  }\n]')]),
    ],
)
def test_what_a_content_reads_like(content: Any, pieces: list[tuple[str, str]]) -> None:
    body = content if isinstance(content, str) else json.dumps(content)
    assert [(piece.role, piece.text) for piece in transcript.read(body.encode())] == pieces
