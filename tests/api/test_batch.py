"""Many proposals in one request: each by itself, in order, whole or not at all, and once however often it is sent."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.db import connection

from agents.autonomy import Tier
from agents.services import credentials
from approvals import acceptance
from approvals.models import Grant, Proposal, Revision
from approvals.services import submit_several
from approvals.states import State
from audit.models import AuditEvent
from config import limits
from config.rates import Allowance, Rate
from tests.api.listening import PATIENCE
from tests.factories import ARGUMENTS, Desk, desk, policy, undoing
from tests.invariants.calls import AgentCalls, Answer, call, history, together
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/v1/proposals/batch"


@pytest.fixture(autouse=True)
def _buckets_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """And however busy the machine is, what is tested is what a bucket says, not how fast it says so."""
    monkeypatch.setattr(limits, "PATIENCE", 30.0)
    monkeypatch.setattr(limits, "_away_until", -1.0)
    monkeypatch.setattr(settings, "SECRET_KEY", secrets.token_hex(32))
    monkeypatch.setattr(settings, "LIMITS", settings.LIMITS)


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address


def item(the: Desk, key: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "action_type": the.action_type.name, "arguments": ARGUMENTS, **more}


def send(the: Desk, items: list[Any], **headers: Any) -> Answer:
    return call("POST", PATH, the.token, {"items": items}, **headers)


def statuses(answer: Answer) -> list[int]:
    assert answer.status == 200, answer.body
    return [result["status"] for result in answer.body["results"]]


def test_good_and_bad_and_repeated_items_each_get_their_own_answer(url: str) -> None:
    the = desk()
    the.propose(key="earlier")
    items = [
        item(the, "a", summary="The first"),
        item(the, "b", arguments={"order_id": "A-1", "amount": -1}),
        item(the, "a", summary="The first"),
        item(the, "a", summary="Another"),
        item(the, "c", colour="red"),
        item(the, "earlier"),
        {"key": "d", "action_type": "nothing_of_the_kind", "arguments": {}},
        "not an object",
        item(the, "line\nbreak"),
        item(the, ""),
        item(the, "e", parent_id="00000000-0000-0000-0000-000000000000"),
        item(the, "f", arguments={"order_id": "A-1001", "amount": 1, "note": "x" * settings.MAX_BODY_BYTES}),
        item(the, "g"),
    ]
    response = httpx.post(f"{url}{PATH}", headers=the.headers, json={"items": items}, timeout=PATIENCE)
    assert response.status_code == 200
    results = response.json()["results"]
    assert [one["status"] for one in results] == [
        201,
        422,
        200,
        422,
        422,
        422,
        422,
        422,
        422,
        422,
        422,
        413,
        201,
    ]
    assert [one["problem"]["code"] if "problem" in one else "" for one in results] == [
        "", "arguments_invalid", "", "idempotency_key_reused", "fields_invalid", "idempotency_key_reused",
        "arguments_invalid", "fields_invalid", "fields_invalid", "fields_invalid", "arguments_invalid",
        "body_too_large", "",
    ]  # fmt: skip
    assert results[0]["proposal"] == results[2]["proposal"]
    assert results[1]["problem"]["errors"][0]["field"] == "/arguments/amount"
    assert results[3]["problem"]["errors"] == [{"field": "/key", "message": "was used for another body"}]
    assert results[4]["problem"]["errors"][0]["field"] == "/colour"
    assert all(one["problem"]["status"] == one["status"] for one in results if "problem" in one)
    assert Proposal.objects.filter(agent=the.agent).count() == 3
    for one in (results[0], results[-1]):
        assert one["proposal"] == AgentCalls(the).read(one["proposal"]["id"]).body
        assert history(one["proposal"]["id"]) == ["pending"]


def test_a_repeated_batch_is_answered_with_what_is_there(url: str) -> None:
    the = desk()
    body = {"items": [item(the, f"k{number}") for number in range(5)]}
    first = httpx.post(f"{url}{PATH}", headers=the.headers, json=body, timeout=PATIENCE).json()["results"]
    again = httpx.post(f"{url}{PATH}", headers=the.headers, json=body, timeout=PATIENCE).json()["results"]
    assert [one["status"] for one in first] == [201] * 5
    assert [one["status"] for one in again] == [200] * 5
    assert [one["proposal"] for one in first] == [one["proposal"] for one in again]


def test_a_repeat_is_known_by_its_value_in_whatever_batch_it_comes() -> None:
    the = desk()
    assert statuses(send(the, [item(the, "a"), item(the, "b")])) == [201, 201]
    turned = dict(reversed(item(the, "b").items()))
    spelled = json.dumps({"items": [turned]}, indent=3).replace("42.5", "42.50").encode()
    answer = call("POST", PATH, the.token, spelled)
    assert statuses(answer) == [200]


def test_each_item_takes_the_way_of_its_own_tier() -> None:
    """What passes without a person is granted, what a rule denies is denied, the limit counts within the batch."""
    the = desk(Tier.OUT_OF_THE_LOOP, window_count=3)
    policy([{"name": "never", "when": "args.order_id == 'X-1'", "deny": "No."}], the.queue)
    items = [item(the, f"k{number}") for number in range(5)]
    items[1]["arguments"] = {"order_id": "X-1", "amount": 1}
    answer = send(the, items)
    assert statuses(answer) == [201] * 5
    shown = [result["proposal"] for result in answer.body["results"]]
    assert [one["status"] for one in shown] == ["approved", "denied", "approved", "approved", "pending"]
    assert [one["grant"] is not None for one in shown] == [True, False, True, True, False]
    assert Grant.objects.count() == 3


def test_what_undoes_another_is_linked_to_it() -> None:
    the = desk()
    undo = undoing(the)
    done = the.approved()
    AgentCalls(the).do(done.pk, "redeem", digest=done.digest)
    AgentCalls(the).do(done.pk, "outcome", status="succeeded")
    answer = send(the, [item(undo, "u", parent_id=str(done.pk))])
    assert statuses(answer) == [201]
    assert Proposal.objects.get(pk=answer.body["results"][0]["proposal"]["id"]).parent_id == done.pk


def test_cut_off_in_the_middle_it_leaves_whole_items_and_a_repeat_completes(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's database connection is killed within the seventh item, before that is committed."""
    the = desk(Tier.OUT_OF_THE_LOOP)
    body = {"items": [item(the, f"k{number}") for number in range(12)]}
    accept, calls = acceptance.accept, []

    def deadly(*arguments: Any) -> acceptance.Answer:
        answer = accept(*arguments)
        calls.append(answer)
        if len(calls) == 7:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return answer

    monkeypatch.setattr(acceptance, "accept", deadly)
    cut = httpx.post(f"{url}{PATH}", headers=the.headers, json=body, timeout=PATIENCE)
    assert (cut.status_code, cut.json()["code"], cut.headers["retry-after"]) == (503, "unavailable", "2")
    assert whole(the) == 6
    again = httpx.post(f"{url}{PATH}", headers=the.headers, json=body, timeout=PATIENCE)
    assert [one["status"] for one in again.json()["results"]] == [200] * 6 + [201] * 6
    assert whole(the) == 12


def whole(the: Desk) -> int:
    """How many proposals there are, after a look that each has all that belongs to it and nothing is left over."""
    proposals = list(Proposal.objects.filter(agent=the.agent))
    for proposal in proposals:
        assert history(proposal.pk) == ["approved"]
        assert Grant.objects.filter(proposal=proposal).count() == 1
        assert Revision.objects.filter(proposal=proposal).count() == 1
    assert Revision.objects.count() == Grant.objects.count() == len(proposals)
    assert AuditEvent.objects.filter(object_type="proposal").count() == len(proposals)
    return len(proposals)


def kept(the: Desk) -> list[dict[str, Any]]:
    """Everything that was stored of each proposal, but for ids, times and what is drawn by lot."""
    found = []
    for proposal in Proposal.objects.filter(agent=the.agent).order_by("idempotency_key"):
        event = AuditEvent.objects.get(object_type="proposal", object_id=str(proposal.pk))
        said = event.data["after"] | {"kind": event.kind, "version": event.object_version}
        row = {
            field.name: getattr(proposal, field.attname)
            for field in Proposal._meta.concrete_fields
            if field.name not in ("id", "kept_context", *TIMES)
        }
        revision = Revision.objects.get(proposal=proposal)
        words = str(Revision.objects.values_list("document", flat=True).get(pk=revision.pk))
        row["request_digest"] = bytes(row["request_digest"])
        found.append(
            row
            | {"canonical": bytes(revision.canonical), "number": revision.number, "words": words}
            | {"said": said, "context": proposal.context, "event": event.actor_id}
        )
    return found


TIMES = ("created_at", "due_at", "expires_at", "changed_at", "queued_at", "attention_at")


def test_together_or_alone_the_same_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    the = desk()
    rule = {"name": "never", "when": "args.order_id == 'X-1'", "deny": "No."}
    policy([rule], the.queue)
    items = [item(the, f"k{number:03}") for number in range(8)]
    items[1]["arguments"] = {"order_id": "X-1", "amount": 1}
    items[2]["context"] = [{"role": "user", "content": "My lamp \U0001f4a1 broke\\n"}]
    items[3] |= {"subject": {"type": "customer", "id": "c-17"}, "context": items[2]["context"]}
    items[4] |= {"current_state": {"total": 1.5}, "metadata": {"a": [1]}, "expires_in": 60, "trace_id": "t"}
    items[5] |= {"summary": "s", "reasoning": "'); DROP", "confidence": 0.5, "priority": "urgent"}
    assert statuses(send(the, items)) == [201] * 8
    first_ones = kept(the)
    monkeypatch.setattr(submit_several, "TOGETHER", 0)
    monkeypatch.setattr(acceptance, "accept_several", None)
    alone = desk()
    policy([rule], alone.queue)
    for one in items:
        one["action_type"] = alone.action_type.name
    assert statuses(send(alone, items)) == [201] * 8
    own = ("agent", "credential", "action_type", "queue", "policy_version", "digest", "request_digest")
    for first, second in zip(first_ones, kept(alone), strict=True):
        assert (first["event"], second["event"]) == (str(the.agent.pk), str(alone.agent.pk))
        for row in (first, second):
            del row["event"]
            row["said"] = {
                k: v for k, v in row["said"].items() if k not in ("action_type", "digest", "queue")
            }
            for name in own:
                del row[name]
        assert first == second


def test_what_is_there_already_stands_between_what_is_new() -> None:
    """One statement takes the new ones and leaves the others to be answered as the repeats that they are."""
    the = desk()
    assert statuses(send(the, [item(the, f"k{number}") for number in range(0, 30, 3)])) == [201] * 10
    changed = item(the, "k9", summary="Another")
    items = [changed if number == 9 else item(the, f"k{number}") for number in range(30)]
    wanted = [422 if number == 9 else 201 if number % 3 else 200 for number in range(30)]
    assert statuses(send(the, items)) == wanted
    assert Proposal.objects.count() == 30


def test_the_same_batch_twice_at_once_is_one_batch() -> None:
    the = desk()
    items = [item(the, f"k{number}") for number in range(40)]
    answers = together(*[lambda: send(the, items)] * 4)
    told = [statuses(answer) for answer in answers]
    assert Proposal.objects.count() == 40
    for number in range(40):
        said = sorted(one[number] for one in told)
        assert said.count(201) <= 1
        assert set(said) <= {200, 201, 409}
    assert statuses(send(the, items)) == [200] * 40


def test_what_cannot_be_stored_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the database finds wrong with one row of the one statement."""
    the = desk()
    accept = acceptance.accept_several

    def wrong(drafts: Any, number: int) -> Any:
        drafts[2].proposal.priority = 10**6
        return accept(drafts, number)

    monkeypatch.setattr(acceptance, "accept_several", wrong)
    assert statuses(send(the, [item(the, f"k{number}") for number in range(5)])) == [201] * 5
    assert [history(pk) for pk in Proposal.objects.values_list("pk", flat=True)] == [["pending"]] * 5


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"{", 400, "bad_request"),
        (b'{"items": [{"key": "a", "key": "b"}]}', 400, "bad_request"),
        (b'{"items": [NaN]}', 400, "bad_request"),
        (b'{"items": []}', 422, "fields_invalid"),
        (b'{"items": [], "more": 1}', 422, "fields_invalid"),
        (b"{}", 422, "fields_invalid"),
        (b'{"items": [' + b"{}," * 500 + b"{}]}", 422, "fields_invalid"),
        (b'{"items": ["' + b"x" * 2 * 1024 * 1024 + b'"]}', 413, "body_too_large"),
    ],
    ids=["cut", "twice", "nan", "none", "unknown", "missing", "many", "large"],
)
def test_what_is_no_batch_is_refused_as_a_whole(data: bytes, status: int, code: str) -> None:
    the = desk()
    answer = call("POST", PATH, the.token, data)
    assert (answer.status, answer.code) == (status, code)
    assert not Proposal.objects.exists()


def test_a_batch_of_five_hundred_is_taken() -> None:
    the = desk()
    with_room(the, 1000)
    answer = send(the, [item(the, f"k{number}") for number in range(500)])
    assert statuses(answer) == [201] * 500
    assert [result["proposal"]["id"] for result in answer.body["results"]] == [
        str(pk) for pk in Proposal.objects.order_by("created_at", "id").values_list("pk", flat=True)
    ]


def with_room(the: Desk, propose: int, *, per_second: int = 1000, open_items: int = 1000) -> None:
    """Allow the agent so many proposals at once, and so many open."""
    rates = {**settings.LIMITS.usual.rates, "propose": Rate(per_second, propose)}
    allowance = Allowance(rates=rates, open_items=open_items)
    settings.LIMITS = replace(settings.LIMITS, agents={the.agent.slug: allowance})


def test_a_batch_costs_as_much_as_its_items(url: str) -> None:
    the = desk()
    with_room(the, 100, per_second=1)

    def sent(name: str) -> httpx.Response:
        body = {"items": [item(the, f"{name}{number}") for number in range(100)]}
        return httpx.post(f"{url}{PATH}", headers=the.headers, json=body, timeout=PATIENCE)

    assert [one["status"] for one in sent("a").json()["results"]] == [201] * 100
    refused = sent("b")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 100
    assert Proposal.objects.count() == 100


def test_what_is_open_is_capped_item_by_item() -> None:
    the = desk()
    with_room(the, 1000, open_items=3)
    answer = send(the, [item(the, f"a{number}") for number in range(5)])
    assert statuses(answer) == [201, 201, 201, 429, 429]
    problem = answer.body["results"][3]["problem"]
    assert (problem["code"], problem["retry_after"]) == ("too_many_open", 30)


def test_only_an_agent_with_a_good_token_sends_batches() -> None:
    the = desk()
    body = {"items": [item(the, "a")]}
    assert call("POST", PATH, "", body).code == "bad_credential"
    credentials.revoke(credential_id=the.credential.pk, actor=the.agent.owner)
    assert call("POST", PATH, the.token, body).code == "bad_credential"
    assert call("GET", PATH, the.token).status == 405
    assert not Proposal.objects.filter(state=State.PENDING).exists()
