from collections.abc import Iterator

import pytest

from tests.live import serving


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address
