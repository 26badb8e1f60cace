"""What every class of Django's admin inherits here: read-only, or audited."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from audit import recording
from audit.events import Actor, Kind, Target


class AuditedAdmin(admin.ModelAdmin[Any]):
    """What is changed through it leaves an audit event in the transaction of the change.

    Django calls the `log_*` methods inside the transaction of its add, change and delete views."""

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Remember what stood in the changed fields: afterwards nobody can say it."""
        names = [name for name in getattr(form, "changed_data", []) if hasattr(obj, name)]
        stored = (
            type(obj)._default_manager.filter(pk=obj.pk).values(*names).first() if change and names else None
        )
        request.audited = (stored, {name: getattr(obj, name) for name in names})  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        _record(request, obj, "added", message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        _record(request, obj, "changed", message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for obj in queryset:
            _record(request, obj, "deleted", str(obj))
        return super().log_deletions(request, queryset)


class ReadOnlyAdmin(AuditedAdmin):
    """Looked at, never changed: the pages of the product are the one way, since they check and audit."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _record(request: HttpRequest, obj: Model, verb: str, message: Any) -> None:
    person = request.user
    before, after = getattr(request, "audited", (None, None)) if verb == "changed" else (None, None)
    recording.record(
        actor=Actor("human", str(person.pk), str(person)),
        kind=Kind.ADMIN_CHANGED,
        target=Target(obj._meta.model_name or "record", str(obj.pk)),
        before={name: str(value) for name, value in before.items()} if before else None,
        after={name: str(value) for name, value in after.items()} if after else None,
        detail={"verb": verb, "what": message if isinstance(message, list | str) else str(message)},
    )
