"""Where a log is read from: its address on the web, or a folder. Bounded in size and time, whatever answers.

Only the standard library: this is part of what runs on a stranger's machine."""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from audit.tlog import folder, tiles
from audit.tlog.folder import Damaged

SECONDS = 30.0
"""For one answer, from the first word to the last."""
LONGEST_NOTE = 64 * 1024
_LONGEST_ANSWER = 4096
_NEAR = {"localhost", "127.0.0.1", "::1"}
_Result = TypeVar("_Result")


class Unreachable(Exception):
    """The log cannot be read or told now; its text says why. Nothing is proven by that."""


class Missing(Unreachable):
    """There is no such file."""


class Source(Protocol):
    """What a log is read from."""

    def read(self, name: str, most: int) -> bytes:
        """The file of this name below the log's root, of at most `most` bytes. Raises Unreachable, Missing."""


class Disk:
    """A folder, of the log itself or a copy of it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str, most: int) -> bytes:
        try:
            with (self.path / name).open("rb") as file:
                return _limited(file.read(most + 1), name, most)
        except FileNotFoundError as error:
            raise Missing(f"{name} is missing in {self.path}") from error
        except OSError as error:
            raise Unreachable(f"{name} cannot be read: {error}") from error


class Web:
    """An address that ends in /tlog/. Redirects are not followed: another place is another log."""

    def __init__(self, address: str, *, seconds: float = SECONDS) -> None:
        """Raises ValueError for an address that is neither https nor on this machine."""
        parts = urlsplit(address)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{address} is no address of a log")
        if parts.scheme == "http" and parts.hostname not in _NEAR:
            raise ValueError(f"{address} is not encrypted; use https")
        self.address = address.rstrip("/") + "/"
        self.seconds = seconds
        self._opener = urllib.request.build_opener(_StaysHere)

    def read(self, name: str, most: int) -> bytes:
        return self._ask(name, None, most)

    def publish(self, note: str) -> None:
        """Hand the witness's signature in. Raises Unreachable with the log's words where it is not taken."""
        self._ask("cosignatures", note.encode(), _LONGEST_ANSWER)

    def _ask(self, name: str, body: bytes | None, most: int) -> bytes:
        headers = {"User-Agent": "countersign-witness", "Content-Type": "text/plain; charset=utf-8"}
        request = urllib.request.Request(self.address + name, body, headers)  # noqa: S310 - http(s) only, see above
        try:
            return _within(self.seconds, lambda: self._answer(request, name, most))
        except (OSError, ValueError) as error:
            raise Unreachable(f"{self.address}{name} cannot be reached: {error}") from error

    def _answer(self, request: urllib.request.Request, name: str, most: int) -> bytes:
        try:
            with self._opener.open(request, timeout=self.seconds) as response:
                return _limited(response.read(most + 1), name, most)
        except urllib.error.HTTPError as error:
            kind = Missing if error.code == 404 else Unreachable
            raise kind(f"{self.address}{name} answers {error.code}: {_words(error)}") from error


class _StaysHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _words(error: urllib.error.HTTPError) -> str:
    try:
        text = error.read(_LONGEST_ANSWER).decode(errors="replace")
    except (OSError, ValueError):
        text = ""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:500] or error.reason


def _limited(data: bytes, name: str, most: int) -> bytes:
    if len(data) > most:
        raise Unreachable(f"{name} is longer than {most} bytes")
    return data


def _within(seconds: float, work: Callable[[], _Result]) -> _Result:
    """What `work` returns or raises, or TimeoutError: a socket's own time limit begins anew with every byte."""
    done: list[_Result] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as error:  # noqa: BLE001 - raised again below, in the thread that asked
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise TimeoutError(f"no whole answer within {seconds:g} seconds")
    return done[0]


class Fetched(folder.Folder):
    """A log's tree at one size, over tiles from a source. Raises Damaged and Unreachable."""

    def __init__(self, source: Source, size: int) -> None:
        super().__init__(Path(), size)
        self._source = source

    def _read(self, path: Path, whole: str) -> bytes:
        """A partial tile, or the full one that has taken its place since."""
        most = tiles.WIDTH * tiles.HASH
        try:
            return self._source.read(path.as_posix(), most)
        except Missing:
            pass
        try:
            return self._source.read(whole, most)
        except Missing as error:
            raise Damaged(f"{path.as_posix()} is missing") from error


def opened(place: str) -> Source:
    """The source that a person named: an address or a folder. Raises ValueError."""
    return Web(place) if "://" in place else Disk(Path(place))
