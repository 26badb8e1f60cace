"""Bodies over a real port: too large ones are refused as problem documents, whatever their framing."""

from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from approvals.models import Proposal
from tests.factories import desk
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("size", [300 * 1024, 5 * 1024 * 1024])
@pytest.mark.parametrize("chunked", [False, True])
def test_a06_too_large_body_is_refused_before_parsing(size: int, chunked: bool) -> None:
    the = desk()

    def chunks() -> Iterator[bytes]:
        for _ in range(0, size, 65536):
            yield b"[" * 65536

    with serving() as url:
        answers: list[httpx.Response] = []
        with suppress(httpx.WriteError):  # hanging up before all is sent is as good a refusal
            answers.append(_post(url, the.headers, chunks() if chunked else b"[" * size))
        assert [(one.status_code, one.json()["code"]) for one in answers] in ([], [(413, "body_too_large")])
        assert Proposal.objects.count() == 0
        assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}


def test_head_has_the_length_and_no_body() -> None:
    with serving() as url:
        head, get = httpx.head(f"{url}/healthz"), httpx.get(f"{url}/healthz")
    assert (head.status_code, head.content) in ((200, b""), (405, b""))
    assert get.headers["content-length"] == str(len(get.content))


def _post(url: str, headers: dict[str, str], content: bytes | Iterator[bytes]) -> httpx.Response:
    return httpx.post(
        f"{url}/api/v1/proposals",
        content=content,
        headers={**headers, "Idempotency-Key": "large", "Content-Type": "application/json"},
    )
