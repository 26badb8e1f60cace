"""docs/connect/vercel-ai.md: its messages against what the server really takes and says, and its code in Node."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from countersign import Countersign
from countersign.proposals import RAN

from approvals.models import Proposal, Verdict
from tests.factories import Desk
from tests.live import serving
from tests.sdk.pages import PAGES, blocks, demo_desk

PAGE = "vercel-ai.md"
EXAMPLES: dict[str, Any] = {
    name: json.loads(text)
    for name, text in re.findall(
        r"<!-- ([a-z-]+) -->\n```json\n(.*?)```", (PAGES / PAGE).read_text(encoding="utf-8"), re.DOTALL
    )
}
LIVE = pytest.mark.django_db(transaction=True)


@dataclass
class Chat:
    """A server that takes the page's action type, and the chat's agent."""

    the: Desk
    url: str
    client: Countersign

    def decided(self, example: str, *, key: str, summary: str = "") -> dict[str, Any]:
        """What the server says of the page's proposal once a reviewer has decided as the example does."""
        proposal = self.client.propose(**EXAMPLES["proposed"], key=key, summary=summary)
        said = EXAMPLES[example]
        verdict = Verdict(said["decision"]["verdict"])
        given = {"arguments": said["arguments"]} if verdict == Verdict.EDIT else {}
        self.the.decide(
            Proposal.objects.get(pk=proposal.id),
            verdict,
            reason=said["decision"]["reason"],
            comment=said["decision"]["comment"],
            **given,
        )
        return self.client.get(proposal).raw


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    the = demo_desk(monkeypatch)
    with serving() as url, Countersign(url, the.token) as client:
        yield Chat(the, url, client)


def test_examples_belong_together() -> None:
    call, request = EXAMPLES["asked"]["content"]
    assert (call["type"], request["type"]) == ("tool-call", "tool-approval-request")
    assert request["toolCallId"] == call["toolCallId"]
    assert EXAMPLES["proposed"]["arguments"] == call["input"]
    for name in ("edited", "rejected"):
        [part] = EXAMPLES[f"{name}-response"]["content"]
        assert part["approvalId"] == request["approvalId"]
    assert len(EXAMPLES) == len(blocks(PAGE, "json")) == 6


@LIVE
@pytest.mark.parametrize("example", ["edited", "rejected"])
def test_the_server_says_what_the_page_shows(chat: Chat, example: str) -> None:
    said, shown = chat.decided(example, key="chat-17"), EXAMPLES[example]
    decision = {name: said["decision"][name] for name in shown["decision"]}
    assert {name: said[name] for name in shown} | {"decision": decision} == shown
    [part] = EXAMPLES[f"{example}-response"]["content"]
    approved = (said["status"] == "approved" and said["grant"] is not None) or said["status"] in RAN
    assert part["approved"] is approved
    if not approved:
        why = said["decision"]
        assert part["reason"] == f"{said['status']} ({why['reason']}): {why['comment']}"


DRIVER = """
import { answer, countersigned } from './countersign.mjs';
const [asked, chats] = [JSON.parse(process.argv[2]), JSON.parse(process.argv[3])];
const [{ toolCallId, input }] = asked.content;
const ran = [];
const execute = async (given) => { ran.push(given); return `${given.amount} taken back`; };
const out = [];
for (const chat of chats) {
  const told = await answer(chat, [{ role: 'user', content: 'Hello' }, asked], { reverseRefund: 'reverse_refund' });
  const run = countersigned(chat, 'reverse_refund', execute);
  const results = [];
  for (let time = 0; time < 2; time++) results.push(await run(input, { toolCallId }).catch((error) => error.message));
  const after = await answer(chat, [asked, told], { reverseRefund: 'reverse_refund' });
  out.push({ told, results, after });
}
console.log(JSON.stringify({ out, ran }));
"""


@LIVE
@pytest.mark.node
def test_the_code_does_what_the_page_says(chat: Chat, tmp_path: Path) -> None:
    module, _ = blocks(PAGE, "js")
    (tmp_path / "countersign.mjs").write_text(module, encoding="utf-8")
    (tmp_path / "driver.mjs").write_text(DRIVER, encoding="utf-8")
    call = EXAMPLES["asked"]["content"][0]["toolCallId"]
    for name in ("edited", "rejected"):
        chat.decided(name, key=f"{name}:{call}", summary="The same call, told in other words")
    done = subprocess.run(
        ["node", "driver.mjs", json.dumps(EXAMPLES["asked"]), json.dumps(["edited", "rejected"])],
        cwd=tmp_path,
        env=os.environ | {"COUNTERSIGN_URL": chat.url, "COUNTERSIGN_TOKEN": chat.the.token},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    edited, rejected = told["out"]
    assert [one["told"] for one in told["out"]] == [
        EXAMPLES["edited-response"],
        EXAMPLES["rejected-response"],
    ]
    assert [one["after"]["content"] for one in told["out"]] == [[], []]
    result = {"changedByReviewer": EXAMPLES["edited"]["arguments"], "result": "40 taken back"}
    assert edited["results"] == [result, result]
    assert told["ran"] == [EXAMPLES["edited"]["arguments"]]
    assert rejected["results"] == ["It was not run: rejected (not_allowed): She kept the lamp."] * 2
    assert sorted(Proposal.objects.values_list("state", flat=True)) == ["rejected", "succeeded"]
