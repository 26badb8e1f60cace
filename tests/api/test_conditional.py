"""ETag and If-None-Match: who has the present representation is not sent it again, at both doors."""

from collections.abc import Iterator

import httpx
import pytest

from approvals.models import Verdict
from tests.api.listening import PATIENCE
from tests.factories import desk
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.mark.parametrize(
    "query", ["", "?wait=0.2", "?wait=0.2&after_version=0"], ids=["read", "wait", "after"]
)
def test_the_tag_of_a_proposal_changes_with_it_and_spares_the_body(url: str, query: str) -> None:
    the = desk()
    proposal = the.propose()
    address = f"{url}/api/v1/proposals/{proposal.pk}{query}"

    def get(known: str = "") -> httpx.Response:
        headers = the.headers | ({"If-None-Match": known} if known else {})
        return httpx.get(address, headers=headers, timeout=PATIENCE)

    first = get()
    tag = first.headers["etag"]
    assert first.status_code == 200
    assert tag.startswith('"')
    assert first.headers["cache-control"] == "no-store", "a grant is nothing for a cache on disk"
    for known in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        spared = get(known)
        assert (spared.status_code, spared.content, spared.headers["etag"]) == (304, b"", tag)
    the.decide(proposal, Verdict.APPROVE)
    changed = get(tag)
    assert (changed.status_code, changed.json()["status"]) == (200, "approved")
    assert changed.headers["etag"] != tag


@pytest.mark.parametrize(
    "path", ["/api/v1/me", "/api/v1/proposals", "/.well-known/jwks.json", "/api/v1/openapi.json"]
)
def test_what_is_read_again_and_again_has_a_tag(url: str, path: str) -> None:
    the = desk()
    the.propose()
    first = httpx.get(f"{url}{path}", headers=the.headers, timeout=PATIENCE)
    known = the.headers | {"If-None-Match": first.headers["etag"]}
    assert httpx.get(f"{url}{path}", headers=known, timeout=PATIENCE).status_code == 304
    assert httpx.get(f"{url}{path}", headers=the.headers, timeout=PATIENCE).content == first.content
