"""The library of probes and its pages."""

import json
import re
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from approvals import overview, record, selectors
from approvals.ballots import Ballot
from approvals.models import (
    Probe,
    Proposal,
    Verdict,
)
from approvals.requests import Subject
from approvals.services import decide_several
from tests import factories
from tests.approvals.test_probes import (
    WRONG,
    last_word,
    main_of,
    missed,
    other_admin,
    planted,
    probe_of,
    signed_in,
)
from tests.factories import ARGUMENTS, Desk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_drawn")]


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
