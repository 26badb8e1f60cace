"""What each role opens, and on what: policy editors, probe authors, senior reviewers, auditors of a part."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.exceptions import NotAllowed
from accounts.models import RoleAssignment, User, assign_role
from accounts.roles import Role, Scope
from approvals import permissions
from approvals.disguise import Content
from approvals.models import Claim, Probe, ProbeServing, Verdict
from approvals.services import probe_serve, set_up
from approvals.services.claim import claim
from approvals.services.probe_library import Draft, add
from tests.factories import ARGUMENTS, Desk, admin, desk, person, queue, reviewer

pytestmark = pytest.mark.django_db(transaction=True)

DOMAIN = "customer_operations"
DRAFT = Draft(
    content=Content(arguments=ARGUMENTS, summary="Refund."), fault="Never damaged.", faulty=["/amount"]
)


def holding(role: Role, scope: Scope = Scope.DOMAIN, scope_id: object = DOMAIN) -> User:
    user = person(f"{role.label} {scope}")
    assign_role(role, to=user, scope=scope, scope_id=str(scope_id))
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def publish(the: Desk, actor: User, domain: str = DOMAIN) -> Any:
    return set_up.publish_policy(
        domain=domain,
        name="Policy",
        rules=[{"name": f"by-{actor.pk}", "when": "amount > 10", "review": {}}],
        default_queue=the.queue.slug,
        actor=actor,
    )


def test_a_policy_editor_publishes_in_his_domain_only() -> None:
    the = desk()
    editor = holding(Role.POLICY_EDITOR)
    assert publish(the, editor).published_by == editor
    with pytest.raises(NotAllowed):
        publish(the, editor, domain="finance")
    with pytest.raises(NotAllowed):
        publish(the, the.reviewer)
    client = signed_in(editor)
    assert client.get(f"/setup/policies/{DOMAIN}/publish/").status_code == 200
    assert client.get("/setup/policies/-/add/").status_code == 403
    assert signed_in(the.reviewer).get(f"/setup/policies/{DOMAIN}/publish/").status_code == 403


def test_a_probe_author_keeps_the_library_of_his_domain_and_meets_none_of_it() -> None:
    the = desk()
    author = holding(Role.PROBE_AUTHOR)
    assert str(add(action_type=the.action_type.name, draft=DRAFT, actor=author).author) == str(author)
    stranger = holding(Role.PROBE_AUTHOR, scope_id="finance")
    with pytest.raises(NotAllowed):
        add(action_type=the.action_type.name, draft=DRAFT, actor=stranger)
    assert signed_in(author).get(f"/probes/of/{the.action_type.name}/").status_code == 200
    assert signed_in(stranger).get(f"/probes/of/{the.action_type.name}/").status_code == 403
    assert the.action_type.name not in signed_in(stranger).get("/probes/").content.decode()
    assert signed_in(the.reviewer).get("/probes/").status_code == 403
    colleague = holding(Role.PROBE_AUTHOR)
    assert {author.pk, colleague.pk} <= permissions.who_know(Probe.objects.get())
    assert stranger.pk not in permissions.who_know(Probe.objects.get())


@pytest.mark.usefixtures("always_drawn")
def test_whoever_reads_the_library_does_not_meet_what_was_planted_from_it() -> None:
    the = desk()
    add(action_type=the.action_type.name, draft=DRAFT, actor=admin())
    probe_serve.plan(now=timezone.now() - timedelta(minutes=10))
    the.propose()
    probe_serve.plan(now=timezone.now() + timedelta(minutes=1))
    serving = ProbeServing.objects.get()
    assert probe_serve.serve_due(now=serving.serve_at + timedelta(seconds=1)) == 1
    serving.refresh_from_db()
    assert serving.proposal is not None
    there = f"/proposals/{serving.proposal.pk}/"
    for role, scope, scope_id in (
        (Role.PROBE_AUTHOR, Scope.DOMAIN, DOMAIN),
        (Role.ADMIN, Scope.EVERYTHING, ""),
    ):
        both = holding(role, scope, scope_id)
        assign_role(Role.REVIEWER, to=both, scope=Scope.QUEUE, scope_id=str(the.queue.pk))
        assert signed_in(both).get(there).status_code == 404
        assert there not in signed_in(both).get(f"/queues/{the.queue.slug}/").content.decode()
    assert signed_in(the.reviewer).get(there).status_code == 200


def test_a_senior_reviewer_hands_out_what_a_colleague_holds() -> None:
    the = desk()
    proposal = the.propose()
    claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    there, third = f"/proposals/{proposal.pk}/assign/", reviewer(the.queue, name="Third")
    assert signed_in(the.second).post(there, {"to": third.pk}).status_code == 409
    senior = holding(Role.SENIOR_REVIEWER, Scope.QUEUE, the.queue.pk)
    assert signed_in(senior).post(there, {"to": the.second.pk}).status_code == 302
    proposal.refresh_from_db()
    assert (proposal.assigned_to, proposal.claimed_by) == (the.second, None)
    assert Claim.objects.get().ended_by == "assigned"


def test_a_senior_reviewer_of_another_queue_is_a_reviewer_here() -> None:
    the, other = desk(), queue()
    proposal = the.propose()
    claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    senior = reviewer(the.queue)
    assign_role(Role.SENIOR_REVIEWER, to=senior, scope=Scope.QUEUE, scope_id=str(other.pk))
    answer = signed_in(senior).post(f"/proposals/{proposal.pk}/assign/", {"to": the.second.pk})
    assert answer.status_code == 409


@pytest.mark.parametrize(
    ("scope", "name"),
    [(Scope.QUEUE, "queue"), (Scope.AGENT, "agent"), (Scope.DOMAIN, "domain"), (Scope.EVERYTHING, "all")],
)
def test_an_auditor_of_a_part_reads_that_part_and_changes_nothing(scope: Scope, name: str) -> None:
    mine = desk()
    seen = mine.propose()
    other = desk(at={"domain": "finance"})
    hidden = other.propose()
    scope_id = {"queue": mine.queue.pk, "agent": mine.agent.pk, "domain": DOMAIN, "all": ""}[name]
    client = signed_in(holding(Role.AUDITOR, scope, scope_id))
    assert client.get(f"/proposals/{seen.pk}/").status_code == 200
    assert client.get(f"/proposals/{hidden.pk}/").status_code == (200 if name == "all" else 404)
    assert client.post(f"/proposals/{seen.pk}/claim/").status_code == 403
    body = {"revision": 1, "version": seen.version}
    assert client.post(f"/proposals/{seen.pk}/approve/", body).status_code == 403
    assert client.get("/audit/").status_code == (200 if name == "all" else 403)
    if name != "agent":
        assert str(seen.pk) in client.get(f"/queues/{mine.queue.slug}/").content.decode()
    assert client.get(f"/queues/{other.queue.slug}/").status_code == (200 if name == "all" else 404)


def test_a_role_on_a_domain_holds_for_queues_that_come_later() -> None:
    user = holding(Role.REVIEWER)
    assert permissions.reviewable_queue_ids(user) == []
    made, elsewhere = queue(), queue(domain="finance")
    assert permissions.reviewable_queue_ids(user) == [made.pk]
    assert elsewhere.pk not in permissions.reviewable_queue_ids(user)
    assert permissions.reviewable_queue_ids(holding(Role.REVIEWER, Scope.EVERYTHING, "")) == [
        made.pk,
        elsewhere.pk,
    ]


def test_using_a_role_is_noted_at_most_once_an_hour() -> None:
    the = desk()
    editor = holding(Role.POLICY_EDITOR)
    unused = holding(Role.POLICY_EDITOR)
    the.approved()
    publish(the, editor)
    marks = dict(RoleAssignment.objects.values_list("person", "last_used_at"))
    assert marks[the.reviewer.pk] is not None and marks[editor.pk] is not None
    assert marks[the.second.pk] is None and marks[unused.pk] is None
    the.approved()
    assert RoleAssignment.objects.get(person=the.reviewer).last_used_at == marks[the.reviewer.pk]
    RoleAssignment.objects.update(last_used_at=timezone.now() - timedelta(hours=2))
    the.approved()
    marked = RoleAssignment.objects.get(person=the.reviewer).last_used_at
    assert marked is not None and marked > timezone.now() - timedelta(hours=1)


@pytest.mark.parametrize(("setting", "answer"), [("required", 403), ("offered", 302)])
def test_a_queue_of_high_risk_is_decided_with_a_second_factor(
    setting: str, answer: int, settings: Any
) -> None:
    settings.SECOND_FACTOR = setting
    the = desk(at={"needs_second_factor": True})
    proposal = the.propose()
    if setting == "required":
        assert "factor" in (permissions.why_not(the.reviewer, proposal) or "")
        with pytest.raises(NotAllowed, match="factor"):
            the.decide(proposal, Verdict.APPROVE)
    client = signed_in(the.reviewer)
    body = {"revision": 1, "version": proposal.version, "seen": "on"}
    sent = client.post(f"/proposals/{proposal.pk}/approve/", body)
    assert sent.status_code in (answer, 302)
    proposal.refresh_from_db()
    assert (proposal.state == "approved") == (setting == "offered")
