"""Where the server is, who asks, and how patiently: read anew for every request, so that a rotated token is taken."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeAlias

from countersign.errors import CountersignError
from countersign.wire import Answer, Lost

DEFAULT_URL = "http://127.0.0.1:8000"
Token: TypeAlias = str | Callable[[], str] | None
_AGAIN = frozenset({408, 429, 502, 503, 504})
FAULT_TRIES = 3
"""So often is asked again of a server that answers with a fault of its own (500): it seldom heals by itself."""
_NOT_DONE = frozenset({408, 409, 429})
"""The server says with these that it did nothing; after any other failure the request may have been carried out."""


@dataclass(frozen=True)
class Settings:
    """`url` and `token` given as None come from the environment. `token` may be a function, for tokens that change.

    `timeout` are seconds for one answer, `attempts` and `patience` (seconds) bound one request with its repeats."""

    url: str | None = None
    token: Token = field(default=None, repr=False)
    timeout: float = 10.0
    attempts: int = 8
    patience: float = 60.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    chance: Callable[[], float] = field(default=random.random, repr=False)

    def base_url(self) -> str:
        """Without a slash at its end."""
        return (self.url or os.environ.get("COUNTERSIGN_URL") or DEFAULT_URL).rstrip("/")

    def bearer(self) -> str:
        """The token, from COUNTERSIGN_TOKEN or the file COUNTERSIGN_TOKEN_FILE where none was given."""
        token = self.token() if callable(self.token) else self.token
        if not token and (path := os.environ.get("COUNTERSIGN_TOKEN_FILE")):
            token = Path(path).read_text(encoding="utf-8")
        token = (token or os.environ.get("COUNTERSIGN_TOKEN") or "").strip()
        if not token:
            raise CountersignError(
                "There is no token: set COUNTERSIGN_TOKEN to the one from the agent's page, or pass token=…",
                code="no_token",
            )
        return token

    def is_worth_repeating(self, answer: Answer | Lost, failures: int = 1) -> bool:
        """Whether the same request may get a better answer in a moment, after so many failures in a row."""
        if isinstance(answer, Answer) and answer.status == 500:
            return failures < FAULT_TRIES
        if isinstance(answer, Lost) or answer.status in _AGAIN:
            return failures < self.attempts
        in_flight = answer.status == 409 and answer.code == "request_in_flight"
        return in_flight and failures < self.attempts

    def may_have_been_done(self, answer: Answer | Lost) -> bool:
        """Whether a request that failed like this may have been carried out all the same."""
        return answer.was_sent if isinstance(answer, Lost) else answer.status not in _NOT_DONE

    def pause(self, failures: int, answer: Answer | Lost, *, most: float = 10.0) -> float:
        """Seconds before the next try: as the server asks, else twice as long each time, by chance up to there."""
        asked = retry_after(answer)
        if asked is not None:
            return asked + self.chance() * min(1.0, asked / 4)
        ceiling = min(most, 0.25 * 2.0 ** min(failures - 1, 16))
        return ceiling * (0.25 + 0.75 * self.chance())


def retry_after(answer: Answer | Lost) -> float | None:
    """Seconds, from a number or an HTTP date; None where the server does not say."""
    text = "" if isinstance(answer, Lost) else answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text[:9])
    if text:
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except (TypeError, ValueError):
            return None
    return None
