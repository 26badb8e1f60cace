"""People. The e-mail address is the name people sign in with; teams are Django's groups."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models.access import RoleAssignment
from accounts.models.rights import Held, assign_role, held_by, holders
from accounts.roles import Duty, Role, Scope
from audit.events import Actor


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **extra: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> "User":
        """A person with the role admin; by commands and set-up, which have no actor to give it."""
        with transaction.atomic():
            user = self.create_user(email, password, **extra)
            assign_role(Role.ADMIN, to=user, source=RoleAssignment.Source.SETUP)
        return user

    def admins(self) -> models.QuerySet["User"]:
        """Active people who are admins now."""
        return self.filter(holders(Duty.ADMINISTER, scope=Scope.EVERYTHING), is_active=True)

    def readers(self) -> models.QuerySet["User"]:
        """Active people who read everything: admins and auditors of everything."""
        reads = holders(Duty.READ, scope=Scope.EVERYTHING)
        return self.filter(reads | holders(Duty.ADMINISTER, scope=Scope.EVERYTHING), is_active=True)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Being an admin is a role like any other; it never grants the right to decide a proposal (I8)."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120)
    time_zone = models.CharField(max_length=64, default="UTC")
    preferences = models.JSONField(default=dict, blank=True)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="one_person_per_email")]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def held(self) -> Held:
        """What this person may do. One query, and only one within a request that reads."""
        return held_by(self)

    @property
    def is_admin(self) -> bool:
        return self.held.is_admin

    @property
    def reads_everything(self) -> bool:
        """Admins, and auditors of everything."""
        return self.held.reads_everything

    @property
    def is_superuser(self) -> bool:  # type: ignore[override]  # what Django asks for; it is the role
        return self.is_admin

    @property
    def is_staff(self) -> bool:
        return self.is_admin

    def get_full_name(self) -> str:
        return str(self)

    def get_short_name(self) -> str:
        return str(self).split(" ")[0]

    @property
    def initials(self) -> str:
        parts = str(self).split()
        return (parts[0][:1] + (parts[-1][:1] if len(parts) > 1 else "")).upper()

    def actor(self) -> Actor:
        return Actor("human", str(self.pk), str(self))


class SetupToken(models.Model):
    """The single-use link that creates the first admin; only its SHA-256 is kept."""

    token_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"valid until {self.expires_at:%Y-%m-%d %H:%M} UTC"
