"""`manage.py demo_agents`: the made-up company's agents, proposing over HTTP until stopped."""

import asyncio
import contextlib
import os
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.demo import agents, setup


class Command(BaseCommand):
    help = "Let the demo company's agents propose, wait, act and report, at a humane pace."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "8000")
        parser.add_argument("--url", default=f"http://{host}:{port}", help="the server's address")

    def handle(self, *args: Any, **options: Any) -> None:
        tokens = setup.read_tokens()
        if not tokens:
            raise CommandError("There are no demo agents yet; run manage.py demo_seed first.")
        with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
            asyncio.run(_work(options["url"], tokens))


async def _work(url: str, tokens: dict[str, str]) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await agents.Company(url, tokens).work()
