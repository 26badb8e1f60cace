"""Probes from end to end: planned after what came in, planted as a real one, decided, told, appealed."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from agents import standings
from agents.models import Evidence
from agents.tier_model import State as Model
from approvals import probe_records, probing
from approvals.disguise import Content
from approvals.models import (
    Grant,
    Notification,
    Probe,
    ProbeServing,
    Proposal,
    Verdict,
)
from approvals.services import probe_appeal, probe_library, probe_serve
from approvals.states import State
from audit.models import AuditEvent
from tests import factories
from tests.factories import Desk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_drawn")]
SECRET = "It pays for an order that was never damaged."
WRONG = {"order_id": "B-7707", "amount": 61.0, "reason": "damaged"}


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
