"""A reviewer who decides by the recorded ground truth, through the pages that people use."""

from typing import Any

from config.replay.browser import Browser
from config.replay.client import Line
from config.replay.records import Record


class Reviewer:
    """One person who decides one proposal after the other."""

    def __init__(self, url: str, line: Line, email: str, password: str) -> None:
        self.email = email
        self._browser = Browser(url, line, email, password)

    async def __aenter__(self) -> "Reviewer":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._browser.close()

    async def decide(self, record: Record, proposal: dict[str, Any]) -> tuple[bool, bool]:
        raise NotImplementedError
