"""People, teams and what they may do. The e-mail address is the name people sign in with; teams are Django's groups."""

from accounts.models.access import (
    Domain,
    Installation,
    LinkedAccount,
    PersonPermission,
    RoleAssignment,
    TeamJoin,
    TeamPermission,
    live_at,
)
from accounts.models.directory import DirectoryPerson, DirectoryTeam, DirectoryToken
from accounts.models.people import SetupToken, User, UserManager
from accounts.models.requests import AccessRequest, AccessReview, AccessReviewItem, PendingChange
from accounts.models.rights import (
    SCOPES,
    Held,
    Reach,
    assign_role,
    content_type_of,
    end_role,
    held_by,
    holders,
    mark_used,
    permissions_on,
    reach_of,
)
from accounts.models.working import Absence, AbsenceQuerySet, Calendar

__all__ = [
    "SCOPES",
    "Absence",
    "AbsenceQuerySet",
    "AccessRequest",
    "AccessReview",
    "AccessReviewItem",
    "Calendar",
    "DirectoryPerson",
    "DirectoryTeam",
    "DirectoryToken",
    "Domain",
    "Held",
    "Installation",
    "LinkedAccount",
    "PendingChange",
    "PersonPermission",
    "Reach",
    "RoleAssignment",
    "SetupToken",
    "TeamJoin",
    "TeamPermission",
    "User",
    "UserManager",
    "assign_role",
    "content_type_of",
    "end_role",
    "held_by",
    "holders",
    "live_at",
    "mark_used",
    "permissions_on",
    "reach_of",
]
