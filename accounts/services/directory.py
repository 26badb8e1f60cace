"""What admins say about the company's directory: tokens by which it speaks SCIM, and which teams it fills."""

from datetime import timedelta

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import directory_tokens, joining, permissions
from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import DirectoryTeam, DirectoryToken, TeamJoin, User
from audit import recording
from audit.events import Actor, Kind, Target, system

LONGEST_DAYS = 365


def actor_of(token: DirectoryToken) -> Actor:
    """Who acts when the directory does."""
    return system(f"directory:{token.label}"[:64])


def issue_token(*, label: str, days: int, actor: User) -> tuple[DirectoryToken, str]:
    """A new token and its text, shown now and never again. Raises `NotAllowed`, `Invalid`."""
    permissions.check_is_admin(actor)
    label = label.strip()
    if not 0 < len(label) <= 54 or not label.isprintable():
        _refuse("label", "must have 1 to 54 characters")
    if not 1 <= days <= LONGEST_DAYS:
        _refuse("days", f"must be between 1 and {LONGEST_DAYS}")
    text = directory_tokens.new()
    with transaction.atomic(durable=True):
        token = DirectoryToken.objects.create(
            label=label,
            token_hash=directory_tokens.digest(text),
            created_by=actor,
            expires_at=timezone.now() + timedelta(days=days),
        )
        recording.record(
            actor=actor.actor(),
            kind=Kind.DIRECTORY_TOKEN_ISSUED,
            target=_token_target(token),
            after={"label": label, "expires_at": token.expires_at.isoformat()},
        )
    return token, text


def revoke_token(*, token_id: int, actor: User) -> DirectoryToken:
    """The token opens nothing from now on. Once more changes nothing. Raises `NotAllowed`, `NotFound`."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        token = DirectoryToken.objects.select_for_update(no_key=True).filter(pk=token_id).first()
        if token is None:
            raise NotFound("There is no such token.")
        if token.revoked_at is None:
            token.revoked_at = timezone.now()
            token.save(update_fields=["revoked_at"])
            recording.record(
                actor=actor.actor(),
                kind=Kind.DIRECTORY_TOKEN_REVOKED,
                target=_token_target(token),
                before={"revoked": False},
                after={"revoked": True},
                detail={"label": token.label},
            )
    return token


def connect_team(*, team_id: int, claim: str, actor: User) -> DirectoryTeam:
    """Let the directory fill a team; `claim` is the group's name in a token, empty where it is the team's own.

    Nobody leaves by this, and nobody joins before the directory says so. Raises `NotAllowed`, `NotFound`, `Invalid`,
    `Conflict`."""
    permissions.check_is_admin(actor)
    claim = claim.strip()
    if len(claim) > 200 or not (claim.isprintable() or not claim):
        _refuse("claim", "must have at most 200 characters")
    try:
        with transaction.atomic(durable=True):
            team = _locked(team_id)
            joining.check_directory_may_fill(team)
            entry = DirectoryTeam.objects.filter(team=team).first() or DirectoryTeam(team=team)
            before = _facts(entry) if entry.pk else None
            entry.claim, entry.removed_at, entry.changed_at = claim, None, timezone.now()
            entry.save()
            _record_connection(team, actor, before=before, after=_facts(entry))
    except IntegrityError as error:
        raise Conflict(f"Another team is filled from the group “{claim}” already.") from error
    return entry


def disconnect_team(*, team_id: int, actor: User) -> Group:
    """The directory fills the team no more, and whom it put in by itself is out. Raises `NotAllowed`, `NotFound`."""
    permissions.check_is_admin(actor)
    with transaction.atomic(durable=True):
        team = _locked(team_id)
        entry = DirectoryTeam.objects.filter(team=team, removed_at=None).first()
        if entry is None:
            raise NotFound("The directory does not fill this team.")
        for join in TeamJoin.objects.filter(team=team).select_related("person").order_by("person_id"):
            joining.leave(join.person, team, source=joining.DIRECTORY, by=actor)
        before = _facts(entry)
        entry.removed_at = entry.changed_at = timezone.now()
        entry.save(update_fields=["removed_at", "changed_at"])
        _record_connection(team, actor, before=before, after=_facts(entry))
    return team


def _locked(team_id: int) -> Group:
    team = Group.objects.select_for_update(no_key=True).filter(pk=team_id).first()
    if team is None:
        raise NotFound("There is no such team.")
    return team


def _record_connection(
    team: Group, actor: User, *, before: dict[str, object] | None, after: dict[str, object]
) -> None:
    if before != after:
        recording.record(
            actor=actor.actor(),
            kind=Kind.TEAM_CONNECTED,
            target=Target("team", str(team.pk)),
            before=before,
            after=after,
            detail={"team": team.name},
        )


def _facts(entry: DirectoryTeam) -> dict[str, object]:
    return {"by_directory": entry.removed_at is None, "group": entry.claim}


def _refuse(field: str, message: str) -> None:
    raise Invalid("Nothing was changed.", errors=[{"field": field, "message": message}])


def _token_target(token: DirectoryToken) -> Target:
    return Target("directory_token", str(token.pk))
