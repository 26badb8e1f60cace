"""The numbers that every page shows: on the bell, and of reviews after the fact."""

from typing import Any

from django import template

from accounts.models import User
from approvals import blind, inbox

register = template.Library()


@register.simple_tag
def unread_count(user: Any) -> int:
    """How many notifications this person has not read; one query for somebody who is signed in."""
    return inbox.unread_count(user) if isinstance(user, User) else 0


@register.simple_tag
def review_count(user: Any) -> int:
    """How many reviews after the fact wait for this person; asked of the database every half minute."""
    return blind.count_for(user) if isinstance(user, User) else 0


@register.filter
def counted(number: int) -> str:
    """99+ where counting stopped."""
    return str(number) if number < inbox.COUNTED else f"{inbox.COUNTED - 1}+"


@register.filter
def is_here(url: str, request: Any) -> bool:
    """Whether the page on screen lies below this address."""
    return bool(url) and request is not None and request.path.startswith(url)
