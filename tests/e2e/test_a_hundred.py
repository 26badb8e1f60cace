"""A hundred mixed proposals by keyboard, ten of them planted bad, at a scripted but human pace.

The reviewer knows nothing of the truth. She has a large screen and lets the next proposal come by itself. She takes
0.25 s to find her place, skims the material arguments (80 characters a second, a practised eye on a page that is always
laid out the same) and what the page warns of (50), glances over the other arguments (0.06 s each) and at each screenful
below the first (0.3 s). She presses real keys 0.15 s apart, approves what carries no signal and rejects what does.

`make test` sleeps a fifth of that time and checks what she catches; how long it takes is measured, not tested:
`make hundred` sleeps all of it (COUNTERSIGN_PACE=1) and holds the sum to five minutes."""

import base64
import os
import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.utils import timezone
from playwright.sync_api import Browser, Page

from accounts.models import User
from agents import authority
from agents.models import Mandate
from approvals.models import Decision, Proposal, Queue
from approvals.services import set_up, settle
from config.demo import people
from tests import database
from tests.browser import PICTURES, signed_in, watched
from tests.e2e.hundred_cases import credit_notes, lay_out
from tests.factories import person

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
PACE = float(os.environ.get("COUNTERSIGN_PACE", "0.2"))
PLACE, MATERIAL, WARNING, GLANCE, KEY = 0.25, 80, 50, 0.06, 0.15
"""Seconds to find one's place; characters a second of material arguments and of warnings; seconds for any other
argument, and between two keys."""
SECONDS = 300
WARM = 30_000
"""Bytes over the wire for one decision: the page, the verdict, and what follows it."""


@dataclass(slots=True)
class Tally:
    """What the reviewer did."""

    keys: list[int] = field(default_factory=list)
    read_seconds: float = 0
    alarms: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    rejected: set[str] = field(default_factory=set)
    approved: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Desk:
    """Everything laid out: the reviewer, and the planted proposals' signals by id."""

    url: str
    reviewer: User
    planted: dict[str, str]


@pytest.fixture
def laid_out(url: str, settings: Any, tmp_path: Path) -> Desk:
    settings.VAR = tmp_path
    with database.acting_as("owner"):  # as `prepare` does: nobody else may say when something happened
        call_command("demo_seed", proposals=500, waiting=0, verbosity=0)
    Mandate.objects.update(tier="in_the_loop")
    authority.bump()
    reviewer = person("Hanna Hundertmark")
    reviewer.preferences = {"advance": True}
    reviewer.save(update_fields=["preferences"])
    reviewer.groups.set(
        Group.objects.filter(name__in=[people.CARE, people.PAYABLE, people.SENIOR, people.DESK])
    )
    admin = User.objects.admins().first()
    assert admin is not None
    for queue in Queue.objects.all():
        set_up.assign_reviewer(queue_slug=queue.slug, to=reviewer, actor=admin)
    Queue.objects.update(view_seconds={}, reading_rate=0, approvals_per_minute=0)
    credit_notes(random.Random("credit notes"), admin)
    return Desk(url, reviewer, lay_out(random.Random("a hundred")))


class Reviewer:
    """A person at the keyboard: she waits for the page, reads, and presses keys one by one."""

    def __init__(self, page: Page) -> None:
        self.page, self.slept, self.pressed = page, 0.0, 0

    def pause(self, seconds: float) -> None:
        self.slept += seconds
        self.page.wait_for_timeout(seconds * PACE * 1000)

    def press(self, key: str) -> None:
        self.pause(KEY)
        self.page.keyboard.press(key)
        self.pressed += 1

    def arrive(self, selector: str) -> None:
        """As soon as it is painted; `wait_for_selector` looks at every frame."""
        self.page.wait_for_selector(f"html:not(.is-arriving) :is({selector})", timeout=60_000)

    def read(self) -> list[str]:
        """Look at all of it, scrolling where it is longer than the screen; the kinds of signal that are in view."""
        material, others, warnings, kinds = self.page.evaluate(LOOK)
        self.pause(PLACE + material / MATERIAL + others * GLANCE + warnings / WARNING)
        return list(kinds)

    def approve(self) -> None:
        for _ in range(40):
            if (
                self.page.locator("[data-gate]").count() == 0
                or self.page.locator("[data-gate] input").is_checked()
            ):
                break
            self.page.keyboard.press("PageDown")
            self.pause(0.3)
        self.press("a")

    def reject(self) -> None:
        """With the first reason of the list; the focus is there already."""
        self.press("r")
        self.press("ArrowDown")
        self.press("Control+Enter")


def test_a_hundred_in_five_minutes_and_none_of_the_planted_ones_approved(
    chrome: Browser, laid_out: Desk
) -> None:
    size = {"width": 1920, "height": 1080}
    page, complaints = watched(context := signed_in(chrome, laid_out.url, laid_out.reviewer, viewport=size))
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    carried: list[int] = []
    wire.on("Network.loadingFinished", lambda event: carried.append(int(event["encodedDataLength"])))
    page.add_init_script(SHIFTS)
    hanna, tally = Reviewer(page), Tally()
    page.goto("/queues/")
    carried.clear()
    begun = time.monotonic()
    hanna.press("n")
    for number in range(100):
        hanna.arrive("#decide [data-key=a], #decide [data-key=o]")
        key = page.url.split("/proposals/")[1].split("/")[0]
        _one(hanna, key, laid_out.planted.get(key), tally)
        if number < 99:
            page.wait_for_function("id => !location.pathname.includes(id)", arg=key, timeout=60_000)
    hanna.arrive("#decide .stamp")
    wall = time.monotonic() - begun
    total = wall + hanna.slept * (1 - PACE)
    settle.settle_due(now=timezone.now() + timedelta(minutes=5))
    _tell(total, wall, hanna, tally, carried, page)
    assert complaints == []
    assert tally.missed == []
    assert tally.rejected >= laid_out.planted.keys()
    assert not Decision.objects.filter(proposal__in=list(laid_out.planted), verdict="approve").exists()
    assert Proposal.objects.filter(state="pending").count() == 0
    assert PACE < 1 or total <= SECONDS
    assert sorted(tally.keys)[len(tally.keys) // 2] <= 2
    assert sum(carried) / 100 <= WARM
    assert page.evaluate("() => window.shifted") < 0.1


LOOK = """
() => {
  const text = (selector) => [...document.querySelectorAll(selector)].map((one) => one.innerText).join(" ").length;
  return [
    text(".sheet .ledger__row--material dd"),
    document.querySelectorAll(".sheet .ledger__row:not(.ledger__row--material)").length,
    text(".signals li[data-signal]"),
    [...document.querySelectorAll(".signals li[data-signal]")].map((one) => one.dataset.signal),
  ];
}
"""
"""Lengths of the material arguments and the warnings, the number of other arguments, and the kinds of warning."""

SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shifted = Math.max(window.shifted, entry.value);
}).observe({ type: "layout-shift", buffered: true });
"""


def _one(hanna: Reviewer, key: str, planted_signal: str | None, tally: Tally) -> None:
    page, before = hanna.page, hanna.pressed
    kinds = hanna.read()
    if planted_signal is not None:
        if planted_signal not in kinds or not _is_in_view(page, planted_signal):
            tally.missed.append(f"{planted_signal} at {key}: the page shows {kinds}")
        _picture(page, planted_signal, key)
    elif kinds:
        tally.alarms.append(f"{kinds} at {key}")
    if kinds:
        hanna.reject()
        tally.rejected.add(key)
    else:
        hanna.approve()
        tally.approved.add(key)
        tally.keys.append(hanna.pressed - before)


def _is_in_view(page: Page, kind: str) -> bool:
    """On the first screen, and told from its ground by a contrast of at least 4.5 in the picture's own pixels."""
    line = page.locator(f".signals li[data-signal={kind}]").first
    box, size = line.bounding_box(), page.viewport_size
    if box is None or size is None or box["y"] < 0 or box["y"] + min(box["height"], 40) > size["height"]:
        return False
    return _contrast(page, line.screenshot()) >= 4.5


def _contrast(page: Page, png: bytes) -> float:
    """WCAG contrast between the lightest and the darkest pixel of a picture."""
    ratio: float = page.evaluate(CONTRAST, base64.b64encode(png).decode())
    return ratio


CONTRAST = """
async (data) => {
  const image = new Image();
  image.src = "data:image/png;base64," + data;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height).data;
  const linear = (value) => { const c = value / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  let lightest = 0, darkest = 1;
  for (let at = 0; at < pixels.length; at += 4) {
    const l = 0.2126 * linear(pixels[at]) + 0.7152 * linear(pixels[at + 1]) + 0.0722 * linear(pixels[at + 2]);
    lightest = Math.max(lightest, l); darkest = Math.min(darkest, l);
  }
  return (lightest + 0.05) / (darkest + 0.05);
}
"""


def _picture(page: Page, kind: str, key: str) -> None:
    if PICTURES:
        target = Path(PICTURES) / f"planted-{kind}-{key[-6:]}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(target))


def _tell(total: float, wall: float, hanna: Reviewer, tally: Tally, carried: list[int], page: Page) -> None:
    keys = sorted(tally.keys)
    print(
        f"\n100 decided in {total:.0f} s ({hanna.slept:.0f} s reading and typing, {wall:.0f} s by the clock at pace "
        f"{PACE:g}); "
        f"{len(tally.approved)} approved, {len(tally.rejected)} rejected; keys for an approval: median "
        f"{keys[len(keys) // 2]}, most {keys[-1]}; {sum(carried) / 100:,.0f} bytes a decision; "
        f"largest layout shift {page.evaluate('() => window.shifted'):.3f}; false alarms {len(tally.alarms)}"
    )
    for line in [*tally.missed, *tally.alarms]:
        print("  ", line)
