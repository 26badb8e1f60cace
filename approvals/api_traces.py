"""POST /v1/traces: OTLP/HTTP for instrumented agents, in protobuf and in JSON, gzipped or not.

What the specification asks of answers is kept to the letter, for exporters act on it: the encoding of the request,
`partial_success` for spans that were refused, a google.rpc.Status for every error, and of the errors only 429 and 503
are worth a second try. So domain errors are answered here and not by the middleware."""

from collections.abc import Callable
from functools import wraps

import structlog
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from accounts.exceptions import DomainError
from agents import genai, otlp
from agents.activity_items import BadItem, Item
from agents.http import BadRequest, TooLarge, UnsupportedBody, authenticate, raw_body
from agents.services import record_activity
from approvals import traces as proposals_traces
from approvals.crowding import beside_proposals

log = structlog.get_logger(__name__)
_GRPC = {400: 3, 401: 16, 405: 12, 413: 3, 415: 3, 429: 8, 503: 14}
"""gRPC's codes for a Status, by HTTP status."""
_LISTED = 3
"""So many reasons for refusing spans are told."""
_View = Callable[[HttpRequest], HttpResponse]


def _answering(view: _View) -> _View:
    """Every error as a Status in the encoding of the request."""

    @csrf_exempt
    @wraps(view)
    def answered(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return _error(request, 405, "Use POST.", {"Allow": "POST"})
        try:
            return view(request)
        except DomainError as error:
            return _error(request, error.status, error.detail, _headers(error))
        except (OperationalError, InterfaceError) as error:
            log.error("database_away", error=str(error)[:300])
            return _error(
                request,
                503,
                "The database cannot be reached. Send the same again; it counts once.",
                {"Retry-After": "2"},
            )

    return answered


@_answering
def traces(request: HttpRequest) -> HttpResponse:
    """Record what the spans tell; those of no interest are accepted and left out."""
    bearer = authenticate(request.headers.get("Authorization", ""))
    kind = _kind(request)
    if kind is None:
        raise UnsupportedBody(f"Send {otlp.PROTOBUF} or {otlp.JSON}.")
    with beside_proposals():
        found = _read(request, kind)
        items, refused, why = _items(found)
        recorded = record_activity.record(
            bearer=bearer,
            items=items,
            about=proposals_traces.subjects(bearer.agent.pk, {item.trace_id for item in items}),
        )
    differing = {item.span_id for item, one in zip(items, recorded, strict=True) if one.differs}
    if differing:
        why.append("a span was recorded earlier saying something else, and that stands")
    if found.beyond:
        why.append(f"at most {otlp.MOST_SPANS} spans are taken at once")
    rejected = refused + len(differing) + found.beyond
    message = f"{rejected} refused: {'; '.join(why[:_LISTED])}" if rejected else ""
    return HttpResponse(otlp.answer(kind, rejected=rejected, why=message), content_type=kind)


def _kind(request: HttpRequest) -> str | None:
    given = (request.content_type or "").lower()
    return given if given in (otlp.PROTOBUF, otlp.JSON) else None


def _read(request: HttpRequest, kind: str) -> otlp.Traces:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise UnsupportedBody("Send the body as it is, or gzipped.")
    data = raw_body(request, most=otlp.MOST_SENT)
    try:
        if encoding == "gzip":
            data = otlp.inflate(data)
        return otlp.read_json(data) if kind == otlp.JSON else otlp.read_protobuf(data)
    except otlp.TooMuch as error:
        raise TooLarge(str(error)) from error
    except otlp.BadTraces as error:
        raise BadRequest(f"The body is not acceptable: {error}.") from error


def _items(found: otlp.Traces) -> tuple[list[Item], int, list[str]]:
    """What the spans tell, how many are unusable, and why."""
    now = timezone.now()
    items: list[Item] = []
    refused, why = 0, []
    for span in found.spans:
        try:
            items += genai.items_of(span, now=now)
        except BadItem as error:
            refused += 1
            why.append(f"{error.field[1:]} {error}")
    return items, refused, list(dict.fromkeys(why))


def _headers(error: DomainError) -> dict[str, str]:
    headers = {}
    if "retry_after" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after"])
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="countersign"'
    return headers


def _error(request: HttpRequest, status: int, message: str, headers: dict[str, str]) -> HttpResponse:
    """In protobuf where the request was in neither of the two."""
    kind = _kind(request) or otlp.PROTOBUF
    return HttpResponse(
        otlp.status(kind, _GRPC.get(status, 13), message), status=status, content_type=kind, headers=headers
    )
