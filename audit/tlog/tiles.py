"""Where a tree's hashes and entries stand as files: C2SP tlog-tiles (https://c2sp.org/tlog-tiles). Pure.

A tile of level L holds up to 256 hashes of tree level 8·L; an entry bundle up to 256 entries, each after its length
as two bytes, most significant first."""

import struct
from collections.abc import Iterator

WIDTH = 256
HEIGHT = 8
HASH = 32
LONGEST_ENTRY = 0xFFFF


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """The address of a tile below the log's root; a partial tile ends in `.p/<width>`."""
    return f"tile/{level}/{_numbered(number, width)}"


def entries_path(number: int, width: int = WIDTH) -> str:
    return f"tile/entries/{_numbered(number, width)}"


def _numbered(number: int, width: int) -> str:
    """1234067 → x001/x234/067, so that no directory grows past a thousand names."""
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03}")
    return "/".join(groups) + (f".p/{width}" if width < WIDTH else "")


def bundle(entries: list[bytes]) -> bytes:
    """Raises ValueError for an entry of more than 65,535 bytes."""
    if any(len(entry) > LONGEST_ENTRY for entry in entries):
        raise ValueError("an entry is longer than 65535 bytes")
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def unbundle(data: bytes) -> Iterator[bytes]:
    """Raises ValueError where the bundle ends inside an entry."""
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from(">H", data, at) if at + 2 <= len(data) else (len(data),)
        entry = data[at + 2 : at + 2 + length]
        if len(entry) != length:
            raise ValueError("the entry bundle ends inside an entry")
        yield entry
        at += 2 + length


def hashes(tile: bytes) -> list[bytes]:
    """Raises ValueError where the tile is no whole number of hashes."""
    if len(tile) % HASH:
        raise ValueError("the tile ends inside a hash")
    return [tile[at : at + HASH] for at in range(0, len(tile), HASH)]
