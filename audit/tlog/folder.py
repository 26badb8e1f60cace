"""A log's folder on a disk: tiles, entry bundles, the newest checkpoint, and every checkpoint that was ever signed.

Files are written beside their place, flushed to the disk and moved there, so that a reader or a crash meets whole
files only. A tile never changes: what is there must be what would be written."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from audit.tlog import merkle, tiles


class Damaged(Exception):
    """The folder is not what a log of this size has to be; the text names the file."""


class Folder:
    """Reading. `node` serves merkle.py; tiles that were read are kept for the lifetime of this object."""

    def __init__(self, path: Path, size: int) -> None:
        """`size` is the number of leaves of the checkpoint that is being read."""
        self.path = path
        self.size = size
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def node(self, level: int, index: int) -> bytes:
        """Raises Damaged where a tile is missing or too short."""
        shelf, height = divmod(level, tiles.HEIGHT)
        first = index << height
        number, offset = divmod(first, tiles.WIDTH)
        row = self._tile(shelf, number)[offset : offset + (1 << height)]
        if len(row) != 1 << height:
            raise Damaged(f"{tiles.tile_path(shelf, number)} is too short")
        return merkle.perfect_root(row)

    def root(self, size: int | None = None) -> bytes:
        return merkle.root(self.node, self.size if size is None else size)

    def inclusion_proof(self, index: int) -> list[bytes]:
        return merkle.inclusion_proof(self.node, index, self.size)

    def consistency_proof(self, old: int) -> list[bytes]:
        return merkle.consistency_proof(self.node, old, self.size)

    def entries(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """(number, leaf) from `start` on. Raises Damaged."""
        for number in range(start // tiles.WIDTH, -(-self.size // tiles.WIDTH)):
            width = min(tiles.WIDTH, self.size - number * tiles.WIDTH)
            path = self.path / tiles.entries_path(number, width)
            try:
                bundle = list(tiles.unbundle(self._read(path, tiles.entries_path(number))))
            except ValueError as error:
                raise Damaged(f"{path.name}: {error}") from error
            if len(bundle) < width:
                raise Damaged(f"{tiles.entries_path(number, width)} holds {len(bundle)} entries, not {width}")
            for offset, entry in enumerate(bundle[:width]):
                at = number * tiles.WIDTH + offset
                if at >= start:
                    yield at, entry

    def _tile(self, shelf: int, number: int) -> list[bytes]:
        if (shelf, number) not in self._tiles:
            width = min(tiles.WIDTH, (self.size >> tiles.HEIGHT * shelf) - number * tiles.WIDTH)
            path = self.path / tiles.tile_path(shelf, number, width)
            try:
                self._tiles[shelf, number] = tiles.hashes(self._read(path, tiles.tile_path(shelf, number)))
            except ValueError as error:
                raise Damaged(f"{tiles.tile_path(shelf, number, width)}: {error}") from error
        return self._tiles[shelf, number]

    def _read(self, path: Path, whole: str) -> bytes:
        """A partial file, or the full one that has taken its place since."""
        with suppress(FileNotFoundError):
            return path.read_bytes()
        try:
            return (self.path / whole).read_bytes()
        except FileNotFoundError as error:
            raise Damaged(f"{path.relative_to(self.path)} is missing") from error


def append(path: Path, size: int, entries: Sequence[bytes]) -> bytes:
    """Write the tiles and bundles of `entries` after the first `size` leaves; returns the new root.

    Nothing is published by that: a checkpoint is. Repeating it after a crash is harmless. Raises Damaged where what
    is on the disk differs from what would be written."""
    if not entries:
        return Folder(path, size).root()
    old, new = Folder(path, size), size + len(entries)
    _bundles(path, old, entries)
    row = [merkle.leaf_hash(entry) for entry in entries]
    shelf, start = 0, size
    while row:
        row = _shelve(path, old, shelf, start, row)
        shelf += 1
        start >>= tiles.HEIGHT
    return Folder(path, new).root()


def _bundles(path: Path, old: Folder, entries: Sequence[bytes]) -> None:
    first = old.size // tiles.WIDTH
    pending = [entry for _, entry in old.entries(first * tiles.WIDTH)] + list(entries)
    for number, at in enumerate(range(0, len(pending), tiles.WIDTH), first):
        part = pending[at : at + tiles.WIDTH]
        write_once(path / tiles.entries_path(number, len(part)), tiles.bundle(part))
        if len(part) == tiles.WIDTH:
            _forget_partial(path / tiles.entries_path(number))


def _shelve(path: Path, old: Folder, shelf: int, start: int, row: list[bytes]) -> list[bytes]:
    """Put hashes on one level of tiles; returns the roots of the tiles that became full."""
    number, offset = divmod(start, tiles.WIDTH)
    pending = (old._tile(shelf, number)[:offset] if offset else []) + row
    roots = []
    for at in range(0, len(pending), tiles.WIDTH):
        part = pending[at : at + tiles.WIDTH]
        write_once(path / tiles.tile_path(shelf, number, len(part)), b"".join(part))
        if len(part) == tiles.WIDTH:
            _forget_partial(path / tiles.tile_path(shelf, number))
            roots.append(merkle.perfect_root(part))
        number += 1
    return roots


def _forget_partial(full: Path) -> None:
    """tlog-tiles lets a log drop partial tiles once the full one is there."""
    partial = full.with_name(f"{full.name}.p")
    with suppress(FileNotFoundError):
        for file in partial.iterdir():
            file.unlink(missing_ok=True)
        partial.rmdir()


def write_once(path: Path, data: bytes) -> None:
    """Raises Damaged where another content is already there."""
    with suppress(FileNotFoundError):
        if path.read_bytes() != data:
            raise Damaged(f"{path} is already there with another content")
        return
    write(path, data)


def write(path: Path, data: bytes) -> None:
    """Whole or not at all, and on the disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
