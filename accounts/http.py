"""What every page's view needs to know about the request."""

from django.http import HttpRequest

from accounts.models import User


def person(request: HttpRequest) -> User:
    """The signed-in person, for views behind `login_required`."""
    assert isinstance(request.user, User)
    return request.user
