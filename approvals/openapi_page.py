"""The OpenAPI document as a page: what there is, what it answers, and a form to try each call with one's own token."""

import json
import shlex
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe

from approvals import openapi, problems

_JSON = "application/json"
_NOT_TRIED = {"/v1/traces"}
"""Its bodies are an exporter's, and nothing that somebody types."""


@require_safe
def docs_view(request: HttpRequest) -> HttpResponse:
    """Public, like the document: it tells nothing about this installation. What is tried is sent by the browser, with
    the token that is typed there and kept nowhere."""
    document = openapi.document()
    origin = request.build_absolute_uri("/").rstrip("/")
    operations = [
        _shown(method, path, operation, origin)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    components = document["components"]["schemas"]
    return render(
        request,
        "approvals/api_docs.html",
        {
            "description": document["info"]["description"],
            "operations": operations,
            "codes": [_problem(code, one) for code, one in problems.PROBLEMS.items()],
            "schemas": [_described(name, one) for name, one in components.items() if one.get("properties")],
        },
    )


def _shown(method: str, path: str, operation: dict[str, Any], origin: str) -> dict[str, Any]:
    """One operation as the page shows it."""
    media = operation.get("requestBody", {}).get("content", {}).get(_JSON, {})
    examples = [
        {"name": name, "text": _pretty(one["value"])} for name, one in media.get("examples", {}).items()
    ]
    parameters = [
        one
        | {"description": _coded(one.get("description", "")), "required": one.get("required", False)}
        | {"options": one["schema"].get("enum", [])}
        for one in operation["parameters"]
    ]
    return {
        "name": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "description": _coded(operation.get("description", "")),
        "parameters": parameters,
        "body": str(media.get("schema", {}).get("$ref", "")).rpartition("/")[2],
        "examples": examples,
        "answers": [_answer(status, answer) for status, answer in operation["responses"].items()],
        "curl": _curl(method.upper(), origin + path, operation, media),
        "is_tried": path not in _NOT_TRIED,
        "is_public": operation.get("security") == [],
    }


def _answer(status: str, answer: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, dict[str, Any]] = answer.get("content", {})
    kind = next(iter(content), "")
    examples: dict[str, Any] = content[kind].get("examples", {}) if kind else {}
    codes = list(examples) if kind == "application/problem+json" else []
    example = None if codes or not examples else next(iter(examples.values()))["value"]
    text = example if isinstance(example, str) else _pretty(example) if example is not None else ""
    return {"status": status, "description": _coded(answer["description"]), "codes": codes, "example": text}


def _curl(method: str, address: str, operation: dict[str, Any], media: dict[str, Any]) -> str:
    """The same call from a shell; what has to be put in is in capitals, as variables."""
    parts = ["curl -sS" if method == "GET" else f"curl -sS -X {method}"]
    address = address.replace("{proposal_id}", "$PROPOSAL_ID")
    parts[0] += f' "{address}"'
    if "text/event-stream" in operation["responses"].get("200", {}).get("content", {}):
        parts.append("-N")
    if operation.get("security") != []:
        parts.append('-H "Authorization: Bearer $COUNTERSIGN_TOKEN"')
    parts += [
        f"-H {shlex.quote(one['name'] + ': ' + one['example'])}"
        for one in operation["parameters"]
        if one["in"] == "header" and one.get("required")
    ]
    example = next(iter(media.get("examples", {}).values()), None)
    if example is not None:
        parts.append(f"-H 'Content-Type: {_JSON}'")
        parts.append(f"-d {shlex.quote(json.dumps(example['value']))}")
    return " \\\n  ".join(parts)


def _coded(text: str) -> SafeString:
    """The document's prose, in which backticks stand around code (CommonMark 6.1), and nothing else is markup."""
    parts = [
        format_html("<code>{}</code>", part) if place % 2 else conditional_escape(part)
        for place, part in enumerate(text.split("`"))
    ]
    return mark_safe("".join(parts))  # noqa: S308 - each part is escaped above


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _described(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema for the page; what stands inside a field follows it, by its path."""
    return {
        "name": name,
        "description": _coded(schema.get("description", "")),
        "fields": list(_fields(schema)),
    }


def _problem(code: str, problem: problems.Problem) -> dict[str, Any]:
    return {
        "code": code,
        "status": problem.status,
        "meaning": _coded(problem.meaning),
        "remedy": _coded(problem.remedy),
        "waits": problem.waits,
    }


def _fields(schema: dict[str, Any], before: str = "") -> Iterator[dict[str, Any]]:
    """What is sent refuses unknown fields, and only there "required" tells anything: an answer has all of its own."""
    required = set(schema.get("required", [])) if schema.get("additionalProperties") is False else set()
    for name, value in schema["properties"].items():
        choices = [each for each in value.get("anyOf", [value]) if each != {"type": "null"}]
        inner = choices[0] if choices else value
        yield {
            "name": before + name,
            "type": _type_in_words(value),
            "required": name in required,
            "description": _coded(value.get("description") or inner.get("description", "")),
        }
        is_list = inner.get("type") == "array"
        inside = inner.get("items", {}) if is_list else inner
        if "properties" in inside:
            yield from _fields(inside, f"{before}{name}{'[]' if is_list else ''}.")


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
    limits += (
        [f"{schema['minimum']:g} to {schema['maximum']:,.15g}"]
        if {"minimum", "maximum"} <= set(schema)
        else []
    )
    return ", ".join([kind, *limits])
