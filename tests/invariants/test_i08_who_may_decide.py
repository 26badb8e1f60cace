"""I8 over the reviewers' own addresses: whoever may not decide is refused, changes nothing, and is noted."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from guardian.shortcuts import assign_perm

from accounts.models import User
from agents.services import assign_owners, credentials, register
from approvals.models import Claim, Proposal, Verdict, Vote
from approvals.services import set_up
from audit.models import AuditEvent
from tests.factories import ARGUMENTS, Desk, admin, desk, person, policy, queue, reviewer
from tests.invariants.calls import AgentCalls, history

pytestmark = pytest.mark.django_db(transaction=True)


def send(user: User | None, proposal: Proposal, verb: str, **data: Any) -> int:
    """A browser's POST of a decision on what the proposal is now; the status."""
    client = Client(raise_request_exception=True)
    if user is not None:
        client.force_login(user)
    now = Proposal.objects.get(pk=proposal.pk)
    body = {
        "revision": now.revision,
        "version": now.version,
        "reason": "not_allowed",
        "comment": "why?",
        "shown": "on",
        "seen": "on",
        **{f"field-{name}": value for name, value in ARGUMENTS.items()},
        **data,
    }
    return client.post(f"/proposals/{proposal.pk}/{verb}/", body).status_code


def owner(the: Desk) -> User:
    """One who owns the agent and has registered nothing, so that only the ownership stands in the way."""
    one = reviewer(the.queue)
    register.change(
        agent_id=the.agent.pk, actor=admin(), name="A", purpose="", version="1", team=None, owner=one
    )
    return one


def registrar(the: Desk) -> User:
    """A reviewer who manages the agent too and has made it a credential."""
    one = reviewer(the.queue)
    assign_owners.assign_manager(agent_id=the.agent.pk, to=one, actor=admin())
    made, _ = credentials.issue(agent_id=the.agent.pk, actor=one)
    credentials.revoke(credential_id=made.pk, actor=admin())
    return one


def stranger(the: Desk) -> User:
    return person()


def of_another_queue(the: Desk) -> User:
    return reviewer(queue())


def superuser(the: Desk) -> User:
    return admin()


def former(the: Desk) -> User:
    one = reviewer(the.queue)
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=one, actor=admin(), allowed=False)
    return one


def out_of_the_team(the: Desk) -> User:
    team = Group.objects.create(name="Desk")
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=team, actor=admin())
    one = person()
    one.groups.add(team)
    one.groups.clear()
    return one


def with_a_global_right(the: Desk) -> User:
    """The permission without an object is no right in any queue."""
    one = person()
    assign_perm("approvals.review_queue", one)
    return one


REFUSED: list[Callable[[Desk], User]] = [
    owner,
    registrar,
    stranger,
    of_another_queue,
    superuser,
    former,
    out_of_the_team,
    with_a_global_right,
]


def test_a26_who_may_not_decide_is_refused() -> None:
    the = desk()
    proposal = the.propose()
    for who in REFUSED:
        user = who(the)
        for verb in ("approve", "reject", "return", "claim"):
            assert send(user, proposal, verb) in (403, 404), (who, verb)
        assert send(user, proposal, "edit", **{"field-amount": 1}) in (403, 404, 422), who
        assert (Vote.objects.count(), Claim.objects.count()) == (0, 0)
        assert history(proposal.pk) == ["pending"]
        if who in (owner, registrar):
            refusals = AuditEvent.objects.filter(kind="access.refused", actor_id=str(user.pk))
            assert refusals.count() >= 4
            assert refusals[0].data["detail"]["code"] == "may_not_decide"


def test_a_member_of_a_reviewing_team_may() -> None:
    the = desk()
    team = Group.objects.create(name="Desk")
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=team, actor=admin())
    one = person()
    one.groups.add(team)
    proposal = the.propose()
    assert send(one, proposal, "approve") == 302
    assert history(proposal.pk) == ["pending", "approved"]


def test_roles_of_the_policy_are_asked_for() -> None:
    the = desk()
    policy([{"name": "legal", "when": "true", "review": {"roles": ["Legal"]}}], the.queue)
    proposal = the.propose()
    assert send(the.reviewer, proposal, "approve") == 403
    assert send(reviewer(the.queue, team="Legal"), proposal, "approve") == 302


def test_an_editor_has_no_second_vote() -> None:
    the = desk()
    policy([{"name": "two", "when": "true", "review": {"quorum": 2}}], the.queue)
    proposal = the.propose()
    the.decide(proposal, Verdict.EDIT, arguments={**ARGUMENTS, "amount": 1})
    assert send(the.reviewer, proposal, "approve") == 403
    assert send(the.second, proposal, "approve") == 302
    assert history(proposal.pk) == ["pending", "edited", "approved"]


def test_a44_an_old_session_is_worth_what_its_person_is_worth_now() -> None:
    the = desk()
    proposal = the.propose()
    client = Client()
    client.force_login(the.reviewer)
    page = f"/proposals/{proposal.pk}/"
    assert client.get(page).status_code == 200
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.reviewer, actor=admin(), allowed=False)
    assert client.get(page).status_code == 404
    data = {"revision": 1, "version": 1, "seen": "on"}
    assert client.post(f"{page}approve/", data).status_code in (403, 404)
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.reviewer, actor=admin())
    User.objects.filter(pk=the.reviewer.pk).update(is_active=False)
    assert client.post(f"{page}approve/", data).status_code == 302
    assert client.get(page).headers["Location"].startswith("/account/login/")
    assert history(proposal.pk) == ["pending"]


def test_a44_a_form_from_elsewhere_is_refused() -> None:
    the = desk()
    proposal = the.propose()
    client = Client(enforce_csrf_checks=True)
    client.force_login(the.reviewer)
    data = {"revision": 1, "version": 1, "reason": "not_allowed", "comment": "x"}
    for verb in ("approve", "reject", "return", "edit", "claim", "release", "renew", "veto"):
        answer = client.post(f"/proposals/{proposal.pk}/{verb}/", data)
        assert answer.status_code == 403, verb
        answer = client.post(
            f"/proposals/{proposal.pk}/{verb}/", data, headers={"Origin": "https://evil.example"}
        )
        assert answer.status_code == 403, verb
    for path in ("/next/", "/account/logout/", "/account/login/"):
        assert client.post(path, {}).status_code == 403, path
    assert history(proposal.pk) == ["pending"]


def test_a44_no_page_lets_itself_be_framed() -> None:
    the = desk()
    proposal = the.propose()
    client = Client()
    client.force_login(the.reviewer)
    for path in ("/", "/queues/", f"/queues/{the.queue.slug}/", f"/proposals/{proposal.pk}/", "/api/docs"):
        answer = client.get(path, follow=True)
        assert answer.status_code == 200, path
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "'unsafe-inline'" not in answer.headers["Content-Security-Policy"]
    assert Client().get("/account/login/").headers["X-Frame-Options"] == "DENY"


def test_reading_changes_nothing() -> None:
    the = desk()
    proposal = the.propose()
    client = Client()
    client.force_login(the.reviewer)
    before = AuditEvent.objects.count()
    for verb in (
        "",
        "approve/",
        "reject/",
        "return/",
        "veto/",
        "claim/",
        "release/",
        "renew/",
        "edit/",
        "pulse/",
    ):
        for method in ("get", "head"):
            answer = getattr(client, method)(f"/proposals/{proposal.pk}/{verb}")
            assert answer.status_code < 500
    assert (Proposal.objects.get().version, Claim.objects.count(), Vote.objects.count()) == (1, 0, 0)
    assert AuditEvent.objects.count() == before


NONSENSE: list[dict[str, str]] = [
    {"revision": "x"},
    {"revision": "99999999999999999999"},
    {"version": "-1"},
    {"version": "2147483648"},
    {"version": "\x00"},
    {"comment": "a\x00b"},
    {"comment": "x" * 30_000},
    {"reason": "x" * 300},
]


def test_a_form_filled_with_nonsense_is_refused_or_harmless() -> None:
    the = desk()
    proposal = the.propose()
    for changed in NONSENSE:
        for verb in ("approve", "reject", "return", "edit", "veto"):
            if (verb == "approve" and "reason" in changed) or (verb == "return" and "reason" in changed):
                continue  # these forms have no such field, so it is no nonsense there
            status = send(the.reviewer, proposal, verb, **changed)
            assert status in (302, 400, 403, 409, 422), (verb, changed)
            history(proposal.pk)


def test_a23_a_page_of_an_earlier_revision_is_refused() -> None:
    the = desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.RETURN)
    AgentCalls(the).do(proposal.pk, "revise", arguments={**ARGUMENTS, "amount": 9999})
    assert send(the.reviewer, proposal, "approve", revision=1, version=1) == 409
    assert send(the.reviewer, proposal, "approve", revision=2, version=2) == 409
    assert history(proposal.pk) == ["pending", "returned", "pending"]
    assert send(the.reviewer, proposal, "approve") == 302


def test_a24_a_replayed_approval_has_the_same_answer() -> None:
    the = desk()
    proposal = the.propose()
    assert [send(the.reviewer, proposal, "approve", revision=1, version=1) for _ in range(3)] == [302] * 3
    assert history(proposal.pk) == ["pending", "approved"]
    assert Vote.objects.count() == 1
