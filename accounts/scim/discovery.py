"""What this SCIM server can do, told to whoever asks (RFC 7644 4)."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    Context,
    ETag,
    Filter,
    ForbiddenException,
    ListResponse,
    NotFoundException,
    Pagination,
    Patch,
    Resource,
    ResourceType,
    Schema,
    ServiceProviderConfig,
    Sort,
)

from accounts.scim.http import answer, endpoint
from accounts.scim.resources import Person, Team
from accounts.scim.views import MOST, PAGE

NAMES: dict[str, type[Resource[Any]]] = {"User": Person, "Group": Team}


@endpoint("GET")
def config(request: HttpRequest) -> HttpResponse:
    _no_filter(request)
    found = ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MOST),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=True),
        pagination=Pagination(cursor=False, index=True, default_page_size=PAGE, max_page_size=MOST),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="A token that an admin issues on the page Directory; it ends within a year.",
                primary=True,
            )
        ],
    )
    return answer(found.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))


@endpoint("GET")
def resource_types(request: HttpRequest, name: str = "") -> HttpResponse:
    _no_filter(request)
    found = {key: _resource_type(key, model) for key, model in NAMES.items()}
    return _one_or_all(found, name, ResourceType)


@endpoint("GET")
def schemas(request: HttpRequest, name: str = "") -> HttpResponse:
    _no_filter(request)
    found = {str(model.__schema__): model.to_schema() for model in NAMES.values()}
    return _one_or_all(found, name, Schema)


def _resource_type(name: str, model: Any) -> ResourceType:
    found = ResourceType.from_resource(model)
    found.id = found.name = name
    found.description = {"User": "A person", "Group": "A team that the directory fills"}[name]
    found.endpoint = f"/{name}s"  # type: ignore[assignment]
    return found


def _one_or_all(found: dict[str, Any], name: str, model: Any) -> HttpResponse:
    if not name:
        everything = list(found.values())
        response = ListResponse[model](
            total_results=len(everything), start_index=1, items_per_page=len(everything), resources=everything
        )
        return answer(response.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))
    if name not in found:
        raise NotFoundException(detail="There is no such thing here.")
    return answer(found[name].model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))


def _no_filter(request: HttpRequest) -> None:
    """RFC 7644 4: what is asked for with a filter is forbidden, so that nobody takes an empty list for the truth."""
    if "filter" in request.GET:
        raise ForbiddenException(detail="This list cannot be filtered.")
