"""The OpenAPI 3.1 document of the agents' API, built from request types, schemas, examples and the list of problems."""

from functools import lru_cache
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse

from agents.activity_items import ActivityBatch, ActivityItem
from agents.http import agent_endpoint, as_known
from approvals import openapi_activity, openapi_imports, problems, requests
from approvals import openapi_examples as examples
from approvals import openapi_schemas as schemas
from approvals.imports.requests import FunctionCall, HumanInterrupt
from approvals.openapi_parts import (
    AFTER,
    ID,
    JSON,
    KEY,
    PROBLEM,
    SUBMITTED,
    WAIT,
    Answer,
    Operation,
    named,
    parameter,
)
from approvals.openapi_schemas import ref
from approvals.states import State

_BODIES = (
    requests.ProposeRequest,
    requests.BatchRequest,
    requests.BatchItem,
    requests.RedeemRequest,
    requests.OutcomeRequest,
    requests.WithdrawRequest,
    requests.ReviseRequest,
    ActivityBatch,
    ActivityItem,
    HumanInterrupt,
    FunctionCall,
)
_ONE = "/api/v1/proposals/{proposal_id}"
DESCRIPTION = (
    "Agents propose actions, wait for the decision, redeem the grant, act, and report. Times are RFC 3339 in UTC. "
    "Within version 1 fields, codes, event types and addresses are added and never taken away or changed in meaning: "
    "let pass what you do not know. What is to go is marked deprecated here and in a Deprecation header at least 12 "
    "months before (docs/api.md)."
)


_KNOWN = parameter("If-None-Match", "header", "ETags of what is known: 304 if nothing changed", schemas.TEXT)
_LAST = parameter(
    "Last-Event-ID", "header", "the id of the last event that was received, to go on after it", schemas.TEXT
)
_LIST = (
    parameter("status", "query", "only proposals in this state", {"type": "string", "enum": State.values}),
    parameter(
        "rollback",
        "query",
        "only what somebody asked to be undone while nothing is under way that would undo it",
        {"type": "string", "enum": ["requested"]},
    ),
    parameter(
        "limit", "query", "page size", {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}
    ),
    parameter("cursor", "query", "next_cursor of the page before", schemas.TEXT),
)
_HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {"description": "strong: of the bytes, for If-None-Match", "schema": schemas.TEXT},
    "Location": {"description": "of the proposal", "schema": schemas.TEXT},
    "Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}},
    "Allow": {"description": "the methods that the address takes", "schema": schemas.TEXT},
}
_ACT = problems.BODY | {"not_found", "wrong_state"}
_DECIDABLE = frozenset({"agent_not_live", "arguments_invalid", "policy_refused"})


def _now(*, example: dict[str, Any], headers: tuple[str, ...] = ()) -> dict[int, Answer]:
    return {200: Answer("The proposal as it is now", ref("Proposal"), named(proposal=example), headers)}


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("post", "/api/v1/proposals"): Operation(
        "propose",
        "Propose one action",
        {
            201: Answer("Accepted", ref("Proposal"), named(pending=examples.PENDING), ("Location",)),
            200: Answer(
                "A repeat of an earlier request, as its proposal is now",
                ref("Proposal"),
                named(approved=examples.APPROVED),
                ("Location",),
            ),
        },
        description="What was denied is accepted too, and says so in `status` and `route.reasons`.",
        body="ProposeRequest",
        examples=named(least=examples.LEAST, usual=examples.PROPOSE, undo=examples.UNDO),
        parameters=(KEY,),
        codes=problems.BODY | SUBMITTED,
    ),
    ("get", "/api/v1/proposals"): Operation(
        "list_proposals",
        "List one's own proposals, newest first",
        {200: Answer("A page", schemas.PAGE, named(page=examples.PAGE))},
        parameters=_LIST,
        codes=frozenset({"fields_invalid"}),
        conditional=True,
    ),
    ("post", "/api/v1/proposals/batch"): Operation(
        "propose_batch",
        "Propose up to 500 actions, each accepted or refused by itself",
        {200: Answer("A result for each item", ref("BatchAnswer"), named(mixed=examples.BATCH_ANSWER))},
        description=(
            "At most 500 items in a body of at most 2 MiB, one item of at most 256 KiB. Each item has its own "
            "idempotency key and is accepted whole or not at all, whatever becomes of the others: a batch that was "
            "cut off is sent again as it was, and what was accepted the first time is answered with 200. A batch "
            "costs as many proposals of the agent's rate as it has items. A key is used up by one door: repeat a "
            "batch's item in a batch."
        ),
        body="BatchRequest",
        examples=named(two=examples.BATCH),
        codes=problems.BODY | {"keys_away"},
    ),
    ("get", _ONE): Operation(
        "read_proposal",
        "Read one proposal, or wait for it to change",
        _now(example=examples.APPROVED),
        parameters=(ID, WAIT, AFTER),
        codes=frozenset({"not_found", "fields_invalid"}),
        conditional=True,
    ),
    ("post", f"{_ONE}/redeem"): Operation(
        "redeem",
        "Use the grant up, before acting",
        _now(example=examples.EXECUTING),
        body="RedeemRequest",
        examples=named(digest=examples.REDEEM),
        parameters=(ID,),
        codes=_ACT
        | {
            *("agent_not_live", "digest_mismatch", "grant_refused", "limit_reached", "stopped"),
            "log_unavailable",
        },
    ),
    ("post", f"{_ONE}/outcome"): Operation(
        "report_outcome",
        "Report what happened",
        _now(example=examples.SUCCEEDED),
        body="OutcomeRequest",
        examples=named(succeeded=examples.OUTCOME, unknown={"status": "unknown"}),
        parameters=(ID,),
        codes=_ACT | {"invalid", "keys_away"},
    ),
    ("post", f"{_ONE}/withdraw"): Operation(
        "withdraw",
        "Take an undecided proposal back",
        _now(example=examples.WITHDRAWN),
        body="WithdrawRequest",
        examples=named(reason=examples.WITHDRAW, none={}),
        parameters=(ID,),
        codes=_ACT | {"keys_away"},
    ),
    ("post", f"{_ONE}/revise"): Operation(
        "revise",
        "Answer a returned proposal with new arguments",
        _now(example=examples.REVISED),
        body="ReviseRequest",
        examples=named(reply=examples.REVISE),
        parameters=(ID,),
        codes=_ACT | _DECIDABLE | {"keys_away"},
    ),
    ("get", "/api/v1/events"): Operation(
        "listen",
        "Hear of every change of one's own proposals (server-sent events)",
        {
            200: Answer(
                "Events named `proposal`; their data is an Event. Comments keep the line alive.",
                {"type": "string"},
                named(stream=examples.STREAM),
                media="text/event-stream",
            )
        },
        description=(
            "Without Last-Event-ID it begins now. With it, the newest version of each proposal that changed since "
            "comes first, however the connection ended and whichever server answers. An event may come twice: go by "
            "`proposal.version`. At most 10 streams of an agent; one lasts at most an hour and is resumed."
        ),
        parameters=(_LAST,),
        codes=frozenset({"fields_invalid", "cursor_gone", "too_many_streams"}),
    ),
    ("get", "/api/v1/me"): Operation(
        "me",
        "The agent's mandates, tiers and what its limits leave",
        {200: Answer("The agent", ref("Me"), named(agent=examples.ME))},
        conditional=True,
    ),
    ("post", "/api/v1/activity"): Operation(
        "tell_activity",
        "Tell what the agent did, in batches",
        {200: Answer("A result per item", ref("ActivityAnswer"), named(two=openapi_activity.ANSWER_EXAMPLE))},
        description=openapi_activity.DESCRIPTION,
        body="ActivityBatch",
        examples=named(tool_call=openapi_activity.BODY_EXAMPLE),
        codes=problems.BODY | {"keys_away"},
    ),
    ("get", "/.well-known/jwks.json"): Operation(
        "jwks",
        "Public keys of grants (RFC 7517)",
        {200: Answer("Keys", schemas.JWKS, named(keys=examples.JWKS))},
        conditional=True,
        public=True,
    ),
} | openapi_imports.OPERATIONS


def codes_of(operation: Operation) -> frozenset[str]:
    """Every code that the operation may answer with."""
    if operation.public:
        return frozenset({"unavailable", "server_error"})
    return problems.ANYWHERE | operation.codes


def _described(operation: Operation) -> dict[str, Any]:
    known = (_KNOWN,) if operation.conditional else ()
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*operation.parameters, *known],
        "responses": {},
    }
    if operation.description:
        found["description"] = operation.description
    if operation.public:
        found["security"] = []
    if operation.body:
        media = {"schema": ref(operation.body), "examples": operation.examples}
        found["requestBody"] = {"required": True, "content": {JSON: media}}
    for status, answer in operation.answers.items():
        names = (*answer.headers, *(["ETag"] if operation.conditional else []))
        found["responses"][str(status)] = {
            "description": answer.description,
            "content": {answer.media: {"schema": answer.schema, "examples": answer.examples}},
        } | ({"headers": {name: _HEADERS[name] for name in names}} if names else {})
    if operation.conditional:
        found["responses"]["304"] = {
            "description": "Nothing has changed; there is no body",
            "headers": {"ETag": _HEADERS["ETag"]},
        }
    for number, codes in problems.by_status(codes_of(operation)).items():
        found["responses"][str(number)] = _refused(codes)
    return found


def _refused(codes: list[str]) -> dict[str, Any]:
    """What is answered under one status; each code with what to do about it, and an example."""
    return {
        "description": "Problem; code is one of: " + ", ".join(codes),
        "content": {
            PROBLEM: {
                "schema": {"allOf": [ref("Problem"), {"properties": {"code": {"enum": codes}}}]},
                "examples": {
                    code: {"summary": problems.PROBLEMS[code].remedy, "value": examples.problem(code)}
                    for code in codes
                },
            }
        },
    } | (
        {"headers": {"Retry-After": _HEADERS["Retry-After"]}}
        if any(problems.PROBLEMS[code].waits for code in codes)
        else {}
    )


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The whole document; tests hold it against the addresses that exist and what they answer."""
    _, components = msgspec.json.schema_components(_BODIES, ref_template="#/components/schemas/{name}")
    components["ActivityBatch"]["properties"]["items"]["items"] = ref("ActivityItem")
    components["BatchRequest"]["properties"]["items"]["items"] = ref("BatchItem")
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method] = _described(operation)
    paths["/v1/traces"] = {"post": openapi_activity.traces()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Countersign", "version": "1", "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {
                **components,
                "Proposal": schemas.PROPOSAL,
                "Me": schemas.ME,
                "Problem": schemas.PROBLEM,
                "BatchAnswer": schemas.BATCH_ANSWER,
                "Event": schemas.EVENT,
                "ActivityAnswer": openapi_activity.ANSWER,
                **openapi_imports.SCHEMAS,
            },
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "x-problems": {
            code: {
                "status": problem.status,
                "title": problem.title,
                "meaning": problem.meaning,
                "remedy": problem.remedy,
            }
            for code, problem in problems.PROBLEMS.items()
        },
    }


@lru_cache(maxsize=1)
def _served() -> bytes:
    return msgspec.json.encode(document())


@agent_endpoint("GET")
def document_view(request: HttpRequest) -> HttpResponse:
    """The document; public, it tells nothing about this installation."""
    return as_known(_served(), request.headers.get("If-None-Match", ""))
