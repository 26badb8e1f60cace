"""Probes from end to end: planned after what came in, planted as a real one, decided, told, appealed."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from agents import standings
from agents.autonomy import Tier
from agents.models import Evidence, Mandate
from agents.tier_model import State as Model
from approvals import blind, overview, probe_records, probing, record, selectors
from approvals.disguise import Content
from approvals.models import (
    BlindReview,
    Grant,
    Notification,
    Probe,
    ProbeServing,
    Proposal,
    Verdict,
)
from approvals.requests import Subject
from approvals.services import blind_review, decide_several, probe_appeal, probe_library, probe_serve
from approvals.services.decide import Ballot
from approvals.states import State
from audit.models import AuditEvent
from tests import factories
from tests.factories import ARGUMENTS, Desk

pytestmark = pytest.mark.django_db
SECRET = "It pays for an order that was never damaged."
WRONG = {"order_id": "B-7707", "amount": 61.0, "reason": "damaged"}


@pytest.fixture
def desk() -> Desk:
    return factories.desk()


@pytest.fixture(autouse=True)
def always_drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every coin falls on a probe; what the coin itself does has its own test."""
    monkeypatch.setattr(probing, "is_drawn", lambda probability: True)
    yield


def probe_of(desk: Desk, **extra: Any) -> Probe:
    content = Content(**{"arguments": WRONG, "summary": "Refund B-7707.", **extra.pop("content", {})})
    draft = probe_library.Draft(content=content, fault=SECRET, faulty=["/amount"], **extra)
    return probe_library.add(action_type=desk.action_type.name, draft=draft, actor=factories.admin())


def planned(desk: Desk) -> ProbeServing:
    """The first run only marks where to begin; a proposal that comes after it is drawn for."""
    begin = timezone.now() - timedelta(minutes=10)
    probe_serve.plan(now=begin)
    desk.propose()
    probe_serve.plan(now=timezone.now() + timedelta(minutes=1))
    return ProbeServing.objects.get()


def planted(desk: Desk) -> Proposal:
    serving = planned(desk)
    assert probe_serve.serve_due(now=serving.serve_at + timedelta(seconds=1)) == 1
    serving.refresh_from_db()
    assert serving.proposal is not None
    return serving.proposal


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def model_of(desk: Desk) -> Model:
    return Model.from_json(standings.of(desk.agent, desk.action_type, desk.agent.version).state)


# Planning


def test_a_proposal_that_waits_for_a_person_is_drawn_for_once(desk: Desk) -> None:
    probe_of(desk)
    serving = planned(desk)
    for _ in range(3):
        probe_serve.plan(now=timezone.now() + timedelta(minutes=2))
    assert list(ProbeServing.objects.all()) == [serving]
    assert serving.probability == 0.05
    assert serving.serve_at - timezone.now() > timedelta(seconds=probing.LEAST_SECONDS)


def test_what_came_before_the_first_run_is_not_drawn_for(desk: Desk) -> None:
    probe_of(desk)
    desk.propose()
    later = timezone.now() + timedelta(minutes=5)
    assert probe_serve.plan(now=later) == 0
    assert probe_serve.plan(now=later) == 0


def test_a_run_that_fails_draws_again_for_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    probe_of(desk)
    probe_serve.plan(now=timezone.now() - timedelta(minutes=10))
    desk.propose()
    made = probing.plan

    def dies(*given: Any, **named: Any) -> None:
        made(*given, **named)
        raise RuntimeError("killed")

    monkeypatch.setattr(probing, "plan", dies)
    later = timezone.now() + timedelta(minutes=1)
    with pytest.raises(RuntimeError):
        probe_serve.plan(now=later)
    assert ProbeServing.objects.count() == 0
    monkeypatch.setattr(probing, "plan", made)
    assert probe_serve.plan(now=later) == 1
    assert ProbeServing.objects.count() == 1


def test_a_probe_triggers_no_probe(desk: Desk) -> None:
    probe_of(desk)
    probe_of(desk)
    planted(desk)
    assert probe_serve.plan(now=timezone.now() + timedelta(minutes=5)) == 0


def test_the_coin_falls_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    drawn = sum(probing.is_drawn(0.05) for _ in range(20_000))
    assert 850 < drawn < 1150  # five standard deviations on either side


def test_the_delay_is_exponential_and_keeps_working_time() -> None:
    queue = factories.queue()
    now = timezone.now()
    delays = [(probing.moment(queue, trigger=now, now=now) - now).total_seconds() for _ in range(4000)]
    mean = sum(delays) / len(delays) - probing.LEAST_SECONDS
    assert min(delays) >= probing.LEAST_SECONDS
    assert mean == pytest.approx(probing.MEAN_MINUTES * 60, rel=0.1)
    above = sum(delay > probing.LEAST_SECONDS + probing.MEAN_MINUTES * 60 for delay in delays) / len(delays)
    assert above == pytest.approx(0.368, abs=0.04)  # e^-1: no moment is likelier because time has passed


# Planting: nothing tells it from a real one


def normal(html: str, proposal: Proposal) -> str:
    """A page without what differs between any two real proposals: ids, tokens and times."""
    html = html.replace(str(proposal.pk), "ID")
    html = re.sub(r'(csrfmiddlewaretoken" value=")[^"]+', r"\1", html)
    html = re.sub(r'(nonce="|FToken": ")[^"]+', r"\1", html)
    html = re.sub(r'(name="opened" value=")[^"]+', r"\1", html)
    html = re.sub(r"<time[^>]*>.*?</time>", "<time>", html, flags=re.DOTALL)
    html = re.sub(r"\d\d:\d\d(:\d\d)?", "TIME", html)
    html = re.sub(r"\bin \d+ \w+|\d+ (seconds?|minutes?|min|s) ago|just now", "WHEN", html)
    return re.sub(r"(data-[\w-]+)=\"[\d.]+\"", r"\1", html)


def main_of(html: str) -> str:
    """A page without the bar, whose menu leads to one's own record of probes."""
    return html[html.index("<main") :]


PAGES = ("", "print/", "edit/")


@pytest.mark.parametrize("page", PAGES)
def test_its_pages_are_those_of_a_real_one(desk: Desk, page: str) -> None:
    probe_of(desk, content={"context": [{"role": "user", "content": "It arrived broken."}]})
    probe = planted(desk)
    real = desk.propose(
        WRONG, summary="Refund B-7707.", context=[{"role": "user", "content": "It arrived broken."}]
    )
    client = signed_in(desk.reviewer)
    bodies = []
    for one in (probe, real):
        answer = client.get(f"/proposals/{one.pk}/{page}")
        assert answer.status_code == 200
        bodies.append(normal(answer.content.decode(), one))
    assert bodies[0] == bodies[1]
    assert "B-7707" in bodies[0]


def test_its_row_is_that_of_a_real_one(desk: Desk) -> None:
    probe_of(desk)
    probe = planted(desk)
    real = desk.propose(WRONG, summary="Refund B-7707.")
    html = signed_in(desk.reviewer).get(f"/queues/{desk.queue.slug}/").content.decode()
    rows = re.findall(r"<li[ >].*?</li>", html, flags=re.DOTALL)
    of_probe = next(normal(row, probe) for row in rows if str(probe.pk) in row)
    of_real = next(normal(row, real) for row in rows if str(real.pk) in row)
    assert of_probe == of_real


def test_its_stored_row_differs_in_what_marks_it_and_what_differs_anyway(desk: Desk) -> None:
    probe_of(desk)
    probe = planted(desk)
    real = desk.propose(WRONG, summary="Refund B-7707.")
    fields = [field.attname for field in Proposal._meta.concrete_fields]
    differing = {name for name in fields if getattr(probe, name) != getattr(real, name)}
    assert differing - {"sampled"} == {
        "id", "idempotency_key", "request_digest", "planted", "created_at", "changed_at", "queued_at", "due_at",
        "expires_at", "attention_at",
    }  # fmt: skip
    assert bytes(probe.current_revision.canonical) == bytes(real.current_revision.canonical)
    assert probe.current_revision.document == real.current_revision.document


def test_the_log_says_who_planted_it_and_pages_do_not(desk: Desk) -> None:
    probe = probe_of(desk)
    proposal = planted(desk)
    first = AuditEvent.objects.get(object_type="proposal", object_id=str(proposal.pk))
    assert (first.kind, first.actor_kind, first.actor_id) == ("proposal.pending", "system", "probing")
    served = AuditEvent.objects.get(kind="probe.served")
    assert (served.object_type, served.object_id) == ("probe", str(probe.pk))
    assert served.data["after"]["proposal"] == str(proposal.pk)
    html = signed_in(desk.reviewer).get(f"/proposals/{proposal.pk}/").content.decode()
    assert "probing" not in html and "robe" not in main_of(html)
    assert f"<b>{desk.agent.slug}</b> proposed it" in html or f"<b>{desk.agent.name}</b> proposed it" in html


def test_whoever_may_not_be_served_it_does_not_meet_it(desk: Desk) -> None:
    source = desk.propose(WRONG)
    desk.decide(source, Verdict.REJECT, by=desk.reviewer)
    probe_of(desk, source_id=source.pk)
    proposal = planted(desk)
    knows, other = signed_in(desk.reviewer), signed_in(desk.second)
    assert knows.get(f"/proposals/{proposal.pk}/").status_code == 404
    assert str(proposal.pk) not in knows.get(f"/queues/{desk.queue.slug}/").content.decode()
    assert knows.post(f"/proposals/{proposal.pk}/claim/").status_code == 404
    assert other.get(f"/proposals/{proposal.pk}/").status_code == 200
    assert str(proposal.pk) in other.get(f"/queues/{desk.queue.slug}/").content.decode()


def test_the_agents_people_do_not_meet_it(desk: Desk) -> None:
    probe_of(desk)
    proposal = planted(desk)
    owner = signed_in(desk.agent.owner)
    assert owner.get(f"/proposals/{proposal.pk}/").status_code == 404
    assert str(proposal.pk) not in owner.get(f"/agents/{desk.agent.slug}/").content.decode()
    desk.decide(proposal, Verdict.REJECT)
    assert owner.get(f"/proposals/{proposal.pk}/").status_code == 404


def test_one_that_everybody_knows_is_not_planted(desk: Desk) -> None:
    source = desk.propose(WRONG)
    desk.decide(source, Verdict.REJECT, by=desk.reviewer)
    second = desk.propose({**WRONG, "amount": 62.0})
    desk.decide(second, Verdict.APPROVE, by=desk.second)
    Probe.objects.filter(pk=probe_of(desk, source_id=source.pk).pk).update(author=desk.second)
    serving = planned(desk)
    assert probe_serve.serve_due(now=serving.serve_at + timedelta(seconds=1)) == 0
    assert not ProbeServing.objects.exists() and not Proposal.objects.filter(planted=True).exists()


# Deciding


def last_word(user: User) -> str:
    return Notification.objects.filter(recipient=user, kind="probe").latest("pk").text


@pytest.mark.parametrize(
    ("verdict", "extra", "caught", "state"),
    [
        (Verdict.REJECT, {}, True, State.REJECTED),
        (Verdict.RETURN, {}, True, State.WITHDRAWN),
        (Verdict.EDIT, {"arguments": {**WRONG, "amount": 12.0}}, True, State.REVOKED),
        (Verdict.EDIT, {"arguments": {**WRONG, "reason": "late"}}, False, State.REVOKED),
        (Verdict.APPROVE, {}, False, State.REVOKED),
    ],
)
def test_a_decision_says_whether_it_was_caught(
    desk: Desk, verdict: Verdict, extra: dict[str, Any], caught: bool, state: State
) -> None:
    probe_of(desk)
    proposal = planted(desk)
    desk.decide(proposal, verdict, **extra)
    proposal.refresh_from_db()
    serving = ProbeServing.objects.get()
    assert (serving.caught, serving.reviewer, proposal.state) == (caught, desk.reviewer, state)
    assert serving.decided_at is not None
    word = last_word(desk.reviewer)
    assert SECRET.rstrip(".") in word and ("caught it" in word) == caught
    assert not Grant.objects.filter(proposal=proposal).exists()
    assert not Evidence.judgements().filter(proposal_id=proposal.pk).exists()
    assert model_of(desk).probes == ((1, 0) if caught else (0, 1))


def test_each_voter_is_judged_by_his_own_vote() -> None:
    desk = factories.desk(at={"quorum": 2})
    probe_of(desk)
    proposal = planted(desk)
    first = desk.decide(proposal, Verdict.APPROVE, by=desk.reviewer)
    assert not first.final
    assert not Notification.objects.filter(kind="probe").exists()
    html = signed_in(desk.reviewer).get(f"/proposals/{proposal.pk}/").content.decode()
    assert "robe" not in main_of(html)
    desk.decide(proposal, Verdict.REJECT, by=desk.second)
    assert "got past you" in last_word(desk.reviewer)
    assert "You caught it" in last_word(desk.second)
    assert probe_records.own_record(desk.reviewer).missed == 1
    assert probe_records.own_record(desk.second).caught == 1
    assert model_of(desk).probes == (1, 0)


def test_who_agrees_to_what_a_colleague_mended_is_not_measured() -> None:
    desk = factories.desk(at={"quorum": 2})
    probe_of(desk)
    proposal = planted(desk)
    desk.decide(proposal, Verdict.EDIT, by=desk.reviewer, arguments={**WRONG, "amount": 12.0})
    desk.decide(proposal, Verdict.APPROVE, by=desk.second)
    assert probe_records.own_record(desk.reviewer).caught == 1
    record = probe_records.own_record(desk.second)
    assert (record.served, len(record.servings)) == (0, 1)
    assert model_of(desk).probes == (1, 0)


def test_the_telling_waits_for_the_undo_window(desk: Desk) -> None:
    desk = factories.desk(at={"undo_seconds": 5})
    from approvals.services import settle

    probe_of(desk)
    proposal = planted(desk)
    held = desk.decide(proposal, Verdict.APPROVE)
    assert held.held_until is not None
    assert not Notification.objects.filter(kind="probe").exists()
    assert probe_serve.clear(now=timezone.now()) == 0
    settle.settle_due(now=held.held_until + timedelta(seconds=1))
    assert "got past you" in last_word(desk.reviewer)
    assert Proposal.objects.get(pk=proposal.pk).state == State.REVOKED


def test_the_reviewer_is_told_on_the_page_he_lands_on(desk: Desk) -> None:
    probe_of(desk)
    proposal = planted(desk)
    client = signed_in(desk.reviewer)
    page = client.get(f"/proposals/{proposal.pk}/").content.decode()
    form = re.search(rf'action="/proposals/{proposal.pk}/approve/".*?</form>', page, re.DOTALL)
    assert form is not None
    values = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[0]))
    told = client.post(f"/proposals/{proposal.pk}/approve/", {**values, "seen": "on"}, follow=True)
    text = told.content.decode()
    assert "That was a probe" in text and "Signed:" not in text
    again = client.get(f"/proposals/{proposal.pk}/").content.decode()
    assert "That was a probe" in again and SECRET.rstrip(".") in again
    assert "That was a probe" not in signed_in(desk.second).get(f"/proposals/{proposal.pk}/").content.decode()
    assert "probe" in client.get("/history/").content.decode()


# Appeals


def missed(desk: Desk) -> ProbeServing:
    probe_of(desk)
    desk.decide(planted(desk), Verdict.APPROVE)
    return ProbeServing.objects.get()


def other_admin() -> User:
    return User.objects.create_superuser("zoe@example.com", "a long password", name="Zoe Admin")


def test_an_upheld_appeal_takes_it_out_of_evidence_and_record(desk: Desk) -> None:
    serving = missed(desk)
    assert model_of(desk).probes == (0, 1)
    probe_appeal.appeal(serving_id=serving.pk, reviewer=desk.reviewer, text="The photo shows the damage.")
    assert Notification.objects.filter(kind="probe", recipient=factories.admin()).count() == 0
    probe_appeal.answer(serving_id=serving.pk, actor=other_admin(), upheld=True, words="You are right.")
    assert model_of(desk).probes == (0, 0)
    record = probe_records.own_record(desk.reviewer)
    assert (record.served, record.servings[0].is_upheld) == (0, True)
    assert "upheld" in last_word(desk.reviewer)


def test_a_refused_appeal_is_answered_in_words_and_stands(desk: Desk) -> None:
    serving = missed(desk)
    probe_appeal.appeal(serving_id=serving.pk, reviewer=desk.reviewer, text="Why not?")
    probe_appeal.answer(serving_id=serving.pk, actor=other_admin(), upheld=False, words="No photo was sent.")
    assert model_of(desk).probes == (0, 1)
    assert probe_records.own_record(desk.reviewer).missed == 1
    assert "No photo was sent." in signed_in(desk.reviewer).get("/probes/mine/").content.decode()


def test_only_who_missed_it_appeals_and_its_author_does_not_answer(desk: Desk) -> None:
    from accounts.exceptions import NotAllowed, NotFound

    serving = missed(desk)
    with pytest.raises(NotFound):
        probe_appeal.appeal(serving_id=serving.pk, reviewer=desk.second, text="Not mine.")
    probe_appeal.appeal(serving_id=serving.pk, reviewer=desk.reviewer, text="Why not?")
    with pytest.raises(NotAllowed):
        probe_appeal.answer(serving_id=serving.pk, actor=factories.admin(), upheld=True, words="Mine.")
    with pytest.raises(NotAllowed):
        probe_appeal.answer(serving_id=serving.pk, actor=desk.reviewer, upheld=True, words="Mine.")


def test_nobody_sees_anothers_record(desk: Desk) -> None:
    serving = missed(desk)
    html = signed_in(desk.second).get("/probes/mine/").content.decode()
    assert SECRET.rstrip(".") not in html
    answer = signed_in(desk.second).post(f"/probes/mine/{serving.pk}/appeal/", {"text": "Let me."})
    assert answer.status_code == 404
    for user in (desk.reviewer, desk.agent.owner):
        assert signed_in(user).get("/probes/").status_code == 403


# What ends without a decision


def suspended(desk: Desk) -> None:
    from approvals.services import suspend

    suspend.suspend(agent_id=desk.agent.pk, actor=factories.admin(), reason="odd")


def without_mandate(desk: Desk) -> None:
    Mandate.objects.filter(pk=desk.mandate.pk).update(active=False)


def of_another_version(desk: Desk) -> None:
    type(desk.agent).objects.filter(pk=desk.agent.pk).update(version="2")


@pytest.mark.parametrize("end", [suspended, without_mandate, of_another_version])
def test_without_an_occasion_it_is_withdrawn_quietly(desk: Desk, end: Any) -> None:
    probe_of(desk)
    proposal = planted(desk)
    end(desk)
    probe_serve.run(now=timezone.now())
    proposal.refresh_from_db()
    serving = ProbeServing.objects.get()
    assert (proposal.state, serving.caught) == (State.WITHDRAWN, None)
    assert serving.decided_at is not None
    assert not Notification.objects.filter(kind="probe").exists()
    assert not Evidence.objects.filter(basis="probe").exists()


@pytest.mark.parametrize("end", [suspended, without_mandate, of_another_version])
def test_without_an_occasion_a_planned_one_is_dropped(desk: Desk, end: Any) -> None:
    probe_of(desk)
    serving = planned(desk)
    end(desk)
    assert probe_serve.serve_due(now=serving.serve_at + timedelta(seconds=1)) == 0
    assert not ProbeServing.objects.exists()


def test_one_that_expires_says_nothing(desk: Desk) -> None:
    from approvals.services import expire

    probe_of(desk)
    proposal = planted(desk)
    later = timezone.now() + timedelta(days=30)
    expire.expire_undecided(now=later)
    probe_serve.clear(now=later)
    proposal.refresh_from_db()
    assert (proposal.state, ProbeServing.objects.get().caught) == (State.EXPIRED, None)
    assert not Evidence.objects.filter(basis="probe").exists()


def test_after_a_standstill_they_do_not_come_all_at_once(desk: Desk) -> None:
    probe_of(desk)
    serving = planned(desk)
    much_later = serving.serve_at + timedelta(hours=3)
    assert probe_serve.serve_due(now=much_later) == 0
    serving.refresh_from_db()
    assert serving.serve_at > much_later


def test_each_is_planted_at_its_own_moment(desk: Desk) -> None:
    probe_of(desk)
    serving = planned(desk)
    now = timezone.now()
    ProbeServing.objects.filter(pk=serving.pk).update(serve_at=now + timedelta(seconds=1.5))
    waited: list[float] = []
    assert probe_serve.serve_due(now=now, wait=waited.append) == 1
    assert waited == [pytest.approx(1.5, abs=0.5)]


# The library


def test_the_library_refuses_what_the_schema_would(desk: Desk) -> None:
    from agents.exceptions import ArgumentsInvalid

    with pytest.raises(ArgumentsInvalid):
        probe_of(desk, content={"arguments": {"order_id": "B-1", "amount": "much"}})


def test_a_served_probe_speaks_of_the_present(desk: Desk) -> None:
    probe = probe_of(desk, content={"summary": "Sent on 2026-03-02."})
    made = timezone.now() - timedelta(days=64)
    Probe.objects.filter(pk=probe.pk).update(created_at=made)
    assert planted(desk).summary == "Sent on 2026-05-04."


def test_the_agent_finds_nothing(desk: Desk, client: Client) -> None:
    probe_of(desk)
    proposal = planted(desk)
    listed = client.get("/api/v1/proposals", headers=desk.headers).json()["items"]
    assert [one["arguments"] for one in listed] == [ARGUMENTS]
    bodies: dict[str, dict[str, Any]] = {
        "withdraw": {},
        "revise": {"arguments": WRONG, "reply": ""},
        "redeem": {"digest": proposal.digest},
        "outcome": {"status": "failed"},
    }
    made_up = uuid4()

    def asked(about: object) -> list[tuple[int, dict[str, Any]]]:
        answers = [client.get(f"/api/v1/proposals/{about}", headers=desk.headers)]
        for action, body in bodies.items():
            address = f"/api/v1/proposals/{about}/{action}"
            answers.append(client.post(address, body, content_type="application/json", headers=desk.headers))
        child = {"action_type": desk.action_type.name, "arguments": WRONG, "parent_id": str(about)}
        headers = {**desk.headers, "Idempotency-Key": f"child-{about}"}
        answers.append(
            client.post("/api/v1/proposals", child, content_type="application/json", headers=headers)
        )
        told = [(answer.status_code, answer.json()) for answer in answers]
        return [(status, {**problem, "instance": "", "trace": ""}) for status, problem in told]

    foreign = factories.desk().propose()
    assert asked(proposal.pk) == asked(made_up) == asked(foreign.pk)
    assert {status for status, _ in asked(proposal.pk)} == {404, 422}


def test_limits_and_figures_do_not_count_it(client: Client) -> None:
    desk = factories.desk(window_count=5, window_amount="500")
    probe_of(desk)
    before = client.get("/api/v1/me", headers=desk.headers).json()["mandates"]
    owner = signed_in(desk.agent.owner)
    proposal = planted(desk)
    desk.decide(Proposal.objects.get(idempotency_key__startswith="key-", agent=desk.agent), Verdict.REJECT)
    after = client.get("/api/v1/me", headers=desk.headers).json()["mandates"]
    assert before == after
    figures = overview.figures([desk.agent.pk])[desk.agent.pk]
    assert (figures.pending, figures.proposed, figures.rejected) == (0, 1, 1)
    assert (
        selectors.tallies([desk.queue.pk])[desk.queue.pk].waiting == 1
    )  # it waits for a person like any other
    assert proposal.title not in owner.get(f"/agents/{desk.agent.slug}/").content.decode()
    desk.decide(proposal, Verdict.APPROVE)
    figures = overview.figures([desk.agent.pk])[desk.agent.pk]
    assert (figures.pending, figures.proposed, figures.approved) == (0, 1, 0)
    assert not [one for one in record.judged_before(desk.propose()) if one.proposal.pk == proposal.pk]


def test_what_it_was_made_of_is_no_precedent_on_its_page(desk: Desk) -> None:
    source = desk.propose(WRONG)
    desk.decide(source, Verdict.REJECT, by=desk.reviewer)
    probe_of(desk, source_id=source.pk)
    proposal = planted(desk)
    assert [one.proposal.pk for one in record.judged_before(proposal)] == []
    assert [one.proposal.pk for one in record.judged_before(desk.propose(WRONG))] == [source.pk]


# Among audits


def audited(tier: Tier = Tier.OUT_OF_THE_LOOP) -> tuple[Desk, ProbeServing]:
    desk = factories.desk(tier)
    probe_of(desk)
    probe_serve.plan(now=timezone.now() - timedelta(minutes=10))
    ran = desk.propose()
    revision = ran.current_revision
    blind.arise(ran, revision, kind=BlindReview.Kind.AUDIT, probability=0.2, at=timezone.now())
    probe_serve.plan(now=timezone.now() + timedelta(minutes=1))
    serving = ProbeServing.objects.get()
    assert serving.for_review and serving.probability == 0.03
    assert probe_serve.serve_due(now=serving.serve_at + timedelta(seconds=1)) == 1
    serving.refresh_from_db()
    return desk, serving


@pytest.mark.parametrize("tier", [Tier.ON_THE_LOOP, Tier.OUT_OF_THE_LOOP])
def test_an_audit_may_bring_a_probe_into_the_blind_queue(tier: Tier) -> None:
    desk, serving = audited(tier)
    review, proposal = serving.review, serving.proposal
    assert review is not None and proposal is not None
    assert (review.kind, proposal.state, proposal.planted) == ("probe", State.APPROVED, True)
    assert not Grant.objects.filter(proposal=proposal).exists()
    client = signed_in(desk.reviewer)
    real = BlindReview.objects.get(kind=BlindReview.Kind.AUDIT)
    pages = [client.get(f"/reviews/{one.pk}/") for one in (review, real)]
    assert [page.status_code for page in pages] == [200, 200]
    assert "robe" not in main_of(pages[0].content.decode())


@pytest.mark.parametrize(
    ("judgement", "caught"),
    [("wrong", True), ("substantial", True), ("not_at_fault", True), ("minor", False), ("right", False)],
)
def test_a_blind_answer_catches_it_or_not(judgement: str, caught: bool) -> None:
    desk, serving = audited()
    assert serving.review_id is not None and serving.proposal is not None
    blind_review.judge(
        review_id=serving.review_id, reviewer=desk.reviewer, judgement=judgement, comment="No damage."
    )
    serving.refresh_from_db()
    assert (serving.caught, serving.reviewer) == (caught, desk.reviewer)
    assert Proposal.objects.get(pk=serving.proposal.pk).state == State.REVOKED
    assert ("caught it" in last_word(desk.reviewer)) == caught
    assert model_of(desk).probes == ((1, 0) if caught else (0, 1))
    assert probe_records.own_record(desk.reviewer).served == 1


# The pages


def posted(html: str) -> dict[str, str]:
    """What a browser would send of the one form with a heading of its own on a page."""
    found: dict[str, str] = {}
    for name, value in re.findall(r'<input[^>]* name="([\w-]+)"[^>]* value="([^"]*)"', html):
        found[name] = unescape(value)
    for name, value in re.findall(r'<textarea name="([\w-]+)".*?>\n?(.*?)</textarea>', html, re.DOTALL):
        found[name] = unescape(value)
    for name, options in re.findall(r'<select name="([\w-]+)".*?>(.*?)</select>', html, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    return found


def test_one_click_makes_a_probe_of_a_rejected_one(desk: Desk) -> None:
    source = desk.propose(
        {**WRONG, "iban": "DE89370400440532013000"},
        summary="Refund order B-7707 to Hanna Weiss (hanna.weiss@example.com).",
        subject=Subject("customer", "c-4711"),
    )
    desk.decide(source, Verdict.REJECT, comment="Order B-7707 was not damaged.")
    client = signed_in(factories.admin())
    shelf = client.get(f"/probes/of/{desk.action_type.name}/").content.decode()
    address = f"/probes/of/{desk.action_type.name}/from/{source.pk}/"
    assert address in shelf and "was not damaged" in shelf
    page = client.get(address).content.decode()
    form = posted(main_of(page))
    assert "B-7707" not in json.dumps(form) and "c-4711" not in json.dumps(form)
    assert "was not damaged." in form["fault"]
    unread = client.post(address, form)
    assert unread.status_code == 422 and not Probe.objects.exists()
    back = client.post(address, {**form, "sure": "on", "summary": "As B-7707 was."})
    assert back.status_code == 422 and "It still names the original: “B-7707”" in back.content.decode()
    saved = client.post(address, {**form, "sure": "on"}, follow=True)
    assert saved.status_code == 200 and "The probe is in the library" in saved.content.decode()
    probe = Probe.objects.get()
    assert (probe.source_id, probe.author, probe.agent) == (source.pk, factories.admin(), desk.agent)
    assert address not in saved.content.decode()
    client.post(f"/probes/{probe.pk}/retire/")
    assert not Probe.objects.get().active
    client.post(f"/probes/{probe.pk}/restore/")
    assert Probe.objects.get().active


def test_by_hand_the_schema_speaks_at_its_field(desk: Desk) -> None:
    client = signed_in(factories.admin())
    address = f"/probes/of/{desk.action_type.name}/add/"
    form = posted(main_of(client.get(address).content.decode()))
    refused = client.post(address, {**form, "arguments": '{"amount": "much"}', "fault": "Bad.", "sure": "on"})
    assert refused.status_code == 422
    text = unescape(refused.content.decode())
    assert "/amount:" in text and "order_id" in text
    broken = client.post(
        address, {**form, "arguments": '{"amount": 1, "amount": 2}', "fault": "Bad.", "sure": "on"}
    )
    assert broken.status_code == 422 and "It cannot be read" in broken.content.decode()
    good = {**form, "arguments": json.dumps(WRONG), "fault": "Bad.", "sure": "on"}
    assert client.post(address, good).status_code == 302
    assert Probe.objects.get().faulty == []


def test_an_appeal_by_its_pages(desk: Desk) -> None:
    serving = missed(desk)
    mine = signed_in(desk.reviewer)
    empty = mine.post(f"/probes/mine/{serving.pk}/appeal/", {f"appeal-{serving.pk}-text": " "})
    assert empty.status_code == 422
    mine.post(f"/probes/mine/{serving.pk}/appeal/", {f"appeal-{serving.pk}-text": "It was damaged."})
    author = signed_in(factories.admin()).get("/probes/appeals/").content.decode()
    assert "It was damaged." in author and "another admin answers" in author
    other = signed_in(other_admin())
    answer = {
        f"answer-{serving.pk}-words": "You are right.",
        "uphold": "1",
        f"answer-{serving.pk}-retire": "on",
    }
    assert other.post(f"/probes/appeals/{serving.pk}/answer/", answer).status_code == 302
    assert "Upheld" in mine.get("/probes/mine/").content.decode()
    assert not Probe.objects.get().active
    assert signed_in(desk.second).get("/probes/appeals/").status_code == 403


def test_several_at_once_treat_it_as_any() -> None:
    desk = factories.desk(at={"bulk_amount": Decimal(1000)})
    probe_of(desk)
    proposal = planted(desk)
    ballot = Ballot(verdict=Verdict.REJECT, revision=1, version=1, reason="not_allowed")
    results = decide_several.decide_several(
        queue_id=desk.queue.pk,
        reviewer=desk.reviewer,
        choices=[decide_several.Choice(proposal_id=proposal.pk, ballot=ballot)],
    )
    assert [one.refusal for one in results] == [""]
    assert "You caught it" in last_word(desk.reviewer)
