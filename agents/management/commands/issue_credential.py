"""`manage.py issue_credential AGENT --by EMAIL`: a token for an agent, printed once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.exceptions import DomainError
from accounts.models import User
from agents.models import Agent
from agents.services import credentials
from audit import recording


class Command(BaseCommand):
    help = "Issues a credential for an agent and prints its token, which is shown this once and never again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("agent", help="the agent's slug")
        parser.add_argument(
            "--by", required=True, metavar="EMAIL", help="who registers it: owner, manager or admin"
        )
        parser.add_argument(
            "--days", type=int, default=credentials.MAX_DAYS, help="how long it is good (at most 90)"
        )
        parser.add_argument("--label", default="", help="where it is used")

    def handle(self, *args: Any, **options: Any) -> None:
        agent = Agent.objects.filter(slug=options["agent"]).first()
        person = User.objects.filter(email=options["by"].lower(), is_active=True).first()
        if agent is None:
            raise CommandError(f"There is no agent {options['agent']!r}; register it first.")
        if person is None:
            raise CommandError(f"There is no active person with the e-mail {options['by']!r}.")
        try:
            with recording.by_command("issue_credential"):
                _, token = credentials.issue(
                    agent_id=agent.pk, actor=person, days=options["days"], label=options["label"]
                )
        except DomainError as error:
            raise CommandError(f"{error.detail} {error.extra.get('errors', '')}".strip()) from error
        self.stdout.write(token)
