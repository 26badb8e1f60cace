"""How the arguments of a proposal's revisions differ, in the terms of its action type's schema."""

from approvals.models import Proposal, Revision
from approvals.reading import sheet
from approvals.reading.sheet import Change


def between(proposal: Proposal, before: Revision, after: Revision) -> list[Change]:
    """What one revision changed in the arguments of another, material fields first."""
    kind = proposal.action_type
    return sheet.changes(
        kind.schema, sheet.parse(before.canonical), sheet.parse(after.canonical), material=kind.material
    )


def since(proposal: Proposal, number: int) -> list[Change]:
    """What has changed in the arguments since a revision that somebody looked at."""
    revisions = {revision.number: revision for revision in proposal.revisions.all()}
    if number not in revisions or number >= proposal.revision:
        return []
    return between(proposal, revisions[number], revisions[proposal.revision])
