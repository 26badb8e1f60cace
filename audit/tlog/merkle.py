"""Merkle trees as in RFC 6962 section 2.1 (the same hashing as RFC 9162), over any source of subtree hashes.

A node is named by (level, index): level 0 are the leaves, and node (l, i) covers leaves i·2^l up to (i+1)·2^l. Only
complete nodes are ever asked for; a log that stores tiles can answer for all of them. Pure."""

import hashlib
from collections.abc import Callable, Sequence

Node = Callable[[int, int], bytes]
"""(level, index) → the 32-byte hash of a complete subtree."""

EMPTY = hashlib.sha256().digest()
"""The root of a tree without leaves (RFC 6962 §2.1)."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 ‖ entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root over 2^k hashes of one level."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def root(node: Node, size: int) -> bytes:
    """MTH of the first `size` leaves (RFC 6962 §2.1)."""
    return _range(node, 0, size) if size else EMPTY


def inclusion_proof(node: Node, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]) (RFC 6962 §2.1.1), from the leaf upwards. Raises ValueError outside the tree."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range(node, middle, high))
            high = middle
        else:
            path.append(_range(node, low, middle))
            low = middle
    return path[::-1]


def consistency_proof(node: Node, old: int, new: int) -> list[bytes]:
    """PROOF(old, D[new]) (RFC 6962 §2.1.2). Empty for equal sizes and for an empty old tree."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} is not newer than one of {old}")
    if old in (0, new):
        return []
    proof: list[bytes] = []
    low, high, whole = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(_range(node, middle, high))
            high = middle
        else:
            proof.append(_range(node, low, middle))
            low, whole = middle, False
    if not whole:
        proof.append(_range(node, low, high))
    return proof[::-1]


def root_of_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that the proof leads to (RFC 9162 §2.1.3.2), None where the proof has not the right length."""
    if not 0 <= index < size:
        return None
    position, last, found = index, size - 1, leaf
    for other in proof:
        if last == 0:
            return None
        if position & 1 or position == last:
            found = node_hash(other, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, other)
        position, last = position >> 1, last >> 1
    return found if last == 0 else None


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    return root_of_inclusion(leaf, index, size, proof) == root


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `new` leaves begins with the tree of `old` leaves (RFC 9162 §2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            first, second = node_hash(other, first), node_hash(other, second)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, other)
        position, last = position >> 1, last >> 1
    return first == old_root and second == new_root and last == 0


def _split(count: int) -> int:
    """The largest power of two smaller than `count`."""
    return 1 << (count - 1).bit_length() - 1


def _range(node: Node, low: int, high: int) -> bytes:
    """The hash over leaves low … high-1; `low` is a multiple of the largest power of two below the length."""
    count = high - low
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return node(level, low >> level)
    middle = low + _split(count)
    return node_hash(_range(node, low, middle), _range(node, middle, high))
