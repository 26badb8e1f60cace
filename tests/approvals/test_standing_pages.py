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

from accounts.models import User, assign_role
from accounts.roles import Role
from agents import standings
from agents.autonomy import Tier
from agents.models import Evidence, Mandate, Promotion, Standing, Stop
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
    assign_role(Role.AUDITOR, to=auditor)
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
