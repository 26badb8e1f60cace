"""The owner's page of earned autonomy in a browser: every state of it, both themes and widths, and an owner's work."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import Browser

from agents.autonomy import Tier
from agents.models import Agent, Mandate, Promotion
from approvals.services import promote
from tests import browser
from tests.browser import NARROW, WIDE, faults, signed_in, watched
from tests.factories import Desk, desk, undoing
from tests.past import judged

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

GOOD = [0.0] * 60 + [1.0] + [0.0] * 79
WORSE = [0.0] * 60 + [1.0, 0.0] * 3


def empty() -> Desk:
    return desk(ceiling=Tier.OUT_OF_THE_LOOP)


def middle() -> Desk:
    the = empty()
    judged(the, [*GOOD[:100], 0.25, 0.1], probes=[True] * 3 + [False], seconds=[True] * 9 + [False])
    return the


def earned() -> Desk:
    the = reversible()
    judged(the, [0.0] * 140, probes=[True] * 12)
    promote.assess_due(now=timezone.now())
    assert Promotion.objects.filter(mandate=the.mandate, state="open").exists()
    return the


def reversible() -> Desk:
    """A desk whose action can be undone, so that no second signature is asked for."""
    the = desk(ceiling=Tier.OUT_OF_THE_LOOP)
    undoing(the)
    return the


def promoted() -> Desk:
    the = desk(tier=Tier.ON_THE_LOOP, ceiling=Tier.OUT_OF_THE_LOOP)
    judged(the, GOOD, probes=[True] * 4)
    return the


def escalated() -> Desk:
    the = desk(tier=Tier.ON_THE_LOOP, ceiling=Tier.OUT_OF_THE_LOOP)
    state = judged(the, WORSE, probes=[True] * 4)
    assert state.tier == Tier.ON_THE_LOOP
    Mandate.objects.filter(pk=the.mandate.pk).update(escalated=True)
    return the


def demoted() -> Desk:
    the = promoted()
    promote.lower_tier(
        mandate_id=the.mandate.pk, tier=Tier.IN_THE_LOOP, actor=the.agent.owner, reason="It paid twice. " * 18
    )
    judged(the, [0.0] * 5, version="2026-11-22 with an absurdly long name " + "x" * 40)
    return the


def long_names() -> Desk:
    the = middle()
    Agent.objects.filter(pk=the.agent.pk).update(name="Unterstützungsgruppenverwaltung" * 3 + " agent"[:27])
    kind = the.action_type
    kind.label = "Rückerstattungsbenachrichtigungsversandauftragsbestätigung " * 2
    kind.save(update_fields=["label"])
    return the


STATES: list[Callable[[], Desk]] = [empty, middle, earned, promoted, escalated, demoted, long_names]


@pytest.mark.parametrize("state", STATES, ids=[state.__name__ for state in STATES])
def test_the_page_is_accessible_and_fits_in_every_state(
    chrome: Browser, url: str, state: Callable[[], Desk]
) -> None:
    the = state()
    found: list[str] = []
    for scheme, viewport in (("light", WIDE), ("dark", NARROW)):
        context = signed_in(chrome, url, the.agent.owner, viewport=viewport, color_scheme=scheme)
        page, complaints = watched(context)
        for name, path in addresses(the).items():
            response = page.goto(path)
            assert response is not None and response.status == 200, path
            browser.ready(page)
            look = f"standing-{state.__name__}-{name}-{scheme}-{viewport['width']}"
            found += [f"{look}: {fault}" for fault in faults(page, look)]
        found += complaints
        context.close()
    assert found == []


def addresses(the: Desk) -> dict[str, str]:
    below = f"/agents/{the.agent.slug}/mandates/{the.action_type.name}/"
    return {"agent": f"/agents/{the.agent.slug}/", "mandate": below}
