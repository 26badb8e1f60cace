"""What takes two people: asked for by one, made by another, once, and only as it was read."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import second_person
from accounts.models import (
    AccessRequest,
    LinkedAccount,
    PendingChange,
    RoleAssignment,
    User,
    assign_role,
)
from accounts.roles import Role, Scope
from accounts.second_person import What
from accounts.services import assignments, people
from agents.models import ActionType, Mandate, Stop
from agents.services import action_types
from approvals.models import Notification, Policy, PolicyVersion, Queue
from approvals.services import second_person as services
from approvals.services import set_thresholds, stop
from approvals.stopping import Switch
from approvals.tasks import tend_access
from audit.models import AuditEvent
from tests.factories import admin, auditor, desk, person, policy, queue

pytestmark = pytest.mark.django_db(transaction=True)
RULES = "- name: careful\n  when: amount > 500\n  deny: Too much.\n"


def boss(name: str = "Bea Boss") -> User:
    found = person(name)
    assign_role(Role.ADMIN, to=found)
    return found


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def two(*kinds: What) -> tuple[User, User]:
    """Two admins, and a level that one of them has set."""
    ada, bea = admin(), boss()
    data = {"kinds": [str(kind) for kind in kinds], "reason": "Four eyes"}
    assert browser(ada).post("/access/changes/level/", data).status_code == 302
    assert second_person.level() == set(kinds)
    return ada, bea


def answer(by: User, change: PendingChange, verb: str, **data: Any) -> Any:
    return browser(by).post(f"/access/changes/{change.pk}/{verb}/", data)


def publish(by: User, on: Queue, rules: str = RULES) -> Any:
    data = {"name": "Policy", "rules": rules, "default_queue": on.slug, "note": "Limit"}
    return browser(by).post(f"/setup/policies/{on.domain}/publish/", data)


def events(kind: str) -> list[Any]:
    return list(AuditEvent.objects.filter(kind=kind).order_by("id"))


def test_a_policy_routes_by_what_two_people_agreed_on_and_not_before() -> None:
    the = queue("refunds")
    policy([], the)
    ada, bea = two(What.POLICY)
    assert publish(ada, the).headers["Location"] == "/access/changes/"
    change = PendingChange.objects.get(what="policy")
    assert PolicyVersion.objects.count() == 1
    page = browser(bea).get("/access/changes/").content.decode()
    assert "Rule careful: added" in page and "Too much." in page and "Publish version 2 of Policy" in page
    assert "You asked for it" in browser(ada).get("/access/changes/").content.decode()
    assert answer(bea, change, "approve", answer="Seen").status_code == 302
    found = Policy.objects.get().current
    assert found is not None
    assert (found.number, found.published_by, found.rules[0]["name"]) == (2, ada, "careful")
    published = events("policy.published")[-1].data
    assert (published["actor"]["label"], published["on_behalf_of"]["label"]) == ("Bea Boss", "Ada Admin")
    assert [event.kind for event in AuditEvent.objects.filter(kind__startswith="change.").order_by("id")] == [
        "change.asked",
        "change.answered",
    ]


@pytest.mark.parametrize("who", ["asker", "linked", "no admin", "auditor"])
def test_nobody_is_his_own_second_person(who: str) -> None:
    the = queue("refunds")
    policy([], the)
    ada, bea = two(What.POLICY)
    publish(ada, the)
    change = PendingChange.objects.get(what="policy")
    by = {"asker": ada, "linked": bea, "no admin": person("Eve"), "auditor": auditor()}[who]
    if who == "linked":
        LinkedAccount.objects.create(first=min(ada, bea, key=_pk), second=max(ada, bea, key=_pk))
    expected = 404 if who == "no admin" else 403
    assert answer(by, change, "approve").status_code == expected
    assert answer(by, change, "decline", answer="no").status_code == expected
    change.refresh_from_db()
    assert change.answered_at is None
    assert PolicyVersion.objects.count() == 1


def _pk(user: User) -> int:
    return user.pk


def test_another_policy_editor_of_the_domain_is_a_second_person_for_its_policy_alone() -> None:
    the = queue("refunds")
    policy([], the)
    ada, _ = two(What.POLICY, What.ROLE)
    editor, stranger = person("Edi"), person("Elsewhere")
    for one, domain in ((editor, the.domain), (stranger, "treasury")):
        assign_role(Role.POLICY_EDITOR, to=one, scope=Scope.DOMAIN, scope_id=domain)
    publish(ada, the)
    assignments.give(role=Role.ADMIN, to=person("Pat"), actor=ada, scope=Scope.EVERYTHING)
    role = PendingChange.objects.get(what="role")
    change = PendingChange.objects.get(what="policy")
    assert answer(editor, role, "approve").status_code == 404
    assert answer(stranger, change, "approve").status_code == 404
    assert answer(editor, change, "approve").status_code == 302
    assert PolicyVersion.objects.count() == 2


def test_what_has_moved_on_meanwhile_is_refused_and_nothing_of_it_stays() -> None:
    the = queue("refunds")
    policy([], the)
    ada, bea = two(What.POLICY)
    publish(ada, the)
    change = PendingChange.objects.get(what="policy")
    PolicyVersion.objects.create(
        policy=Policy.objects.get(), number=2, rules=[], default_queue=the, published_by=bea
    )
    Policy.objects.update(current=PolicyVersion.objects.get(number=2))
    refused = answer(bea, change, "approve")
    assert refused.status_code == 409 and "Another version was published" in refused.content.decode()
    change.refresh_from_db()
    assert change.answered_at is None and PolicyVersion.objects.count() == 2
    assert not events("change.answered")
    assert answer(bea, change, "decline", answer="Too late").status_code == 302


def test_the_checks_of_the_use_case_are_run_again_for_the_asker_of_now() -> None:
    """He was an admin when he asked; a yes after that carries nothing out."""
    the = queue("refunds")
    policy([], the)
    _, bea = two(What.POLICY)
    cem = boss("Cem")
    publish(cem, the)
    change = PendingChange.objects.get(what="policy")
    assignments.take(assignment_id=RoleAssignment.objects.get(person=cem).pk, actor=bea, why="left")
    assert answer(bea, change, "approve").status_code == 403
    assert PolicyVersion.objects.count() == 1


def test_a_far_reaching_role_takes_two_whichever_page_it_is_given_on() -> None:
    ada, bea = two(What.ROLE)
    pat = person("Pat")
    people.change(person_id=pat.pk, actor=ada, name="Pat", is_admin=True, is_auditor=False)
    given = assignments.give(role=Role.REVIEWER, to=pat, actor=ada, scope=Scope.EVERYTHING)
    assert isinstance(given, PendingChange)
    assert not RoleAssignment.objects.filter(person=pat).exists()
    the = queue("refunds")
    small = assignments.give(role=Role.REVIEWER, to=pat, actor=ada, scope=Scope.QUEUE, scope_id=str(the.pk))
    assert isinstance(small, RoleAssignment)
    change = PendingChange.objects.get(payload__role="admin")
    assert answer(bea, change, "approve").status_code == 302
    assert pat.is_admin
    assert answer(pat, given, "approve").status_code == 403, "it is about himself"
    assert answer(bea, given, "approve").status_code == 302
    assert answer(bea, given, "approve").status_code == 409


def test_a_request_for_a_far_reaching_role_is_closed_by_the_second_person() -> None:
    ada, bea = two(What.ROLE)
    pat = person("Pat")
    data = {"role": "admin", "place": "everything", "reason": "Incident 7", "hours": 2}
    browser(pat).post("/access/requests/ask/", data)
    request = AccessRequest.objects.get()
    assert browser(ada).post(f"/access/requests/{request.pk}/approve/", {"hours": 2}).status_code == 302
    assert not pat.is_admin
    assert "waits for a second person" in browser(pat).get("/access/requests/").content.decode()
    assert browser(bea).post(f"/access/requests/{request.pk}/approve/", {"hours": 2}).status_code == 409
    assert answer(bea, PendingChange.objects.get(what="role"), "approve").status_code == 302
    request.refresh_from_db()
    assert request.approved and request.answered_by == bea
    assert User.objects.admins().contains(pat)
    given = RoleAssignment.objects.get(person=pat)
    assert given.source == "elevation" and given.ends_at is not None
    assert given.ends_at <= timezone.now() + timedelta(hours=2)


def test_a_ceiling_above_in_the_loop_takes_two_on_both_of_its_pages() -> None:
    the = desk()
    ada, bea = two(What.CEILING)
    waits = set_thresholds.set_ceiling(
        mandate_id=the.mandate.pk, ceiling="on_the_loop", actor=ada, reason="Good"
    )
    assert isinstance(waits, PendingChange)
    assert Mandate.objects.get().ceiling == "in_the_loop"
    assert answer(bea, waits, "approve").status_code == 302
    assert Mandate.objects.get().ceiling == "on_the_loop"
    where = f"/agents/{the.agent.slug}/mandates/{the.action_type.name}/edit/"
    sent = {
        "tier": "in_the_loop", "ceiling": "out_of_the_loop", "window_hours": 24, "veto_seconds": 300,
        "max_amount": "12.50", "active": "on", "reason": "Better",
    }  # fmt: skip
    answered = browser(ada).post(where, sent)
    assert answered.status_code == 302 and answered.headers["Location"] == "/access/changes/", (
        answered.content
    )
    saved = PendingChange.objects.get(what="ceiling", answered_at=None)
    page = browser(bea).get("/access/changes/").content.decode()
    assert "out_of_the_loop" in page and "12.50" in page
    assert Mandate.objects.get().max_amount is None
    assert answer(bea, saved, "approve").status_code == 302
    assert (Mandate.objects.get().ceiling, str(Mandate.objects.get().max_amount)) == (
        "out_of_the_loop",
        "12.50",
    )


def test_lifting_a_stop_of_everything_takes_two_and_pulling_it_one() -> None:
    the = desk()
    ada, bea = two(What.STOP)
    pulled = stop.pull(switch=Switch(), by=ada, reason="Drill").stop
    assert browser(ada).post(f"/stops/{pulled.pk}/lift/", {"reason": "Over"}).status_code == 302
    assert Stop.objects.get().lifted_at is None
    assert answer(bea, PendingChange.objects.get(what="stop"), "approve").status_code == 302
    assert Stop.objects.get().lifted_by == ada
    small = stop.pull(switch=Switch(agent=the.agent), by=ada, reason="Drill").stop
    assert isinstance(stop.lift(stop_id=small.pk, by=ada, reason="Over"), Stop)


def test_the_level_rises_by_one_admin_and_falls_by_two() -> None:
    ada, bea = two(What.POLICY, What.STOP)
    lower = {"kinds": ["policy"], "reason": "Too slow"}
    assert browser(ada).post("/access/changes/level/", lower).status_code == 302
    assert second_person.level() == {What.POLICY, What.STOP}
    change = PendingChange.objects.get(what="level", answered_at=None)
    assert answer(ada, change, "approve").status_code == 403
    assert answer(bea, change, "approve").status_code == 302
    assert second_person.level() == {What.POLICY}
    mixed = {"kinds": ["role"], "reason": "Other"}
    browser(ada).post("/access/changes/level/", mixed)
    assert second_person.level() == {What.POLICY}, "a rise hides no fall"
    assert browser(person()).post("/access/changes/level/", mixed).status_code == 403


def test_a_yes_to_a_level_that_has_moved_on_is_refused() -> None:
    ada, bea = two(What.POLICY)
    browser(ada).post("/access/changes/level/", {"kinds": [], "reason": "Off"})
    browser(bea).post("/access/changes/level/", {"kinds": ["policy", "role"], "reason": "More"})
    change = PendingChange.objects.get(what="level", answered_at=None)
    assert answer(bea, change, "approve").status_code == 409
    assert second_person.level() == {What.POLICY, What.ROLE}


def test_one_admin_alone_is_told_so_loudly_and_cannot_set_a_rule_nobody_can_meet() -> None:
    ada = admin()
    data = {"kinds": ["policy"], "reason": "Four eyes"}
    refused = browser(ada).post("/access/changes/level/", data)
    assert refused.status_code == 409 and "There is one admin" in refused.content.decode()
    assert "There is one admin only." in browser(ada).get("/access/changes/").content.decode()
    bea = boss()
    LinkedAccount.objects.create(first=min(ada, bea, key=_pk), second=max(ada, bea, key=_pk))
    assert browser(ada).post("/access/changes/level/", data).status_code == 409, (
        "two accounts of one human being"
    )
    assert second_person.level() == set()


def test_who_sits_at_the_server_frees_an_installation_whose_second_admin_is_gone() -> None:
    ada, bea = two(What.POLICY, What.ROLE)
    assignments.take(assignment_id=RoleAssignment.objects.get(person=bea).pk, actor=ada, why="left")
    with pytest.raises(CommandError, match="Say who"):
        call_command("second_person", "--off", "role")
    with pytest.raises(CommandError, match="Only admins"):
        call_command("second_person", "--off", "role", "--by", bea.email, "--reason", "x")
    call_command("second_person", "--off", "role", "--by", ada.email, "--reason", "Bea has left")
    assert second_person.level() == {What.POLICY}
    last = events("second_person.changed")[-1].data
    assert (last["actor"]["id"], last["on_behalf_of"]["label"]) == ("manage.py second_person", "Ada Admin")


def test_those_who_may_answer_are_told_once_and_silence_makes_nothing() -> None:
    the = queue("refunds")
    policy([], the)
    ada, bea = two(What.POLICY)
    publish(ada, the)
    tend_access()
    tend_access()
    assert [row.recipient for row in Notification.objects.filter(kind="access")] == [bea]
    PendingChange.objects.filter(what="policy").update(expires_at=timezone.now())
    change = PendingChange.objects.get(what="policy")
    assert answer(bea, change, "approve").status_code == 409
    tend_access()
    tend_access()
    assert len(events("change.expired")) == 1 and PolicyVersion.objects.count() == 1
    assert Notification.objects.filter(recipient=ada, kind="access").count() == 1
    assert publish(ada, the).status_code == 302


def test_a_change_waits_once_is_taken_back_by_its_asker_and_by_nobody_else() -> None:
    the = queue("refunds")
    policy([], the)
    ada, bea = two(What.POLICY)
    publish(ada, the)
    assert publish(bea, the).status_code == 409
    change = PendingChange.objects.get(what="policy")
    assert answer(bea, change, "withdraw").status_code == 403
    assert answer(bea, change, "decline", answer=" ").status_code == 422
    assert answer(ada, change, "withdraw").status_code == 302
    assert answer(bea, change, "approve").status_code == 409
    assert publish(bea, the).status_code == 302


def test_killed_in_the_middle_nothing_of_the_change_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    the = queue("refunds")
    policy([], the)
    ada, bea = two(What.POLICY)
    publish(ada, the)
    change = PendingChange.objects.get(what="policy")
    before = AuditEvent.objects.count()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(second_person, "closed", killed)
    with pytest.raises(KeyboardInterrupt):
        services.approve(change_id=change.pk, actor=bea)
    change.refresh_from_db()
    assert change.answered_at is None
    assert PolicyVersion.objects.count() == 1 and AuditEvent.objects.count() == before


def test_a_team_that_holds_a_far_reaching_role_is_joined_by_the_word_of_two() -> None:
    ada, bea = two(What.ROLE)
    team, pat = Group.objects.create(name="admins"), person("Pat")
    assign_role(Role.ADMIN, to=team)
    assert browser(ada).post(f"/teams/{team.pk}/add/", {"person": pat.pk}).status_code == 302
    assert not pat.groups.exists()
    change = PendingChange.objects.get(what="role")
    assert answer(bea, change, "approve").status_code == 302
    assert pat.groups.get() == team and pat.is_admin


def test_nobody_slips_into_a_team_while_its_role_waits() -> None:
    ada, bea = two(What.ROLE)
    team, pat = Group.objects.create(name="helpers"), person("Pat")
    team.user_set.add(pat)
    change = assignments.give(role=Role.ADMIN, to=team, actor=ada, scope=Scope.EVERYTHING)
    assert isinstance(change, PendingChange)
    assert "Pat" in browser(bea).get("/access/changes/").content.decode()
    team.user_set.add(person("Eve"))
    refused = answer(bea, change, "approve")
    assert refused.status_code == 409 and "Other people are in the team" in refused.content.decode()
    assert not RoleAssignment.objects.filter(team=team).exists()


def test_the_page_costs_as_much_for_many_changes_as_for_one() -> None:
    ada, bea = two(What.ROLE)
    assignments.give(role=Role.AUDITOR, to=person(), actor=ada, scope=Scope.EVERYTHING)
    client = browser(bea)
    client.get("/access/changes/")
    with CaptureQueriesContext(connection) as one:
        client.get("/access/changes/")
    for _ in range(8):
        assignments.give(role=Role.AUDITOR, to=person(), actor=ada, scope=Scope.EVERYTHING)
    with CaptureQueriesContext(connection) as many:
        assert client.get("/access/changes/").content.decode().count('<li id="change-') == 9
    assert len(many) == len(one)


def test_where_an_action_is_carried_out_takes_two_and_taking_it_back_one() -> None:
    ada, bea = two(What.EXECUTOR)
    definition = action_types.as_definition(desk().action_type)
    there = replace(definition, executor_url="https://pay.example/x")
    asked = action_types.save(definition=there, actor=ada)
    assert isinstance(asked, PendingChange)
    kind = ActionType.objects.get(name=definition.name)
    assert (kind.executor_url, kind.version) == ("", 1)
    page = re.sub(r"<[^>]+>", "", browser(bea).get("/access/changes/").content.decode())
    assert "https://pay.example/x" in page and "Executors" in page
    answer(ada, asked, "approve")
    kind.refresh_from_db()
    assert kind.executor_url == "", "nobody is his own second person"
    answer(bea, asked, "approve")
    kind.refresh_from_db()
    assert kind.executor_url == "https://pay.example/x"

    elsewhere = replace(there, executor_url="https://mine.example/x")
    moved = action_types.save(definition=elsewhere, actor=ada)
    assert isinstance(moved, PendingChange)
    assert isinstance(action_types.save(definition=replace(there, label="Pay back"), actor=ada), ActionType)
    answer(bea, moved, "approve")
    kind.refresh_from_db()
    assert kind.executor_url == "https://pay.example/x", "what it was made from has moved on"
    assert isinstance(action_types.save(definition=definition, actor=ada), ActionType)


def test_a_page_says_that_an_executor_waits_for_a_second_person() -> None:
    ada, _ = two(What.EXECUTOR)
    kind = desk().action_type
    where = f"/setup/action-types/{kind.name}/edit/"
    shown = browser(ada).get(where).context["form"]
    form = {name: shown[name].value() for name in shown.fields if shown[name].value() not in (None, False)}
    form |= {"schema": json.dumps(kind.schema), "material": "\n".join(kind.material), "systems": ""}
    moved = browser(ada).post(where, {**form, "executor_url": "https://pay.example/x"})
    assert moved.headers["Location"] == "/access/changes/"
    kind.refresh_from_db()
    assert kind.executor_url == ""
