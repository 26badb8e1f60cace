"""Incidents over HTTP: who reports one, what it does to the agent, who answers for it and closes it."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from guardian.shortcuts import assign_perm

from accounts.models import User, assign_role
from accounts.roles import Role
from agents.autonomy import Tier
from agents.models import Evidence, Mandate
from approvals import judging
from approvals.models import Incident, Notification, Proposal, Verdict
from approvals.services import incident as incidents
from approvals.services.incident import Report
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = '<img src=x onerror="alert(1)">\u202egnihtemos'


@pytest.fixture(autouse=True)
def no_hints() -> None:
    cache.clear()


def signed_in(user: User, *, csrf: bool = False) -> Client:
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client


def sent(the: Desk, *proposals: Proposal, **data: Any) -> dict[str, Any]:
    return {
        "title": "Refunded twice",
        "severity": "major",
        "description": "The customer wrote in.",
        "proposals": "\n".join(f"https://desk.example/proposals/{one.pk}/" for one in proposals),
        "answers": the.agent.owner.pk,
        **data,
    }


def report(user: User, the: Desk, *proposals: Proposal, **data: Any) -> Any:
    return signed_in(user).post("/incidents/report/", sent(the, *proposals, **data))


def found(proposal: Proposal) -> list[tuple[str, str, bool]]:
    rows = Evidence.objects.filter(proposal_id=proposal.pk).exclude(basis="turn").order_by("pk")
    return [(str(row.basis), str(row.loss), row.critical) for row in rows]


def test_it_is_reported_from_the_proposal_s_page_and_leads_to_its_own() -> None:
    the = desk()
    proposal = the.approved()
    client = signed_in(the.reviewer)
    address = f"/incidents/report/?proposal={proposal.pk}"
    assert address in client.get(f"/proposals/{proposal.pk}/").content.decode()
    form = client.get(address).content.decode()
    assert str(proposal.pk) in form and "Olga Owner</option>" in form and "selected" in form
    answer = report(the.reviewer, the, proposal)
    made = Incident.objects.get()
    assert answer.headers["Location"] == f"/incidents/{made.pk}/"
    html = client.get(answer.headers["Location"]).content.decode()
    assert "Refunded twice" in html and "The customer wrote in." in html and "Close the incident" not in html
    assert "Refunded twice" in client.get(f"/proposals/{proposal.pk}/").content.decode()
    assert "Refunded twice" in client.get("/incidents/").content.decode()
    assert found(proposal) == [("decision", "0.00", False), ("incident", "1.00", False)]
    assert Notification.objects.get(kind="incident").recipient == the.agent.owner
    assert AuditEvent.objects.filter(kind="incident.reported", object_id=str(made.pk)).count() == 1


@pytest.mark.parametrize(
    ("severity", "loss", "critical"),
    [("minor", "0.25", False), ("major", "1.00", False), ("critical", "1.00", True)],
)
def test_what_it_counts_where_nobody_had_looked(severity: str, loss: str, critical: bool) -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    proposal = the.propose()
    report(the.reviewer, the, proposal, severity=severity)
    assert found(proposal) == [("incident", loss, critical)]


def test_a_critical_one_takes_the_tier_back_at_once() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    report(the.reviewer, the, the.propose(), severity="critical")
    assert Mandate.objects.get(pk=the.mandate.pk).tier == Tier.IN_THE_LOOP


def test_what_was_never_approved_is_named_and_counts_nothing() -> None:
    the = desk()
    rejected = the.decide(the.propose(), Verdict.REJECT).proposal
    approved = the.approved()
    report(the.reviewer, the, rejected, approved)
    assert Incident.objects.get().proposals.count() == 2
    assert found(rejected) == [("decision", "1.00", False)]
    assert found(approved)[-1] == ("incident", "1.00", False)


def test_nobody_reports_what_he_cannot_see() -> None:
    hidden = desk().approved()
    the = desk()
    mine = the.approved()
    stranger = person()
    for user, proposals in ((stranger, [mine]), (the.reviewer, [hidden]), (the.reviewer, [mine, hidden])):
        answer = report(user, the, *proposals)
        assert answer.status_code == 422
        assert f'/proposals/{hidden.pk}/"' not in answer.content.decode()
    with pytest.raises(Exception, match="no such proposal"):
        incidents.report(
            report=Report(
                title="x",
                severity="minor",
                description="x",
                proposals=[mine.pk, hidden.pk],
                answers=the.agent.owner.pk,
            ),
            reporter=the.reviewer,
        )
    assert not Incident.objects.exists() and len(found(hidden)) == len(found(mine)) == 1


def test_who_answers_must_be_able_to_see_it() -> None:
    the = desk()
    proposal = the.approved()
    assert report(the.reviewer, the, proposal, answers=person().pk).status_code == 422
    assert report(the.reviewer, the, proposal, answers=admin().pk).status_code == 302


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"title": ""}, "Give it a title."),
        ({"severity": "huge"}, "Select a valid choice"),
        ({"description": " "}, "Say what happened."),
        ({"proposals": "none that I know"}, "0 were found"),
        ({"title": "x" * 201}, "at most 200"),
        ({"description": "a\x00"}, "Null characters"),
    ],
)
def test_what_is_missing_comes_back_in_the_page(data: dict[str, str], words: str) -> None:
    the = desk()
    answer = report(the.reviewer, the, the.approved(), **data)
    assert answer.status_code == 422 and words in answer.content.decode()
    assert not Incident.objects.exists()


def test_a_double_click_reports_once_and_nothing_happens_without_a_token() -> None:
    the = desk()
    proposal = the.approved()
    assert (
        signed_in(the.reviewer, csrf=True).post("/incidents/report/", sent(the, proposal)).status_code == 403
    )
    assert Client().post("/incidents/report/").headers["Location"].startswith("/account/login/")
    assert not Incident.objects.exists()
    first, second = report(the.reviewer, the, proposal), report(the.reviewer, the, proposal)
    assert first.headers["Location"] == second.headers["Location"]
    assert Incident.objects.count() == 1 and len(found(proposal)) == 2


def test_who_answers_writes_and_closes_with_both_and_once() -> None:
    the = desk()
    report(the.reviewer, the, the.approved())
    made = Incident.objects.get()
    address = f"/incidents/{made.pk}/write/"
    data = {"root_cause": "A stale balance", "correction": ""}
    for user in (the.reviewer, the.second):
        assert signed_in(user).post(address, {**data, "close": "1", "correction": "x"}).status_code == 403
    client = signed_in(the.agent.owner)
    assert client.get(address).headers["Location"] == f"/incidents/{made.pk}/"
    assert client.post(address, data).status_code == 302
    refused = client.post(address, {**data, "close": "1"})
    assert refused.status_code == 422 and "It cannot be closed without." in refused.content.decode()
    assert Incident.objects.get().closed_at is None and Incident.objects.get().root_cause == "A stale balance"
    full = {**data, "correction": "Reads the ledger now", "close": "1"}
    assert client.post(address, full).status_code == 302
    closed = Incident.objects.get()
    assert client.post(address, full).status_code == 302
    assert Incident.objects.get().closed_at == closed.closed_at is not None
    assert client.post(address, {**full, "correction": "Another"}).status_code == 409
    html = client.get(f"/incidents/{made.pk}/").content.decode()
    assert "Reads the ledger now" in html and "Close the incident" not in html
    assert "Refunded twice" not in client.get("/incidents/").content.decode()
    assert "Refunded twice" in client.get("/incidents/?which=all").content.decode()
    assert Notification.objects.get(recipient=the.reviewer).text.endswith(
        "closed the incident: Refunded twice"
    )
    kinds = list(AuditEvent.objects.filter(object_type="incident").values_list("kind", flat=True))
    assert kinds == ["incident.reported", "incident.changed", "incident.closed"]


def test_an_admin_may_close_it_and_an_auditor_reads_it() -> None:
    the = desk()
    report(the.reviewer, the, the.approved())
    made = Incident.objects.get()
    auditor = person()
    assign_role(Role.AUDITOR, to=auditor)
    data = {"root_cause": "x", "correction": "y", "close": "1"}
    assert signed_in(auditor).get(f"/incidents/{made.pk}/").status_code == 200
    assert signed_in(auditor).post(f"/incidents/{made.pk}/write/", data).status_code == 403
    assert signed_in(admin()).post(f"/incidents/{made.pk}/write/", data).status_code == 302
    assert Incident.objects.get().closed_at is not None


def test_a_stranger_sees_none_and_a_manager_sees_only_his_agent_s_proposals() -> None:
    the, both = desk(), person()
    one = the.approved()
    other = desk()
    two = other.approved()
    assign_perm("agents.manage_agent", both, the.agent)
    assign_perm("agents.manage_agent", both, other.agent)
    assert report(both, the, one, two, answers=both.pk).status_code == 302
    made = Incident.objects.get()
    html = signed_in(the.agent.owner).get(f"/incidents/{made.pk}/").content.decode()
    assert (
        f"/proposals/{one.pk}/" in html
        and f"/proposals/{two.pk}/" not in html
        and "1 you may not see" in html
    )
    stranger = signed_in(person())
    assert stranger.get(f"/incidents/{made.pk}/").status_code == 404
    assert "Refunded twice" not in stranger.get("/incidents/?which=all").content.decode()
    assert stranger.post(f"/incidents/{made.pk}/write/", {}).status_code == 404


def test_hostile_words_stay_words_everywhere() -> None:
    the = desk()
    proposal = the.approved()
    report(the.reviewer, the, proposal, title=HOSTILE, description=HOSTILE)
    made = Incident.objects.get()
    for address in (f"/incidents/{made.pk}/", "/incidents/", f"/proposals/{proposal.pk}/"):
        html = signed_in(the.agent.owner).get(address).content.decode()
        assert "<img src=x" not in html and "&lt;img" in html and "U+202E" in html


def test_incident_and_evidence_are_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    the = desk()
    proposal = the.approved()

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(judging, "incident", killed)
    with pytest.raises(KeyboardInterrupt):
        incidents.report(
            report=Report(
                title="x",
                severity="major",
                description="x",
                proposals=[proposal.pk],
                answers=the.agent.owner.pk,
            ),
            reporter=the.reviewer,
        )
    assert not Incident.objects.exists() and len(found(proposal)) == 1
