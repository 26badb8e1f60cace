"""The page of a person's own settings, as a browser without JavaScript uses it."""

from typing import Any

import pytest
from django.test import Client

from accounts import shortcuts
from accounts.exceptions import Invalid
from accounts.models import User
from accounts.services.preferences import save
from tests.factories import person

pytestmark = pytest.mark.django_db(transaction=True)


def sent(**changed: Any) -> dict[str, Any]:
    """The form as the page has it, with some fields filled in otherwise; keys by their usual name."""
    places = {action.key: f"key_{place}" for place, action in enumerate(shortcuts.ACTIONS)}
    chosen = changed.pop("key_map", {})
    keys = {field: chosen.get(key, key) for key, field in places.items()}
    return {"theme": "", "time_zone": "", "keys": "on", **keys, **changed}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_keys_zone_theme_and_advance_are_kept_and_other_preferences_left_alone() -> None:
    me = person()
    me.preferences = {"digest": "daily"}
    me.save(update_fields=["preferences"])
    client = signed_in(me)
    answer = client.post(
        "/preferences/",
        sent(theme="dark", time_zone="Asia/Kolkata", keys="alt", advance="on", key_map={"a": "Y"}),
    )
    assert answer.status_code == 302
    me.refresh_from_db()
    assert me.time_zone == "Asia/Kolkata"
    assert me.preferences == {
        "digest": "daily",
        "theme": "dark",
        "keys": "alt",
        "key_map": {"a": "y"},
        "advance": True,
    }
    html = client.get("/preferences/").content.decode()
    assert 'value="y"' in html and "usually a" in html
    assert '<option value="Asia/Kolkata" selected>Kolkata</option>' in html


def test_who_chooses_no_zone_follows_the_device() -> None:
    me = person()
    client = signed_in(me)
    assert (
        '<option value="" selected>Like the device</option>' in client.get("/preferences/").content.decode()
    )
    client.post("/preferences/", sent(time_zone="Etc/UTC"))
    me.refresh_from_db()
    assert me.time_zone == "Etc/UTC"
    client.post("/preferences/", sent())
    me.refresh_from_db()
    assert me.time_zone == "UTC"


def test_a_clash_is_refused_beside_its_field_and_nothing_is_stored() -> None:
    me = person()
    answer = signed_in(me).post("/preferences/", sent(key_map={"r": "a"}))
    assert answer.status_code == 422
    assert "is taken: approve exactly what is shown." in answer.content.decode()
    me.refresh_from_db()
    assert me.preferences == {}


def test_an_unknown_zone_and_a_capital_that_no_key_makes_are_refused() -> None:
    client = signed_in(person())
    assert client.post("/preferences/", sent(time_zone="Mars/Olympus")).status_code == 422
    assert client.post("/preferences/", sent(key_map={"a": " "})).status_code == 422


def test_reset_brings_the_usual_keys_back() -> None:
    me = person()
    client = signed_in(me)
    client.post("/preferences/", sent(key_map={"a": "y", "n": "a"}))
    client.post("/preferences/", sent(key_map={"a": "y", "n": "a"}, reset="1"))
    me.refresh_from_db()
    assert me.preferences["key_map"] == {}


def test_a_person_s_keys_stand_in_the_hints_and_in_the_list_of_keys() -> None:
    me = person()
    client = signed_in(me)
    assert "data-key-map" not in client.get("/preferences/").content.decode()
    client.post("/preferences/", sent(key_map={"?": "h", "a": "y"}))
    html = client.get("/preferences/").content.decode()
    assert "&quot;y&quot;: &quot;a&quot;" in html
    assert 'Press <kbd class="key key--hint">h</kbd> for keys' in html
    assert '<dt><kbd class="key">y</kbd></dt><dd>approve exactly what is shown</dd>' in html


def test_the_use_case_refuses_clashing_keys_by_itself() -> None:
    clash = {**shortcuts.USUAL, "r": "a"}
    with pytest.raises(Invalid):
        save(person=person(), theme="", time_zone="", keys="on", key_map=clash, advance=False)
