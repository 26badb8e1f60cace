"""The pure log: RFC 6962 against the RFC written out naively, tiles, notes and leaves."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.tlog import folder, leaves, merkle, tiles
from audit.tlog.folder import Damaged, Folder
from audit.tlog.leaves import BadLeaf


@pytest.fixture(autouse=True)
def _disk_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here is what is written, not whether it outlives a power cut."""
    monkeypatch.setattr("audit.tlog.folder.os.fsync", lambda _: None)


def naive_root(entries: list[bytes]) -> bytes:
    """MTH, as RFC 6962 §2.1 writes it."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = naive_split(len(entries))
    return hashlib.sha256(b"\x01" + naive_root(entries[:k]) + naive_root(entries[k:])).digest()


def naive_path(m: int, entries: list[bytes]) -> list[bytes]:
    """PATH, §2.1.1."""
    n = len(entries)
    if n == 1:
        return []
    k = naive_split(n)
    if m < k:
        return [*naive_path(m, entries[:k]), naive_root(entries[k:])]
    return [*naive_path(m - k, entries[k:]), naive_root(entries[:k])]


def naive_subproof(m: int, entries: list[bytes], is_whole: bool) -> list[bytes]:
    """SUBPROOF, §2.1.2; PROOF(m, D) is SUBPROOF(m, D, true)."""
    n = len(entries)
    if m == n:
        return [] if is_whole else [naive_root(entries)]
    k = naive_split(n)
    if m <= k:
        return [*naive_subproof(m, entries[:k], is_whole), naive_root(entries[k:])]
    return [*naive_subproof(m - k, entries[k:], False), naive_root(entries[:k])]


def naive_split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def made(count: int) -> list[bytes]:
    return [f"leaf {number}".encode() for number in range(count)]


def in_memory(entries: list[bytes]) -> merkle.Node:
    return lambda level, index: naive_root(entries[index << level : (index + 1) << level])


@settings(deadline=None)
@given(st.integers(0, 300))
def test_root_is_the_rfcs(size: int) -> None:
    assert merkle.root(in_memory(made(size)), size) == naive_root(made(size))


@settings(deadline=None)
@given(st.data())
def test_inclusion_proof_is_the_rfcs_and_holds(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 300))
    index = data.draw(st.integers(0, size - 1))
    entries = made(size)

    proof = merkle.inclusion_proof(in_memory(entries), index, size)

    assert proof == naive_path(index, entries)
    assert merkle.is_included(merkle.leaf_hash(entries[index]), index, size, proof, naive_root(entries))


@settings(deadline=None)
@given(st.data())
def test_consistency_proof_is_the_rfcs_and_holds(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, 300))
    old = data.draw(st.integers(1, new))
    entries = made(new)

    proof = merkle.consistency_proof(in_memory(entries), old, new)

    assert proof == naive_subproof(old, entries, True)
    assert merkle.is_consistent(old, naive_root(entries[:old]), new, naive_root(entries), proof)


def flips(data: bytes) -> list[bytes]:
    return [
        data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
        for at in range(len(data))
        for bit in range(8)
    ]


@pytest.mark.parametrize(
    ("index", "size"), [(0, 1), (0, 2), (2, 3), (3, 7), (6, 7), (5, 8), (8, 9), (11, 21)]
)
def test_every_bit_flipped_breaks_inclusion(index: int, size: int) -> None:
    entries = made(size)
    root, leaf = naive_root(entries), merkle.leaf_hash(entries[index])
    proof = naive_path(index, entries)

    assert merkle.is_included(leaf, index, size, proof, root)
    assert not any(merkle.is_included(leaf, index, size, proof, bad) for bad in flips(root))
    assert not any(merkle.is_included(bad, index, size, proof, root) for bad in flips(leaf))
    for at, part in enumerate(proof):
        for bad in flips(part):
            assert not merkle.is_included(leaf, index, size, [*proof[:at], bad, *proof[at + 1 :]], root)


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 3), (3, 7), (4, 7), (6, 8), (7, 8), (8, 9), (5, 21)])
def test_every_bit_flipped_breaks_consistency(old: int, new: int) -> None:
    entries = made(new)
    first, second = naive_root(entries[:old]), naive_root(entries)
    proof = naive_subproof(old, entries, True)

    assert merkle.is_consistent(old, first, new, second, proof)
    assert not any(merkle.is_consistent(old, bad, new, second, proof) for bad in flips(first))
    assert not any(merkle.is_consistent(old, first, new, bad, proof) for bad in flips(second))
    for at, part in enumerate(proof):
        for bad in flips(part):
            assert not merkle.is_consistent(old, first, new, second, [*proof[:at], bad, *proof[at + 1 :]])


def test_proof_holds_for_its_own_place_and_sizes_alone() -> None:
    """All places and sizes up to 20: no proof is good for another leaf, another size, or with a part more or less."""
    for size in range(1, 21):
        entries = made(size)
        root = naive_root(entries)
        for index in range(size):
            leaf, proof = merkle.leaf_hash(entries[index]), naive_path(index, entries)
            taken = [at for at in range(-1, size + 1) if merkle.is_included(leaf, at, size, proof, root)]
            assert taken == [index]
            assert not merkle.is_included(leaf, index, size, [*proof, bytes(32)], root)
            assert not proof or not merkle.is_included(leaf, index, size, proof[:-1], root)
        for old in range(size + 1):
            first, proof = naive_root(entries[:old]), merkle.consistency_proof(in_memory(entries), old, size)
            assert merkle.is_consistent(old, first, size, root, proof)
            assert not merkle.is_consistent(old, first, size, root, [*proof, bytes(32)])
            assert not proof or not merkle.is_consistent(old, first, size, root, proof[:-1])
            taken = [at for at in range(1, size) if merkle.is_consistent(at, first, size, root, proof)]
            assert taken == [old] * (0 < old < size)


def test_impossible_sizes_are_refused() -> None:
    node = in_memory(made(4))
    for index, size in [(4, 4), (-1, 4), (0, 0)]:
        with pytest.raises(ValueError, match="not in a tree"):
            merkle.inclusion_proof(node, index, size)
        assert merkle.root_of_inclusion(bytes(32), index, size, []) is None
    for old, new in [(5, 4), (-1, 4)]:
        with pytest.raises(ValueError, match="not newer"):
            merkle.consistency_proof(node, old, new)
        assert not merkle.is_consistent(old, bytes(32), new, bytes(32), [])
    assert not merkle.is_consistent(0, bytes(32), 4, bytes(32), [])
    assert not merkle.is_consistent(4, bytes(32), 4, bytes(32), [bytes(32)])


EIGHT = [bytes.fromhex(entry) for entry in ("", "00", "10", "2021", "3031", "40414243")] + [
    bytes.fromhex("5051525354555657"),
    bytes.fromhex("606162636465666768696a6b6c6d6e6f"),
]
"""The eight leaves on which implementations of Certificate Transparency (google/certificate-transparency,
cpp/merkletree/merkle_tree_test.cc; transparency-dev/merkle, testonly) agree, and the roots over the first 1 … 8."""
EIGHT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_known_roots_of_the_eight_leaves() -> None:
    assert [merkle.root(in_memory(EIGHT), size).hex() for size in range(1, 9)] == EIGHT_ROOTS
    assert merkle.EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_known_proofs_of_the_eight_leaves() -> None:
    """From the same tests: PATH(5) and PATH(0) in eight leaves, PROOF(6, 8)."""
    node = in_memory(EIGHT)

    assert [part.hex() for part in merkle.inclusion_proof(node, 0, 8)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert [part.hex() for part in merkle.inclusion_proof(node, 5, 8)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert [part.hex() for part in merkle.consistency_proof(node, 6, 8)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (tiles.tile_path(0, 0), "tile/0/000"),
        (tiles.tile_path(0, 273), "tile/0/273"),
        (tiles.tile_path(1, 1, 17), "tile/1/001.p/17"),
        (tiles.tile_path(2, 0, 1), "tile/2/000.p/1"),
        (tiles.tile_path(0, 1_234_067), "tile/0/x001/x234/067"),
        (tiles.tile_path(63, 999), "tile/63/999"),
        (tiles.tile_path(0, 1000), "tile/0/x001/000"),
        (tiles.entries_path(273, 112), "tile/entries/273.p/112"),
        (tiles.entries_path(1_234_067), "tile/entries/x001/x234/067"),
    ],
)
def test_tile_paths_are_those_of_the_specification(path: str, written: str) -> None:
    """C2SP tlog-tiles: x001/x234/067 is its example, and so is a tree of 70,000 leaves with tile/0/273.p/112."""
    assert path == written


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundle_comes_back(entries: list[bytes]) -> None:
    assert list(tiles.unbundle(tiles.bundle(entries))) == entries


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=5), st.data())
def test_bundle_cut_inside_an_entry_is_refused(entries: list[bytes], data: st.DataObject) -> None:
    whole = tiles.bundle(entries)
    ends = [len(tiles.bundle(entries[:count])) for count in range(len(entries) + 1)]
    length = data.draw(st.integers(0, len(whole)).filter(lambda at: at not in ends))
    with pytest.raises(ValueError, match="inside an entry"):
        list(tiles.unbundle(whole[:length]))


def test_entry_beyond_two_bytes_of_length_and_broken_tile_are_refused() -> None:
    assert list(tiles.unbundle(tiles.bundle([bytes(65_535)]))) == [bytes(65_535)]
    with pytest.raises(ValueError, match="longer than 65535"):
        tiles.bundle([bytes(65_536)])
    with pytest.raises(ValueError, match="inside a hash"):
        tiles.hashes(bytes(33))


def appended(path: Path, counts: list[int]) -> bytes:
    size, root = 0, merkle.EMPTY
    for count in counts:
        root = folder.append(path, size, made(size + count)[size:])
        size += count
    return root


@settings(max_examples=25, deadline=None)
@given(counts=st.lists(st.integers(0, 300), min_size=1, max_size=5), data=st.data())
def test_folder_is_the_same_tree_however_it_was_batched(counts: list[int], data: st.DataObject) -> None:
    entries = made(sum(counts))
    with TemporaryDirectory() as name:
        path = Path(name)
        assert appended(path, counts) == naive_root(entries)

        tree = Folder(path, len(entries))
        assert [entry for _, entry in tree.entries()] == entries
        old = data.draw(st.integers(0, len(entries)))
        assert tree.root(old) == naive_root(entries[:old])
        assert merkle.is_consistent(
            old, naive_root(entries[:old]), len(entries), tree.root(), tree.consistency_proof(old)
        )
        if entries:
            index = data.draw(st.integers(0, len(entries) - 1))
            assert tree.inclusion_proof(index) == naive_path(index, entries)
            assert [number for number, _ in tree.entries(index)] == list(range(index, len(entries)))


def test_folder_beyond_two_shelves(tmp_path: Path) -> None:
    """65,536 leaves fill a tile of tiles; a few more begin the next."""
    appended(tmp_path, [65_000, 536, 300])
    entries = made(65_836)
    tree = Folder(tmp_path, len(entries))

    assert tree.root() == naive_root(entries)
    assert {
        file.relative_to(tmp_path).as_posix() for file in tmp_path.glob("tile/[12]/**/*") if file.is_file()
    } == {*("tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1")}
    roots = {size: naive_root(entries[:size]) for size in (1, 255, 257, 65_535, 65_536, 65_836)}
    for old, new in pairwise(roots):
        small = Folder(tmp_path, new)
        assert small.root() == roots[new]
        assert merkle.is_consistent(old, roots[old], new, roots[new], small.consistency_proof(old))


class Killed(BaseException):
    """The process ends here."""


@settings(max_examples=30, deadline=None)
@given(first=st.integers(0, 300), second=st.integers(1, 600), writes=st.integers(0, 12))
def test_append_after_a_crash_can_be_repeated(first: int, second: int, writes: int) -> None:
    entries = made(first + second)
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        path, write, left = Path(name), folder.write, iter(range(writes))
        appended(path, [first])

        def dying(file: Path, data: bytes) -> None:
            if next(left, None) is None:
                raise Killed
            write(file, data)

        patch.setattr(folder, "write", dying)
        try:
            folder.append(path, first, entries[first:])
        except Killed:
            assert Folder(path, first).root() == naive_root(entries[:first])
        patch.setattr(folder, "write", write)

        assert folder.append(path, first, entries[first:]) == naive_root(entries)
        assert folder.append(path, first, entries[first:]) == naive_root(entries)


def test_append_of_something_else_is_refused(tmp_path: Path) -> None:
    """Where other leaves were written and never signed: nothing is overwritten, whoever is right."""
    appended(tmp_path, [5])
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    for size, others in [(5, []), (0, [b"x"] * 5), (4, [b"x"])]:
        if others:
            with pytest.raises(Damaged):
                folder.append(tmp_path, size, others)

    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("tile/0/000.p/5", None, "tile/0/000.p/5 is missing"),
        ("tile/0/000.p/5", bytes(32 * 4), "is too short"),
        ("tile/0/000.p/5", bytes(33), "inside a hash"),
        ("tile/entries/000.p/5", None, "tile/entries/000.p/5 is missing"),
        ("tile/entries/000.p/5", b"\x00", "inside an entry"),
        ("tile/entries/000.p/5", b"\x00\x01x", "holds 1 entries, not 5"),
    ],
)
def test_damaged_folder_says_which_file(tmp_path: Path, name: str, data: bytes | None, words: str) -> None:
    appended(tmp_path, [5])
    (tmp_path / name).unlink() if data is None else (tmp_path / name).write_bytes(data)
    with pytest.raises(Damaged, match=words):
        Folder(tmp_path, 5).root()
        list(Folder(tmp_path, 5).entries())


COMMITMENT = bytes(range(32))
WHEN = datetime(2026, 11, 22, 9, 5, 6, 7, UTC)


def test_leaf_is_written_canonically_and_comes_back() -> None:
    leaf = leaves.leaf(event=7, kind="proposal.approved", time=WHEN, transaction=2**63, commitment=COMMITMENT)

    assert leaf.data == (
        b'{"commitment":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f","event":7,'
        b'"kind":"proposal.approved","time":"2026-11-22T09:05:06.000007Z","transaction":"9223372036854775808","v":1}'
    )
    assert leaves.read(leaf.data) == leaf


def test_one_moment_has_one_spelling() -> None:
    there = WHEN.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert leaves.written(there) == leaves.written(WHEN) == "2026-11-22T09:05:06.000007Z"
    assert leaves.written(WHEN.replace(microsecond=0)) == "2026-11-22T09:05:06.000000Z"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"v":1', b'"v":2'),
        (b'"v":1', b'"v":1,"w":1'),
        (b'"event":7', b'"event":07'),
        (b'"event":7', b'"event":"7"'),
        (b'"event":7', b'"event":7.0'),
        (b'"event":7', b'"event": 7'),
        (b'"event":7', b'"event":7,"event":7'),
        (b'"transaction":"9"', b'"transaction":9'),
        (b'"transaction":"9"', b'"transaction":"+9"'),
        (b"000000Z", b"000000+00:00"),
        (b"2026-11-22T", b"2026-11-22 "),
        (b"}", b"} "),
        (b'"kind"', b'"kinds"'),
        (b"proposal", b"\\u0070roposal"),
        (b"proposal", b"\xff"),
    ],
)
def test_leaf_written_otherwise_is_refused(old: bytes, new: bytes) -> None:
    data = leaves.leaf(
        event=7,
        kind="proposal.approved",
        time=WHEN.replace(microsecond=0),
        transaction=9,
        commitment=COMMITMENT,
    ).data
    assert old in data
    with pytest.raises(BadLeaf):
        leaves.read(data.replace(old, new, 1))


def test_leaf_that_cannot_be_is_refused() -> None:
    for kind in ("prüfung", "a\nb", "k" * 1024):
        with pytest.raises(BadLeaf):
            leaves.leaf(event=7, kind=kind, time=WHEN, transaction=9, commitment=COMMITMENT)
    for data in (b"", b"[]", b"null", b"{}", b'{"v":1}'):
        with pytest.raises(BadLeaf):
            leaves.read(data)
