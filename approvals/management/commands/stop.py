"""`manage.py stop`: pull and lift stop switches where no page can be reached. It needs PostgreSQL and nothing else."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.exceptions import DomainError
from accounts.models import PendingChange, User
from agents import stops
from agents.models import ActionType, Agent, Mandate, Stop
from approvals.services import stop as services
from approvals.stopping import Switch
from audit.events import system

ACTOR = system("manage.py stop")


class Command(BaseCommand):
    help = "Stop everything, an agent, an action type or one mandate at once; or lift a stop; or list what is stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--all", action="store_true", help="everything, every agent")
        what.add_argument("--agent", metavar="SLUG", help="everything by one agent")
        what.add_argument("--action-type", metavar="NAME", help="one kind of action by every agent")
        what.add_argument("--mandate", metavar="AGENT:ACTION", help="one kind of action by one agent")
        what.add_argument("--list", action="store_true", help="show what is stopped now, and change nothing")
        parser.add_argument("--reason", default="", help="why; agents, owners and admins read it")
        parser.add_argument(
            "--lift", action="store_true", help="let it begin again; what was taken back stays so"
        )
        parser.add_argument(
            "--by", metavar="EMAIL", help="who does it, by his own rights; else the command itself"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            self._list()
            return
        if not options["reason"].strip():
            raise CommandError("Say why: --reason '…'. Nothing was changed.")
        switch, by = _switch(options), _person(options["by"])
        try:
            if options["lift"]:
                self._lift(switch, by, options["reason"])
            else:
                self._pull(switch, by, options["reason"])
        except DomainError as error:
            raise CommandError(f"{error.detail} Nothing was changed.") from error

    def _pull(self, switch: Switch, by: User | None, reason: str) -> None:
        pulled = services.pull(switch=switch, by=by, reason=reason, actor=ACTOR, seconds=None)
        if not pulled.is_new:
            since = timezone.localtime(pulled.stop.stopped_at)
            self.stdout.write(f"{stops.words(pulled.stop)} So it was before ({since:%Y-%m-%d %H:%M}).")
            taken = services.finish(now=timezone.now(), seconds=None)
            self.stdout.write(f"Taken back now: {taken}.")
            return
        self.stdout.write(f"{stops.words(pulled.stop)} Taken back: {pulled.taken_back}.")

    def _lift(self, switch: Switch, by: User | None, reason: str) -> None:
        found = stops.live().filter(
            scope=switch.scope, agent=switch.agent, action_type=switch.action_type, mandate=switch.mandate
        )
        stop = found.first()
        if stop is None:
            raise CommandError("It is not stopped; --list shows what is. Nothing was changed.")
        lifted = services.lift(stop_id=stop.pk, by=by, reason=reason, actor=ACTOR)
        if isinstance(lifted, PendingChange):
            self.stdout.write(
                "It stays stopped: lifting it waits for a second person. Without --by it is lifted now."
            )
            return
        self.stdout.write(f"{stops.what(lifted)} may begin again.")

    def _list(self) -> None:
        pulled = list(stops.live())
        for stop in pulled:
            who = stop.stopped_by or "a command"
            self.stdout.write(
                f"{_option(stop)}\t{timezone.localtime(stop.stopped_at):%Y-%m-%d %H:%M}\t{who}\t{stop.reason}"
            )
        if not pulled:
            self.stdout.write("Nothing is stopped.")


def _switch(options: dict[str, Any]) -> Switch:
    if options["all"]:
        return Switch()
    if options["agent"]:
        return Switch(agent=_agent(options["agent"]))
    if options["action_type"]:
        return Switch(action_type=_action_type(options["action_type"]))
    slug, _, name = options["mandate"].partition(":")
    agent, action_type = _agent(slug), _action_type(name)
    mandate = Mandate.objects.select_related("agent", "action_type").filter(
        agent=agent, action_type=action_type
    )
    found = mandate.first()
    if found is None:
        raise CommandError(f"{slug} has no mandate for {name}. Nothing was changed.")
    return Switch(mandate=found)


def _agent(slug: str) -> Agent:
    found = Agent.objects.filter(slug=slug).first()
    if found is None:
        raise CommandError(f"There is no agent {slug!r}. Nothing was changed.")
    return found


def _action_type(name: str) -> ActionType:
    found = ActionType.objects.filter(name=name).first()
    if found is None:
        raise CommandError(f"There is no action type {name!r}. Nothing was changed.")
    return found


def _person(email: str | None) -> User | None:
    if email is None:
        return None
    found = User.objects.filter(email__iexact=email, is_active=True).first()
    if found is None:
        raise CommandError(f"There is nobody active with the address {email}. Nothing was changed.")
    return found


def _option(stop: Stop) -> str:
    """How this command names it."""
    if stop.agent is not None:
        return f"--agent {stop.agent.slug}"
    if stop.action_type is not None:
        return f"--action-type {stop.action_type.name}"
    if stop.mandate is not None:
        return f"--mandate {stop.mandate.agent.slug}:{stop.mandate.action_type.name}"
    return "--all"
