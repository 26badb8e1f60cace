"""What Django asks about permissions is answered from roles (accounts/models/rights.py); signing in is allauth's."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend

from accounts.models import User
from accounts.models.rights import SCOPES
from accounts.permissions import AUDITOR
from accounts.roles import Duty, Scope


class Roles(AuthenticationBackend):  # type: ignore[misc]  # allauth is untyped
    """`has_perm` with a thing asks for a duty on it, without one only whether somebody reads everything.

    Permissions of Django's own tables on people and groups mean nothing here."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        if not isinstance(user_obj, User) or not user_obj.is_active:
            return False
        app, _, codename = perm.partition(".")
        if obj is None:
            return (app, codename) == AUDITOR and user_obj.reads_everything
        scope = SCOPES.get((obj._meta.app_label, obj._meta.model_name))
        if scope is None or codename not in Duty.__members__.values():
            return False
        reach = user_obj.held.reach(Duty(codename))
        own = {Scope.QUEUE: reach.queues, Scope.AGENT: reach.agents}.get(scope, frozenset())
        domain = obj.pk if scope is Scope.DOMAIN else getattr(obj, "domain", "")
        return reach.everywhere or obj.pk in own or (bool(domain) and domain in reach.domains)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        return False

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()

    def get_group_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()
