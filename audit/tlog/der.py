"""A small strict reader of DER (X.690): what a timestamp needs of it, and no more. Pure.

Only one-byte tags and definite lengths in their shortest writing are taken, and nothing may follow what was read, so
that bytes have one meaning."""

from dataclasses import dataclass

BOOLEAN, INTEGER, OCTETS, OID, TIME, SEQUENCE, SET = 0x01, 0x02, 0x04, 0x06, 0x18, 0x30, 0x31


def context(number: int, *, whole: bool = True) -> int:
    """The tag [number]; `whole` where it wraps or stands for something constructed."""
    return (0xA0 if whole else 0x80) | number


class BadDER(ValueError):
    """Its text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Value:
    """`body` is what is inside, `whole` the bytes with tag and length."""

    tag: int
    body: bytes
    whole: bytes


def one(data: bytes, tag: int) -> Value:
    """The one value that `data` is. Raises BadDER."""
    found = many(data)
    if len(found) != 1 or found[0].tag != tag:
        raise BadDER(f"one value with tag {tag:#04x} was expected")
    return found[0]


def many(data: bytes) -> list[Value]:
    """The values that stand one after another. Raises BadDER."""
    found, at = [], 0
    while at < len(data):
        start, body = at, at + 2
        if body > len(data):
            raise BadDER("it ends inside a length")
        tag, length = data[at], data[at + 1]
        if tag & 0x1F == 0x1F:
            raise BadDER("a tag of several bytes")
        if length & 0x80:
            count = length & 0x7F
            body += count
            if not 1 <= count <= 4 or body > len(data):
                raise BadDER("a length that is indefinite or too long")
            length = int.from_bytes(data[at + 2 : body], "big")
            if length < 0x80 or length.bit_length() <= 8 * (count - 1):
                raise BadDER("a length that is not written shortest")
        at = body + length
        if at > len(data):
            raise BadDER("it ends inside a value")
        found.append(Value(tag, data[body:at], data[start:at]))
    return found


class Fields:
    """The fields of a sequence, taken in order."""

    def __init__(self, value: Value) -> None:
        if value.tag != SEQUENCE:
            raise BadDER("a sequence was expected")
        self._rest = many(value.body)[::-1]

    def take(self, tag: int) -> Value:
        found = self.maybe(tag)
        if found is None:
            raise BadDER(f"a field with tag {tag:#04x} is missing")
        return found

    def maybe(self, tag: int) -> Value | None:
        """The next field where it has this tag."""
        return self._rest.pop() if self._rest and self._rest[-1].tag == tag else None

    def any(self) -> Value:
        if not self._rest:
            raise BadDER("a field is missing")
        return self._rest.pop()

    def end(self) -> None:
        if self._rest:
            raise BadDER(f"a field with tag {self._rest[-1].tag:#04x} is too many")


def integer(value: Value) -> int:
    """Raises BadDER where it is not written shortest."""
    body = value.body
    if value.tag not in (INTEGER, context(0, whole=False)) or not body:
        raise BadDER("an integer was expected")
    if len(body) > 1 and (body[0], body[1] >> 7) in ((0x00, 0), (0xFF, 1)):
        raise BadDER("an integer that is not written shortest")
    return int.from_bytes(body, "big", signed=True)


def oid(dotted: str) -> bytes:
    """The body of an object identifier: 1.2.840 → 2a 86 48."""
    first, second, *rest = (int(part) for part in dotted.split("."))
    body = b""
    for number in (40 * first + second, *rest):
        group = bytes([number & 0x7F])
        while number := number >> 7:
            group = bytes([0x80 | number & 0x7F]) + group
        body += group
    return body
