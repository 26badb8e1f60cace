"""The OpenAPI document is what is served: every address resolves, every endpoint is in it, its schemas hold."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve
from django.utils.html import conditional_escape
from jsonschema_rs import Draft202012Validator, meta

from agents.autonomy import Tier
from approvals import api_urls, openapi, problems
from approvals.models import Proposal, Verdict
from approvals.states import State
from tests.factories import ARGUMENTS, desk, policy
from tests.invariants.calls import AgentCalls, call

DOCUMENT = openapi.document()
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
NOT_AN_ENDPOINT = {"/api/v1/openapi.json", "/api/docs"}
"""The document itself and its page."""


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def validator(name: str) -> Draft202012Validator:
    schema = {**DOCUMENT["components"]["schemas"][name], "components": DOCUMENT["components"]}
    return Draft202012Validator(schema, validate_formats=True)


def test_the_document_has_what_openapi_3_1_asks_for() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert set(DOCUMENT) <= {
        "openapi", "info", "jsonSchemaDialect", "servers", "paths", "webhooks", "components", "security", "tags",
        "externalDocs", "x-problems",
    }  # fmt: skip
    for path, method, operation in operations():
        assert path.startswith("/")
        assert method in METHODS
        assert operation["responses"]
        named = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        given = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert given == named, path
        for parameter in operation["parameters"]:
            assert parameter["in"] in ("query", "header", "path", "cookie")
            assert parameter["in"] != "path" or parameter["required"] is True
            assert meta.is_valid(parameter["schema"])
        assert len({(p["name"], p["in"]) for p in operation["parameters"]}) == len(operation["parameters"])
        for status, response in operation["responses"].items():
            assert status.isdigit()
            assert response["description"]
            for media in response.get("content", {}).values():
                assert meta.is_valid(media["schema"])
    for scheme in DOCUMENT["security"]:
        assert set(scheme) <= set(DOCUMENT["components"]["securitySchemes"])


def test_every_reference_leads_somewhere() -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        target: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert meta.is_valid(target)


def test_every_schema_compiles() -> None:
    for name in DOCUMENT["components"]["schemas"]:
        validator(name)


@pytest.mark.django_db
def test_every_address_in_the_document_exists_with_that_method(client: Client) -> None:
    for path, method, operation in operations():
        address = path.replace("{proposal_id}", "00000000-0000-0000-0000-000000000000")
        assert operation["operationId"].isidentifier()
        assert resolve(address)
        answer = client.generic(method.upper(), address)
        assert answer.status_code != 405, (method, path)
        assert answer.status_code == (200 if operation.get("security") == [] else 401), (method, path)
        assert client.delete(address).status_code == 405


def test_every_endpoint_is_in_the_document() -> None:
    served = {
        "/api/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern)) for pattern in api_urls.urlpatterns
    } | {"/.well-known/jwks.json", "/v1/traces"}
    assert served - NOT_AN_ENDPOINT == set(DOCUMENT["paths"])


@pytest.mark.django_db
def test_what_is_served_is_what_is_described() -> None:
    """Proposals in every state an agent can see, pages, and problems, against the document's schemas."""
    shown, problems = validator("Proposal"), validator("Problem")
    the = desk()
    agent = AgentCalls(the)
    states = set()

    def look(proposal_id: object) -> None:
        body = agent.read(proposal_id).body
        assert [error.message for error in shown.iter_errors(body)] == []
        states.add(body["status"])

    look(agent.propose(key="a").body["id"])
    returned = the.decide(the.propose(), Verdict.RETURN).proposal
    look(returned.pk)
    look(the.decide(the.propose(), Verdict.REJECT).proposal.pk)
    edited = the.decide(the.propose(), Verdict.EDIT, arguments={**ARGUMENTS, "amount": 1}).proposal
    look(edited.pk)
    digest = Proposal.objects.get(pk=edited.pk).digest
    agent.do(edited.pk, "redeem", digest=digest)
    look(edited.pk)
    agent.do(edited.pk, "outcome", status="failed", cost=1.5, occurred_at="2026-01-01T00:00:00Z", result=[1])
    look(edited.pk)
    gone = the.propose()
    agent.do(gone.pk, "withdraw")
    look(gone.pk)
    policy([{"name": "no", "when": "true", "deny": "No."}], the.queue)
    look(agent.propose(key="b").body["id"])
    windowed = desk(Tier.ON_THE_LOOP)
    agent = AgentCalls(windowed)
    look(windowed.propose().pk)
    assert states >= {
        State.PENDING, State.RETURNED, State.REJECTED, State.APPROVED, State.EXECUTING, State.FAILED,
        State.WITHDRAWN, State.DENIED, State.SCHEDULED,
    }  # fmt: skip
    codes = DOCUMENT["x-problems"]
    for answer in (
        call("GET", "/api/v1/me"),
        call("GET", "/api/v1/nothing"),
        call("DELETE", "/api/v1/me"),
        call("POST", "/api/v1/proposals", the.token, b"{", Idempotency_Key="k"),
        call("POST", "/api/v1/proposals", the.token, b"{}"),
        agent.do(gone.pk, "withdraw"),
        AgentCalls(the).do(gone.pk, "redeem", digest="sha256:" + "0" * 64),
    ):
        assert [error.message for error in problems.iter_errors(answer.body)] == []
        assert codes[answer.code]["status"] == answer.status


def test_the_documents_bodies_take_what_the_server_takes() -> None:
    propose = validator("ProposeRequest")
    assert propose.is_valid({"action_type": "refund", "arguments": {}})
    refused: list[dict[str, Any]] = [
        {"arguments": {}},
        {"action_type": "refund", "arguments": []},
        {"action_type": "refund", "arguments": {}, "unknown": 1},
        {"action_type": "refund", "arguments": {}, "confidence": 2},
        {"action_type": "refund", "arguments": {}, "priority": "now"},
    ]
    for body in refused:
        assert not propose.is_valid(body), body
    digest = validator("RedeemRequest")
    assert digest.is_valid({"digest": "sha256:" + "0" * 64})
    for wrong in ("sha256:" + "g" * 64, "sha256:" + "0" * 64 + "\n", "sha256:" + "0" * 63):
        assert not digest.is_valid({"digest": wrong})


def test_the_served_document_is_the_document(client: Client) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert (answer.status_code, answer.json()) == (200, json.loads(json.dumps(DOCUMENT)))


@pytest.mark.django_db
def test_no_two_operations_are_called_alike() -> None:
    """They are the headings of the page, and the landmarks by which one jumps in it."""
    summaries = [operation["summary"] for _, _, operation in operations()]
    assert len(summaries) == len(set(summaries))


def test_the_page_names_every_operation_and_code(client: Client) -> None:
    text = client.get("/api/docs").content.decode()
    for path, _, operation in operations():
        assert path in text
        assert conditional_escape(operation["summary"]) in text
    for code, problem in problems.PROBLEMS.items():
        assert f'id="{code}"' in text
        assert all(conditional_escape(part) in text for part in problem.remedy.split("`"))
    assert "<script>" not in text
    assert "https://" not in text.replace("https://testserver", "")
