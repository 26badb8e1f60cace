"""In Chromium: who watches vetoes by one key, recalls, pauses, asks for a rollback, and nothing jumps meanwhile."""

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from agents.autonomy import Tier
from agents.services import action_types
from approvals.models import Proposal, Verdict
from approvals.services import expire
from approvals.states import State
from tests.browser import (
    NARROW,
    WIDE,
    announced,
    arrived,
    faults,
    leaving,
    picture,
    press,
    signed_in,
    watched,
)
from tests.factories import ARGUMENTS, Desk, admin, desk, undoing

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PLACES = """() => [...document.querySelectorAll("[data-row]")].map((row) => {
    const { x, y } = row.querySelector("[data-line]").getBoundingClientRect();
    return [row.id, x, y];
})"""


class Agent:
    """The agent's side, over real connections."""

    def __init__(self, the: Desk, url: str) -> None:
        self.the = the
        self.http = httpx.Client(base_url=f"{url}/api/v1", headers=the.headers, timeout=70)

    def propose(self, arguments: dict[str, Any] | None = None, **extra: Any) -> dict[str, Any]:
        body = {"action_type": self.the.action_type.name, "arguments": arguments or ARGUMENTS, **extra}
        key = f"e2e-{timezone.now().timestamp()}"
        answer = self.http.post("/proposals", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def do(self, proposal: dict[str, Any], verb: str, **body: Any) -> httpx.Response:
        return self.http.post(f"/proposals/{proposal['id']}/{verb}", json=body)

    def read(self, proposal: dict[str, Any], **asked: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/proposals/{proposal['id']}", params=asked).json()
        return found

    def ran(self, **extra: Any) -> dict[str, Any]:
        proposal = self.propose(**extra)
        assert self.do(proposal, "redeem", digest=proposal["digest"]).status_code == 200
        assert self.do(proposal, "outcome", status="succeeded").status_code == 200
        return self.read(proposal)


def opened(chrome: Browser, url: str, user: User, **options: Any) -> tuple[Page, list[str]]:
    page, complaints = watched(
        signed_in(chrome, url, user, **options), meant=["status of 409", "Error Code 409"]
    )
    page.goto("/monitor/")
    arrived(page, "Monitor")
    return page, complaints


def row(page: Page, proposal: dict[str, Any]) -> Any:
    return page.locator(f"#row-{proposal['id']}")


def state(proposal: dict[str, Any]) -> str:
    return str(Proposal.objects.get(pk=proposal["id"]).state)


def later(run: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Something that waits for its answer while the test goes on."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(run()), daemon=True)
    thread.start()
    return thread, answers


def test_one_key_vetoes_the_focused_row_while_its_time_runs(chrome: Browser, url: str) -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=290)
    page, complaints = opened(chrome, url, the.reviewer)
    expect(page.get_by_text("Nothing is scheduled")).to_be_visible()
    page.wait_for_timeout(1500)  # the stream is open
    agent = Agent(the, url)
    proposal = agent.propose()
    clock = row(page, proposal).locator("[data-runs]")
    expect(clock).to_have_text(re.compile(r"[34]:[0-5]\d"))
    announced(page, "1 new scheduled: Refund 42.5")
    before = clock.text_content()
    expect(clock).not_to_have_text(str(before))
    press(page, "v")
    announced(page, "Choose a row first")
    assert page.locator("details.stops[open]").count() == 0
    press(page, "j", "v")
    expect(row(page, proposal).get_by_role("button", name="Wrong amount")).to_be_focused()
    picture(page, "monitor-veto-open")
    press(page, "2")
    expect(row(page, proposal)).to_contain_text("vetoed by Rita Reviewer: Not allowed")
    expect(page.locator(f"#row-link-{proposal['id']}")).to_be_focused()
    announced(page, "Vetoed:", "rejected")
    told = agent.read(proposal, wait=5, after_version=1)
    assert (told["status"], told["decision"]["verdict"], told["decision"]["reason"]) == (
        "rejected",
        "veto",
        "not_allowed",
    )
    assert complaints == []


def test_a_recalled_grant_is_refused_to_the_agent(chrome: Browser, url: str) -> None:
    the = desk(Tier.OUT_OF_THE_LOOP)
    agent = Agent(the, url)
    proposal = agent.propose()
    assert proposal["status"] == "approved" and proposal["grant"]
    page, complaints = opened(chrome, url, the.reviewer)
    press(page, "j", "r")
    page.keyboard.type("it is the same order twice")
    page.keyboard.press("Enter")
    expect(row(page, proposal)).to_contain_text("its grant was taken back")
    answer = agent.do(proposal, "redeem", digest=proposal["digest"])
    assert (answer.status_code, answer.json()["code"]) == (409, "grant_refused")
    assert complaints == []


def test_a_veto_too_late_offers_the_recall_on_the_spot(chrome: Browser, url: str) -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=290)
    agent = Agent(the, url)
    proposal = agent.propose()
    page, complaints = opened(chrome, url, the.reviewer)
    press(page, "j", "v")
    expire.close_veto_windows(now=timezone.now() + timedelta(minutes=10))
    expect(row(page, proposal)).to_contain_text("by its tier")  # it is told; what is being done stays open
    expect(row(page, proposal).locator("details[open]")).to_be_visible()
    press(page, "1")
    refusal = page.locator("#refusal")
    expect(refusal).to_contain_text("too late for a veto")
    expect(refusal).to_be_focused()
    expect(row(page, proposal).locator("summary")).to_contain_text("Recall")  # it looked, too
    assert faults(page, "monitor too late") == []
    refusal.locator("summary", has_text="Recall").click()
    refusal.get_by_label("Why is it recalled?").fill("too late for a veto")
    with leaving(page):
        refusal.get_by_role("button", name="Recall it").click()
    expect(page.locator("#messages")).to_contain_text("Recalled:")
    assert state(proposal) == State.REVOKED
    assert complaints == []


def test_pausing_the_agent_ends_all_its_rows(chrome: Browser, url: str) -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=290)
    agent = Agent(the, url)
    first, second = agent.propose(), agent.propose({"order_id": "A-2", "amount": 2})
    page, complaints = opened(chrome, url, the.agent.owner)
    page.wait_for_timeout(1500)
    press(page, "j", "p")
    page.keyboard.type("it doubles every order")
    page.keyboard.press("Enter")
    for one in (first, second):
        expect(row(page, one)).to_contain_text("ended because the agent was stopped")
    assert agent.propose({"order_id": "A-3", "amount": 3})["status"] == "denied"
    assert complaints == []


def test_a_rollback_from_the_key_to_the_rolled_back_row(chrome: Browser, url: str) -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=0)
    undo_desk = undoing(the)
    agent, undoer = Agent(the, url), Agent(undo_desk, url)
    proposal = agent.ran()
    assert proposal["status"] == "succeeded"
    waiting, heard = later(lambda: agent.read(proposal, wait=55, after_version=proposal["version"]))
    page, complaints = opened(chrome, url, the.reviewer)
    page.wait_for_timeout(1500)
    press(page, "j", "b")
    page.keyboard.type("wrong customer")
    page.keyboard.press("Enter")
    expect(row(page, proposal)).to_contain_text("the agent has not answered yet")
    waiting.join(60)
    assert heard[0]["rollback"]["reason"] == "wrong customer"
    assert heard[0]["rollback"]["action_type"] == undo_desk.action_type.name
    listing = agent.http.get("/proposals", params={"rollback": "requested"}).json()
    assert [one["id"] for one in listing["items"]] == [proposal["id"]]

    compensation = undoer.propose(parent_id=proposal["id"])
    assert compensation["status"] == "pending"
    expect(row(page, proposal)).to_contain_text("what undoes it is pending")
    assert faults(page, "monitor rollback answered") == []
    undo_desk.decide(Proposal.objects.get(pk=compensation["id"]), Verdict.APPROVE, by=the.second)
    granted = undoer.read(compensation)
    assert undoer.do(granted, "redeem", digest=granted["digest"]).status_code == 200
    assert undoer.do(granted, "outcome", status="succeeded").status_code == 200
    assert agent.read(proposal)["status"] == "rolled_back"
    expect(row(page, proposal)).to_contain_text("Rolled back, as Rita Reviewer asked")
    page.goto(f"/proposals/{proposal['id']}/")
    expect(page.locator("#decide")).to_contain_text("Rolled back, as Rita Reviewer asked")
    expect(page.locator("#history").locator("xpath=ancestor::section")).to_contain_text(
        "asked the agent to undo it"
    )
    assert complaints == []


def test_rows_keep_their_place_and_focus_while_others_come_and_go(chrome: Browser, url: str) -> None:
    the, out = desk(Tier.ON_THE_LOOP, veto_seconds=290), desk(Tier.OUT_OF_THE_LOOP)
    agent = Agent(the, url)
    first, second, third = (agent.propose({"order_id": f"A-{n}", "amount": n + 1}) for n in range(3))
    done = Agent(out, url).propose()
    page, complaints = opened(chrome, url, admin())
    page.wait_for_timeout(1500)
    page.locator(f"#row-link-{third['id']}").focus()
    page.locator(f"#row-{done['id']}").hover()
    before = page.evaluate(PLACES)
    the.decide(Proposal.objects.get(pk=first["id"]), Verdict.VETO, by=out.reviewer)
    agent.do(second, "withdraw", reason="")
    fourth = agent.propose({"order_id": "A-9", "amount": 9})
    Agent(out, url).propose({"order_id": "B-9", "amount": 9})
    expect(row(page, first)).to_contain_text("vetoed by Rita Reviewer")
    expect(row(page, second)).to_contain_text("the agent withdrew it")
    expect(row(page, fourth)).to_be_visible()
    expect(page.locator("#monitor-news")).to_contain_text("1 more has run")
    now = page.evaluate(PLACES)
    assert [one for one in now if one[0] != f"row-{fourth['id']}"] == before
    assert now[3][0] == f"row-{fourth['id']}"
    expect(page.locator(f"#row-link-{third['id']}")).to_be_focused()
    page.locator("h1").hover()
    page.evaluate("document.activeElement.blur()")
    fifth = agent.propose({"order_id": "A-10", "amount": 9})
    expect(row(page, fifth)).to_be_visible()
    expect(page.locator("#ran [data-row]")).to_have_count(2)
    assert complaints == []


def test_after_a_sleep_no_time_is_shown_before_the_server_has_answered(chrome: Browser, url: str) -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=290)
    proposal = Agent(the, url).propose()
    context = signed_in(chrome, url, the.reviewer)
    page = context.new_page()
    page.clock.install()
    page.goto("/monitor/")
    clock = row(page, proposal).locator("[data-runs]")
    expect(clock).to_have_text(re.compile(r"[34]:\d\d"))
    page.route("**/monitor/pulse/**", lambda route: route.abort())
    page.clock.fast_forward(100_000)
    expect(clock).to_have_text("checking…")
    expect(page.locator(".watches__lost")).to_be_visible()
    page.unroute("**/monitor/pulse/**")
    page.clock.run_for(31_000)
    expect(clock).to_have_text(re.compile(r"[34]:\d\d"))
    expect(page.locator(".watches__lost")).to_be_hidden()


def test_it_works_without_javascript(chrome: Browser, url: str) -> None:
    the = desk(Tier.ON_THE_LOOP, veto_seconds=290)
    proposal = Agent(the, url).propose()
    context = signed_in(chrome, url, the.reviewer, java_script_enabled=False)
    page = context.new_page()
    page.goto("/monitor/")
    expect(row(page, proposal)).to_contain_text("runs at")
    row(page, proposal).locator("summary", has_text="Veto").click()
    row(page, proposal).get_by_role("button", name="Not allowed").click()
    expect(page.locator("#messages")).to_contain_text("Vetoed:")
    assert state(proposal) == State.REJECTED


LOOKS: list[tuple[str, dict[str, Any]]] = [
    (f"{width}-{scheme}", {"viewport": size, "color_scheme": scheme})
    for width, size in (("wide", WIDE), ("narrow", NARROW))
    for scheme in ("light", "dark")
]


def test_axe_finds_nothing_empty_or_full_with_absurd_words(chrome: Browser, url: str) -> None:
    the, out = desk(Tier.ON_THE_LOOP, veto_seconds=290), desk(Tier.OUT_OF_THE_LOOP)
    page, _ = opened(chrome, url, admin())
    assert faults(page, "monitor empty") == []
    undo_desk = undoing(out)
    agent, other = Agent(the, url), Agent(out, url)
    done = other.ran()
    undoing_it = Agent(undo_desk, url).propose(parent_id=done["id"])
    assert undoing_it["status"] == "pending"
    long = "Wort" * 300
    definition = action_types.as_definition(the.action_type)
    action_types.save(
        definition=replace(definition, title_template="Refund {order_id} {note}"), actor=admin()
    )
    for number in range(200):  # more than are shown
        the.propose({"order_id": f"A-{number}", "amount": 1000.5 * number}, key=f"full-{number}")
    first = agent.propose(
        {"order_id": "A", "amount": 123456789012.25, "note": long},
        subject={"type": "x" * 60, "id": "y" * 200},
    )
    Proposal.objects.filter(pk=first["id"]).update(effective_at=timezone.now() + timedelta(seconds=100))
    for name, options in LOOKS:
        page, complaints = opened(chrome, url, out.reviewer, **options)
        expect(page.locator("#scheduled [data-row]")).to_have_count(60)
        assert faults(page, f"monitor full {name}") == []
        press(page, "j", "v")
        assert faults(page, f"monitor full open {name}") == []
        assert complaints == []
        page.context.close()
