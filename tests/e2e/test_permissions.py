"""The permission matrix in a browser: by keyboard alone, in both themes and widths, and with names that mean harm."""

import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group
from django.test import Client
from playwright.sync_api import Browser, Page, ViewportSize, expect

from accounts.models import RoleAssignment, User, assign_role
from accounts.roles import Role, Scope
from accounts.services import teams
from approvals.models import Queue
from tests.browser import NARROW, WIDE, announced, arrived, faults, leaving, press, ready, signed_in, watched
from tests.factories import admin, desk, person, queue

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
HOSTILE = (
    "\u202eadmin si siht",
    "<img src=x onerror=alert(1)><script>document.title='owned'</script>",
    "محمد عبد الله",
    "Long" * 29,
    "Two words " * 11,
)


def company() -> tuple[User, Queue, Group]:
    """A desk, and people, queues and teams whose names want to break the page."""
    the = desk()
    for name in HOSTILE:
        one, where = person(name), queue(name=name)
        assign_role(Role.REVIEWER, to=one, scope=Scope.QUEUE, scope_id=str(where.pk), given_by=admin())
    team = teams.create(name=HOSTILE[1] + "x" * 80, actor=admin())
    teams.set_member(team_id=team.pk, person_id=the.second.pk, actor=admin(), member=True)
    assign_role(
        Role.SENIOR_REVIEWER,
        to=team,
        scope=Scope.DOMAIN,
        scope_id="customer_operations",
        given_by=admin(),
        reason=HOSTILE[0],
    )
    Authenticator.objects.create(user=the.second, type="webauthn", data={"name": HOSTILE[1] + HOSTILE[3]})
    Client().force_login(the.second)
    return the.second, the.queue, team


@pytest.mark.parametrize(
    ("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide-light", "narrow-dark"]
)
def test_pages_are_accessible_and_fit(chrome: Browser, url: str, size: ViewportSize, scheme: Any) -> None:
    rita, where, team = company()
    page, complaints = watched(signed_in(chrome, url, admin(), viewport=size, color_scheme=scheme))
    found: dict[str, list[str]] = {}
    for address in (
        "/permissions/",
        "/permissions/?rows=teams&columns=domains",
        f"/permissions/person/{rita.pk}/queue/{where.pk}/",
        f"/permissions/queue/{where.pk}/",
        "/permissions/history/",
        f"/permissions/person/{rita.pk}/give/",
        f"/people/{rita.pk}/access/",
        f"/people/{rita.pk}/",
        "/people/",
        f"/teams/{team.pk}/",
        "/teams/",
        "/people/invite/",
    ):
        response = page.goto(address)
        assert response is not None
        assert response.status == 200, address
        ready(page)
        found[address] = faults(page, f"permissions{address}-{scheme}-{size['width']}")
        expect(page).not_to_have_title("owned")
    page.goto("/permissions/")
    cell(page, rita, where).click()
    expect(page.locator("#cell-name")).to_be_focused()
    found["panel"] = faults(page, f"permissions-panel-{scheme}-{size['width']}")
    assert {address: fault for address, fault in found.items() if fault} == {}
    assert complaints == []


def cell(page: Page, holder: User, where: Queue) -> Any:
    return page.locator(f"#c-person-{holder.pk}-{where.pk}")


def test_role_is_given_and_taken_by_keyboard_without_leaving_the_matrix(chrome: Browser, url: str) -> None:
    """One stop for Tab, arrows between cells; the panel takes the focus and gives it back."""
    where = queue("refunds")
    queue("payouts")
    rita = person("Rita")
    page, complaints = watched(signed_in(chrome, url, admin()))
    page.goto("/permissions/")
    arrived(page, "Permissions")
    stops = page.locator("#matrix a[tabindex='0']")
    expect(stops).to_have_count(1)
    stops.focus()
    press(page, "ArrowDown", "ArrowRight", "ArrowRight")
    expect(cell(page, rita, where)).to_be_focused()
    expect(cell(page, rita, where)).to_have_accessible_name("Rita Refunds nothing")

    press(page, "Enter")
    expect(page.locator("#cell-name")).to_be_focused()
    expect(page.locator("#cell-name")).to_have_text("Rita: Refunds")
    press(page, "Tab", "Tab")
    expect(page.get_by_label("Role", exact=True).last).to_be_focused()
    page.keyboard.type("Reviewer")
    page.get_by_label("Why", exact=False).last.fill("The summer rush")
    press(page, "Enter")
    expect(cell(page, rita, where)).to_have_accessible_name("Rita Refunds Reviewer, given here;")
    expect(page.locator("#cell-name")).to_be_focused()
    announced(page, "Rita is reviewer for queue Refunds now.")
    press(page, "Escape")
    expect(page.locator("#cell")).to_be_hidden()
    expect(cell(page, rita, where)).to_be_focused()

    press(page, "Enter")
    expect(page.locator("#cell-name")).to_be_focused()
    page.get_by_label("Why it is taken away").fill("Back again")
    press(page, "Enter")
    expect(cell(page, rita, where)).to_have_accessible_name("Rita Refunds nothing")
    page.get_by_role("link", name="Close").click()
    expect(cell(page, rita, where)).to_be_focused()

    given = RoleAssignment.objects.get(person=rita)
    assert (given.reason, given.ended_why, given.ended_by) == ("The summer rush", "Back again", admin())
    expect(page).to_have_url(re.compile(r"/permissions/$"))
    assert complaints == []


def test_headers_stay_in_view(chrome: Browser, url: str) -> None:
    for number in range(14):
        queue(f"queue-of-many-{number:02}")
        person(f"Person {number:02}")
    page = signed_in(chrome, url, admin(), viewport=NARROW).new_page()
    page.goto("/permissions/")
    arrived(page, "Permissions")
    page.locator("#matrix").evaluate("(box) => box.scrollTo(300, 200)")

    where = page.evaluate(
        """() => { const box = document.getElementById("matrix").getBoundingClientRect();
        const head = document.querySelector("#matrix thead th:nth-child(6)").getBoundingClientRect();
        const row = document.querySelector("#matrix tbody tr:nth-child(8) th").getBoundingClientRect();
        return [Math.round(head.top - box.top), Math.round(row.left - box.left), row.width < box.width / 2]; }"""
    )

    assert where == [0, 0, True]


def test_everything_works_without_javascript(chrome: Browser, url: str) -> None:
    where, rita = queue("refunds"), person("Rita")
    page = signed_in(chrome, url, admin(), java_script_enabled=False).new_page()
    page.goto("/permissions/?q=rita")
    cell(page, rita, where).click()
    page.get_by_label("Role", exact=True).select_option("senior_reviewer")
    page.get_by_role("button", name="Give the role").click()
    expect(page.locator("#messages")).to_contain_text("Rita is senior reviewer for queue Refunds now.")
    expect(cell(page, rita, where)).to_contain_text("Senior reviewer, given here")

    page.get_by_role("button", name="Take away the role senior reviewer").click()
    expect(page.locator("#messages")).to_contain_text("is taken from Rita")
    assert RoleAssignment.objects.get(person=rita).ended_at is not None


def test_switches_and_filters_keep_their_place_in_the_address(chrome: Browser, url: str) -> None:
    the = desk()
    page = signed_in(chrome, url, admin()).new_page()
    page.goto("/permissions/")
    arrived(page, "Permissions")
    with leaving(page):
        page.get_by_role("navigation", name="Columns").get_by_role("link", name="Agents").click()
    page.get_by_label("Name or address").fill("Olga")
    with leaving(page):
        page.get_by_role("button", name="Show").click()

    expect(page).to_have_url(re.compile(r"columns=agents.*q=Olga"))
    owner = page.locator(f"#c-person-{the.agent.owner_id}-{the.agent.pk}")
    expect(owner).to_have_accessible_name(f"Olga Owner {the.agent} Named owner, given here;")
    expect(page.locator("#matrix tbody tr")).to_have_count(1)
