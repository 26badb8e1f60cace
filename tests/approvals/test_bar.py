"""The bar says in which place one is, on the pages that a place's tabs lead to as well."""

import re

import pytest
from django.test import Client

from tests.factories import admin

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("place", "addresses"),
    [
        ("Queues", ("/queues/", "/proposals/")),
        ("Agents", ("/agents/", "/outcomes/unknown/", "/backtests/", "/disputes/", "/incidents/")),
        ("Set up", ("/setup/queues/", "/probes/", "/probes/appeals/")),
        (
            "People",
            ("/people/", "/teams/", "/permissions/", "/access/requests/", "/directory/", "/absences/"),
        ),
    ],
)
def test_the_place_one_is_in_is_marked(client: Client, place: str, addresses: tuple[str, ...]) -> None:
    client.force_login(admin())
    for address in addresses:
        html = client.get(address).content.decode()
        bar = html[html.index('aria-label="Places"') :].partition("</nav>")[0]
        here = [re.sub(r"<[^>]+>", "", link) for link in bar.split("<a ") if 'aria-current="page"' in link]
        assert len(here) == 1 and place in here[0], address
