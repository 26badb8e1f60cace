"""The OpenAPI 3.1 document of the agents' API, built from the request types, and the page that shows it."""

from functools import lru_cache
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.exceptions import DomainError
from agents.activity_items import ActivityBatch, ActivityItem
from agents.autonomy import Tier
from agents.http import agent_endpoint, as_json
from approvals import openapi_activity, requests
from approvals.models import Verdict
from approvals.states import State

_REF = "#/components/schemas/{name}"
_BODIES = (
    requests.ProposeRequest,
    requests.RedeemRequest,
    requests.OutcomeRequest,
    requests.WithdrawRequest,
    requests.ReviseRequest,
    ActivityBatch,
    ActivityItem,
)
_UUID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_TEXT: dict[str, Any] = {"type": "string"}
_PROPOSAL = _object(
    id=_UUID,
    status={"type": "string", "enum": State.values},
    version={"type": "integer", "description": "rises with every change; give it to after_version"},
    revision={"type": "integer"},
    action_type=_TEXT,
    arguments={"type": "object", "description": "of the current revision, in RFC 8785 form"},
    digest={"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
    tier={"type": "string", "enum": Tier.values},
    route=_object(
        queue=_nullable(_TEXT),
        quorum={"type": "integer"},
        reasons={"type": "array", "items": _object(code=_TEXT, rule=_TEXT, detail=_TEXT)},
    ),
    decision=_nullable(
        _object(
            verdict={"type": "string", "enum": Verdict.values},
            reason=_TEXT,
            comment=_TEXT,
            decided_by=_object(kind={"type": "string", "enum": ["human", "policy"]}, label=_TEXT),
            decided_at=_TIME,
        )
    ),
    grant=_nullable(
        _object(token={"type": "string", "description": "a JWS; verify it with the JWKS"}, expires_at=_TIME)
    ),
    outcome=_nullable(
        _object(
            status=_TEXT,
            result={},
            external_id=_TEXT,
            cost=_nullable({"type": "number"}),
            occurred_at=_nullable(_TIME),
            reported_at=_TIME,
        )
    ),
    rollback=_nullable(
        _object(
            requested_at=_TIME,
            reason=_TEXT,
            by=_TEXT,
            action_type=_nullable(_TEXT),
            proposal=_nullable(_UUID),
        )
        | {"description": "a person asks to undo it: propose this action type with parent_id"}
    ),
    created_at=_TIME,
    due_at=_nullable(_TIME),
    expires_at=_nullable(_TIME),
    effective_at=_nullable(_TIME),
)
_LIMIT_COUNT = _nullable({"type": "integer"})
_LIMIT_AMOUNT = _nullable({"type": "string", "description": "a decimal number"})
_ME = _object(
    agent=_TEXT,
    name=_TEXT,
    version=_TEXT,
    state=_TEXT,
    credential_expires_at=_TIME,
    budget=_nullable(
        _object(
            hours={"type": "integer", "description": "rolling window of what all mandates do together"},
            count=_LIMIT_COUNT,
            amount=_LIMIT_AMOUNT,
            currency=_nullable(_TEXT),
            left_count=_LIMIT_COUNT,
            left_amount=_LIMIT_AMOUNT,
        )
    ),
    mandates={
        "type": "array",
        "items": _object(
            action_type=_TEXT,
            tier={"type": "string", "enum": Tier.values},
            ceiling={"type": "string", "enum": Tier.values},
            veto_seconds={"type": "integer"},
            stopped=_nullable({"type": "string", "description": "which stop switch is pulled, and why"}),
            limits=_object(
                currency=_nullable(_TEXT),
                max_amount=_LIMIT_AMOUNT,
                window_hours={"type": "integer"},
                window_count=_LIMIT_COUNT,
                window_amount=_LIMIT_AMOUNT,
                left_count=_LIMIT_COUNT,
                left_amount=_LIMIT_AMOUNT,
                subject_count=_LIMIT_COUNT,
                subject_amount=_LIMIT_AMOUNT
                | {"description": "most about one subject in the window, all action types together"},
            ),
        )
        | {"additionalProperties": True},
    },
) | {"additionalProperties": True}
_PROBLEM = _object(
    type=_TEXT,
    title=_TEXT,
    status={"type": "integer"},
    code={"type": "string", "description": "stable; act on this, not on the words"},
    detail={"type": "string", "description": "what is wrong and the remedy"},
) | {"additionalProperties": True}


def problem_codes() -> dict[str, tuple[int, str, str]]:
    """Every stable code an agent can meet: (HTTP status, title, meaning)."""
    found = {
        error.code: (error.status, error.title, " ".join((error.__doc__ or "").split()))
        for error in _all_errors(DomainError)
        if error.code != "error"
    }
    found["method_not_allowed"] = (
        405,
        "Method not allowed",
        "The address exists and does not take this method.",
    )
    found["unavailable"] = (
        503,
        "Not available right now",
        "The database is away; send the same request again.",
    )
    found["server_error"] = (
        500,
        "A fault of ours",
        "Send the same request again; if it persists, tell the operators.",
    )
    return dict(sorted(found.items()))


def _all_errors(base: type[DomainError]) -> list[type[DomainError]]:
    return [error for child in base.__subclasses__() for error in (child, *_all_errors(child))]


_ID = {"name": "proposal_id", "in": "path", "required": True, "schema": _UUID}
_QUERY = {
    "wait": ("seconds to wait for a change, at most 60", {"type": "number", "minimum": 0, "maximum": 60}),
    "after_version": ("return at once when the version is above this", {"type": "integer", "minimum": 0}),
    "status": ("only proposals in this state", {"type": "string", "enum": State.values}),
    "rollback": (
        "only what somebody asked to be undone while nothing is under way that would undo it",
        {"type": "string", "enum": ["requested"]},
    ),
    "limit": ("page size", {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}),
    "cursor": ("next_cursor of the page before", _TEXT),
}


def _query(*names: str) -> list[dict[str, Any]]:
    return [{"name": n, "in": "query", "description": _QUERY[n][0], "schema": _QUERY[n][1]} for n in names]


def _operation(
    summary: str,
    *,
    body: type[msgspec.Struct] | None = None,
    parameters: list[dict[str, Any]] | None = None,
    answers: dict[str, tuple[str, dict[str, Any]]],
    errors: list[int],
) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": summary, "parameters": parameters or [], "responses": {}}
    if body is not None:
        schema = {"$ref": _REF.format(name=body.__name__)}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    for status, (description, schema) in answers.items():
        operation["responses"][status] = {
            "description": description,
            "content": {"application/json": {"schema": schema}},
        }
    for status_code in sorted({401, 429, 503, *errors}):
        codes = [code for code, (number, _, _) in problem_codes().items() if number == status_code]
        operation["responses"][str(status_code)] = {
            "description": "Problem; code is one of: " + ", ".join(codes),
            "content": {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}},
        }
    return operation


_THE_PROPOSAL = {"200": ("The proposal as it is now", {"$ref": _REF.format(name="Proposal")})}


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The whole document; a test holds it against the addresses that exist."""
    _, components = msgspec.json.schema_components(_BODIES, ref_template=_REF)
    components["ActivityBatch"]["properties"]["items"]["items"] = {"$ref": _REF.format(name="ActivityItem")}
    page = _object(
        items={"type": "array", "items": {"$ref": _REF.format(name="Proposal")}}, next_cursor=_nullable(_TEXT)
    )
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "schema": {"type": "string", "maxLength": 200},
    }
    one = "/api/v1/proposals/{proposal_id}"
    created = {
        "201": ("Accepted", {"$ref": _REF.format(name="Proposal")}),
        "200": ("A repeat of an earlier request", {"$ref": _REF.format(name="Proposal")}),
    }
    propose = _operation(
        "Propose one action",
        body=requests.ProposeRequest,
        parameters=[key],
        answers=created,
        errors=[400, 409, 413, 415, 422],
    )
    listing = _operation(
        "List one's own proposals, newest first",
        parameters=_query("status", "rollback", "limit", "cursor"),
        answers={"200": ("A page", page)},
        errors=[422],
    )
    read = _operation(
        "Read one proposal, or wait for it to change",
        parameters=[_ID, *_query("wait", "after_version")],
        answers=_THE_PROPOSAL,
        errors=[404, 422],
    )
    actions: dict[str, tuple[str, type[msgspec.Struct]]] = {
        "redeem": ("Use the grant up, before acting", requests.RedeemRequest),
        "outcome": ("Report what happened", requests.OutcomeRequest),
        "withdraw": ("Take an undecided proposal back", requests.WithdrawRequest),
        "revise": ("Answer a returned proposal with new arguments", requests.ReviseRequest),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign",
            "version": "1",
            "description": "Agents propose actions, wait for the decision, redeem the grant, act, and report.",
        },
        "security": [{"bearer": []}],
        "paths": {
            "/api/v1/proposals": {"post": propose, "get": listing},
            one: {"get": read},
            **{
                f"{one}/{name}": {
                    "post": _operation(
                        summary,
                        body=body,
                        parameters=[_ID],
                        answers=_THE_PROPOSAL,
                        errors=[400, 404, 409, 413, 415, 422],
                    )
                }
                for name, (summary, body) in actions.items()
            },
            "/api/v1/me": {
                "get": _operation(
                    "The agent's mandates, tiers and what its limits leave",
                    answers={"200": ("The agent", {"$ref": _REF.format(name="Me")})},
                    errors=[],
                )
            },
            "/api/v1/activity": {
                "post": openapi_activity.told(
                    _operation(
                        "Tell what the agent did, in batches",
                        body=ActivityBatch,
                        answers={"200": ("A result per item", {"$ref": _REF.format(name="ActivityAnswer")})},
                        errors=[400, 413, 415, 422, 429],
                    )
                )
            },
            "/v1/traces": {"post": openapi_activity.traces()},
            "/.well-known/jwks.json": {
                "get": _operation(
                    "Public keys of grants (RFC 7517)",
                    answers={"200": ("Keys", {"type": "object"})},
                    errors=[],
                )
                | {"security": []}
            },
        },
        "components": {
            "schemas": {**components, "Proposal": _PROPOSAL, "Me": _ME, "Problem": _PROBLEM}
            | {"ActivityAnswer": openapi_activity.ANSWER},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


@agent_endpoint("GET")
def document_view(request: HttpRequest) -> HttpResponse:
    """The document; public, it tells nothing about this installation."""
    return as_json(document())


@require_safe
def docs_view(request: HttpRequest) -> HttpResponse:
    """The document as a page, with every problem code."""
    operations = [
        {"method": method.upper(), "path": path, "operation": operation, "body": _body_name(operation)}
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    ]
    components = document()["components"]["schemas"]
    schemas = [_described(name, schema) for name, schema in components.items() if schema.get("properties")]
    codes = [
        {"code": code, "status": status, "meaning": meaning}
        for code, (status, _, meaning) in problem_codes().items()
    ]
    return render(
        request, "approvals/api_docs.html", {"operations": operations, "codes": codes, "schemas": schemas}
    )


def _body_name(operation: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    return str(content.get("application/json", {}).get("schema", {}).get("$ref", "")).rpartition("/")[2]


def _described(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema's fields as rows: name, type in words, whether it is required."""
    required = set(schema.get("required", []))
    fields = [
        {"name": field, "type": _type_in_words(value), "required": field in required}
        for field, value in schema["properties"].items()
    ]
    return {"name": name, "description": schema.get("description", ""), "fields": fields}


def _type_in_words(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type_in_words(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type_in_words(schema.get('items', {}))}"
    kind = str(schema.get("format") or schema.get("type") or "any value")
    limits = [f"at most {schema['maxLength']} characters"] if "maxLength" in schema else []
    limits += [f"{schema['minimum']} to {schema['maximum']}"] if {"minimum", "maximum"} <= set(schema) else []
    return ", ".join([kind, *limits])
