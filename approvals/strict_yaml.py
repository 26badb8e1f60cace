"""YAML as people write blueprints, read without surprises. Pure.

Plain scalars follow YAML 1.2's core schema: `no`, `on` and `2026-11-22` are text, only `true`/`false` are booleans.
Refused, with the line: duplicate keys, aliases and anchors, explicit tags, NaN and infinity, integers beyond 2^53
(they would change on their way through JSON), a second document, more than 1 MiB, more than 40 levels."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_BYTES = 1_048_576
MAX_DEPTH = 40
_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_BASE_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"}


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong: where (a JSON Pointer into the file and its line, 0 where none) and the remedy."""

    line: int
    path: str
    message: str

    def __str__(self) -> str:
        place = self.path or "the file"
        return f"{place} (line {self.line}): {self.message}" if self.line else f"{place}: {self.message}"


@dataclass(slots=True)
class Document:
    """What the file says, and on which line each pointer stands; `value` is incomplete when there are faults."""

    value: Any = None
    lines: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line_of(self, path: str) -> int:
        """The line of the pointer, or of the nearest thing around it that has one."""
        while path and path not in self.lines:
            path = path.rpartition("/")[0]
        return self.lines.get(path, 0)

    def fault(self, path: str, message: str) -> None:
        self.faults.append(Fault(self.line_of(path), path, message))


def read(data: bytes) -> Document:
    """Read one document; all faults found are in `Document.faults`, none is raised."""
    document = Document()
    if len(data) > MAX_BYTES:
        document.fault("", f"larger than {MAX_BYTES // 1024} KiB; split it, one domain per file")
        return document
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        document.fault("", f"not UTF-8 at byte {error.start}; save the file as UTF-8")
        return document
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        document.faults.append(Fault(mark.line + 1 if mark else 0, "", f"not YAML: {problem}"))
        return document
    except (yaml.YAMLError, RecursionError) as error:
        document.fault("", f"not YAML: {str(error).splitlines()[0]}")
        return document
    if node is None:
        document.fault("", "empty; start from an example in docs/blueprints.md")
        return document
    document.value = _Reader(document).value(node, "", 0)
    return document


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.seen: set[int] = set()

    def value(self, node: yaml.Node, path: str, depth: int) -> Any:
        document = self.document
        document.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self.seen:
            document.fault(path, "an alias (*name) repeats another part; write it out")
            return None
        self.seen.add(id(node))
        if depth > MAX_DEPTH:
            document.fault(path, f"nested deeper than {MAX_DEPTH} levels")
            return None
        if node.tag not in _BASE_TAGS:
            document.fault(path, f"the tag {node.tag} is not allowed; write a plain value")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, f"{path}/{i}", depth + 1) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        document, found = self.document, dict[str, Any]()
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag not in _BASE_TAGS:
                document.fault(path, f"line {key_node.start_mark.line + 1} has a key that is not plain text")
                continue
            key = str(key_node.value)
            inner = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            if key in found:
                line = key_node.start_mark.line + 1
                first = document.line_of(inner)
                document.faults.append(
                    Fault(line, inner, f"the key “{key}” is here for the second time (first on line {first})")
                )
                continue
            document.lines[inner] = key_node.start_mark.line + 1
            found[key] = self.value(value_node, inner, depth + 1)
        return found

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        text = str(node.value)
        if "\0" in text:
            self.document.fault(path, "contains a NUL character; remove it")
            return ""
        if node.style is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _NOT_FINITE.fullmatch(text):
            self.document.fault(
                path, f"{text} is not a number JSON can carry; write a finite one or quote it"
            )
            return None
        if _INTEGER.fullmatch(text):
            if len(text) > 17 or abs(int(text)) > 2**53:
                self.document.fault(
                    path, f"{text} is beyond 2^53 and would be rounded; quote it to send it as text"
                )
                return None
            return int(text)
        if _NUMBER.fullmatch(text):
            number = float(text)
            if not math.isfinite(number):
                self.document.fault(path, f"{text} is too large for a number; quote it to send it as text")
                return None
            return number
        return text
