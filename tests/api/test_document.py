"""The document as one would use it: a valid OpenAPI 3.1, whose every example holds, and which names every problem."""

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31

from accounts.exceptions import DomainError
from agents import strict_json
from agents.http import parse, typed
from approvals import openapi, openapi_page, problems, requests
from approvals.imports import requests as imported
from approvals.problems import PROBLEMS

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = openapi.document()
BODIES: dict[str, Any] = {
    "ProposeRequest": requests.ProposeRequest,
    "BatchRequest": requests.BatchRequest,
    "RedeemRequest": requests.RedeemRequest,
    "OutcomeRequest": requests.OutcomeRequest,
    "WithdrawRequest": requests.WithdrawRequest,
    "ReviseRequest": requests.ReviseRequest,
    "FunctionCall": imported.FunctionCall,
}
ANSWERING = (
    "agents.http", "agents.authority", "agents.identity", "agents.services.record_activity",
    "approvals.api", "approvals.api_activity", "approvals.api_batch", "approvals.api_events", "approvals.feed",
    "approvals.api_imports", "approvals.imports.agent_inbox", "approvals.imports.human_layer",
    "approvals.crowding", "approvals.open_items", "approvals.revising", "approvals.grants", "approvals.transitions",
    "approvals.rollbacks", "approvals.log_guard", "approvals.selectors",
    "approvals.services.submit", "approvals.services.submit_several", "approvals.services.amend",
    "approvals.services.redeem", "approvals.services.report",
    "config.limits", "config.waiting", "config.events", "config.doors", "config.middleware", "config.views",
    "config.mcp_door",
)  # fmt: skip
"""Where what is sent to an agent over /api/v1 is refused."""
FOR_PEOPLE = {"not_allowed"}
"""Raised in these modules towards people alone."""


def media() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every body of the document: where it stands, whether it is sent or answered, and what is said of it."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            for kind, one in operation.get("requestBody", {}).get("content", {}).items():
                yield f"{method} {path} {kind}", "sent", one
            for status, answer in operation["responses"].items():
                for kind, one in answer.get("content", {}).items():
                    yield f"{method} {path} {status} {kind}", "answered", one


EXAMPLES = [
    (f"{where} {name}", direction, one["schema"], example["value"])
    for where, direction, one in media()
    for name, example in one.get("examples", {}).items()
]


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]}, validate_formats=True)


def test_the_document_is_openapi_3_1() -> None:
    checked = Draft202012Validator(OPENAPI_31)
    assert [f"{error.instance_path} {error.message}" for error in checked.iter_errors(DOCUMENT)] == []
    broken = {**DOCUMENT, "paths": {"no-slash": {}}}
    assert not checked.is_valid(broken), "the check can fail"


def test_every_body_of_ours_has_an_example() -> None:
    silent = [where for where, _, one in media() if "/v1/traces" not in where and not one.get("examples")]
    assert silent == []
    assert len(EXAMPLES) > 100


@pytest.mark.parametrize(
    ("where", "schema", "value"), [(w, s, v) for w, _, s, v in EXAMPLES], ids=[e[0] for e in EXAMPLES]
)
def test_every_example_fits_its_schema(where: str, schema: dict[str, Any], value: Any) -> None:
    assert [f"{error.instance_path} {error.message}" for error in validator(schema).iter_errors(value)] == []


SENT = [(where, schema, value) for where, direction, schema, value in EXAMPLES if direction == "sent"]


@pytest.mark.parametrize(("where", "schema", "value"), SENT, ids=[one[0] for one in SENT])
def test_every_request_example_is_taken_by_the_parser(where: str, schema: dict[str, Any], value: Any) -> None:
    data = json.dumps(value).encode()
    name = schema["$ref"].rpartition("/")[2]
    if name == "ActivityBatch":
        assert strict_json.loads(data) == value
        return
    if name == "AgentInboxRequest":
        for one in value if isinstance(value, list) else [value]:
            assert typed(one, imported.HumanInterrupt).action_request.action
        return
    found = parse(data, BODIES[name])
    if isinstance(found, requests.BatchRequest):
        assert [parse(json.dumps(one).encode(), requests.BatchItem).key for one in found.items]


def raised(module: str) -> Iterator[tuple[str, int]]:
    """(code, status) of every refusal that the module's source names: classes it raises or hands on, and documents."""
    imported = importlib.import_module(module)
    tree = ast.parse(inspect.getsource(imported))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        words = {one.arg: one.value.value for one in node.keywords if isinstance(one.value, ast.Constant)}
        code, status = words.get("code"), words.get("status")
        if isinstance(code, str) and isinstance(status, int):
            yield code, status
        found: Any = imported
        for part in ast.unparse(node.func).split("."):
            found = getattr(found, part, None)
        if not (isinstance(found, type) and issubclass(found, DomainError)):
            continue
        if found.__name__ == "BadToken" and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value), found.status
        else:
            yield found.code, found.status


def everything_raised() -> dict[str, int]:
    found = {code: status for module in ANSWERING for code, status in raised(module)}
    bridge = (ROOT / "config" / "bridge.py").read_text()
    found |= dict.fromkeys(re.findall(r'"code":"(\w+)"', bridge), 429)
    return {code: status for code, status in found.items() if code not in FOR_PEOPLE}


def test_the_list_has_every_problem_that_is_raised_and_no_other() -> None:
    found = everything_raised()
    assert len(found) > 25
    assert {code: PROBLEMS[code].status if code in PROBLEMS else None for code in found} == found
    assert sorted(set(PROBLEMS) - set(found)) == []


def _classes(base: type[DomainError]) -> Iterator[type[DomainError]]:
    for one in base.__subclasses__():
        yield one
        yield from _classes(one)


def test_titles_and_statuses_are_those_that_are_sent() -> None:
    for one in _classes(DomainError):
        if one.code in PROBLEMS:
            assert (PROBLEMS[one.code].status, PROBLEMS[one.code].title) == (one.status, one.title), one


def test_whoever_is_to_come_back_is_told_when() -> None:
    """429 and 503 have a Retry-After, and so has what is refused only for a moment."""
    assert all(problem.waits for problem in PROBLEMS.values() if problem.status in (429, 503))
    silent = []
    for module in ANSWERING:
        imported = importlib.import_module(module)
        for node in ast.walk(ast.parse(inspect.getsource(imported))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = ast.unparse(node.exc.func).rpartition(".")[2]
                code = getattr(getattr(imported, name, None), "code", "")
                waits = code in PROBLEMS and PROBLEMS[code].waits
                if waits and "retry_after" not in ast.unparse(node.exc):
                    silent.append(f"{module}: {ast.unparse(node.exc)[:60]}")
    assert silent == []


def test_each_operation_names_codes_that_exist_under_their_statuses() -> None:
    for (method, path), operation in openapi.OPERATIONS.items():
        codes = openapi.codes_of(operation)
        assert codes <= set(PROBLEMS), (method, path)
        shown = DOCUMENT["paths"][path][method]["responses"]
        for status, named in problems.by_status(codes).items():
            assert list(shown[str(status)]["content"]["application/problem+json"]["examples"]) == named


def test_the_pages_commands_are_commands() -> None:
    """What is shown for a shell is read by a shell as the words that are meant."""
    import shlex

    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            shown = openapi_page._shown(method, path, operation, "http://localhost:8000")
            words = shlex.split(shown["curl"].replace("\\\n", " "))
            assert words[:2] == ["curl", "-sS"]
            assert any(word.startswith("http://localhost:8000/") for word in words)
            if shown["examples"]:
                assert json.loads(words[words.index("-d") + 1]) == json.loads(shown["examples"][0]["text"])


TEXT = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_reference_has_every_address_code_and_type_of_event() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", TEXT, re.MULTILINE))
    assert rows == {code: str(problem.status) for code, problem in PROBLEMS.items()}
    for code, problem in PROBLEMS.items():
        assert f"| `{code}` | {problem.status} | {problem.meaning} | {problem.remedy}" in TEXT, code
    for path, methods in DOCUMENT["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in TEXT, (method, path)
    for event in DOCUMENT["components"]["schemas"]["Event"]["properties"]["type"]["enum"]:
        assert f"`{event}`" in TEXT, event
