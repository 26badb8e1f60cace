"""The people around one proposal: who may see it and so be named in a comment, who may write one, who is away."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from accounts.exceptions import NotAllowed
from accounts.models import Absence, User, holders
from accounts.roles import Duty, Scope
from agents import permissions as agents
from approvals import permissions
from approvals.models import Proposal


def who_may_see(proposal: Proposal) -> list[User]:
    """Everybody who may see it, by name: the rule of `permissions.check_can_see`, from the proposal's side."""
    found = User.objects.filter(
        _concerned(proposal) | _reads(proposal) | Q(pk__in=User.objects.readers().values("pk")),
        is_active=True,
    )
    return list(found.distinct().order_by("name", "pk"))


def _concerned(proposal: Proposal) -> Q:
    """Whose business it is: its queue's reviewers, the agent's owner and managers, admins. Not mere auditors."""
    people = agents.managers_of(proposal.agent) | Q(pk=proposal.agent.owner_id)
    if proposal.queue is not None:
        people |= permissions.reviewers_of(proposal.queue)
    return people | Q(pk__in=User.objects.admins().values("pk"))


def _reads(proposal: Proposal) -> Q:
    """Auditors of its queue and of the agent."""
    agent, queue = proposal.agent, proposal.queue
    readers = holders(Duty.READ, scope=Scope.AGENT, scope_id=agent.pk, domain=agent.domain)
    if queue is not None:
        readers |= holders(Duty.READ, scope=Scope.QUEUE, scope_id=queue.pk, domain=queue.domain)
    return readers


def check_can_comment(user: User, proposal: Proposal) -> None:
    """Who may see it may speak about it, apart from mere auditors, who read everything and write nothing."""
    permissions.check_can_see(user, proposal)
    if not can_comment(user, proposal):
        raise NotAllowed("Auditors read; they do not write.")


def can_comment(user: User, proposal: Proposal) -> bool:
    """Whether this person, who sees the proposal, may also speak about it. One query."""
    return User.objects.filter(_concerned(proposal), is_active=True, pk=user.pk).exists()


def named_in(text: str, people: Iterable[User]) -> list[User]:
    """Whom "@Name" in the text names, the longest name first, so that "@Ann Lee" does not also name an Ann.

    Capitals do not matter; two people of one name are both meant."""
    by_name: dict[str, list[User]] = {}
    for one in people:
        by_name.setdefault(_folded(str(one)), []).append(one)
    if not by_name:
        return []
    names = "|".join(re.escape(name) for name in sorted(by_name, key=len, reverse=True))
    found = re.findall(rf"(?<!\w)@({names})(?!\w)", _folded(text))
    return [one for name in dict.fromkeys(found) for one in by_name[name]]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody who may decide a proposal. `absence` is set while he is away; `stand_in` is his delegate then, if that
    person may decide it too."""

    person: User
    absence: Absence | None = None
    stand_in: User | None = None

    def __str__(self) -> str:
        if self.absence is None:
            return str(self.person)
        until = timezone.localtime(self.absence.ends_at)
        stand_in = f"; {self.stand_in} stands in" if self.stand_in else ""
        return f"{self.person}, away until {until:%a} {until.day} {until:%b}{stand_in}"


def colleagues_of(me: User, deciders: Sequence[User]) -> list[Colleague]:
    """The others among those who may decide, with who of them is away now."""
    now = timezone.now()
    absences = Absence.objects.filter(person__in=deciders, starts_at__lte=now, ends_at__gt=now)
    return around(me, deciders, {absence.person_id: absence for absence in absences})


def around(me: User, deciders: Sequence[User], away: Mapping[int, Absence]) -> list[Colleague]:
    """As `colleagues_of`, where the absences (by person) are known."""
    others = {one.pk: one for one in deciders if one.pk != me.pk}
    found = []
    for one in others.values():
        absence = away.get(one.pk)
        delegate = others.get(absence.delegate_id) if absence and absence.delegate_id else None
        stand_in = None if delegate is None or delegate.pk in away else delegate
        found.append(Colleague(one, absence, stand_in))
    return found
