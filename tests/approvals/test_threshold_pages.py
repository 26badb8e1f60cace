"""Thresholds and the two signatures on the owner's pages."""

import json
import re

import pytest
from django.utils import timezone
from guardian.shortcuts import assign_perm

from agents.autonomy import Tier
from agents.models import Promotion, SecondSignature, Standing
from agents.tier_model import State
from approvals.services import promote
from audit.models import AuditEvent
from tests.approvals.test_standing_pages import change, mandate, on_the_way, path, signed_in
from tests.factories import Desk, admin, desk, person
from tests.past import judged

pytestmark = pytest.mark.django_db(transaction=True)


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
