"""A reviewer in a browser, without a browser: session cookie, CSRF token, the forms of the pages."""

from typing import Any

import httpx

from config.replay.client import Line
from config.replay.records import Record


class Reviewer:
    """One person who signs in and decides, one proposal after the other."""

    def __init__(self, url: str, line: Line, email: str, password: str) -> None:
        self.email = email

    async def __aenter__(self) -> "Reviewer":
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def decide(self, record: Record, proposal: dict[str, Any]) -> tuple[bool, bool]:
        raise NotImplementedError
