"""Stop switches: in force at their commit, pulled by who sees the fault, lifted by who has the right, never half."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotAllowed, NotFound
from accounts.models import User, assign_role
from accounts.roles import Role
from agents.autonomy import Tier
from agents.models import Stop
from agents.services.assign_owners import assign_manager
from approvals.exceptions import GrantRefused, Stopped
from approvals.models import Decision, Grant, HeldBallot, Notification, Proposal, Verdict
from approvals.services import expire, settle, stop
from approvals.services.redeem import redeem
from approvals.services.stop import Switch
from approvals.states import State
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person, queue, reviewer

pytestmark = pytest.mark.django_db

SCOPES = ["all", "agent", "action_type", "mandate"]


def switch(the: Desk, scope: str) -> Switch:
    return {
        "all": Switch(),
        "agent": Switch(agent=the.agent),
        "action_type": Switch(action_type=the.action_type),
        "mandate": Switch(mandate=the.mandate),
    }[scope]


def pull(the: Desk, scope: str = "mandate", by: User | None = None, **extra: Any) -> Stop:
    return stop.pull(switch=switch(the, scope), by=by or admin(), reason="wrong amounts", **extra).stop


def lift(pulled: Stop, by: User | None = None) -> Stop:
    lifted = stop.lift(stop_id=pulled.pk, by=by or admin(), reason="mended")
    assert isinstance(lifted, Stop)
    return lifted


def use(the: Desk, proposal: Proposal) -> Proposal:
    return redeem(proposal_id=proposal.pk, bearer=the.bearer, digest=proposal.digest)


def state(proposal: Proposal) -> str:
    return Proposal.objects.get(pk=proposal.pk).state


@pytest.mark.parametrize("scope", SCOPES)
def test_a_stop_takes_back_what_has_not_begun_and_denies_what_comes(scope: str) -> None:
    the, other = desk(Tier.OUT_OF_THE_LOOP), desk(Tier.OUT_OF_THE_LOOP)
    granted, begun, foreign = the.propose(), the.propose(), other.propose()
    use(the, begun)
    pulled = pull(the, scope)
    denied = the.propose()
    assert (denied.state, denied.reasons[0]["code"]) == (State.DENIED, "stopped")
    assert denied.reasons[0]["detail"].endswith("is stopped: wrong amounts.")
    assert [state(one) for one in (granted, begun)] == ["revoked", "executing"]
    assert Grant.objects.get(proposal=granted).revoked_at is not None
    assert state(foreign) == ("revoked" if scope == "all" else "approved")
    assert other.propose().state == ("denied" if scope == "all" else "approved")
    event = AuditEvent.objects.get(kind="stop.pulled")
    assert (event.data["detail"]["reason"], event.data["detail"]["scope"]) == ("wrong amounts", scope)
    lift(pulled)
    with pytest.raises(GrantRefused):
        use(the, granted)
    assert the.propose().state == State.APPROVED
    assert AuditEvent.objects.filter(kind="stop.lifted").count() == 1


def test_what_is_scheduled_is_rejected_by_policy_and_is_no_evidence() -> None:
    the = desk(Tier.ON_THE_LOOP)
    proposal = the.propose()
    pull(the)
    decision = Decision.objects.get()
    assert (state(proposal), decision.kind, decision.reason) == ("rejected", "policy", "stopped")
    expire.close_veto_windows(now=timezone.now() + timedelta(days=1))
    assert state(proposal) == "rejected"


def test_the_stop_alone_forbids_before_any_row_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process killed between the stop's commit and its rows; lifting in between gives nothing back either."""
    the = desk(Tier.OUT_OF_THE_LOOP)
    window = desk(Tier.ON_THE_LOOP)
    granted, scheduled = the.propose(), window.propose()
    with monkeypatch.context() as killed:
        killed.setattr(stop, "_take_back", lambda *_, **__: (0, False))
        one, two = pull(the), pull(window)
    assert (state(granted), state(scheduled)) == ("approved", "scheduled")
    with pytest.raises(Stopped, match="wrong amounts"):
        use(the, granted)
    lift(one)
    lift(two)
    with pytest.raises(GrantRefused, match="stop took this grant back"):
        use(the, granted)
    late = timezone.now() + timedelta(days=1)
    assert expire.close_veto_windows(now=late) == 1
    assert (state(scheduled), Decision.objects.get(proposal=scheduled).reason) == ("rejected", "stopped")
    assert stop.finish(now=timezone.now()) == 1
    assert state(granted) == "revoked"


def test_the_tick_finishes_what_was_left_and_spares_what_came_after_lifting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    before = [the.propose() for _ in range(7)]
    monkeypatch.setattr(stop, "BATCH", 3)
    with monkeypatch.context() as killed:
        killed.setattr(stop, "_take_back", lambda *_, **__: (0, False))
        pulled = pull(the)
    lift(pulled)
    after = the.propose()
    assert stop.finish(now=timezone.now()) == 7
    assert stop.finish(now=timezone.now()) == 0
    assert {state(one) for one in before} == {"revoked"}
    assert use(the, after).state == State.EXECUTING


def test_one_call_takes_no_longer_than_it_may_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    for _ in range(5):
        the.propose()
    monkeypatch.setattr(stop, "BATCH", 2)
    pulled = stop.pull(switch=switch(the, "all"), by=admin(), reason="now", seconds=0)
    assert (pulled.taken_back, pulled.is_done) == (2, False)
    assert stop.finish(now=timezone.now()) == 3


def test_a_stopped_proposal_is_not_approved_and_can_be_rejected() -> None:
    the = desk()
    proposal, other = the.propose(), the.propose()
    pulled = pull(the)
    refusal = r"wrong amounts\. Approving would lead to nothing"
    with pytest.raises(Stopped, match=refusal):
        the.decide(proposal, Verdict.APPROVE)
    with pytest.raises(Stopped, match=refusal):
        the.decide(proposal, Verdict.EDIT, arguments={"order_id": "A", "amount": 1})
    the.decide(other, Verdict.REJECT)
    assert (state(proposal), state(other)) == ("pending", "rejected")
    lift(pulled)
    the.decide(proposal, Verdict.APPROVE)
    assert use(the, Proposal.objects.get(pk=proposal.pk)).state == State.EXECUTING


def test_a_verdict_held_back_does_not_slip_through_a_stop() -> None:
    the = desk(at={"undo_seconds": 10})
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    pull(the)
    assert settle.settle_due(now=timezone.now() + timedelta(seconds=11)) == 0
    assert not HeldBallot.objects.exists()
    assert state(proposal) == "pending"
    assert "stopped" in Notification.objects.get(recipient=the.reviewer).text


# Who may


def test_who_may_pull_which() -> None:
    other, the = desk(), desk()
    the.propose()
    manager, stranger, seer, auditor = person(), person(), reviewer(queue()), person()
    assign_manager(agent_id=the.agent.pk, to=manager, actor=admin())
    assign_role(Role.AUDITOR, to=auditor)
    may = {
        "agent": [admin(), the.agent.owner, manager, the.reviewer],
        "mandate": [admin(), the.agent.owner, manager, the.reviewer],
        "action_type": [admin()],
        "all": [admin()],
    }
    everybody = [admin(), the.agent.owner, manager, the.reviewer, other.reviewer, stranger, seer, auditor]
    for scope in SCOPES:
        for one in everybody:
            if one in may[scope]:
                lift(pull(the, scope, by=one))
            else:
                with pytest.raises(NotAllowed):
                    pull(the, scope, by=one)
    assert not Stop.objects.filter(lifted_at=None).exists()


def test_who_pulled_it_may_not_lift_it_by_that_alone() -> None:
    the = desk()
    the.propose()
    pulled = pull(the, "agent", by=the.reviewer)
    with pytest.raises(NotAllowed, match="whoever pulled it"):
        lift(pulled, by=the.reviewer)
    with pytest.raises(NotFound):
        lift(pulled, by=person())
    everything = pull(the, "all")
    with pytest.raises(NotAllowed):
        lift(everything, by=the.agent.owner)
    lift(pulled, by=the.agent.owner)
    with pytest.raises(Conflict):
        lift(pulled)
    assert the.propose().state == State.DENIED
    lift(everything)
    assert the.propose().state == State.PENDING


def test_an_inactive_person_pulls_nothing() -> None:
    the = desk()
    owner = the.agent.owner
    owner.is_active = False
    owner.save()
    with pytest.raises(NotAllowed):
        pull(the, "agent", by=owner)


@pytest.mark.parametrize("reason", ["", "   \n", "x" * 301, "a\x00b"])
def test_a_stop_and_its_end_say_why(reason: str) -> None:
    the = desk()
    with pytest.raises(Invalid):
        stop.pull(switch=switch(the, "agent"), by=admin(), reason=reason)
    pulled = pull(the)
    with pytest.raises(Invalid):
        stop.lift(stop_id=pulled.pk, by=admin(), reason=reason)


def test_pulled_twice_the_first_stands() -> None:
    the = desk()
    first = stop.pull(switch=switch(the, "agent"), by=admin(), reason="one")
    second = stop.pull(switch=switch(the, "agent"), by=the.agent.owner, reason="two")
    assert (first.is_new, second.is_new, second.stop, second.stop.reason) == (True, False, first.stop, "one")
    assert AuditEvent.objects.filter(kind="stop.pulled").count() == 1
    lift(first.stop)
    assert stop.pull(switch=switch(the, "agent"), by=admin(), reason="three").is_new


def test_owner_admins_and_who_pulled_it_are_told() -> None:
    the = desk()
    the.propose()
    pulled = pull(the, "agent", by=the.reviewer)
    assert set(Notification.objects.values_list("recipient", flat=True)) == {admin().pk, the.agent.owner_id}
    lift(pulled, by=the.agent.owner)
    told = Notification.objects.filter(key=f"stop:{pulled.pk}:lifted")
    assert set(told.values_list("recipient", flat=True)) == {admin().pk, the.reviewer.pk}


# The command


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("stop", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_pulls_lists_and_lifts_each_switch() -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    ways = {
        "all": ["--all"],
        "agent": ["--agent", the.agent.slug],
        "action_type": ["--action-type", the.action_type.name],
        "mandate": ["--mandate", f"{the.agent.slug}:{the.action_type.name}"],
    }
    assert run("--list") == "Nothing is stopped.\n"
    for scope, way in ways.items():
        granted = the.propose()
        assert "Taken back: 1." in run(*way, "--reason", "odd")
        assert (state(granted), the.propose().state) == ("revoked", "denied")
        assert run("--list").startswith(" ".join(way) + "\t")
        assert "So it was before" in run(*way, "--reason", "odd")
        assert Stop.objects.get(lifted_at=None).scope == scope
        assert "may begin again" in run(*way, "--lift", "--reason", "mended")
        with pytest.raises(CommandError, match="not stopped"):
            run(*way, "--lift", "--reason", "mended")
    actors = AuditEvent.objects.filter(kind__startswith="stop.").values_list("actor_kind", "actor_id")
    assert set(actors) == {("system", "manage.py stop")}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--all"], "Say why"),
        (["--all", "--reason", " "], "Say why"),
        (["--agent", "nobody", "--reason", "x"], "no agent"),
        (["--action-type", "nothing", "--reason", "x"], "no action type"),
        (["--mandate", "a:b", "--reason", "x"], "no agent"),
        (["--all", "--reason", "x", "--by", "nobody@example.com"], "nobody active"),
    ],
    ids=str,
)
def test_the_command_refuses_in_words_and_changes_nothing(arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(*arguments)
    assert not Stop.objects.exists()


def test_the_command_in_somebodys_name_has_his_rights() -> None:
    the = desk()
    with pytest.raises(CommandError, match="Only admins"):
        run("--all", "--reason", "x", "--by", the.agent.owner.email)
    run("--agent", the.agent.slug, "--reason", "x", "--by", the.agent.owner.email)
    assert Stop.objects.get().stopped_by == the.agent.owner


# The page


def page_of(client: Client, user: User, address: str = "/stops/") -> str:
    client.force_login(user)
    return client.get(address).content.decode()


def test_the_page_offers_what_one_may_stop_and_nothing_else(client: Client) -> None:
    other, the = desk(), desk()
    proposal = the.propose()
    seen = page_of(client, the.reviewer)
    assert f'value="agent:{the.agent.slug}"' in seen
    assert f'value="mandate:{the.mandate.pk}"' in seen
    assert other.agent.slug not in seen
    assert 'value="all"' not in seen
    assert "action_type:" not in seen
    assert "Nothing here is yours to stop" in page_of(client, person())
    everything = page_of(client, admin())
    assert 'value="all"' in everything
    assert f'value="action_type:{the.action_type.name}"' in everything
    near = page_of(client, the.reviewer, f"/stops/?proposal={proposal.pk}")
    assert f'<option value="mandate:{the.mandate.pk}" selected>' in near
    stranger = page_of(client, person(), f"/stops/?proposal={proposal.pk}")
    assert the.agent.name not in stranger


def test_pulling_and_lifting_by_the_page(client: Client) -> None:
    the = desk()
    proposal = the.propose()
    client.force_login(the.reviewer)
    sent = {"what": f"agent:{the.agent.slug}", "reason": ""}
    refused = client.post("/stops/pull/", sent)
    assert (refused.status_code, Stop.objects.count()) == (422, 0)
    assert "Say why, in a few words." in refused.content.decode()
    assert client.post("/stops/pull/", {**sent, "what": "all", "reason": "x"}).status_code == 422
    done = client.post("/stops/pull/", {**sent, "reason": "<b>odd</b>"}, follow=True).content.decode()
    assert "Nothing of it starts any more" in done
    assert "<b>odd</b>" not in done
    pulled = Stop.objects.get()
    assert client.post(f"/stops/{pulled.pk}/lift/", {"reason": "x"}).status_code == 403
    for user in (the.reviewer, the.agent.owner, admin()):
        assert 'class="halted"' in page_of(client, user, "/queues/")
        client.force_login(user)
    assert 'class="halted"' not in page_of(client, person(), "/queues/")
    client.force_login(the.agent.owner)
    assert client.post(f"/stops/{pulled.pk}/lift/", {"reason": " "}).status_code == 422
    assert client.post(f"/stops/{pulled.pk}/lift/", {"reason": "mended"}).status_code == 302
    assert Stop.objects.get().lift_reason == "mended"
    assert 'class="halted"' not in page_of(client, the.agent.owner, f"/proposals/{proposal.pk}/")
    assert client.get("/stops/pull/").status_code == 405


def test_a_stranger_learns_of_no_stop(client: Client) -> None:
    the = desk()
    pulled = pull(the, "agent")
    client.force_login(person())
    assert client.post(f"/stops/{pulled.pk}/lift/", {"reason": "x"}).status_code == 404
    assert the.agent.name not in client.get("/stops/").content.decode()


def test_every_page_leads_to_the_switch_and_names_what_it_is_about(client: Client) -> None:
    the = desk()
    proposal = the.propose()
    for user, address, link in (
        (the.reviewer, f"/proposals/{proposal.pk}/", f"/stops/?proposal={proposal.pk}"),
        (the.agent.owner, f"/agents/{the.agent.slug}/", f"/stops/?agent={the.agent.slug}"),
        (admin(), "/queues/", "/stops/"),
    ):
        assert f'href="{link}" data-key="!"' in page_of(client, user, address)


def test_the_agents_pages_say_both_what_it_is_and_what_stops_it(client: Client) -> None:
    the, other = desk(), desk()
    pull(the, "mandate")
    pull(other, "agent")
    page = page_of(client, admin(), "/agents/")
    assert page.count('<span class="badge badge--late">stopped</span>') == 1
    assert page.count('<span class="badge badge--late">partly stopped</span>') == 1
    assert "partly stopped" in page_of(client, the.agent.owner, f"/agents/{the.agent.slug}/")
