"""Queues, reviewers, policies, unknown outcomes, stop and resume: what the forms do over HTTP."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts.models import User, assign_role
from accounts.roles import Role
from agents.autonomy import Tier
from approvals import policy_words
from approvals.models import Grant, Outcome, PolicyVersion, Proposal, Queue, Verdict
from approvals.permissions import reviewable_queue_ids
from approvals.rehearsal import rehearse
from approvals.requests import OutcomeRequest
from approvals.services.redeem import redeem
from approvals.services.report import report
from audit.content import reveal
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person

pytestmark = pytest.mark.django_db(transaction=True)
RULES = """
- name: large
  note: Two people look at large amounts.
  when: amount > 40.0
  review: {queue: QUEUE, quorum: 2}
- {name: never, when: 'args.iban == "DE00"', deny: Not to this account.}
"""


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def queue_data(**changes: str) -> dict[str, str]:
    values = {
        "name": "Refunds",
        "slug": "refunds",
        "domain": "customer_operations",
        "lease_minutes": "10",
        "due_minutes": "60",
        "expires_minutes": "600",
        "quorum": "1",
        "undo_seconds": "0",
        "remind_minutes": "30",
        "reading_rate": "0",
        "approvals_per_minute": "0",
        "steps-TOTAL_FORMS": "0",
        "steps-INITIAL_FORMS": "0",
        "reasons-TOTAL_FORMS": "2",
        "reasons-INITIAL_FORMS": "0",
        "reasons-0-code": "wrong_amount",
        "reasons-0-label": "Wrong amount",
        "reasons-1-code": "rule_changed",
        "reasons-1-label": "The rule has changed",
        "reasons-1-not_agents_fault": "on",
    }
    return {**values, **changes}


def test_admin_adds_a_queue_with_its_reasons_and_edits_it() -> None:
    client = signed_in(admin())

    assert client.post("/setup/queues/-/add/", queue_data()).status_code == 302
    queue = Queue.objects.get()
    assert queue.reason_codes == [
        {"code": "wrong_amount", "label": "Wrong amount"},
        {"code": "rule_changed", "label": "The rule has changed", "not_agents_fault": True},
    ]
    client.post(
        "/setup/queues/refunds/edit/",
        queue_data(name="Returns", **{"reasons-1-code": "", "reasons-1-label": ""}),
    )
    queue.refresh_from_db()
    assert (queue.name, queue.slug, len(queue.reason_codes)) == ("Returns", "refunds", 1)
    assert AuditEvent.objects.filter(kind="queue.saved").count() == 2


def test_faults_of_a_queue_are_told() -> None:
    client = signed_in(admin())

    response = client.post("/setup/queues/-/add/", queue_data(lease_minutes="100000"))
    assert list(response.context["form"].errors) == ["lease_minutes"]
    response = client.post("/setup/queues/-/add/", queue_data(**{"reasons-1-code": "wrong_amount"}))
    assert "code of its own" in response.content.decode()
    response = client.post("/setup/queues/-/add/", queue_data(**{"reasons-1-label": ""}))
    assert "A reason needs a code and a label" in response.content.decode()
    assert not Queue.objects.exists()


def test_reviewers_are_added_and_removed() -> None:
    the = desk()
    client, colleague, team = signed_in(admin()), person(), Group.objects.create(name="Refund desk")
    member = person()
    member.groups.add(team)
    address = f"/setup/queues/{the.queue.slug}/reviewers/"

    client.post(f"{address}add/", {"to": f"person-{colleague.pk}"})
    client.post(f"{address}add/", {"to": f"team-{team.pk}"})
    assert reviewable_queue_ids(colleague) == reviewable_queue_ids(member) == [the.queue.pk]

    client.post(f"{address}person/{colleague.pk}/remove/")
    client.post(f"{address}team/{team.pk}/remove/")
    assert reviewable_queue_ids(colleague) == reviewable_queue_ids(member) == []


def test_owner_cannot_make_himself_reviewer() -> None:
    the = desk()
    owner = the.agent.owner

    response = signed_in(owner).post(
        f"/setup/queues/{the.queue.slug}/reviewers/add/", {"to": f"person-{owner.pk}"}
    )

    assert response.status_code == 403
    assert reviewable_queue_ids(owner) == []


def publish(the: Desk, rules: str, **extra: str) -> "Client":
    client = signed_in(admin())
    data = {"name": "Refund rules", "default_queue": the.queue.slug, "note": "for the audit", **extra}
    rules = rules.replace("QUEUE", the.queue.slug)
    client.response = client.post(  # type: ignore[attr-defined]
        "/setup/policies/customer_operations/publish/", {**data, "rules": rules}
    )
    return client


def test_admin_publishes_a_version_that_routes_at_once() -> None:
    the = desk()
    client = publish(the, RULES)

    version = PolicyVersion.objects.latest("id")
    assert (version.number, version.note, [rule["name"] for rule in version.rules]) == (
        2,
        "for the audit",
        ["large", "never"],
    )
    assert the.propose().quorum == 2
    page = client.get("/setup/policies/customer_operations/").content.decode()
    assert f"Review in {the.queue.slug} by 2 people" in page
    assert "Deny: Not to this account." in page


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("- name: x\n  when: amount >", "rule"),
        ("- name: x\n  when: 'true'", "exactly one effect"),
        ("- name: x\n  when: 'nothing'\n  deny: no", "speaks of"),
        ("- name: x\n  when: 'true'\n  review: {queue: elsewhere}", "which does not exist"),
        ("name: x", "must be a list"),
        ("- name: x\n  name: y", "for the second time"),
        ("- [", "not YAML"),
    ],
)
def test_fault_of_a_policy_is_told_at_the_rules(rules: str, words: str) -> None:
    the = desk()
    client = publish(the, rules)

    errors = client.response.context["form"].errors  # type: ignore[attr-defined]
    assert list(errors) == ["rules"]
    assert words in str(errors["rules"])
    assert PolicyVersion.objects.count() == 1


def test_trying_a_policy_shows_where_proposals_would_go_and_changes_nothing() -> None:
    the = desk()
    the.propose()
    the.propose({"order_id": "A-2", "amount": 5})
    before = AuditEvent.objects.count()

    client = publish(the, RULES, **{"try": "1"})

    rehearsal = client.response.context["rehearsal"]  # type: ignore[attr-defined]
    assert (rehearsal.tried, rehearsal.same) == (2, 1)
    moves = {(move.before, move.after, move.number) for move in rehearsal.moves}
    queue = the.queue.slug
    assert moves == {(f"review in {queue}", f"review in {queue} by 2 people", 1)}
    assert [(rule, number) for rule, _, number in rehearsal.errors] == [("never", 2)]  # neither has an iban
    assert PolicyVersion.objects.count() == 1
    assert AuditEvent.objects.count() == before + 1  # the sign-in


def test_rehearsal_costs_the_same_queries_at_one_and_three(django_assert_max_num_queries: object) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    the = desk()

    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            rehearse(domain="customer_operations", rules=[], default_queue=the.queue.slug)
        return len(captured)

    the.propose()
    cost()
    at_one = cost()
    the.propose()
    the.propose()
    assert cost() == at_one


def test_rules_read_back_as_they_were_written() -> None:
    from approvals import strict_yaml

    rules: list[dict[str, Any]] = [
        {"name": "a", "when": "amount > 1.0", "review": {"queue": "q", "roles": ["Treasury"]}},
        {"name": "b", "note": "why", "when": 'args.x == "no"', "deny": "no"},
        {"name": "c", "when": "true", "cap": "in_the_loop"},
    ]
    assert strict_yaml.read(policy_words.as_yaml(rules).encode()).value == rules
    assert [policy_words.effect(rule) for rule in rules] == [
        "Review in q of Treasury",
        "Deny: no",
        "At most in the loop",
    ]


def test_changes_between_versions_are_told_by_rule() -> None:
    a, b, c = ({"name": name, "when": "true", "cap": "in_the_loop"} for name in "abc")
    changed = {**b, "when": "false"}

    told = [(change.verb, change.name) for change in policy_words.changes([a, b, c], [changed, a])]

    assert told == [("changed", "b"), ("moved", "a"), ("removed", "c")]
    assert [change.verb for change in policy_words.changes([a], [a, b])] == ["added"]


def unknown(the: Desk) -> Proposal:
    proposal = the.approved()
    redeem(
        proposal_id=proposal.pk,
        bearer=the.bearer,
        digest=proposal.digest,
        token=Grant.objects.get(proposal=proposal).token,
    )
    return report(proposal_id=proposal.pk, agent=the.agent, request=OutcomeRequest(status="unknown"))


def test_owner_settles_an_unknown_outcome() -> None:
    the = desk()
    proposal = unknown(the)
    owner = signed_in(the.agent.owner)
    assert proposal.title in owner.get("/outcomes/unknown/").content.decode()

    response = owner.post(
        f"/outcomes/{proposal.pk}/settle/", {"status": "succeeded", "note": "bank statement"}
    )

    assert response.status_code == 302
    assert Proposal.objects.get(pk=proposal.pk).state == "succeeded"
    assert Outcome.objects.get().settled_by == the.agent.owner
    event = AuditEvent.objects.latest("id")
    reveal([event])
    assert event.told["detail"]["note"] == "bank statement"


def test_stranger_neither_sees_nor_settles_an_unknown_outcome() -> None:
    the = desk()
    proposal = unknown(the)
    stranger = signed_in(person())

    assert proposal.title not in stranger.get("/outcomes/unknown/").content.decode()
    address = f"/outcomes/{proposal.pk}/settle/"
    assert stranger.post(address, {"status": "failed", "note": "x"}).status_code == 404
    assert Proposal.objects.get(pk=proposal.pk).state == "unknown"


def test_auditor_sees_an_unknown_outcome_and_is_not_offered_to_settle_it() -> None:
    the = desk()
    proposal = unknown(the)
    auditor = person()
    assign_role(Role.AUDITOR, to=auditor)
    client = signed_in(auditor)

    page = client.get("/outcomes/unknown/").content.decode()
    assert proposal.title in page
    assert f"/outcomes/{proposal.pk}/settle/" not in page
    address = f"/outcomes/{proposal.pk}/settle/"
    assert client.post(address, {"status": "failed", "note": "x"}).status_code == 403


def test_settling_needs_a_note() -> None:
    the = desk()
    proposal = unknown(the)

    signed_in(the.agent.owner).post(f"/outcomes/{proposal.pk}/settle/", {"status": "failed", "note": ""})

    assert Proposal.objects.get(pk=proposal.pk).state == "unknown"


def test_stop_does_what_it_said_beforehand() -> None:
    the = desk(tier=Tier.ON_THE_LOOP, max_amount="100")
    the.propose()  # scheduled
    the.mandate.refresh_from_db()
    scheduled = Proposal.objects.get()
    pending = the.propose({"order_id": "A-9", "amount": 101})
    granted = the.approved(arguments={"order_id": "A-8", "amount": 102})
    owner = signed_in(the.agent.owner)
    said = owner.get(f"/agents/{the.agent.slug}/").context["stopping"]
    assert (said.grants, said.scheduled, said.pending, said.executing) == (1, 1, 1, 0)

    owner.post(f"/agents/{the.agent.slug}/suspend/", {"reason": "too fast"})

    states = {row.pk: row.state for row in Proposal.objects.all()}
    assert states == {scheduled.pk: "rejected", pending.pk: "pending", granted.pk: "revoked"}
    the.agent.refresh_from_db()
    assert (the.agent.state, the.agent.state_reason) == ("suspended", "too fast")
    assert Grant.objects.get().revoked_at <= timezone.now()  # type: ignore[operator]

    owner.post(f"/agents/{the.agent.slug}/resume/", {"reason": "mended"})
    the.agent.refresh_from_db()
    assert the.agent.state == "live"


def test_stop_without_a_reason_is_refused() -> None:
    the = desk()

    response = signed_in(the.agent.owner).post(f"/agents/{the.agent.slug}/suspend/", {"reason": ""})

    assert response.status_code == 422
    assert "This field is required." in response.content.decode()
    the.agent.refresh_from_db()
    assert the.agent.state == "live"


def test_figures_of_an_agent() -> None:
    the = desk()
    the.approved()
    the.decide(the.propose(), Verdict.REJECT)
    the.propose()

    figures = signed_in(the.agent.owner).get("/agents/").context["lines"][0].figures

    assert (figures.pending, figures.proposed, figures.approved, figures.rejected) == (1, 3, 1, 1)


def test_agents_list_shows_own_agents_only() -> None:
    the, other = desk(), desk()

    page = signed_in(the.agent.owner).get("/agents/").content.decode()

    assert the.agent.name in page
    assert f"/agents/{other.agent.slug}/" not in page
