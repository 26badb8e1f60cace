"""SCIM filters as Django queries, attribute by attribute of a short list (RFC 7644 3.4.2.2).

The grammar, its precedence and the kinds of values are those of scim2-models; what is not on the list is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import Q
from pydantic import ValidationError
from scim2_models import InvalidFilterException, SearchRequest
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)

from accounts import joining
from accounts.models import TeamJoin
from accounts.scim.resources import Person, Team, key_of

LONGEST = 2000
_TEXT = {
    CompareOperator.eq: "exact",
    CompareOperator.co: "contains",
    CompareOperator.sw: "startswith",
    CompareOperator.ew: "endswith",
}


@dataclass(frozen=True, slots=True)
class Field:
    """Where an attribute is kept. `any_case` compares without regard to case; `inner` are a list's sub-attributes."""

    column: str
    kind: Literal["text", "bool", "id", "member", "team"] = "text"
    any_case: bool = True
    inner: Mapping[str, "Field"] | None = None
    constant: object = None


_ADDRESS = Field("email")
_EMAIL = {
    "value": _ADDRESS,
    "type": Field("", constant="work"),
    "primary": Field("", constant=True),
}
PEOPLE: Mapping[str, Field] = {
    "id": Field("pk", "id"),
    "username": _ADDRESS,
    "externalid": Field("directory_entry__external_id", any_case=False),
    "displayname": Field("name"),
    "name.formatted": Field("name"),
    "active": Field("is_active", "bool"),
    "emails": Field("email", inner=_EMAIL),
    "emails.value": _ADDRESS,
    "groups": Field("", "team", inner={"value": Field("", "team")}),
    "groups.value": Field("", "team"),
}
TEAMS: Mapping[str, Field] = {
    "id": Field("team_id", "id"),
    "displayname": Field("team__name"),
    "externalid": Field("external_id", any_case=False),
    "members": Field("", "member", inner={"value": Field("", "member")}),
    "members.value": Field("", "member"),
}


def query(text: str, fields: Mapping[str, Field], model: type[Person] | type[Team]) -> Q:
    """The rows a filter means. Raises `InvalidFilterException`."""
    if len(text) > LONGEST:
        raise InvalidFilterException(detail=f"A filter has at most {LONGEST} characters.")
    try:
        request = SearchRequest[model].model_validate({"filter": text})  # type: ignore[valid-type]
    except ValidationError as error:
        raise InvalidFilterException(detail=str(error.errors()[0]["msg"])[:300]) from error
    assert request.filter is not None
    return _Query(fields).visit(request.filter.ast)


class _Query(FilterVisitor[Q]):
    def __init__(self, fields: Mapping[str, Field]) -> None:
        self.fields = fields

    def visit_logical_expr(self, node: LogicalExpr) -> Q:
        terms = [self.visit(term) for term in node.terms]
        found = terms[0]
        for term in terms[1:]:
            found = found & term if node.op == LogicalOperator.and_ else found | term
        return found

    def visit_not(self, node: Not) -> Q:
        return ~self.visit(node.expr)

    def visit_value_path(self, node: ValuePath) -> Q:
        """Each of our lists has one value that can be asked about, so its conditions hold together or not at all."""
        inner = self._field(node.attr_path).inner
        if inner is None:
            raise _unfit(node)
        return _Query(inner).visit(node.val_filter)

    def visit_present(self, node: Present) -> Q:
        field = self._field(node.attr_path)
        if field.constant is not None or field.kind in ("bool", "id"):
            return ALL
        if field.kind in ("member", "team"):
            return Q(pk__in=_joined(field.kind, None))
        return ~Q(**{field.column: ""}) & Q(**{f"{field.column}__isnull": False})

    def visit_comparison(self, node: Comparison) -> Q:
        field = self._field(node.attr_path)
        if node.op == CompareOperator.ne:
            return ~self._compare(field, CompareOperator.eq, node.value, node)
        return self._compare(field, node.op, node.value, node)

    def _compare(self, field: Field, op: CompareOperator, value: Any, node: Comparison) -> Q:
        if field.constant is not None or field.kind != "text":
            if op != CompareOperator.eq:
                raise _unfit(node)
            return _equal(field, value)
        if op not in _TEXT or not isinstance(value, str):
            raise _unfit(node)
        if not _is_storable(value):
            return NONE
        return Q(**{f"{field.column}__{'i' if field.any_case else ''}{_TEXT[op]}": value})

    def _field(self, path: AttrPath) -> Field:
        name = path.attr + (f".{path.sub_attr}" if path.sub_attr else "")
        found = self.fields.get(name.lower())
        if found is None:
            raise InvalidFilterException(detail=f"{name[:80]} cannot be filtered by here.")
        return found


ALL = Q(pk__isnull=False)
NONE = Q(pk__in=())


def _equal(field: Field, value: Any) -> Q:
    if field.constant is not None:
        same = value.lower() == field.constant if isinstance(value, str) else value is field.constant
        return ALL if same else NONE
    if field.kind == "bool":
        return Q(**{field.column: bool(value)}) if isinstance(value, bool) else NONE
    key = key_of(value) if isinstance(value, str) else None
    if key is None:
        return NONE
    return Q(**{field.column: key}) if field.kind == "id" else Q(pk__in=_joined(field.kind, key))


def _joined(kind: str, key: int | None) -> Any:
    """Of `team`: people who are in it by the directory. Of `member`: the directory's teams that he is in."""
    found = TeamJoin.objects.filter(joining.by_directory(), team__directory_entry__removed_at=None)
    if kind == "team":
        return (found if key is None else found.filter(team_id=key)).values("person_id")
    return (found if key is None else found.filter(person_id=key)).values("team__directory_entry__pk")


def _is_storable(value: str) -> bool:
    """Whether PostgreSQL can hold it at all: no NUL, no half of a surrogate pair."""
    try:
        return b"\x00" not in value.encode("utf-8")
    except UnicodeEncodeError:
        return False


def _unfit(node: FilterNode) -> InvalidFilterException:
    return InvalidFilterException(detail=f"This cannot be asked of the attribute: {str(node)[:200]}")
