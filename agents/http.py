"""HTTP for agents: authentication, strict bodies, problem documents. Used by the API views of every app."""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from msgspec import Struct

from accounts.exceptions import DomainError
from agents import authority, identity, strict_json, tokens
from agents.authority import Bearer, Cache
from agents.exceptions import BadCredential, BadToken
from agents.strict_json import NotStrictJson
from audit import recording

PROBLEM_TYPE = "application/problem+json"
_S = TypeVar("_S", bound=Struct)
_View = Callable[..., HttpResponse]


class BadRequest(DomainError):
    """The body is not acceptable JSON, or a header is missing."""

    code = "bad_request"
    title = "The request cannot be read"


class TooLarge(DomainError):
    """The body is larger than an agent may send."""

    code = "body_too_large"
    status = 413
    title = "The body is too large"


class UnsupportedBody(DomainError):
    """Compressed, or not JSON."""

    code = "unsupported_media_type"
    status = 415
    title = "The body has an unsupported encoding"


class FieldsInvalid(DomainError):
    """A field is unknown, missing or of the wrong kind; `errors` names it by JSON Pointer."""

    code = "fields_invalid"
    status = 422
    title = "A field is not acceptable"


def agent_endpoint(*methods: str) -> Callable[[_View], _View]:
    """A view for agents: no session, no CSRF, only these methods."""

    def decorate(view: _View) -> _View:
        @csrf_exempt
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method not in methods:
                return problem(
                    status=405,
                    code="method_not_allowed",
                    title="Method not allowed",
                    detail=f"Use {' or '.join(methods)}.",
                    headers={"Allow": ", ".join(methods)},
                )
            return view(request, *args, **kwargs)

        return checked

    return decorate


def bearer_hash(authorization: str) -> bytes:
    """What names the token in an Authorization header here: SHA-256 of one of ours, the digest of an issuer's.

    Malformed tokens are refused by their checksum without a look at the database (A36). An issuer's token comes out
    with its signature and times verified, now or within the last 30 seconds; a key that is not known yet is fetched."""
    token = bearer_token(authorization)
    if identity.is_shaped(token):
        return _by_issuer(token)
    if not tokens.is_well_formed(token):
        raise BadCredential("The token is malformed: a character is missing or mistyped.")
    return tokens.digest(token)


def token_name(authorization: str) -> bytes:
    """What names the token of somebody who was let in before; nothing of it is verified, and nobody is asked."""
    token = bearer_token(authorization)
    return identity.digest(token) if identity.is_shaped(token) else tokens.digest(token)


def bearer_token(authorization: str) -> str:
    """The token itself, whatever it is."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise BadCredential("Send the header 'Authorization: Bearer <token>'.")
    return token


def _by_issuer(token: str) -> bytes:
    """Nobody is asked for keys but issuers that some agent's identity names."""
    name = identity.digest(token)
    if identity.seen(name) is not None:
        return name
    issuer = identity.issuer_of(token)
    if not (authority.cache().identities(issuer) or authority.fresh().identities(issuer)):
        raise BadToken("token_issuer", "The token's issuer is not trusted.")
    identity.verify(token, issuer)
    return name


def authenticate(authorization: str, *, address: str | None = None) -> Bearer:
    """The agent behind the header, by authority as it is committed now. `address` is where the request comes from,
    for callers that pass no middleware."""
    token_hash = bearer_hash(authorization)
    return checked(token_hash, address=address)


def checked(token_hash: bytes, *, address: str | None = None) -> Bearer:
    """The agent behind a token's hash, unknown, expired and revoked ones and those from elsewhere refused."""
    bearer = admitted(authority.fresh(), token_hash, address=address)
    authority.note_use(bearer.credential_id, address)
    recording.by_credential(bearer.credential_id)
    return bearer


def admitted(cache: Cache, token_hash: bytes, *, address: str | None = None) -> Bearer:
    """The agent behind a token's hash by a cache that was fresh a moment ago. Notes nothing down."""
    bearer = cache.bearer(token_hash)
    if bearer is None or bearer.expires_at <= timezone.now():
        raise authority.refusal(token_hash)
    authority.check_network(bearer, address)
    return bearer


def body(request: HttpRequest, *, most: int | None = None) -> bytes:
    """The raw body; refused by its declared length before a byte of it is parsed (A6).

    `most` is for the few addresses that take another number of bytes than `MAX_BODY_BYTES`."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedBody("Send the body uncompressed.")
    return raw_body(request, most=settings.MAX_BODY_BYTES if most is None else most)


def raw_body(request: HttpRequest, *, most: int) -> bytes:
    """As it came over the wire, whatever its encoding."""
    try:
        declared = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError as error:
        raise BadRequest("Content-Length is not a number.") from error
    if declared > most:
        raise TooLarge(f"The body has {declared} bytes; at most {most} are taken.")
    data = request.read(most + 1)
    if len(data) > most:
        raise TooLarge(f"The body has more than {most} bytes.")
    return data


def parse(data: bytes, into: type[_S]) -> _S:
    """The body as a typed request; `BadRequest` for bad JSON, `FieldsInvalid` with the field's path for bad fields."""
    return typed(parsed(data), into)


def parsed(data: bytes) -> Any:
    """The body's value, whatever it is; `BadRequest` for bad JSON."""
    try:
        return strict_json.loads(data)
    except NotStrictJson as error:
        raise BadRequest(f"The body is not acceptable: {error}.") from error


def typed(value: Any, into: type[_S], *, at: str = "") -> _S:
    """A parsed value as a typed request; `at` is the pointer to it within the body."""
    try:
        return msgspec.convert(value, into)
    except msgspec.ValidationError as error:
        message, found, path = str(error).rpartition(" - at `$")
        if not found:
            message, path = str(error), ""
        field = _pointer(path.rstrip("`"))
        if "unknown field" in message or "missing required field" in message:
            name = message.partition("`")[2].removesuffix("`")
            field = f"{field}/{name.replace('~', '~0').replace('/', '~1')}"
        raise FieldsInvalid(
            "A field was refused.", errors=[{"field": at + field or "/", "message": message}]
        ) from error


def _pointer(path: str) -> str:
    """msgspec's `.context[2].role` as the JSON Pointer `/context/2/role`."""
    return path.replace("[", ".").replace("]", "").replace(".", "/").replace("...", "*")


def as_json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(
        msgspec.json.encode(value), status=status, content_type="application/json", headers=headers
    )


def as_known(content: bytes, known: str, *, headers: dict[str, str] | None = None) -> HttpResponse:
    """JSON with a strong ETag, or 304 without a body where `known`, an If-None-Match header, names it already.

    The tag is of the bytes themselves, which begin anew with every version of what they show: equal tags are equal
    bytes. Answers still say `no-store`: a grant is in them, and an HTTP cache is no place for it; the program that
    asked keeps what it needs."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    tags = {one.strip().removeprefix("W/") for one in known.split(",")}
    is_known = tag in tags or known.strip() == "*"
    response = (
        HttpResponse(status=304, headers=headers)
        if is_known
        else HttpResponse(content, content_type="application/json", headers=headers)
    )
    response["ETag"] = tag
    if is_known:
        del response["Content-Type"]
    return response


def problem(
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    headers: dict[str, str] | None = None,
    **extra: object,
) -> HttpResponse:
    """An RFC 9457 problem document. `type` is a relative reference to its description in the API's docs."""
    document = _document(status, code, title, detail)
    response = HttpResponse(
        msgspec.json.encode(document | extra), status=status, content_type=PROBLEM_TYPE, headers=headers
    )
    if status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="countersign"'
    if "retry_after" in extra:
        response["Retry-After"] = str(extra["retry_after"])
    return response


def problem_of(error: DomainError) -> HttpResponse:
    """The problem document of a domain error."""
    return problem(
        status=error.status,
        code=error.code,
        title=error.title,
        detail=error.detail,
        headers=None,
        **error.extra,
    )


def problem_document(error: DomainError) -> dict[str, object]:
    """The same as a part of a larger answer, for one item of a batch."""
    return _document(error.status, error.code, error.title, error.detail) | error.extra


def _document(status: int, code: str, title: str, detail: str) -> dict[str, object]:
    return {"type": f"/api/docs#{code}", "title": title, "status": status, "code": code, "detail": detail}
