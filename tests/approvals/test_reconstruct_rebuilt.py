"""Where no sheet was recorded: what is rebuilt from what is stored, and what is said of one that is gone."""

from dataclasses import replace

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User, assign_role
from accounts.roles import Role
from accounts.services import people, teams
from agents.autonomy import Tier
from agents.services import action_types
from agents.services.action_types import as_definition
from approvals import blind, entitlement, rebuilding, reconstruct, selectors
from approvals import requests as request
from approvals.models import BlindReview, Proposal, Revision, Verdict
from approvals.redaction import Subject
from approvals.services import blind_review, erase, set_up
from approvals.sheet_shape import Sheet
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person, policy, reviewer

pytestmark = pytest.mark.django_db(transaction=True)


def auditor() -> User:
    user = person("Audra Auditor")
    assign_role(Role.AUDITOR, to=user)
    return user


def shown(user: User, proposal: Proposal) -> str:
    client = Client()
    client.force_login(user)
    answer = client.get(f"/proposals/{proposal.pk}/as-decided/")
    assert answer.status_code == 200
    return answer.content.decode()


def rebuilt(the: Desk, proposal: Proposal) -> Sheet:
    """The sheet of its last vote, as if none had been recorded."""
    event = AuditEvent.objects.filter(object_id=str(proposal.pk), kind="proposal.voted").latest("pk")
    found = rebuilding.rebuilt(
        the.reviewer,
        Proposal.objects.get(pk=proposal.pk),
        number=1,
        at=event.recorded_at,
        voter=(the.reviewer.pk, str(the.reviewer)),
        verdict="approve",
        page="proposal",
        policy_version=event.data["policy_version"],
        state="pending",
    )
    assert found is not None
    return found


def recorded(proposal: Proposal) -> Sheet:
    found = selectors.proposal_for(auditor(), proposal.pk)
    me = auditor()
    made = reconstruct.of(me, found, reconstruct.moments(me, found)[-1])
    assert made.recorded and made.sheet is not None
    return made.sheet


def test_what_is_rebuilt_is_what_was_recorded_whatever_has_happened_since() -> None:
    """The strongest thing to say of rebuilding: after everything changed, it still finds what stood there."""
    the = desk()
    the.decide(the.propose(), Verdict.REJECT)
    team = reviewer(name="Tara", team="treasury").groups.get()
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=team, actor=admin())
    proposal = the.approved()
    before = recorded(proposal)

    the.decide(the.propose(), Verdict.REJECT)
    definition = as_definition(the.action_type)
    action_types.save(
        definition=replace(definition, label="Pay back", risk="high", title_template="Pay {amount}"),
        actor=admin(),
    )
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=team, actor=admin(), allowed=False)
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.second, actor=admin(), allowed=False)
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=person("Newly Named"), actor=admin())
    policy([], the.queue)

    after = rebuilt(the, proposal)
    assert after.shown.lines == before.shown.lines
    assert after.shown.said == before.shown.said
    assert after.shown.why == before.shown.why
    assert after.shown.policy == before.shown.policy
    assert after.entitled == before.entitled
    assert after.shown.known and before.shown.known
    assert after.shown.known.accuracy == before.shown.known.accuracy
    assert (after.tier and after.tier.tier) == (before.tier and before.tier.tier)


def test_members_and_people_who_came_and_went_are_set_back() -> None:
    the = desk()
    tara = reviewer(name="Tara", team="treasury")
    team = tara.groups.get()
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=team, actor=admin())
    proposal = the.approved()
    at = AuditEvent.objects.filter(object_id=str(proposal.pk), kind="proposal.voted").latest("pk").recorded_at
    found = Proposal.objects.select_related("agent", "queue").get(pk=proposal.pk)

    def names() -> list[str]:
        return [one.name for one in entitlement.as_of(found, revision=1, at=at, voter=the.reviewer.pk).may]

    then = names()
    assert then == ["Ravi Reviewer", "Rita Reviewer", "Tara"]
    late = person("Late Joiner")
    teams.set_member(team_id=team.pk, person_id=tara.pk, actor=admin(), member=False)
    teams.set_member(team_id=team.pk, person_id=late.pk, actor=admin(), member=True)
    people.issue_link(person_id=the.second.pk, actor=admin())
    client = Client()
    client.force_login(admin())
    client.post(f"/people/{the.second.pk}/deactivate/")
    assert not User.objects.get(pk=the.second.pk).is_active
    assert names() == then


def test_what_the_policy_let_through_says_that_nobody_saw_it() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    proposal = the.propose()
    html = shown(auditor(), proposal)
    assert "its tier let it through" in html and "No person saw it" in html
    assert "Rebuilt, not recorded." in html and "Recorded." not in html


def test_a_judgement_after_the_fact_shows_what_the_blind_page_showed() -> None:
    the = desk()
    proposal = the.approved()
    with transaction.atomic():
        revision = Revision.objects.get(proposal=proposal)
        found = Proposal.objects.select_related("queue", "policy_version").get(pk=proposal.pk)
        review = blind.arise(
            found, revision, kind=BlindReview.Kind.SECOND, probability=1.0, at=timezone.now()
        )
    assert review is not None
    blind_review.judge(review_id=review.pk, reviewer=the.second, judgement="right")
    event = AuditEvent.objects.get(kind="review.judged")
    assert event.data["policy_version"] and event.data["detail"]["sheet"]["size"] > 0
    html = shown(auditor(), proposal)
    assert "judged it after the fact: right as it stood" in html
    assert "Who could decide it" not in html and "The record, as it stood" not in html
    assert "judged it after the fact" not in shown(the.reviewer, proposal)


def test_an_erased_sheet_is_said_to_be_gone_and_what_is_left_is_rebuilt() -> None:
    the = desk()
    about = Subject("customer", "anna@example.org")
    proposal = the.propose(
        summary="For Anna Secretname.", subject=request.Subject(type=about.type, id=about.id)
    )
    the.decide(proposal, Verdict.REJECT)
    event = AuditEvent.objects.filter(object_id=str(proposal.pk), kind="proposal.voted").latest("pk")
    assert "Anna Secretname" in shown(auditor(), proposal)
    erase.erase(subject=about, typed=about.id, reason="Asked on 3 March.", actor=admin())
    html = shown(auditor(), proposal)
    assert "The sheet was erased" in html and event.data["detail"]["sheet"]["commitment"] in html
    assert "Rebuilt, not recorded." in html and "Anna Secretname" not in html and "42.50" not in html
