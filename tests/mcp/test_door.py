"""Who is let in at /mcp, by raw HTTP: what a client library would never send."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.conf import LazySettings

from agents.services import credentials
from approvals.models import Proposal
from audit.models import AuditEvent
from config.rates import Rate
from tests.factories import ARGUMENTS, Desk, desk

pytestmark = pytest.mark.django_db(transaction=True)
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "get_mandates", "arguments": {}},
}


def sent(url: str, the: Desk, body: Any = CALL, **extra: Any) -> httpx.Response:
    headers = the.headers | {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": "2025-06-18",
    }
    headers |= extra.pop("headers", {})
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.request(
        extra.pop("method", "POST"), f"{url}/mcp", headers=headers, content=content, timeout=60
    )


def test_a_message_of_an_agent_is_answered_and_there_are_no_sessions(url: str) -> None:
    the = desk()
    answer = sent(url, the)
    assert answer.status_code == 200
    assert the.agent.slug in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff", "its headers are completed like all others"
    assert sent(url, the, headers={"Origin": url}).status_code == 200, "a page of one's own is no other site"
    answer = sent(url, the, headers={"Mcp-Session-Id": "somebody-elses"})
    assert answer.status_code == 200 and "mcp-session-id" not in answer.headers, (
        "there is none to be fixed or found"
    )
    assert sent(url, the, [CALL] * 3).status_code == 400, "one message is one call, and pays for one"
    for method in ("GET", "DELETE", "PUT"):
        answer = sent(url, the, method=method)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


REFUSED: list[tuple[dict[str, str], int, str]] = [
    ({"Authorization": ""}, 401, "bad_credential"),
    ({"Authorization": "Bearer csk_made_up"}, 401, "bad_credential"),
    ({"Origin": "https://evil.example"}, 403, "origin_refused"),
    ({"Origin": "null"}, 403, "origin_refused"),
    ({"Origin": "http://["}, 403, "origin_refused"),
    ({"Origin": "http://127.0.0.1:1"}, 403, "origin_refused"),
    ({"Host": "["}, 403, "origin_refused"),
    ({"Host": "evil.example"}, 403, "origin_refused"),
    ({"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
]


def test_who_may_not_come_in_is_told_why(url: str, settings: LazySettings) -> None:
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    the = desk()
    for headers, status, code in REFUSED:
        answer = sent(url, the, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), headers
        assert ("www-authenticate" in answer.headers) is (status == 401)


def test_a_revoked_credential_is_refused_at_once_and_the_refusal_recorded(url: str) -> None:
    the = desk()
    assert sent(url, the).status_code == 200
    credentials.revoke(credential_id=the.credential.pk, actor=the.agent.owner)
    assert sent(url, the).status_code == 401
    [event] = AuditEvent.objects.filter(kind="access.refused")
    assert (event.actor_kind, event.actor_id) == ("agent", str(the.agent.pk))
    assert '"path":"/mcp"' in event.content


UNREADABLE: list[tuple[bytes, str]] = [
    (json.dumps(CALL).replace('"id": 1', '"id": 1, "id": 2').encode(), "stands twice"),
    (json.dumps(CALL).replace("{}", '{"seconds": 1e999}').encode(), "lose digits"),
    (json.dumps(CALL).replace("{}", '{"n": 9007199254740993}').encode(), "lose digits"),
    (json.dumps(CALL).replace("{}", '{"n": "\\u0000"}').encode(), "NUL"),
    (b"[" * 100 + b"]" * 100, "nested deeper"),
    (b"\xff", "not UTF-8"),
]


def test_messages_are_read_as_strictly_as_the_api_reads(url: str) -> None:
    the = desk()
    for body, words in UNREADABLE:
        answer = sent(url, the, body)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), body
        assert words in answer.json()["detail"]
    answer = sent(url, the, b" " * (300 * 1024))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_tool_pays_like_the_request_it_becomes(url: str, settings: LazySettings) -> None:
    """The proposal's own limit holds here, and names itself to the model."""
    the = desk()
    usual = settings.LIMITS.usual
    allowance = replace(usual, rates={**usual.rates, "propose": Rate(1, 1)})
    settings.LIMITS = replace(settings.LIMITS, agents={the.agent.slug: allowance})
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": f"propose_{the.action_type.name}", "arguments": {"arguments": ARGUMENTS}},
    }
    answers = [sent(url, the, call).text for _ in range(3)]
    assert any("An agent may propose" in answer for answer in answers)
    assert Proposal.objects.filter(agent=the.agent).count() < 3
