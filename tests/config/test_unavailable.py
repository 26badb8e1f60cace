"""What people and agents are told when the database goes away in the middle."""

from django.contrib.sessions.exceptions import SessionInterrupted
from django.test import RequestFactory

from config.middleware import unavailable
from config.views import bad_request


def test_lost_session_is_no_fault_of_the_browser() -> None:
    """Seen when PostgreSQL was killed after a decision was committed and before the session was saved."""
    response = bad_request(RequestFactory().post("/proposals/x/approve/"), SessionInterrupted("gone"))
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert b"may have been done or not" in response.content


def test_agents_are_told_to_repeat_and_not_that_nothing_was_stored() -> None:
    response = unavailable(RequestFactory().post("/api/v1/proposals"))
    assert (response.status_code, response["Content-Type"]) == (503, "application/problem+json")
    assert b"it counts once" in response.content
    assert b"othing was stored" not in response.content
