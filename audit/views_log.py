"""The log's files for anybody who can reach the server, as C2SP tlog-tiles names them, and the witnesses' letter box.

Nobody signs in and no cookie is read: leaves are salted commitments and hold no personal data. Addresses are taken by
strict patterns (audit/log_urls.py), and nothing outside the log's folder is ever opened."""

import hashlib
import json
from pathlib import Path

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.http import parse_etags, quote_etag
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from audit import cosigning

TEXT, BYTES, STAMP = "text/plain; charset=utf-8", "application/octet-stream", "application/timestamp-reply"
FOREVER = "public, max-age=31536000, immutable"
"""For what never changes: a full tile, a day that is over."""
A_WHILE = "public, max-age=300"
"""For what may be replaced by a fuller one, or may still grow."""
BRIEF = "public, max-age=2"
"""For the newest checkpoint, which is another one every second while people work."""
_READ_AT_ONCE = 1 << 16


@require_safe
def checkpoint(request: HttpRequest) -> HttpResponseBase:
    return _file(request, "checkpoint", TEXT, BRIEF)


@require_safe
def key(request: HttpRequest) -> HttpResponseBase:
    return _file(request, "key", TEXT, A_WHILE)


@require_safe
def tile(request: HttpRequest, name: str) -> HttpResponseBase:
    """`name` as in tlog-tiles; `.p/<width>` marks a partial one, which the full one replaces."""
    return _file(request, f"tile/{name}", BYTES, A_WHILE if ".p/" in name else FOREVER)


@require_safe
def day(request: HttpRequest, name: str) -> HttpResponseBase:
    return _file(request, f"checkpoints/{name}", TEXT, A_WHILE)


@require_safe
def timestamp(request: HttpRequest, name: str) -> HttpResponseBase:
    """The authority's response, or the text that it is for."""
    return _file(request, f"timestamps/{name}", STAMP if name.endswith(".tsr") else TEXT, A_WHILE)


@require_safe
def cosignature(request: HttpRequest, name: str) -> HttpResponseBase:
    return _file(request, f"cosignatures/{name}", TEXT, A_WHILE)


@csrf_exempt
@require_POST
def cosign(request: HttpRequest) -> HttpResponse:
    """Take a cosigned checkpoint: 201, or 200 for one that is known. No session is read, so none can be abused."""
    body = request.read(cosigning.LONGEST + 1)
    if len(body) > cosigning.LONGEST:
        return _problem(413, "too_large", f"A cosigned checkpoint has at most {cosigning.LONGEST} bytes.")
    try:
        found, new = cosigning.accept(body)
    except cosigning.Refused as error:
        return _problem(error.status, error.code, error.detail)
    return HttpResponse(
        json.dumps({"size": found.size, "new": new}),
        status=201 if new else 200,
        content_type="application/json",
    )


def nothing(request: HttpRequest) -> HttpResponse:
    """For every other address below /tlog/."""
    return _problem(404, "not_found", "The log has no such file.")


def _file(request: HttpRequest, name: str, kind: str, caching: str) -> HttpResponseBase:
    """A file of the log's folder. A link that leads out of it is not followed."""
    root = Path(settings.LOG_DIR).resolve()
    try:
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            raise FileNotFoundError
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return _problem(404, "not_found", "The log has no such file.")
    with file:
        size = path.stat().st_size
        etag = quote_etag(
            _mark(path) if size > _READ_AT_ONCE else hashlib.sha256(file.read()).hexdigest()[:32]
        )
        file.seek(0)
        headers = {"Cache-Control": caching, "ETag": etag, "X-Content-Type-Options": "nosniff"}
        given = parse_etags(request.headers.get("If-None-Match", ""))
        if etag in given or "*" in given:
            return HttpResponse(status=304, headers=headers)
        if size <= _READ_AT_ONCE:
            return HttpResponse(file.read(), content_type=kind, headers=headers)
    return FileResponse(path.open("rb"), content_type=kind, headers=headers)


def _mark(path: Path) -> str:
    """What changes whenever a large file does, without reading it."""
    found = path.stat()
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"


def _problem(status: int, code: str, detail: str) -> HttpResponse:
    """An RFC 9457 problem document, as the API's are (the layers do not let us take theirs)."""
    title = {403: "Not allowed", 404: "Not found", 413: "Too large"}.get(status, "A value is not acceptable")
    document = {"type": f"/api/docs#{code}", "title": title, "status": status, "code": code, "detail": detail}
    return HttpResponse(json.dumps(document), status=status, content_type="application/problem+json")
