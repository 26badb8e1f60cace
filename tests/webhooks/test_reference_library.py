"""What leaves is verified by the library that the makers of Standard Webhooks publish, and not by ours alone."""

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from approvals.services import webhooks
from tests.webhooks.conftest import Hook

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_reference_library_takes_what_leaves_and_refuses_what_was_changed(hook: Hook) -> None:
    second = webhooks.rotate(endpoint_id=hook.endpoint.pk, actor=hook.the.agent.owner)
    hook.the.propose(summary="Größe „M“, 5 €")
    hook.send()
    [heard] = hook.server.heard
    for secret in (hook.secret, second):
        assert Webhook(secret).verify(heard.body, heard.headers) == heard.said
    with pytest.raises(WebhookVerificationError):
        Webhook(second).verify(heard.body.replace(b"42.5", b"4250"), heard.headers)
    _, stranger = webhooks.add(
        agent_id=hook.the.agent.pk, url=hook.server.url, events=[], label="", actor=hook.the.agent.owner
    )
    with pytest.raises(WebhookVerificationError):
        Webhook(stranger).verify(heard.body, heard.headers)
