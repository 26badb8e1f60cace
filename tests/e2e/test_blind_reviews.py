"""Reviews after the fact in Chromium: ten keys for three of them, without JavaScript, and how the pages look."""

import pytest
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Browser, expect

from agents.models import Evidence
from approvals import blind
from approvals.models import BlindReview, Verdict
from approvals.services.dispute import dispute
from approvals.services.incident import Report, report
from audit.models import AuditEvent
from tests.browser import (
    NARROW,
    WIDE,
    arrived,
    faults,
    holding,
    leaving,
    press,
    ready,
    signed_in,
    soon,
    watched,
)
from tests.factories import Desk, admin, desk

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
HOSTILE = "<b>Pay</b> now \u202etxet\u202c " + "unbroken" * 60 + "\n\n\n\n\n\n\n\nat the very end"


@pytest.fixture(autouse=True)
def no_hints() -> None:
    cache.clear()


def asked(the: Desk, **extra: str) -> BlindReview:
    proposal = the.approved(**extra)
    with transaction.atomic():
        made = blind.arise(
            proposal,
            proposal.revisions.get(),
            kind=BlindReview.Kind.SECOND,
            probability=0.1,
            at=timezone.now(),
        )
    assert made is not None
    return made


def state(review: BlindReview) -> tuple[str, str]:
    now = BlindReview.objects.get(pk=review.pk)
    return str(now.state), now.judgement


def test_three_by_keyboard(chrome: Browser, url: str) -> None:
    """n, then for each a digit and Enter or the digit again; words where they are asked for; the last one skipped."""
    the = desk()
    one, two, three = asked(the), asked(the), asked(the)
    page, complaints = watched(signed_in(chrome, url, the.second), ["status of 422", "Code 422"])
    page.goto("/reviews/")
    expect(page.locator(".places__count").first).to_have_text("3")
    with leaving(page):
        press(page, "n")
    holding(page)
    press(page, "3")
    expect(page.locator("#judge_minor")).to_be_checked()
    expect(page.locator("#judge_minor")).to_be_focused()
    press(page, "2")
    expect(page.locator("#judge_cosmetic")).to_be_checked()
    assert state(one) == ("open", "")
    with leaving(page):
        press(page, "2")
    expect(page).to_have_url(f"{url}/reviews/{two.pk}/")
    assert state(one) == ("done", "cosmetic")

    holding(page)
    press(page, "5", "Enter")
    expect(page.get_by_text("Say what is wrong.")).to_be_visible()
    assert state(two) == ("open", "")
    expect(page.locator("#judge_comment")).to_be_focused()
    ready(page)
    page.keyboard.type("The order was paid 5 days ago")
    with leaving(page):
        page.keyboard.press("Control+Enter")
    expect(page).to_have_url(f"{url}/reviews/{three.pk}/")
    assert state(two) == ("done", "wrong")
    assert BlindReview.objects.get(pk=two.pk).comment == "The order was paid 5 days ago"

    holding(page)
    with leaving(page):
        press(page, "s")
    arrived(page, "Reviews after the fact")
    soon(lambda: BlindReview.objects.get(pk=three.pk).claimed_by is None)
    assert state(three) == ("open", "")
    assert complaints == []


def test_opening_takes_it_and_leaving_gives_it_back(chrome: Browser, url: str) -> None:
    the = desk()
    review = asked(the)
    page, complaints = watched(signed_in(chrome, url, the.second))
    page.goto(f"/reviews/{review.pk}/")
    holding(page)
    assert BlindReview.objects.get().claimed_by == the.second
    with leaving(page):
        press(page, "u")
    arrived(page, "Reviews after the fact")
    soon(lambda: BlindReview.objects.get().claimed_by is None)
    page.goto(f"/proposals/{review.proposal_id}/")
    ready(page)
    assert not AuditEvent.objects.filter(kind="review.peeked").exists()
    assert complaints == []


def test_without_javascript(chrome: Browser, url: str) -> None:
    the = desk()
    review = asked(the)
    page = signed_in(chrome, url, the.second, java_script_enabled=False).new_page()
    page.goto("/reviews/")
    page.get_by_role("button", name="Next review").click()
    expect(page).to_have_url(f"{url}/reviews/{review.pk}/")
    page.get_by_role("button", name="Record it and go on").click()
    expect(page.get_by_text("Choose an answer.")).to_be_visible()
    page.get_by_label("Right as it stood").check()
    page.get_by_role("button", name="Record it and go on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Reviews after the fact")
    assert state(review) == ("done", "right")


def test_the_pages_have_no_fault_in_any_theme_and_width(chrome: Browser, url: str) -> None:
    the = desk()
    review = asked(the, summary=HOSTILE, reasoning=HOSTILE)
    the.action_type.risk = "critical"
    the.action_type.save(update_fields=["risk"])
    rejected = the.decide(the.propose(), Verdict.REJECT).proposal
    row = Evidence.judgements().get(proposal_id=rejected.pk)
    dispute(evidence_id=row.pk, actor=the.agent.owner, claim="right", text=HOSTILE)
    other = the.decide(the.propose(), Verdict.REJECT).proposal
    made = report(
        report=Report(
            title=HOSTILE[:200].replace("\n", " "),
            severity="critical",
            description=HOSTILE,
            proposals=[review.proposal_id],
            answers=the.agent.owner.pk,
        ),
        reporter=the.reviewer,
    )
    owner = the.agent.owner
    pages = [
        (the.second, "/reviews/"),
        (the.second, f"/reviews/{review.pk}/"),
        (owner, "/reviews/"),
        (owner, "/disputes/"),
        (the.second, "/disputes/"),
        (owner, f"/proposals/{rejected.pk}/"),
        (owner, f"/proposals/{other.pk}/"),
        (owner, "/incidents/"),
        (owner, f"/incidents/{made.pk}/"),
        (owner, f"/incidents/report/?proposal={rejected.pk}"),
        (admin(), "/incidents/"),  # nobody's bar has more entries
    ]
    found = []
    for scheme, size in (("light", WIDE), ("dark", NARROW), ("dark", WIDE), ("light", NARROW)):
        for user in (the.second, owner, admin()):
            context = signed_in(chrome, url, user, color_scheme=scheme, viewport=size)
            page, complaints = watched(context)
            for who, address in pages:
                if who != user:
                    continue
                page.goto(address)
                ready(page)
                for summary in page.locator("#judged summary").all():
                    summary.click()
                name = f"{address} {scheme} {size['width']} {'owner' if who == owner else 'reviewer'}"
                found += [(name, each) for each in faults(page, name)]
            found += [(user.name, each) for each in complaints]
            context.close()
    assert found == []
