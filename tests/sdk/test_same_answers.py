"""The fake server that the client brings answers as the real one: one table of calls, both servers, compared."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.factories import desk
from tests.live import serving
from tests.sdk.worlds import ARGUMENTS, EDITED, Row, World, fake, real, shape, told

NO_DIGEST = "sha256:" + "0" * 64


def accepted(w: World) -> Any:
    """A new proposal, its repeat, and its key with another body."""
    first, again, other = w.propose("a"), w.propose("a"), w.propose("a", summary="else")
    same = first.json()["id"] == again.json()["id"] == other.json()["proposal"]
    return [told(first), told(again), told(other), same, shape(first.json() | {"route": {}})]


def refused_as_unreadable(w: World) -> Any:
    bodies = [b"{", b"", b"[]", b'{"a":1,"a":2}', b'{"action_type":NaN}', b"\xff"]
    path, key = "/proposals", {"Idempotency-Key": "b"}
    found = [told(w.call("POST", path, content=body, headers=key)) for body in bodies]
    return [found, told(w.call("POST", path, json={"action_type": w.action_type, "arguments": ARGUMENTS}))]


def refused_by_field(w: World) -> Any:
    changes: list[dict[str, Any]] = [
        {"nope": 1},
        {"arguments": [1]},
        {"action_type": 5},
        {"priority": "now"},
        {"confidence": 2},
        {"expires_in": 1},
        {"parent_id": str(uuid4())},
    ]
    found = [told(w.propose("c", **change)) for change in changes]
    bare = w.call("POST", "/proposals", json={"arguments": {}}, headers={"Idempotency-Key": "c"})
    return [*found, told(bare)]


def refused_to_strangers(w: World) -> Any:
    headers = {"Authorization": "Bearer csgn_nobody"}
    paths = ["/me", "/proposals", f"/proposals/{uuid4()}", f"/proposals/{uuid4()}?wait=1", "/events"]
    return [told(w.call("GET", path, headers=headers)) for path in paths]


def not_found(w: World) -> Any:
    nobody = str(uuid4())
    posts: list[tuple[str, dict[str, Any]]] = [
        ("redeem", {"digest": NO_DIGEST}),
        ("outcome", {"status": "succeeded"}),
        ("withdraw", {}),
        ("revise", {"arguments": ARGUMENTS}),
    ]
    reads = [told(w.get(nobody)), told(w.get(nobody, wait="1"))]
    return reads + [told(w.post(nobody, verb, body)) for verb, body in posts]


def approved_and_run(w: World) -> Any:
    one = w.new("d")
    w.reviewer.approve(one)
    now = w.get(one).json()
    found = [
        told(w.get(one)),
        shape(now["decision"]),
        shape(now["grant"]),
        now["decision"]["verdict"],
        told(w.post(one, "redeem", {"digest": "sha256:short"})),
        told(w.post(one, "redeem", {"digest": NO_DIGEST})),
        told(w.post(one, "outcome", {"status": "succeeded"})),
        told(w.redeem(one)),
        w.get(one).json()["grant"],
        told(w.redeem(one)),
        told(w.post(one, "withdraw", {})),
        told(w.post(one, "outcome", {"status": "done"})),
    ]
    report = {"status": "succeeded", "result": {"a": [1, None]}, "external_id": "x", "cost": 0.5}
    found += [told(w.post(one, "outcome", report)), told(w.post(one, "outcome", report))]
    found += [told(w.post(one, "outcome", report | {"external_id": "y"})), told(w.redeem(one))]
    return [*found, shape(w.get(one).json()["outcome"])]


def not_yet_approved(w: World) -> Any:
    one = w.new("e")
    return [told(w.redeem(one)), told(w.post(one, "outcome", {"status": "failed"}))]


def edited(w: World) -> Any:
    one = w.new("f")
    before = w.get(one).json()["digest"]
    w.reviewer.approve(one, EDITED)
    now = w.get(one).json()
    stale = w.post(one, "redeem", {"digest": before})
    return [told(w.get(one)), now["arguments"], now["decision"]["verdict"], told(stale), told(w.redeem(one))]


def rejected(w: World) -> Any:
    one = w.new("g")
    w.reviewer.reject(one, "Not this one.")
    decision = w.get(one).json()["decision"]
    del decision["decided_at"], decision["decided_by"]["label"]
    return [told(w.get(one)), decision, told(w.redeem(one)), told(w.post(one, "withdraw", {}))]


def returned_and_revised(w: World) -> Any:
    one, answer = w.new("h"), {"arguments": EDITED, "reply": "This one."}
    early = told(w.post(one, "revise", answer))
    w.reviewer.return_(one, "Which?")
    asked = w.get(one).json()["decision"]
    found = [early, told(w.get(one)), asked["verdict"], asked["comment"]]
    found += [told(w.post(one, "revise", answer)), told(w.post(one, "revise", answer))]
    found += [told(w.post(one, "revise", answer | {"reply": "No, that one."})), w.get(one).json()["decision"]]
    w.reviewer.approve(one)
    return [*found, told(w.get(one)), w.get(one).json()["arguments"], told(w.redeem(one))]


def withdrawn(w: World) -> Any:
    one, other = w.new("i"), w.new("j")
    w.reviewer.return_(other, "Which?")
    found = [told(w.post(one, "withdraw", {"reason": "done"})), told(w.post(one, "withdraw", {}))]
    return [*found, told(w.post(one, "withdraw", {"why": 1})), told(w.post(other, "withdraw", {}))]


def waited_for(w: World) -> Any:
    one = w.new("k")
    begun = time.monotonic()
    late = told(w.get(one, wait="0.3", after_version="1"))
    held = time.monotonic() - begun >= 0.3
    w.reviewer.return_(one, "Which?")
    at_once = told(w.get(one, wait="50", after_version="1"))
    wrong = [told(w.get(one, wait=wait)) for wait in ("61", "-1", "x")]
    return [late, held, at_once, *wrong, told(w.get(one, wait="1", after_version="x"))]


def listed(w: World) -> Any:
    for number in range(3):
        w.new(f"l{number}")
    page = w.call("GET", "/proposals", params={"status": "pending", "limit": 2}).json()
    more = {"status": "pending", "limit": 2, "cursor": page["next_cursor"]}
    ids = [item["id"] for item in page["items"] + w.call("GET", "/proposals", params=more).json()["items"]]
    wrong = [told(w.call("GET", "/proposals", params=one)) for one in ({"status": "late"}, {"limit": "x"})]
    ordered = [w.propose(f"l{number}").json()["id"] for number in (2, 1, 0)]
    return [ids[:3] == ordered, len(set(ids)), sorted(page), *wrong]


def batch(w: World) -> Any:
    good = {"key": "m", "action_type": w.action_type, "arguments": ARGUMENTS}
    items = [good, good | {"key": "n", "nope": 1}, 5, good, good | {"summary": "else"}]
    answer = w.call("POST", "/proposals/batch", json={"items": items})
    results = answer.json()["results"]
    codes = [one["problem"]["code"] if "problem" in one else one["proposal"]["status"] for one in results]
    fields = [[error["field"] for error in one.get("problem", {}).get("errors", [])] for one in results]
    bodies: list[dict[str, Any]] = [{"items": []}, {}, {"items": 1}]
    wrong = [told(w.call("POST", "/proposals/batch", json=body)) for body in bodies]
    return [answer.status_code, [one["status"] for one in results], codes, fields[1], *wrong]


def who(w: World) -> Any:
    w.new("o")
    document = w.call("GET", "/me").json()
    [mandate] = [one for one in document["mandates"] if one["action_type"] == w.action_type]
    names = sorted(set(document) - {"budget"})
    return [names, document["state"], sorted(mandate), mandate["tier"], mandate["stopped"]]


def keys(w: World) -> Any:
    document = w.http.get("/.well-known/jwks.json").json()
    return [sorted(document["keys"][0]), [document["keys"][0][name] for name in ("kty", "crv", "alg", "use")]]


TABLE: list[Row] = [
    accepted,
    refused_as_unreadable,
    refused_by_field,
    refused_to_strangers,
    not_found,
    approved_and_run,
    not_yet_approved,
    edited,
    rejected,
    returned_and_revised,
    withdrawn,
    waited_for,
    listed,
    batch,
    who,
    keys,
]


@pytest.fixture
def fake_world() -> Iterator[World]:
    with fake() as world:
        yield world


@pytest.mark.django_db(transaction=True)
def test_both_servers_give_the_same_answers(fake_world: World) -> None:
    """In one test, so that the real server starts once. Each row begins with proposals of its own."""
    with serving() as url, real(url, desk()) as real_world:
        found = {row.__name__: row(real_world) for row in TABLE}
    differing = {
        row.__name__: (answers, found[row.__name__])
        for row in TABLE
        if (answers := row(fake_world)) != found[row.__name__]
    }
    assert differing == {}, "\n".join(f"{name}\nfake {a}\nreal {b}" for name, (a, b) in differing.items())
    assert found["accepted"][:2] == [(201, "pending", 1, 1), (200, "pending", 1, 1)]
    assert found["approved_and_run"][9] == (409, "grant_refused", [])
