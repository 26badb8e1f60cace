"""One agent, one endpoint on this machine, and a clock that a test moves."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from approvals.models import WebhookDelivery, WebhookEndpoint
from approvals.services import send_webhooks, webhooks
from tests.factories import Desk, desk
from tests.receiver import Receiver, allow_loopback, receiving


@dataclass
class Hook:
    """What most of these tests need."""

    the: Desk
    endpoint: WebhookEndpoint
    secret: str
    server: Receiver
    ahead: timedelta = timedelta(0)

    def clock(self) -> datetime:
        return timezone.now() + self.ahead

    def send(self, seconds: float = 60) -> int:
        """Everything that is due by the test's clock."""
        return send_webhooks.send_due(clock=self.clock, seconds=seconds)

    def later(self, **time: float) -> None:
        self.ahead += timedelta(**time)

    def rows(self, **only: object) -> list[WebhookDelivery]:
        return list(WebhookDelivery.objects.filter(endpoint=self.endpoint, **only).order_by("pk"))

    def reread(self) -> WebhookEndpoint:
        self.endpoint.refresh_from_db()
        return self.endpoint


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiving() as the:
        yield the


@pytest.fixture
def hook(server: Receiver, transactional_db: None) -> Hook:
    the = desk(at={"undo_seconds": 0})
    allow_loopback()
    endpoint, secret = webhooks.add(
        agent_id=the.agent.pk, url=server.url, events=[], label="", actor=the.agent.owner
    )
    return Hook(the, endpoint, secret, server)
