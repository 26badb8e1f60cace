"""One control of the form for arguments, or a group of them, and what is decided before any control is made. Pure."""

from dataclasses import dataclass, field
from typing import Any

from approvals.editing import schema as edit_schema
from approvals.editing.schema import ABSENT

MAX_LEAVES = 350
"""So many values in all have controls of their own: Django takes a thousand fields from one form."""


@dataclass(slots=True)
class Node:
    """One control, or a group of them. `kind` is one of `edit_schema.kind_of`; `key` its name in the form.

    `presence` is given, absent or null, for the parts that can be put in and taken out."""

    kind: str
    pointer: str
    key: str
    label: str
    part: dict[str, Any] = field(default_factory=dict)
    help: str = ""
    bounds: list[str] = field(default_factory=list)
    unit: str = ""
    required: bool = False
    material: bool = False
    value: str = ""
    was: str = ""
    exactly: str = ""
    zone: str = ""
    input_type: str = "text"
    input_mode: str = "text"
    choices: list[tuple[str, str]] = field(default_factory=list)
    empties: list[tuple[str, str]] = field(default_factory=list)
    empty: str = ""
    was_empty: str = ""
    children: list["Node"] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    changed: bool = False
    is_new: bool = False
    presence: str = "given"
    removable: bool = False
    nullable: bool = False
    nameable: bool = False
    names: list[str] = field(default_factory=list)
    origins: str = ""
    can_add: bool = True
    can_remove: bool = True
    is_row: bool = False
    is_first: bool = False
    is_last: bool = False
    focus: bool = False

    @property
    def id(self) -> str:
        """Unique in the page: what is no letter or digit is spelled out, but for the slashes."""
        return "f" + "".join(_id_character(character) for character in self.key)

    @property
    def is_control(self) -> bool:
        return self.kind not in ("group", "list", "union")

    @property
    def is_radio(self) -> bool:
        return self.kind in ("choice", "union") and len(self.choices) <= edit_schema.RADIOS

    @property
    def rows(self) -> int:
        """How high a text area starts; browsers that can let it grow with the text."""
        lines = sum(1 + len(line) // 70 for line in self.value.split("\n"))
        return min(max(lines, 3), 24)

    @property
    def described_by(self) -> str:
        """The ids of what has to be read with the control."""
        has_help = bool(self.help or self.bounds or self.exactly or self.zone or self.kind == "json")
        parts = ([f"{self.id}-help"] if has_help else []) + [f"{self.id}-error"]
        return " ".join(parts)


def _id_character(character: str) -> str:
    if character == "/":
        return "-"
    return character if character.isascii() and character.isalnum() else f"_{ord(character):x}_"


def walk(node: Node) -> list[Node]:
    return [node, *(found for child in node.children for found in walk(child))]


def choices(part: dict[str, Any], value: Any, *, required: bool) -> list[tuple[str, str]]:
    offered = [(edit_schema.key(option), edit_schema.word(option)) for option in edit_schema.options(part)]
    if value is not ABSENT and edit_schema.key(value) not in dict(offered):
        offered.insert(0, (edit_schema.key(value), f"{edit_schema.word(value)} (not allowed)"))
    if value is ABSENT or not required:
        offered.append(("", "not given"))
    return offered


def below(pointer: str, name: str) -> str:
    """The JSON Pointer of a member."""
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"


def member(pointer: str) -> str:
    """The name of the member a JSON Pointer ends in."""
    return pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def _leaves(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_leaves, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(_leaves, value))
    return 1


def too_large(arguments: dict[str, Any]) -> frozenset[str]:
    """Pointers of what is edited as JSON because it has too many values for controls of their own.

    Decided by the agent's arguments alone, so that the form that comes back is the one that was shown."""
    sizes = {below("", name): _leaves(value) for name, value in arguments.items()}
    found = set()
    for pointer in sorted(sizes, key=lambda one: -sizes[one]):
        if sum(sizes.values()) <= MAX_LEAVES:
            break
        found.add(pointer)
        sizes[pointer] = 1
    return frozenset(found) if sum(sizes.values()) <= MAX_LEAVES else frozenset({""})
