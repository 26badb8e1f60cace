"""The OpenAPI document as a page: what there is, what it answers, and a form to try each call with one's own token."""

import json
import shlex
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
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
            "codes": problems.PROBLEMS.items(),
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
        one | {"required": one.get("required", False), "options": one["schema"].get("enum", [])}
        for one in operation["parameters"]
    ]
    return {
        "name": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "description": operation.get("description", ""),
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
    return {"status": status, "description": answer["description"], "codes": codes, "example": text}


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


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _described(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema's fields as rows: name, type in words, whether it is required."""
    required = set(schema.get("required", []))
    fields = [
        {
            "name": field,
            "type": _type_in_words(value),
            "required": field in required,
            "description": value.get("description", ""),
        }
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
