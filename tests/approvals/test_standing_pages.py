"""The owner's page of earned autonomy over HTTP: what it says in each state, and what each change does."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from guardian.shortcuts import assign_perm

from accounts.models import User
from agents import standings
from agents.autonomy import Tier
from agents.models import Evidence, Mandate, Promotion, SecondSignature, Standing, Stop
from agents.tier_model import State
from approvals.services import promote
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person, undoing
from tests.past import judged

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def on_the_way(tier: Tier = Tier.IN_THE_LOOP, **terms: Any) -> Desk:
    """A desk whose action can be undone and which may earn everything."""
    the = desk(tier=tier, **{"ceiling": Tier.OUT_OF_THE_LOOP, **terms})
    undoing(the)
    return the


def earned() -> Desk:
    the = on_the_way()
    judged(the, [0.0] * 140, probes=[True] * 12)
    promote.assess_due(now=timezone.now())
    return the


def path(the: Desk, action: str = "") -> str:
    return f"/agents/{the.agent.slug}/mandates/{the.action_type.name}/{action}"


def text(the: Desk, client: Client | None = None, action: str = "", query: str = "") -> str:
    """The page's words, without markup."""
    response = (client or signed_in(the.agent.owner)).get(path(the, action) + query)
    assert response.status_code == 200, response.content[:500]
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def mandate(the: Desk) -> Mandate:
    return Mandate.objects.select_related("agent", "action_type").get(pk=the.mandate.pk)


def change(client: Client, address: str, **values: Any) -> Any:
    """Ask for a preview, then confirm what was shown, as the two buttons do."""
    shown = client.post(address, {**values, "preview": "1"})
    assert shown.status_code == 200, shown.content[:2000]
    return client.post(address, {**values, "confirm": token_on(shown.content.decode())})


def token_on(page: str) -> str:
    found = re.search(r'name="confirm" value="(\w+)"', page)
    assert found, "nothing to confirm on the page"
    return found[1]


# ── What the page says ────────────────────────────────────────────────────────────────────────────────────────────────


def test_page_of_a_mandate_without_evidence_says_what_is_needed() -> None:
    words = text(on_the_way())

    assert "0 errors: 89 reviews needed, you have 0." in words
    assert "103 more reviews without an error" in words
    assert "No probe has been decided in this attempt" in words


def test_page_shows_errors_reviews_and_what_probes_show() -> None:
    the = on_the_way()
    judged(the, [0.0] * 60 + [1.0, 1.0] + [0.0] * 78, probes=[True] * 7)

    words = text(the)

    assert "2 errors: 184 reviews needed, you have 140." in words
    assert "Of 7 probes in this attempt 7 were caught, 100 %" in words


def test_agents_page_tells_each_mandates_next_step() -> None:
    the = on_the_way()
    judged(the, [0.0] * 120)

    page = signed_in(the.agent.owner).get(f"/agents/{the.agent.slug}/").content.decode()

    assert "waits for probes: none has been served yet" in page
    assert "The mandate&#x27;s ceiling is in the loop; an admin can raise it" in page
    assert "up to 0.1 promotions are to be expected by chance" in page


def test_cool_down_is_said_with_its_day(settings: Any) -> None:
    the = on_the_way()
    judged(the, [0.0] * 140, probes=[True] * 12, days=3)

    words = text(the)

    ends = timezone.localtime(timezone.now() + timedelta(days=4))
    assert f"cool-down ends on {ends:%A}" in words


def test_escalated_and_stopped_mandates_say_so_first() -> None:
    the = on_the_way(Tier.ON_THE_LOOP)
    judged(the, [0.0] * 60 + [1.0, 0.0] * 3)
    assert "escalated: every action is audited" in text(the)

    Stop.objects.create(
        scope="agent",
        agent=the.agent,
        reason="It pays twice",
        stopped_by=the.agent.owner,
        stopped_at=timezone.now(),
    )
    assert "is stopped: It pays twice." in text(the)


def test_earlier_versions_stay_visible_and_promise_nothing_for_the_present() -> None:
    the = on_the_way()
    judged(the, [0.0] * 50 + [1.0] * 9)
    type(the.agent).objects.filter(pk=the.agent.pk).update(version="2")

    now, before = text(the), text(the, query="?version=1")

    assert "0 errors: 89 reviews needed, you have 0." in now and "59 reviews, 9 errors" in now
    assert "The record of version 1" in before and "you have 59" in before
    assert "Change it" in now and "Change it" not in before


def test_tier_history_shows_the_numbers_that_decided() -> None:
    the = earned()
    promotion = Promotion.objects.get()
    promote.confirm(promotion_id=promotion.pk, actor=the.agent.owner, reason="It has been good")

    words = text(the)

    assert "It has been good" in words and "140, 0 of them errors" in words
    assert "12 caught, 0 passed" in words


def test_guarantee_is_printed_with_its_conditions() -> None:
    words = text(on_the_way())

    for part in ("at most 95 % is at most 5 %", "Conditions.", "Not promised.", "at least 2,000"):
        assert part in words


# ── Who may see and change it ─────────────────────────────────────────────────────────────────────────────────────────


def test_reviewers_see_nothing_of_it() -> None:
    the = earned()
    promotion = Promotion.objects.get()
    for somebody in (the.reviewer, the.second, person()):
        client = signed_in(somebody)
        for address in (path(the), *(path(the, f"{one}/") for one in ACTIONS)):
            assert client.get(address).status_code == 404, address
        assert client.get(f"/promotions/{promotion.pk}/confirm/").status_code == 404
        assert client.get("/setup/signatures/").status_code == 403
    assert Client().get(path(the)).status_code == 302


ACTIONS = ("tier", "ceiling", "thresholds", "automatic", "reset", "earning")


def test_auditors_look_and_change_nothing() -> None:
    the = earned()
    auditor = person()
    assign_perm("audit.view_auditevent", auditor)
    client = signed_in(auditor)

    assert "Change it" not in text(the, client)
    assert {client.get(path(the, f"{one}/")).status_code for one in ACTIONS} == {403}
    assert client.post(f"/promotions/{Promotion.objects.get().pk}/confirm/").status_code == 403


@pytest.mark.parametrize("action", ACTIONS)
def test_looking_at_a_change_changes_nothing(action: str) -> None:
    the = desk(tier=Tier.ON_THE_LOOP)
    judged(the, [0.0] * 10)
    client = signed_in(the.agent.owner)
    before = (Mandate.objects.values().get(pk=the.mandate.pk), Standing.objects.values().get())
    events = AuditEvent.objects.count()

    assert client.get(path(the, f"{action}/")).status_code == 200

    assert (Mandate.objects.values().get(pk=the.mandate.pk), Standing.objects.values().get()) == before
    assert AuditEvent.objects.count() == events


# ── Changes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tier_is_lowered_only_after_its_preview() -> None:
    the = on_the_way(Tier.ON_THE_LOOP)
    judged(the, [0.0] * 100 + [1.0])
    the.propose()
    client = signed_in(the.agent.owner)
    asked = {"tier": "in_the_loop", "reason": "It paid twice"}

    shown = client.post(path(the, "tier/"), {**asked, "preview": "1"}).content.decode()
    assert mandate(the).tier == Tier.ON_THE_LOOP
    assert "1 scheduled action will be rejected when the veto window ends." in shown
    assert "The 101 reviews of this attempt, with 1 error, no longer count" in shown
    assert "Every action waits for a person." in shown

    response = client.post(path(the, "tier/"), {**asked, "confirm": token_on(shown)})
    assert (response.status_code, response["Location"]) == (302, path(the))
    assert mandate(the).tier == Tier.IN_THE_LOOP
    event = AuditEvent.objects.get(kind="mandate.tier_changed")
    assert json.loads(event.content)["detail"]["reason"] == "It paid twice"


def test_what_was_not_shown_is_not_done() -> None:
    the = on_the_way(Tier.OUT_OF_THE_LOOP)
    client = signed_in(the.agent.owner)
    shown = client.post(path(the, "tier/"), {"tier": "on_the_loop", "reason": "x", "preview": "1"})
    seen = token_on(shown.content.decode())

    other = client.post(path(the, "tier/"), {"tier": "advisory", "reason": "x", "confirm": seen})
    assert other.status_code == 200 and mandate(the).tier == Tier.OUT_OF_THE_LOOP

    Mandate.objects.filter(pk=the.mandate.pk).update(ceiling=Tier.OUT_OF_THE_LOOP, automatic=True)
    late = client.post(path(the, "tier/"), {"tier": "on_the_loop", "reason": "x", "confirm": seen})
    assert late.status_code == 200 and mandate(the).tier == Tier.OUT_OF_THE_LOOP


def test_nobody_raises_a_tier_by_hand() -> None:
    the = on_the_way()
    for somebody in (the.agent.owner, admin()):
        client = signed_in(somebody)
        response = client.post(
            path(the, "tier/"), {"tier": "on_the_loop", "reason": "because", "confirm": "1"}
        )
        assert response.status_code == 422
    assert mandate(the).tier == Tier.IN_THE_LOOP


def test_owner_confirms_what_the_evidence_has_earned() -> None:
    the = earned()
    promotion = Promotion.objects.get()
    client = signed_in(the.agent.owner)
    assert "on the loop is earned" in client.get(f"/agents/{the.agent.slug}/").content.decode()

    shown = client.get(f"/promotions/{promotion.pk}/confirm/").content.decode()
    assert "50 % of its actions are drawn for a blind audit until 200 were audited, 20 %" in shown

    answer = {"reason": "It has been good", "confirm": token_on(shown)}
    assert client.post(f"/promotions/{promotion.pk}/confirm/", answer).status_code == 302
    assert mandate(the).tier == Tier.ON_THE_LOOP
    assert client.get(f"/promotions/{promotion.pk}/confirm/").status_code == 409


def test_owner_declines_a_promotion() -> None:
    the = earned()
    promotion = Promotion.objects.get()
    client = signed_in(the.agent.owner)

    change(client, f"/promotions/{promotion.pk}/decline/", reason="Not before the season")

    promotion.refresh_from_db()
    assert (promotion.state, promotion.reason) == ("declined", "Not before the season")
    assert mandate(the).tier == Tier.IN_THE_LOOP
    assert "Not before the season" in text(the)


def test_ceiling_is_raised_by_admins_alone() -> None:
    the = on_the_way(ceiling=Tier.IN_THE_LOOP)
    values = {"ceiling": "on_the_loop", "reason": "Let it earn"}

    refused = signed_in(the.agent.owner).post(path(the, "ceiling/"), {**values, "preview": "1"})
    assert refused.status_code == 422  # he is not even offered it
    assert change(signed_in(admin()), path(the, "ceiling/"), **values).status_code == 302
    assert mandate(the).ceiling == Tier.ON_THE_LOOP and mandate(the).tier == Tier.IN_THE_LOOP
    assert AuditEvent.objects.filter(kind="mandate.ceiling_changed").count() == 1


def test_automatic_promotion_is_carried_out_without_asking() -> None:
    the = on_the_way()
    change(signed_in(the.agent.owner), path(the, "automatic/"), automatic="yes", reason="I trust the bound")
    judged(the, [0.0] * 140, probes=[True] * 12)

    promote.assess_due(now=timezone.now())

    assert mandate(the).tier == Tier.ON_THE_LOOP


def test_a_reset_begins_an_attempt_that_has_to_show_more() -> None:
    the = on_the_way()
    judged(the, [0.0] * 30 + [1.0] * 3)
    client = signed_in(the.agent.owner)

    shown = client.get(path(the, "reset/")).content.decode()
    assert "The 33 reviews of this attempt, with 3 errors, no longer count" in shown

    change(client, path(the, "reset/"), reason="It was mended")
    words = text(the)
    assert "attempt 2" in words and "0 errors: 113 reviews needed, you have 0." in words


# ── Thresholds ────────────────────────────────────────────────────────────────────────────────────────────────────────


def typed(the: Desk, **changed: str) -> dict[str, str]:
    """The thresholds form as it stands, with some fields changed."""
    page = signed_in(the.agent.owner).get(path(the, "thresholds/")).content.decode()
    form = page[page.index('id="thresholds-form"') :]
    values = dict(re.findall(r'<input type="number" name="(\w+)" value="([^"]*)"', form))
    assert len(values) == 19, sorted(values)
    return {**values, "reason": "Costs", **changed}


def test_stricter_thresholds_keep_the_evidence() -> None:
    the = on_the_way()
    judged(the, [0.0] * 50)
    client = signed_in(the.agent.owner)
    values = typed(the, on_p0="97", out_p0="99.5")

    shown = client.post(path(the, "thresholds/"), {**values, "preview": "1"}).content.decode()
    assert "What was reviewed so far goes on counting." in shown
    assert change(client, path(the, "thresholds/"), **values).status_code == 302

    assert mandate(the).thresholds == {"on_p0": 0.97, "out_p0": 0.995}
    assert state(the).thresholds.on_p0 == 0.97 and state(the).reviews == 50
    event = AuditEvent.objects.get(kind="mandate.thresholds_changed")
    assert json.loads(event.content)["after"] == {
        "on_p0": 0.97,
        "out_p0": 0.995,
    }


def test_less_than_the_default_takes_an_admin_and_a_new_attempt() -> None:
    the = on_the_way()
    judged(the, [0.0] * 50)
    values = typed(the, on_p0="90")

    assert change(signed_in(the.agent.owner), path(the, "thresholds/"), **values).status_code == 403
    assert mandate(the).thresholds == {}

    shown = signed_in(admin()).post(path(the, "thresholds/"), {**values, "preview": "1"}).content.decode()
    assert "a new attempt begins" in shown and "takes an admin" in shown
    assert change(signed_in(admin()), path(the, "thresholds/"), **values).status_code == 302
    assert (state(the).reviews, state(the).attempts) == (0, (2, 1))


def state(the: Desk) -> State:
    return State.from_json(Standing.objects.get(agent=the.agent, action_type=the.action_type).state)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"on_p0": "99.5"}, "More autonomy needs no less accuracy"),
        ({"audit_on": "60"}, "The first audits are no rarer than later ones."),
        ({"alpha": "30"}, "less than or equal to 20"),
        ({"on_p0": "NaN"}, "Enter a number."),
        ({"reviewers": "1e400"}, "Enter a whole number."),
        (
            {"on_p0": "99.9", "out_p0": "99.9", "alarm_on": "100"},
            "an agent without an error would be demoted",
        ),
        ({"reason": ""}, "This field is required."),
    ],
)
def test_absurd_thresholds_are_refused_at_their_field(changed: dict[str, str], complaint: str) -> None:
    the = on_the_way()

    response = signed_in(admin()).post(path(the, "thresholds/"), {**typed(the, **changed), "preview": "1"})

    assert (response.status_code == 422 and complaint in response.content.decode().lower()) or complaint in (
        response.content.decode()
    )
    assert mandate(the).thresholds == {}


def test_costs_suggest_the_tolerated_error_rate() -> None:
    the = on_the_way()

    response = signed_in(the.agent.owner).post(
        path(the, "thresholds/"), {"review_cost": "3", "error_cost": "150", "calculate": "1"}
    )

    page = response.content.decode()
    assert "3 ÷ 150 = 2 %" in page and "one error in 50" in page
    assert re.search(r'name="on_p0" value="98"', page) and re.search(r'name="out_p0" value="99"', page)
    assert mandate(the).thresholds == {}


@pytest.mark.parametrize(("review", "error"), [("0", "10"), ("3", "0"), ("x", "1"), ("1", ""), ("-1", "5")])
def test_costs_that_make_no_sense_are_refused(review: str, error: str) -> None:
    the = on_the_way()
    response = signed_in(the.agent.owner).post(
        path(the, "thresholds/"), {"review_cost": review, "error_cost": error, "calculate": "1"}
    )
    assert response.status_code == 422


def test_costs_beyond_what_can_be_asked_for_are_brought_back() -> None:
    the = on_the_way()
    dear = {"review_cost": "1", "error_cost": "10000000", "calculate": "1"}
    cheap = {"review_cost": "10", "error_cost": "1", "calculate": "1"}
    client = signed_in(the.agent.owner)

    assert "99.99 %" in client.post(path(the, "thresholds/"), dear).content.decode()
    assert "brought back" in client.post(path(the, "thresholds/"), cheap).content.decode()


# ── Two signatures ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_irreversible_actions_earn_only_with_two_signatures() -> None:
    the = desk(ceiling=Tier.OUT_OF_THE_LOOP)
    judged(the, [0.0] * 140, probes=[True] * 12)
    promote.assess_due(now=timezone.now())
    assert not Promotion.objects.exists()

    change(signed_in(the.agent.owner), path(the, "earning/"), reason="Refunds are small")
    asked = SecondSignature.objects.get()
    assert mandate(the).may_earn is False

    client = signed_in(admin())
    assert "Refunds are small" in client.get("/setup/signatures/").content.decode()
    response = client.post(f"/setup/signatures/{asked.pk}/sign/", {"answer": "Up to 50 EUR, yes"})
    assert response.status_code == 302
    assert mandate(the).may_earn is True

    promote.assess_due(now=timezone.now())
    assert Promotion.objects.filter(state="open").count() == 1
    kinds = AuditEvent.objects.filter(kind__startswith="mandate.earning").order_by("id")
    assert list(kinds.values_list("kind", flat=True)) == ["mandate.earning_asked", "mandate.earning_signed"]


def test_one_person_does_not_sign_twice() -> None:
    the = desk()
    type(the.agent).objects.filter(pk=the.agent.pk).update(owner=admin())
    client = signed_in(admin())
    change(client, path(the, "earning/"), reason="It is mine")
    asked = SecondSignature.objects.get()

    assert client.post(f"/setup/signatures/{asked.pk}/sign/", {"answer": "yes"}).status_code == 403
    assert mandate(the).may_earn is False


def test_only_the_owner_asks_and_only_admins_answer() -> None:
    the = desk()
    manager = person()
    assign_perm("agents.manage_agent", manager, the.agent)

    assert change(signed_in(manager), path(the, "earning/"), reason="Please").status_code == 403
    change(signed_in(the.agent.owner), path(the, "earning/"), reason="Please")
    asked = SecondSignature.objects.get()
    for somebody in (the.agent.owner, manager, the.reviewer):
        client = signed_in(somebody)
        for answer in ("sign", "decline"):
            assert client.post(f"/setup/signatures/{asked.pk}/{answer}/", {"answer": "x"}).status_code == 403
    assert mandate(the).may_earn is False


def test_a_declined_request_can_be_asked_again_and_consent_taken_back() -> None:
    the = desk()
    owner, chief = signed_in(the.agent.owner), signed_in(admin())
    change(owner, path(the, "earning/"), reason="Please")
    first = SecondSignature.objects.get()
    assert chief.post(f"/setup/signatures/{first.pk}/decline/", {"answer": "Too early"}).status_code == 302
    assert chief.post(f"/setup/signatures/{first.pk}/sign/", {"answer": "yes"}).status_code == 409

    change(owner, path(the, "earning/"), reason="Once more")
    second = SecondSignature.objects.latest("id")
    chief.post(f"/setup/signatures/{second.pk}/sign/", {"answer": "Yes"})
    assert mandate(the).may_earn is True

    change(owner, path(the, "earning/"), reason="Not any more")
    assert mandate(the).may_earn is False


# ── What it costs ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_page_costs_the_same_whatever_the_evidence() -> None:
    few, many = on_the_way(), on_the_way()
    judged(few, [0.0] * 20 + [1.0], probes=[True])
    judged(many, ([0.0] * 99 + [1.0]) * 50, probes=[True] * 250, days=300)
    sizes = []
    for the in (few, many):
        client = signed_in(the.agent.owner)
        client.get(path(the))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            response = client.get(path(the))
        assert response.status_code == 200
        sizes.append((len(queries), len(response.content)))
    assert sizes[0][0] == sizes[1][0], sizes
    assert sizes[1][1] < sizes[0][1] + 20_000, sizes
    assert "5,000 reviews, 50 errors" in text(many)


def test_each_plot_stays_small() -> None:
    the = on_the_way()
    judged(the, ([0.0] * 9 + [1.0, 0.1, 0.25]) * 100, probes=[True, False] * 30)

    page = signed_in(the.agent.owner).get(path(the)).content.decode()

    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    assert len(figures) == 4
    assert max(len(figure) for figure in figures) < 30_000
    assert "style=" not in "".join(figures)


def test_agents_page_asks_no_more_for_more_mandates() -> None:
    the = on_the_way()
    judged(the, [0.0] * 20)
    client = signed_in(the.agent.owner)
    numbers = []
    for _ in range(2):
        client.get(f"/agents/{the.agent.slug}/")
        with CaptureQueriesContext(connection) as queries:
            client.get(f"/agents/{the.agent.slug}/")
        numbers.append(len(queries))
        for _ in range(3):
            undoing(the)
    assert numbers[0] == numbers[1]


def test_what_waits_for_its_maturity_is_told() -> None:
    the = on_the_way()
    the.approved()
    standing = standings.of(the.agent, the.action_type, the.agent.version)
    assert Evidence.objects.filter(standing=standing, counts_at__gt=timezone.now()).count() == 1

    assert "1 more judgement was made and counts after 24 hours" in text(the)
