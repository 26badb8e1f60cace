"""A person's own filters, kept by name. No audit event: they change nothing for anybody else."""

from django.db import transaction

from accounts.exceptions import Invalid, NotFound
from accounts.models import User
from approvals.models import SavedView

MOST = 40
MAX_NAME = 80
MAX_QUERY = 2000


def save(*, owner: User, name: str, query: str, is_default: bool) -> SavedView:
    """Keep the filters under this name, in place of what had it. One view at most is where the owner begins.

    Raises `Invalid`."""
    name = " ".join(name.replace("\x00", "").split())
    if not 0 < len(name) <= MAX_NAME:
        raise _wrong("name", f"needs 1 to {MAX_NAME} characters")
    if len(query) > MAX_QUERY:
        raise _wrong("query", "has too many filters to be kept")
    with transaction.atomic(durable=True):
        _lock(owner)
        views = SavedView.objects.filter(owner=owner)
        if views.exclude(name=name).count() >= MOST:
            raise _wrong("name", f"there are {MOST} views; remove one first")
        if is_default:
            views.filter(is_default=True).update(is_default=False)
        values: dict[str, object] = {"query": query} | ({"is_default": True} if is_default else {})
        view, _ = SavedView.objects.update_or_create(owner=owner, name=name, defaults=values)
    return view


def begin_with(*, owner: User, view_id: int | None) -> SavedView | None:
    """Make this view the one the owner begins with; None for none of them. Raises `NotFound`."""
    with transaction.atomic(durable=True):
        _lock(owner)
        view = None if view_id is None else _own(owner, view_id)
        SavedView.objects.filter(owner=owner, is_default=True).update(is_default=False)
        if view is not None:
            view.is_default = True
            view.save(update_fields=["is_default"])
    return view


def remove(*, owner: User, view_id: int) -> SavedView:
    """Forget the view. Raises `NotFound`."""
    with transaction.atomic(durable=True):
        _lock(owner)
        view = _own(owner, view_id)
        view.delete()
    return view


def _lock(owner: User) -> None:
    """Two requests of one person count his views and choose his beginning one after the other."""
    User.objects.select_for_update(of=("self",), no_key=True).get(pk=owner.pk)


def _own(owner: User, view_id: int) -> SavedView:
    view = SavedView.objects.filter(owner=owner, pk=view_id).first()
    if view is None:
        raise NotFound("You have no such view.")
    return view


def _wrong(field: str, message: str) -> Invalid:
    return Invalid("The view was not kept.", errors=[{"field": field, "message": message}])
