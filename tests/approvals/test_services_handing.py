"""Skip, assign and comment over real PostgreSQL: what changes, who is told, who is refused."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.exceptions import Invalid, NotAllowed, NotFound
from accounts.models import Absence, assign_role
from accounts.roles import Role
from approvals import colleagues, permissions
from approvals.exceptions import AlreadyClaimed, MayNotDecide, WrongState
from approvals.models import Claim, Comment, Notification, Proposal, Skip, Verdict
from approvals.services.assign import assign
from approvals.services.claim import claim, claim_next
from approvals.services.comment import comment
from approvals.services.skip import skip
from audit.models import AuditEvent
from tests.factories import admin, desk, person, reviewer

pytestmark = pytest.mark.django_db(transaction=True)


def kinds(proposal: Proposal) -> list[str]:
    return list(
        AuditEvent.objects.filter(object_id=str(proposal.pk)).order_by("pk").values_list("kind", flat=True)
    )


def test_a_skipped_proposal_goes_back_and_next_offers_another() -> None:
    the = desk()
    first, second = the.propose(priority="urgent"), the.propose()
    assert claim_next(reviewer=the.reviewer).pk == first.pk
    skip(proposal_id=first.pk, reviewer=the.reviewer)
    first.refresh_from_db()
    assert first.claimed_by is None
    assert Claim.objects.get(proposal=first).ended_by == "skipped"
    assert claim_next(reviewer=the.reviewer).pk == second.pk
    assert claim_next(reviewer=the.second).pk == first.pk
    assert kinds(first)[-3:] == ["proposal.claimed", "proposal.skipped", "proposal.claimed"]


def test_skipping_twice_keeps_one_row_with_the_latest_time() -> None:
    the = desk()
    proposal = the.propose()
    skip(proposal_id=proposal.pk, reviewer=the.reviewer)
    before = Skip.objects.get().skipped_at
    skip(proposal_id=proposal.pk, reviewer=the.reviewer)
    assert Skip.objects.get().skipped_at > before


def test_skipping_does_not_take_the_lease_of_a_colleague_away() -> None:
    the = desk()
    proposal = the.propose()
    claim(proposal_id=proposal.pk, reviewer=the.second)
    skip(proposal_id=proposal.pk, reviewer=the.reviewer)
    proposal.refresh_from_db()
    assert proposal.claimed_by == the.second


def test_who_may_not_decide_skips_nothing_and_nobody_skips_what_is_decided() -> None:
    the = desk()
    proposal = the.propose()
    with pytest.raises(MayNotDecide):
        skip(proposal_id=proposal.pk, reviewer=the.agent.owner)
    the.decide(proposal, Verdict.REJECT)
    with pytest.raises(WrongState):
        skip(proposal_id=proposal.pk, reviewer=the.reviewer)
    assert not Skip.objects.exists()


def test_assigning_ends_the_own_lease_and_tells_the_colleague_once() -> None:
    the = desk()
    proposal = the.propose()
    claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    assign(proposal_id=proposal.pk, to_id=the.second.pk, actor=the.reviewer)
    assign(proposal_id=proposal.pk, to_id=the.second.pk, actor=the.reviewer)  # a double click
    proposal.refresh_from_db()
    assert (proposal.assigned_to, proposal.claimed_by) == (the.second, None)
    told = Notification.objects.get()
    assert (told.recipient, told.kind) == (the.second, "assigned")
    assert "Rita Reviewer gave you" in told.text
    assert kinds(proposal).count("proposal.assigned") == 1
    event = AuditEvent.objects.get(kind="proposal.assigned")
    assert event.data["after"] == {"assigned_to": {"id": str(the.second.pk), "name": "Ravi Reviewer"}}


def test_an_assignment_is_taken_back() -> None:
    the = desk()
    proposal = the.propose()
    assign(proposal_id=proposal.pk, to_id=the.second.pk, actor=the.reviewer)
    assign(proposal_id=proposal.pk, to_id=None, actor=the.reviewer)
    proposal.refresh_from_db()
    assert proposal.assigned_to is None
    assert Notification.objects.count() == 1


def test_only_who_may_decide_can_be_named() -> None:
    the = desk()
    proposal = the.propose()
    for other in (the.agent.owner, person(), admin()):
        with pytest.raises(Invalid):
            assign(proposal_id=proposal.pk, to_id=other.pk, actor=the.reviewer)
    with pytest.raises(MayNotDecide):
        assign(proposal_id=proposal.pk, to_id=the.second.pk, actor=the.agent.owner)
    proposal.refresh_from_db()
    assert proposal.assigned_to is None and not Notification.objects.exists()


def test_what_a_colleague_is_on_or_what_is_decided_is_not_given_away() -> None:
    the = desk()
    proposal = the.propose()
    claim(proposal_id=proposal.pk, reviewer=the.second)
    third = reviewer(the.queue)
    with pytest.raises(AlreadyClaimed):
        assign(proposal_id=proposal.pk, to_id=third.pk, actor=the.reviewer)
    the.decide(proposal, Verdict.REJECT, by=the.second)
    with pytest.raises(WrongState):
        assign(proposal_id=proposal.pk, to_id=third.pk, actor=the.reviewer)


def test_a_colleague_who_is_away_is_shown_with_who_stands_in() -> None:
    the = desk()
    proposal = the.propose()
    stand_in = reviewer(the.queue, name="Stella Stand")
    now = timezone.now()
    Absence.objects.create(
        person=the.second,
        delegate=stand_in,
        starts_at=now - timedelta(days=1),
        ends_at=now + timedelta(days=2),
    )
    found = {
        one.person: one for one in colleagues.colleagues_of(the.reviewer, permissions.deciders(proposal))
    }
    assert set(found) == {the.second, stand_in}
    assert found[the.second].stand_in == stand_in
    assert str(found[the.second]).startswith("Ravi Reviewer, away until ")
    assert str(found[the.second]).endswith("; Stella Stand stands in")
    assert str(found[stand_in]) == "Stella Stand"


def test_a_comment_tells_whom_it_names_and_who_is_concerned_each_once() -> None:
    the = desk()
    proposal = the.propose()
    claim(proposal_id=proposal.pk, reviewer=the.second)
    comment(proposal_id=proposal.pk, author=the.reviewer, text="Has anybody seen this account before?")
    assert list(Notification.objects.values_list("recipient", "kind")) == [(the.second.pk, "commented")]
    written = comment(
        proposal_id=proposal.pk, author=the.second, text="Yes, @rita reviewer, and @Olga Owner knows it."
    )
    assert set(written.mentions.all()) == {the.reviewer, the.agent.owner}
    told = Notification.objects.filter(key=f"comment:{written.pk}")
    assert set(told.values_list("recipient", "kind")) == {
        (the.reviewer.pk, "mentioned"),
        (the.agent.owner.pk, "mentioned"),
    }
    assert kinds(proposal).count("proposal.commented") == 2
    proposal.refresh_from_db()
    assert proposal.version == 1, "a comment does not make anybody's page stale"


def test_nobody_is_named_who_may_not_see_the_proposal() -> None:
    the = desk()
    proposal = the.propose()
    stranger = person("Sam Stranger")
    written = comment(
        proposal_id=proposal.pk,
        author=the.reviewer,
        text="Ask @Sam Stranger",
        mention_ids=[stranger.pk, the.second.pk],
    )
    assert list(written.mentions.all()) == [the.second]
    assert not Notification.objects.filter(recipient=stranger).exists()


def test_who_may_comment() -> None:
    the = desk()
    proposal = the.propose()
    auditor = person("Aud Itor")
    assign_role(Role.AUDITOR, to=auditor)
    for author in (the.reviewer, the.agent.owner, admin()):
        comment(proposal_id=proposal.pk, author=author, text=f"from {author}")
    with pytest.raises(NotAllowed):
        comment(proposal_id=proposal.pk, author=auditor, text="hello")
    with pytest.raises(NotFound):
        comment(proposal_id=proposal.pk, author=person(), text="hello")
    assert Comment.objects.count() == 3
    assert auditor in colleagues.who_may_see(proposal)


@pytest.mark.parametrize("text", ["", "  \n", "x" * 4001, "a\x00b"])
def test_no_empty_endless_or_unstorable_comment(text: str) -> None:
    the = desk()
    with pytest.raises(Invalid):
        comment(proposal_id=the.propose().pk, author=the.reviewer, text=text)
    assert not Comment.objects.exists()


def test_the_same_words_sent_twice_are_one_comment() -> None:
    the = desk()
    proposal = the.propose()
    first = comment(proposal_id=proposal.pk, author=the.reviewer, text="Same")
    assert comment(proposal_id=proposal.pk, author=the.reviewer, text="Same ").pk == first.pk
    comment(proposal_id=proposal.pk, author=the.second, text="Same")
    assert Comment.objects.count() == 2


def test_the_agent_never_sees_a_comment() -> None:
    the = desk()
    proposal = the.propose()
    comment(proposal_id=proposal.pk, author=the.reviewer, text="Between us: looks fishy")
    the.decide(proposal, Verdict.REJECT)
    answer = Client().get(f"/api/v1/proposals/{proposal.pk}", headers=the.headers)
    assert answer.status_code == 200 and "fishy" not in answer.content.decode()


def test_exactly_who_may_see_a_proposal_can_be_named() -> None:
    the = desk()
    proposal = the.propose()
    other = desk()
    auditor = person()
    assign_role(Role.AUDITOR, to=auditor)
    everybody = [
        the.reviewer,
        the.second,
        the.agent.owner,
        other.reviewer,
        other.agent.owner,
        admin(),
        auditor,
    ]
    everybody += [person(), reviewer(the.queue)]
    gone = reviewer(the.queue)
    gone.is_active = False
    gone.save(update_fields=["is_active"])
    may_see = {one for one in everybody if permissions.can_see(one, proposal)}
    assert set(colleagues.who_may_see(proposal)) == may_see
    assert other.reviewer not in may_see and len(may_see) == 6


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("@Ann", ["Ann"]),
        ("@Ann Lee, look", ["Ann Lee"]),
        ("@ann lee", ["Ann Lee"]),
        ("@Annette", []),
        ("mail ann@Ann", []),
        ("(@Ann) and @Bo-Li", ["Ann", "Bo-Li"]),
        ("@Ann @Ann", ["Ann"]),
        ("@.*", []),
        ("no name", []),
    ],
)
def test_names_in_a_text(text: str, named: list[str]) -> None:
    people = [person(name) for name in ("Ann", "Ann Lee", "Bo-Li")]
    assert [str(one) for one in colleagues.named_in(text, people)] == named
