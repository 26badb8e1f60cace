"""/scim/v2: people and teams for the company's directory. Each view reads, calls one use case, shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.contrib.auth.models import Group
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from scim2_models import (
    Context,
    InvalidSyntaxException,
    InvalidValueException,
    ListResponse,
    NotFoundException,
    NotImplementedException,
    PatchOp,
    ResponseParameters,
)

from accounts import joining
from accounts.models import DirectoryTeam, TeamJoin, User
from accounts.scim import filters
from accounts.scim.http import Parse, View, answer, body, careful, check_version, endpoint, is_known
from accounts.scim.resources import (
    FOLLOWING,
    TOLERANT,
    Person,
    Team,
    key_of,
    person_resource,
    team_resource,
    wanted_person,
    wanted_team,
)
from accounts.services import provision
from accounts.services.directory import actor_of
from accounts.services.provision import PersonState, ShutOut, TeamState
from audit.events import Actor

PAGE, MOST = 100, 200
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_R = TypeVar("_R", Person, Team)


@dataclass(frozen=True, slots=True)
class Doors:
    """The views, with what comes from the apps above: how a body is read, and how somebody is deactivated."""

    parse: Parse
    shut_out: ShutOut

    def users(self) -> View:
        @endpoint("GET", "POST")
        def users(request: HttpRequest) -> HttpResponse:
            if request.method == "GET":
                return _list_people(request)
            sent = _sent(body(request, self.parse), Person, Context.RESOURCE_CREATION_REQUEST)
            wanted = careful(lambda: wanted_person(sent, before=None))
            person = provision.create_person(wanted=wanted, actor=_actor(request))
            return _shown(request, _person(request, person.pk), status=201)

        return users

    def user(self) -> View:
        @endpoint("GET", "PUT", "PATCH", "DELETE")
        def user(request: HttpRequest, key: str) -> HttpResponse:
            person_id = _key(key)
            if request.method == "GET":
                return _read(request, _person(request, person_id))
            if request.method == "DELETE":
                provision.remove_person(
                    person_id=person_id,
                    check=lambda person: _check(request, _person(request, person.pk)),
                    actor=_actor(request),
                    shut_out=self.shut_out,
                )
                return _gone()
            make = _change(body(request, self.parse), Person, request.method or "")

            def change(person: User, state: PersonState) -> PersonState:
                shown = person_resource(person, state, joins=_joins(person), base=_base(request))
                _check(request, shown)
                return wanted_person(make(shown), before=state, shown=shown)

            provision.change_person(
                person_id=person_id,
                change=lambda person, state: careful(lambda: change(person, state)),
                actor=_actor(request),
                shut_out=self.shut_out,
            )
            return _shown(request, _person(request, person_id))

        return user

    def groups(self) -> View:
        @endpoint("GET", "POST")
        def groups(request: HttpRequest) -> HttpResponse:
            if request.method == "GET":
                return _list_teams(request)
            sent = _sent(body(request, self.parse), Team, Context.RESOURCE_CREATION_REQUEST)
            team = provision.create_team(wanted=careful(lambda: wanted_team(sent)), actor=_actor(request))
            return _shown(request, _team(request, team.pk), status=201)

        return groups

    def group(self) -> View:
        @endpoint("GET", "PUT", "PATCH", "DELETE")
        def group(request: HttpRequest, key: str) -> HttpResponse:
            team_id = _key(key)
            if request.method == "GET":
                return _read(request, _team(request, team_id))
            if request.method == "DELETE":
                provision.remove_team(
                    team_id=team_id,
                    check=lambda team: _check(request, _team(request, team.pk)),
                    actor=_actor(request),
                )
                return _gone()
            make = _change(body(request, self.parse), Team, request.method or "")

            def change(team: Group, state: TeamState) -> TeamState:
                shown = _team(request, team.pk)
                _check(request, shown)
                return wanted_team(make(shown), state)

            provision.change_team(
                team_id=team_id,
                change=lambda team, state: careful(lambda: change(team, state)),
                actor=_actor(request),
            )
            return _shown(request, _team(request, team_id))

        return group


@endpoint("GET", "POST", "PUT", "PATCH", "DELETE")
def nothing(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Every other address under /scim/v2."""
    if rest.rstrip("/").lower() in ("bulk", "me", ".search"):
        raise NotImplementedException(detail="This is not offered here; see /ServiceProviderConfig.")
    raise NotFoundException(detail="There is nothing at this address.")


def _change(sent: dict[str, Any], model: type[_R], method: str) -> Callable[[_R], Any]:
    """From what is shown to what is wanted: a replacement, or a patch of a copy."""
    if method == "PUT":
        new = _sent(sent, model, Context.RESOURCE_REPLACEMENT_REQUEST)
        return lambda shown: new
    operations = sent.get("Operations", sent.get("operations"))
    if not isinstance(operations, list) or _PATCH not in _list_of(sent.get("schemas")):
        raise InvalidSyntaxException(detail=f"A patch has schemas [{_PATCH}] and Operations.")
    kept = [one for one in (_without_following(one) for one in operations) if one is not None]
    if not kept and operations:
        return lambda shown: shown
    document = {"schemas": [_PATCH], "Operations": kept}
    patch = careful(
        lambda: PatchOp[model].model_validate(  # type: ignore[valid-type]
            document, scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=TOLERANT
        )
    )

    def patched(shown: _R) -> _R:
        copy = shown.model_copy(deep=True)
        patch.patch(copy, scim_policy=TOLERANT)
        return copy

    return patched


def _without_following(operation: Any) -> Any:
    """An operation without what follows from other attributes, or None where nothing else is in it."""
    if not isinstance(operation, dict):
        return operation
    path, value = operation.get("path"), operation.get("value")
    if isinstance(path, str):
        name = path.rpartition(":")[2].partition("[")[0].partition(".")[0].strip().lower()
        return None if name == "emails" else operation
    if isinstance(value, dict):
        return {**operation, "value": _own(value)}
    return operation


def _own(sent: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in sent.items()
        if name.lower().partition(".")[0].partition("[")[0] not in FOLLOWING
    }


def _sent(sent: dict[str, Any], model: type[_R], context: Context) -> _R:
    found: _R = careful(lambda: model.model_validate(_own(sent), scim_ctx=context, scim_policy=TOLERANT))
    return found


def _list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _list_people(request: HttpRequest) -> HttpResponse:
    rows = _people().order_by("pk")
    if text := request.GET.get("filter", ""):
        rows = rows.filter(filters.query(text, filters.PEOPLE, Person))
    return _list(request, rows, Person, lambda person: _as_person(request, person))


def _list_teams(request: HttpRequest) -> HttpResponse:
    rows = _teams().order_by("pk")
    if text := request.GET.get("filter", ""):
        rows = rows.filter(filters.query(text, filters.TEAMS, Team))
    return _list(request, rows, Team, lambda entry: _as_team(request, entry))


def _list(request: HttpRequest, rows: QuerySet[Any], model: Any, show: Callable[[Any], Any]) -> HttpResponse:
    if "sortBy" in request.GET:
        raise InvalidValueException(detail="Sorting is not offered here; see /ServiceProviderConfig.")
    first = max(1, _number(request, "startIndex", 1))
    count = min(MOST, max(0, _number(request, "count", PAGE)))
    found = [show(row) for row in rows[first - 1 : first - 1 + count]]
    response = ListResponse[model](
        total_results=rows.count(), start_index=first, items_per_page=len(found), resources=found
    )
    return answer(
        response.model_dump(
            scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=_parameters(request, model)
        )
    )


def _number(request: HttpRequest, name: str, otherwise: int) -> int:
    text = request.GET.get(name, "")
    if not text:
        return otherwise
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise InvalidValueException(detail=f"{name} has to be a whole number.")
    return int(text)


def _parameters(request: HttpRequest, model: Any) -> Any:
    asked = {
        name: request.GET[name] for name in ("attributes", "excludedAttributes") if request.GET.get(name)
    }
    return careful(lambda: ResponseParameters[model].model_validate(asked, scim_policy=TOLERANT))


def _people() -> QuerySet[User]:
    return (
        User.objects.filter(directory_entry__removed_at=None)
        .select_related("directory_entry")
        .prefetch_related(Prefetch("joins", queryset=_connected(), to_attr="by_directory"))
    )


def _teams() -> QuerySet[DirectoryTeam]:
    joins = TeamJoin.objects.filter(joining.by_directory()).select_related("person")
    return (
        DirectoryTeam.objects.filter(removed_at=None)
        .select_related("team")
        .prefetch_related(Prefetch("team__joins", queryset=joins, to_attr="by_directory"))
    )


def _connected() -> QuerySet[TeamJoin]:
    """Memberships that SCIM shows: by the directory, in a team that it looks after."""
    found = TeamJoin.objects.filter(joining.by_directory(), team__directory_entry__removed_at=None)
    return found.exclude(team__directory_entry=None).select_related("team").order_by("team_id")


def _joins(person: User) -> list[TeamJoin]:
    return list(_connected().filter(person=person))


def _person(request: HttpRequest, person_id: int) -> Person:
    person = _people().filter(pk=person_id).first()
    if person is None:
        raise NotFoundException(detail="There is no such person.")
    return _as_person(request, person)


def _as_person(request: HttpRequest, person: Any) -> Person:
    entry = getattr(person, "directory_entry", None)
    state = PersonState(person.email, person.name, person.is_active, entry.external_id if entry else "")
    return person_resource(person, state, joins=person.by_directory, base=_base(request))


def _team(request: HttpRequest, team_id: int) -> Team:
    entry = _teams().filter(team_id=team_id).first()
    if entry is None:
        raise NotFoundException(detail="There is no such group.")
    return _as_team(request, entry)


def _as_team(request: HttpRequest, entry: Any) -> Team:
    names = {join.person_id: str(join.person) for join in entry.team.by_directory}
    state = TeamState(entry.team.name, entry.external_id, frozenset(names))
    return team_resource(entry, state, names=names, base=_base(request))


def _read(request: HttpRequest, found: Person | Team) -> HttpResponse:
    if is_known(request, _version(found)):
        response = HttpResponse(status=304)
        response["ETag"] = _version(found)
        return response
    return _shown(request, found)


def _shown(request: HttpRequest, found: Person | Team, *, status: int = 200) -> HttpResponse:
    context = Context.RESOURCE_CREATION_RESPONSE if status == 201 else Context.RESOURCE_QUERY_RESPONSE
    parameters = _parameters(request, type(found))
    response = answer(found.model_dump(scim_ctx=context, response_parameters=parameters), status=status)
    response["ETag"] = _version(found)
    assert found.meta is not None
    response["Location"] = str(found.meta.location)
    return response


def _gone() -> HttpResponse:
    return HttpResponse(status=204)


def _check(request: HttpRequest, shown: Person | Team) -> None:
    check_version(request, _version(shown))


def _version(found: Person | Team) -> str:
    assert found.meta is not None
    return str(found.meta.version)


def _key(text: str) -> int:
    found = key_of(text)
    if found is None:
        raise NotFoundException(detail="There is nothing with this id.")
    return found


def _actor(request: HttpRequest) -> Actor:
    return actor_of(request.directory)  # type: ignore[attr-defined]


def _base(request: HttpRequest) -> str:
    return request.build_absolute_uri("/scim/v2")
