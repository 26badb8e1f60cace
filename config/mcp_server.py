"""The MCP server itself, on the official library: which tools there are, what each asks of the API, and how the answer
reads. Both generations of the protocol, each without sessions. Loaded by config/mcp_door.py when somebody comes.

Who proposes and has a person beside (a client that opens addresses, protocol 2026-07-28) is asked once to open the
page where the proposal is reviewed. The page demands sign-in and decides by the reviewer's own rights: the agent's
owner, for one, is shown it and may not decide. What the client answers to that counts for nothing."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import mcp_types as types
from django.conf import settings
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from accounts.exceptions import DomainError
from config import doors, mcp_door, mcp_tools
from config.mcp_inner import Answer, Door, Inner
from config.mcp_tools import PROPOSE, Offer

PROGRESS_EVERY = 10.0
"""Seconds between two notes to a waiting client that asked for progress."""
KEY = "countersign/idempotency-key"
"""In a call's `_meta`: the same as the argument, for clients that set it themselves."""
INSTRUCTIONS = (
    "Countersign lets people approve what you intend to do. Propose an action, wait for the decision, and if it is "
    "approved redeem the grant and act with exactly the approved arguments, once; then report the outcome. Rejected "
    "or denied means no: do not look for another way to the same end, and tell the reviewer's words to who asked you."
)
_UNDECIDED = ("pending", "scheduled", "submitted")
_UNDER_WAY = ("approved", "executing")
logging.getLogger("mcp").setLevel(logging.WARNING)  # it tells of every request that has no session
Params = types.CallToolRequestParams
Result = types.CallToolResult | types.InputRequiredResult


class BadCall(Exception):
    """The call cannot be made into a request; the message says why."""


@asynccontextmanager
async def running(api: Door) -> AsyncIterator[Door]:
    """The ASGI handler of one process, until the end of the block."""
    tools = _Tools(api)
    server: Server[Any] = Server(
        "countersign",
        version="1",
        title="Countersign",
        instructions=INSTRUCTIONS,
        on_list_tools=tools.listed,
        on_call_tool=tools.called,
        get_tool_input_schema=lambda name: None,  # no argument is repeated in a header
    )
    manager = StreamableHTTPSessionManager(
        server, stateless=True, max_request_body_size=settings.MAX_BODY_BYTES + mcp_door.ENVELOPE
    )
    handle: Any = manager.handle_request  # the same door, in Starlette's types
    async with manager.run():
        yield handle


class _Tools:
    def __init__(self, api: Door) -> None:
        self._api = api

    async def listed(
        self, context: Any, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """By the mandates as they are now; not to be kept, they may be gone in a moment."""
        scope = context.request.scope
        offers = await doors.read(_offers, scope)
        return types.ListToolsResult(
            tools=[_tool(offer) for offer in offers], ttl_ms=0, cache_scope="private"
        )

    async def called(self, context: Any, params: Params) -> Result:
        inner = Inner(self._api, context.request.scope)
        given = dict(params.arguments or {})
        try:
            if params.name.startswith(PROPOSE):
                return await _propose(context, inner, params, given)
            asks = _ASKS.get(params.name)
            if asks is None:
                raise BadCall(f"There is no tool {params.name[:80]!r}.")
            if asks is _wait:
                answer = await _reporting(context, _wait(inner, given))
            else:
                answer = await asks(inner, given)
        except BadCall as error:
            return _words(str(error), is_error=True)
        return _result(answer)


def _offers(scope: dict[str, Any]) -> list[Offer]:
    """Runs in a reader thread. What the credential may no longer do by now is answered as an empty list."""
    try:
        return mcp_tools.offered_to(doors.header(scope, b"authorization"), address=doors.address(scope))
    except DomainError:
        return []


def _tool(offer: Offer) -> types.Tool:
    return types.Tool(
        name=offer.name,
        title=offer.title,
        description=offer.description,
        input_schema=offer.schema,
        annotations=types.ToolAnnotations(
            title=offer.title,
            read_only_hint=offer.reads,
            destructive_hint=offer.ends,
            idempotent_hint=offer.repeats,
            open_world_hint=False,
        ),
    )


async def _propose(context: Any, inner: Inner, params: Params, given: dict[str, Any]) -> Result:
    """Propose, and once have the review page opened where a person is beside. What comes back from that is an id and
    no more: with it the proposal is read by the agent's own right, whoever wrote the message."""
    if params.request_state:
        return _result(await inner.get(_path({"proposal_id": params.request_state})))
    key = given.pop("idempotency_key", None) or (params.meta or {}).get(KEY) or uuid4().hex
    if not isinstance(key, str) or not key.isascii():
        raise BadCall("The idempotency key must be 1 to 200 printable ASCII characters.")
    answer = await inner.post(
        "/api/v1/proposals", given | {"action_type": params.name.removeprefix(PROPOSE)}, key=key
    )
    if answer.is_refused or answer.content["status"] != "pending" or not _opens_pages(context):
        return _result(answer)
    proposal_id = answer.content["id"]
    page = types.ElicitRequest(
        params=types.ElicitRequestURLParams(
            message="A person decides about this before anything is done. Open the review page in Countersign, "
            "or leave it to those who review.",
            url=review_page(proposal_id),
        )
    )
    return types.InputRequiredResult(input_requests={"review": page}, request_state=proposal_id)


def _opens_pages(context: Any) -> bool:
    """Whether the client said that it shows addresses to a person, which an unattended one does not."""
    capabilities = context.session.client_capabilities
    return bool(
        context.protocol_version >= "2026-07-28"
        and capabilities
        and capabilities.elicitation
        and capabilities.elicitation.url is not None
    )


async def _wait(inner: Inner, given: dict[str, Any]) -> Answer:
    seconds = _whole(given, "seconds", mcp_tools.USUAL_SECONDS, most=mcp_tools.MAX_SECONDS)
    query = f"wait={seconds}"
    if "after_version" in given:
        query += f"&after_version={_whole(given, 'after_version', 0, most=10**9 - 1)}"
    ends = time.monotonic() + seconds
    answer = await inner.get(_path(given), query=query)
    while (
        _is_under_way(answer) and "after_version" not in given and (left := int(ends - time.monotonic())) > 0
    ):
        query = f"wait={left}&after_version={answer.content['version']}"
        answer = await inner.get(_path(given), query=query)
    return answer


def _is_under_way(answer: Answer) -> bool:
    """Approved, and Countersign is about to carry it out: what the agent waits for is the outcome."""
    proposal = answer.content
    return (
        not answer.is_refused
        and proposal["carried_out_by"] == "countersign"
        and proposal["status"] in _UNDER_WAY
    )


async def _get(inner: Inner, given: dict[str, Any]) -> Answer:
    return await inner.get(_path(given))


async def _list(inner: Inner, given: dict[str, Any]) -> Answer:
    parts = [f"limit={_whole(given, 'limit', 20, most=100)}"]
    for name in ("status", "cursor"):
        value = given.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or not value.replace("-", "").replace("_", "").isalnum():
            raise BadCall(f"{name} is not acceptable.")
        parts.append(f"{name}={value}")
    return await inner.get("/api/v1/proposals", query="&".join(parts))


async def _mandates(inner: Inner, given: dict[str, Any]) -> Answer:
    return await inner.get("/api/v1/me")


def _posting(way: str) -> Any:
    """A tool whose arguments are the body of `POST …/{id}/<way>`."""

    async def asks(inner: Inner, given: dict[str, Any]) -> Answer:
        body = {name: value for name, value in given.items() if name != "proposal_id"}
        return await inner.post(f"{_path(given)}/{way}", body)

    return asks


_ASKS: dict[str, Any] = {
    "wait_for_decision": _wait,
    "get_proposal": _get,
    "list_proposals": _list,
    "get_mandates": _mandates,
    "withdraw_proposal": _posting("withdraw"),
    "revise_proposal": _posting("revise"),
    "redeem_grant": _posting("redeem"),
    "report_outcome": _posting("outcome"),
}


async def _reporting(context: Any, work: Any) -> Answer:
    """Tell a client that asked for it every few seconds that it is still being waited, so that it does not give up."""
    task = asyncio.ensure_future(work)
    passed = 0.0
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=PROGRESS_EVERY)
            if done:
                answer: Answer = task.result()
                return answer
            passed += PROGRESS_EVERY
            await context.session.report_progress(passed, message="Nobody has decided yet.")
    finally:
        task.cancel()


def _path(given: dict[str, Any]) -> str:
    """The address of the proposal that is named. Raises `BadCall`."""
    with suppress(ValueError, AttributeError, TypeError):
        return f"/api/v1/proposals/{UUID(given['proposal_id'])}"
    with suppress(KeyError):
        raise BadCall(f"proposal_id: {str(given['proposal_id'])[:60]!r} is not an id.")
    raise BadCall("proposal_id is missing.")


def _whole(given: dict[str, Any], name: str, usual: int, *, most: int) -> int:
    value = given.get(name, usual)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise BadCall(f"{name} must be a whole number of 0 to {most}.")
    return value


def review_page(proposal_id: str) -> str:
    return f"{settings.PUBLIC_URL}/proposals/{proposal_id}/"


def _result(answer: Answer) -> types.CallToolResult:
    """The API's JSON whole, and before it one sentence of what that means."""
    content = answer.content
    if answer.is_refused:
        words = [f"{content.get('title', 'Refused')}: {content.get('detail', '')}"]
        words += [f"{fault.get('field')}: {fault.get('message')}" for fault in content.get("errors", ())]
        return _words("\n".join(words), is_error=True, content=content)
    if "digest" not in content:
        return _words("", content=content)
    content = content | {"review_page": review_page(content["id"])}
    return _words(_sentence(content), content=content)


def _sentence(proposal: dict[str, Any]) -> str:
    status = proposal["status"]
    decision = proposal["decision"] or {}
    comment = f" The reviewer says: {decision['comment']}" if decision.get("comment") else ""
    if status in _UNDECIDED:
        return f"Not decided yet ({status}). Nothing has happened. Call wait_for_decision."
    if proposal["carried_out_by"] == "countersign" and status in _UNDER_WAY:
        return f"Approved. Countersign carries it out itself, not you: wait_for_decision gives the outcome.{comment}"
    if status == "approved" and proposal["carried_out_by"] == "person":
        return f"Approved as advice: a person acts, not you.{comment}"
    if status == "approved" and proposal["grant"] is None:
        return f"Approved, but there is no grant to use. Do not act.{comment}"
    if status == "unknown":
        return f"Whether it was carried out is unknown; a person finds out. Do not repeat it.{comment}"
    if status == "approved":
        return (
            "Approved. Redeem the grant with this digest, then act once with exactly these arguments, which may "
            f"differ from yours.{comment}"
        )
    if status == "returned":
        return f"Returned with a question; answer it with revise_proposal.{comment}"
    if status in ("rejected", "denied"):
        reasons = "; ".join(
            reason["detail"] for reason in proposal["route"]["reasons"] if reason.get("detail")
        )
        why = comment or (f" {reasons}" if reasons else "")
        return f"{status.capitalize()}. Do not do it, in no other way either.{why}"
    return f"The proposal is {status}.{comment}"


def _words(
    text: str, *, is_error: bool = False, content: dict[str, Any] | None = None
) -> types.CallToolResult:
    parts = [text] if text else []
    if content is not None:
        parts.append(json.dumps(content, ensure_ascii=False))
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=part) for part in parts],
        structured_content=content,
        is_error=is_error,
    )
