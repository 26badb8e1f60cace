"""What would become of an edit if it were sent now: difference, faults, the policy's answer. Changes nothing."""

import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from accounts.models import User
from agents.autonomy import Tier
from agents.models import AgentState
from agents.pointers import title as title_of
from approvals import canonical, facts, permissions, quorum, revising, routing
from approvals.editing import difference as edit_difference
from approvals.editing.difference import Line
from approvals.editing.form import EditForm
from approvals.editing.node import Node
from approvals.exceptions import MayNotDecide
from approvals.models import HeldBallot, Proposal, Queue, Revision, Verdict, Vote
from approvals.reading import sheet
from approvals.routing import Reason, Route
from approvals.states import State


@dataclass(frozen=True, slots=True)
class Say:
    """One sentence for the reviewer. `rule` and `code` stand below it, small."""

    kind: Literal["good", "info", "warn", "stop"]
    text: str
    rule: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """`summary` is one short sentence for a screen reader; `says` is the policy's answer, the weightiest first."""

    summary: str
    lines: list[Line] = field(default_factory=list)
    faults: list[tuple[Node | None, str]] = field(default_factory=list)
    says: list[Say] = field(default_factory=list)
    title: str = ""


def of(
    proposal: Proposal, revision: Revision, me: User, form: EditForm, *, seen: str, at: datetime
) -> Preview:
    """Everything about the edit at hand. `seen` is the version of the page on which it was begun."""
    blocked = why_blocked(proposal, me, seen=seen, at=at)
    if not isinstance(form.arguments, dict):
        return Preview("It cannot be read yet.", faults=form.errors, says=blocked)
    changed = _lines(proposal, revision, form.arguments)
    if not form.is_valid():
        number = len(form.errors)
        words = "1 field needs" if number == 1 else f"{number} fields need"
        return Preview(f"{_count(changed)}; {words} your attention.", changed, form.errors, blocked)
    if not changed:
        return Preview("Nothing is changed yet.", says=blocked)
    if blocked:
        return Preview(blocked[0].text, changed, says=blocked)
    says = _policy(proposal, revision, me, form.arguments, at)
    title = title_of(proposal.action_type.title_template, form.arguments)
    return Preview(
        f"{_count(changed)}. {says[0].text}", changed, [], says, title if title != proposal.title else ""
    )


def _lines(proposal: Proposal, revision: Revision, arguments: dict[str, Any]) -> list[Line]:
    kind = proposal.action_type
    before = sheet.parse(revision.canonical)
    try:
        after = sheet.parse(canonical.arguments_bytes(arguments))
    except ValueError:
        return []
    return edit_difference.lines(kind.schema, before, after, material=kind.material)


def _count(changed: list[Line]) -> str:
    return "1 change" if len(changed) == 1 else f"{len(changed)} changes" if changed else "No change"


def why_blocked(proposal: Proposal, me: User, *, seen: str, at: datetime) -> list[Say]:
    """Why no edit of this person would be taken at all: the checks of the use case, before anything is typed."""
    why = permissions.why_not(me, proposal)
    if why is not None:
        return [Say("stop", why)]
    if proposal.state != State.PENDING:
        return [
            Say("stop", f"It is {State(proposal.state).label.lower()} by now and can no longer be edited.")
        ]
    if proposal.is_claimed and proposal.claimed_by_id != me.pk:
        return [Say("stop", f"{proposal.claimed_by} is on it; your edit would not be taken.")]
    if proposal.expires_at is not None and proposal.expires_at <= at:
        return [Say("stop", "The time to decide has run out.")]
    if seen != str(proposal.version):
        return [Say("stop", "It has changed since you began. Keep what you wrote, and open it again.")]
    try:
        permissions.check_has_not_voted(me, proposal)
    except MayNotDecide as error:
        return [Say("stop", error.detail)]
    held = HeldBallot.objects.filter(proposal=proposal).select_related("reviewer").first()
    if held is not None:
        return [Say("stop", f"{held.reviewer} has just decided it, and can still undo that.")]
    if proposal.agent.state != AgentState.LIVE:
        state = proposal.agent.get_state_display().lower()
        return [Say("stop", f"The agent is {state}; approving would lead to nothing.")]
    return []


def votes_at_stake(proposal: Proposal) -> list[Vote]:
    """Approvals of the present revision, which an edit voids."""
    approving = (Verdict.APPROVE, Verdict.EDIT)
    return [
        vote
        for vote in proposal.votes.all()
        if vote.revision.number == proposal.revision and vote.verdict in approving
    ]


def _policy(
    proposal: Proposal, revision: Revision, me: User, arguments: dict[str, Any], at: datetime
) -> list[Say]:
    """The answer of limits and policy to these arguments, in the order in which a reviewer needs it."""
    route = revising.route_again(proposal, arguments, at)
    if route.state == State.DENIED:
        last = route.reasons[-1]
        return [Say("stop", f"The policy would refuse it: {last.detail}", rule=last.rule)]
    after = _routed(proposal, route)
    says = [_where(proposal, after, me), *_vote(proposal, after, route, me)]
    says += _reasons(proposal, route)
    says += _amount(proposal, revision, arguments)
    return says


def _routed(proposal: Proposal, route: Route) -> Proposal:
    """The proposal as it would stand after the edit, in memory only."""
    after = copy.copy(proposal)
    after.tier, after.quorum = route.tier, route.quorum
    after.roles, after.required = route.roles, route.required
    if route.queue is not None and (proposal.queue is None or route.queue != proposal.queue.slug):
        after.queue = Queue.objects.get(slug=route.queue)
    return after


def _where(proposal: Proposal, after: Proposal, me: User) -> Say:
    if after.queue_id == proposal.queue_id:
        return Say("info", f"It stays in {after.queue}.")
    if permissions.can_see(me, after):
        return Say("warn", f"It goes to another queue: {after.queue}.")
    return Say("warn", f"It goes to another queue, {after.queue}, and out of your sight.")


def _vote(proposal: Proposal, after: Proposal, route: Route, me: User) -> list[Say]:
    """Whether the editor's vote counts, and what is missing then (services/decide.py does the same)."""
    moved = (after.queue_id, after.roles) != (proposal.queue_id, proposal.roles)
    why = permissions.why_not(me, after) if moved else None
    needs = _needs(route)
    if why is not None:
        return [Say("warn", f"Your vote would not count there. {why} {needs}".strip())]
    mine = [sorted(me.groups.values_list("name", flat=True)) if route.required else []]
    if quorum.is_met(mine, route.quorum, route.required):
        words = "Your vote is enough: it would be approved as edited."
        if proposal.tier == Tier.ADVISORY:
            words = "Your word is enough: it is noted as what a person did. Nothing is granted."
        elif after.tier == Tier.ADVISORY:
            words += " It is advisory: no grant follows, a person acts."
        held = proposal.queue.undo_seconds if proposal.queue is not None else 0
        if held:
            words += f" You can undo it for {held} seconds."
        return [Say("good", words)]
    return [Say("info", f"Your vote counts once; it is not enough. {needs} {_missing(mine, route)}".strip())]


def _needs(route: Route) -> str:
    if route.required:
        return (
            "It needs " + " and ".join(f"{seat['votes']} of {seat['team']}" for seat in route.required) + "."
        )
    return f"It needs {route.quorum} people." if route.quorum > 1 else ""


def _missing(mine: list[list[str]], route: Route) -> str:
    seats = quorum.missing(mine, route.required)
    if seats:
        return "Then missing: " + " and ".join(f"{votes} of {team}" for team, votes in seats.items()) + "."
    return f"Then missing: {route.quorum - 1}." if route.quorum > 1 else ""


_WARNED = (*routing.LIMIT_CODES, "amount_unreadable", "rule_error")


def _reasons(proposal: Proposal, route: Route) -> list[Say]:
    """What new the policy says of it, and what it no longer says."""
    before = {(one["code"], one["rule"]) for one in proposal.reasons}
    after = {(one.code, one.rule) for one in route.reasons}
    says = [
        _reason(one) for one in route.reasons if one.code in _WARNED or (one.code, one.rule) not in before
    ]
    for one in proposal.reasons:
        if (one["code"], one["rule"]) not in after and one["code"] != "tier":
            said = f"the rule {one['rule']}" if one["rule"] else one["detail"].rstrip(".")
            says.append(Say("info", f"No longer: {said}.", code=one["detail"] if one["rule"] else ""))
    return says


def _reason(reason: Reason) -> Say:
    kind: Literal["warn", "info"] = "warn" if reason.code in _WARNED else "info"
    if reason.code == "rule":
        return Say("warn", "A rule holds it for review.", rule=reason.rule, code=reason.detail)
    return Say(kind, reason.detail, rule=reason.rule)


def _amount(proposal: Proposal, revision: Revision, arguments: dict[str, Any]) -> list[Say]:
    """The amount as limits and rules read it, where the edit changes it."""
    kind = proposal.action_type
    if not kind.amount_pointer:
        return []
    was, now = facts.money(kind, revision.arguments), facts.money(kind, arguments)
    if was == now:
        return []
    if now[0] is None:
        return [Say("warn", "No amount can be read from it.")]
    unit = now[1] or "no readable currency"
    return [Say("info" if now[1] else "warn", f"The amount is read as {sheet.amount(str(now[0]))} {unit}.")]
