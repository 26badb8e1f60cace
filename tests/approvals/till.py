"""A desk whose actions Countersign itself has carried out, with a server that hears of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.utils import timezone

from agents.services import action_types
from approvals.models import Proposal, Verdict
from approvals.services import execute
from tests.factories import Desk, admin
from tests.receiver import Receiver


@dataclass
class Till:
    """A desk whose refunds are carried out at an address of this machine."""

    the: Desk
    server: Receiver
    ahead: timedelta = timedelta(0)

    def clock(self) -> datetime:
        return timezone.now() + self.ahead

    def run(self, **later: float) -> int:
        self.ahead += timedelta(**later)
        return execute.run(clock=self.clock, seconds=60)

    def approved(self) -> Proposal:
        return self.the.decide(self.the.propose(), Verdict.APPROVE).proposal


def now_of(proposal: Proposal) -> Proposal:
    return Proposal.objects.get(pk=proposal.pk)


def named(the: Desk, url: str, *, repeats: bool = False) -> None:
    definition = action_types.as_definition(the.action_type)
    changed = replace(definition, executor_url=url, executor_repeats=repeats)
    action_types.save(definition=changed, actor=admin())
    the.action_type.refresh_from_db()
