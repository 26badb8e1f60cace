"""Addresses of /scim/v2. What comes from the apps above is handed in where all addresses are put together."""

from django.urls import URLPattern, path, re_path

from accounts.scim import discovery, views
from accounts.scim.http import Parse
from accounts.services.provision import ShutOut


def addresses(*, parse: Parse, shut_out: ShutOut) -> list[URLPattern]:
    """`parse` reads strict JSON; `shut_out` deactivates a person, claims handed back, within a transaction."""
    doors = views.Doors(parse=parse, shut_out=shut_out)
    return [
        path("ServiceProviderConfig", discovery.config),
        path("ResourceTypes", discovery.resource_types),
        path("ResourceTypes/<str:name>", discovery.resource_types),
        path("Schemas", discovery.schemas),
        path("Schemas/<str:name>", discovery.schemas),
        path("Users/.search", views.nothing, {"rest": ".search"}),
        path("Groups/.search", views.nothing, {"rest": ".search"}),
        path("Users", doors.users()),
        path("Users/<str:key>", doors.user()),
        path("Groups", doors.groups()),
        path("Groups/<str:key>", doors.group()),
        re_path(r"^(?P<rest>.*)$", views.nothing),
    ]
