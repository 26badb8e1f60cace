"""The pages of an agent's endpoints, as a browser without scripts uses them, and what each action leaves in the log."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals import webhooks
from approvals.models import OpenNetwork, WebhookDelivery, WebhookEndpoint, WebhookSecret
from audit.models import AuditEvent
from tests.factories import admin, desk, person
from tests.receiver import Receiver, allow_loopback, says
from tests.webhooks.conftest import Hook
from tests.webhooks.verifying import verified

pytestmark = pytest.mark.django_db(transaction=True)


def browser(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def secret_in(answer: Any) -> str:
    found = re.search(r"whsec_[A-Za-z0-9+/=]+", html.unescape(answer.content.decode()))
    assert found is not None
    return found[0]


def kinds() -> list[str]:
    found = AuditEvent.objects.filter(kind__regex=r"^(webhook|network)\.").order_by("pk")
    return [one.kind for one in found]


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.unescape(answer.content.decode())))


def test_an_owner_adds_an_endpoint_sees_its_secret_once_and_tests_it(server: Receiver) -> None:
    the = desk()
    allow_loopback()
    owner = browser(the.agent.owner)
    base = f"/agents/{the.agent.slug}/webhooks/"
    added = owner.post(f"{base}add/", {"url": server.url, "label": "Mine", "events": ["proposal.approved"]})
    secret = secret_in(added)
    assert "no-store" in added.headers["Cache-Control"]
    endpoint = WebhookEndpoint.objects.get()
    where = f"{base}{endpoint.pk}/"
    assert (endpoint.label, endpoint.events) == ("Mine", ["proposal.approved"])
    assert secret not in owner.get(where).content.decode()
    assert secret.encode() not in bytes(WebhookSecret.objects.get().sealed)

    tested = owner.post(f"{where}test/", follow=True)
    assert "Not sent yet" in tested.content.decode()
    hook = Hook(the, endpoint, secret, server)
    server.answer = says(200, b"<script>alert(1)</script> \xe2\x80\xaemoc.live")
    assert hook.send() == 1
    [heard] = server.heard
    assert verified(heard, secret)["type"] == "webhook.test"

    page = owner.get(tested.redirect_chain[-1][0]).content.decode()
    assert "<script>alert" not in page and "&lt;script&gt;" in page
    assert "RIGHT-TO-LEFT OVERRIDE" in page.upper()
    assert "200" in page and "delivered" in page
    assert kinds() == ["webhook.added", "webhook.tested"]


def test_rotation_signs_with_both_secrets_until_the_old_one_ends(hook: Hook) -> None:
    owner = browser(hook.the.agent.owner)
    answer = owner.post(
        f"/agents/{hook.the.agent.slug}/webhooks/{hook.endpoint.pk}/rotate/", {"overlap": "24"}
    )
    second = secret_in(answer)
    hook.the.propose()
    hook.send()
    [heard] = hook.server.heard
    assert len(heard.headers["webhook-signature"].split()) == 2
    assert verified(heard, hook.secret) == verified(heard, second)

    hook.later(hours=25)
    hook.the.propose()
    hook.send()
    now = hook.clock().timestamp()
    assert verified(hook.server.heard[-1], second, now=now)
    with pytest.raises(Exception, match="not ours"):
        verified(hook.server.heard[-1], hook.secret, now=now)
    assert kinds()[-1] == "webhook.secret_rotated"


def test_never_more_than_two_secrets_sign(hook: Hook) -> None:
    owner = browser(hook.the.agent.owner)
    where = f"/agents/{hook.the.agent.slug}/webhooks/{hook.endpoint.pk}/rotate/"
    last = [secret_in(owner.post(where, {"overlap": "168"})) for _ in range(3)][-2:]
    hook.the.propose()
    hook.send()
    [heard] = hook.server.heard
    assert len(heard.headers["webhook-signature"].split()) == 2
    assert [verified(heard, one)["type"] for one in last] == ["proposal.pending"] * 2


def test_pause_resume_edit_redrive_and_remove_work_and_are_in_the_log(hook: Hook) -> None:
    owner = browser(hook.the.agent.owner)
    where = f"/agents/{hook.the.agent.slug}/webhooks/{hook.endpoint.pk}/"
    hook.the.propose()
    owner.post(f"{where}pause/")
    assert hook.send() == 0
    assert "Nothing leaves for it" in owner.get(where).content.decode()
    owner.post(f"{where}resume/")
    assert hook.send() == 1

    WebhookDelivery.objects.update(state="dead", error="It answers 500.")
    page = owner.get(where)
    assert "Send 1 given up again" in text_of(page)
    owner.post(f"{where}redrive/")
    assert hook.send() == 1
    row = hook.rows()[0]
    owner.post(f"{where}messages/{row.pk}/resend/")
    assert hook.send() == 1, "also what has arrived can be sent again"
    assert {one.id for one in hook.server.heard} == {f"msg_{row.message.hex}"}

    changed = {"url": hook.server.url + "?token=hidden", "label": "Ours", "events": ["proposal.pending"]}
    owner.post(f"{where}edit/", changed)
    hook.the.propose()
    owner.post(f"{where}remove/")
    assert "It was removed" in text_of(owner.get(where)), "as long as any of its messages is in sight"
    assert owner.post(f"{where}test/").status_code == 404
    assert hook.send() == 0
    assert hook.rows()[-1].error == "The endpoint was removed."
    assert not hook.endpoint.secrets.exists()
    assert kinds()[1:] == [
        *("webhook.paused", "webhook.resumed", "webhook.redriven", "webhook.redriven"),
        *("webhook.changed", "webhook.removed"),
    ]
    written = " ".join(one.content for one in AuditEvent.objects.filter(kind__startswith="webhook."))
    assert "token=hidden" not in written and "whsec_" not in written


def test_the_page_of_a_message_shows_the_body_without_the_grant(hook: Hook) -> None:
    hook.the.decide(hook.the.propose(summary="<b>Bold</b>"), "approve")  # type: ignore[arg-type]
    hook.send()
    row = hook.rows()[-1]
    owner = browser(hook.the.agent.owner)
    where = f"/agents/{hook.the.agent.slug}/webhooks/{hook.endpoint.pk}/"
    page = html.unescape(owner.get(f"{where}messages/{row.pk}/").content.decode())
    token = hook.server.heard[-1].said["data"]["grant"]["token"]
    assert '"order_id"' in page and token not in page and token.split(".")[2] not in page


def test_the_page_says_what_happens_next(hook: Hook) -> None:
    owner = browser(hook.the.agent.owner)
    where = f"/agents/{hook.the.agent.slug}/webhooks/{hook.endpoint.pk}/"
    hook.server.answer = says(503)
    hook.the.decide(hook.the.propose(), "approve")  # type: ignore[arg-type]
    hook.send()
    first, second = hook.rows()
    WebhookDelivery.objects.filter(pk=first.pk).update(
        not_before=timezone.now() + timedelta(minutes=30, seconds=59), attempts=13
    )
    page = text_of(owner.get(f"{where}messages/{first.pk}/"))
    assert (
        "Next try in 30 min ; if that fails, in 4 h 30 min , then in 8 h 30 min , and so on. It is given up"
        in page
    )
    assert "503 : it is down, or starting" in page
    assert "13 tries begun and 1 noted down" in page
    assert "Waits behind version 1" in text_of(owner.get(f"{where}messages/{second.pk}/"))
    listed = text_of(owner.get(where))
    assert "It has taken nothing for less than a minute" in listed
    assert ("behind version 1" in listed, "next try in 30 min" in listed) == (True, True)
    owner.post(f"{where}pause/")
    assert "Leaves once the endpoint is resumed" in text_of(owner.get(f"{where}messages/{first.pk}/"))


def test_the_list_costs_the_same_however_many_messages(hook: Hook) -> None:
    owner = browser(hook.the.agent.owner)
    where = f"/agents/{hook.the.agent.slug}/webhooks/{hook.endpoint.pk}/"
    hook.the.propose()
    owner.get(where)
    with CaptureQueriesContext(connection) as one:
        owner.get(where)
    for _ in range(2):
        hook.the.propose()
    with CaptureQueriesContext(connection) as three:
        owner.get(where)
    assert len(three) == len(one)


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 404, 418, 500, 503, 599])
def test_every_status_has_words(status: int) -> None:
    assert webhooks.meaning_of(status).strip()
    assert (webhooks.meaning_of(status) == "taken") == (status < 300)


def test_another_agents_endpoint_and_message_do_not_exist(hook: Hook) -> None:
    hook.the.propose()
    [row] = hook.rows()
    other = desk()
    stranger = browser(other.agent.owner)
    for name in ("", "edit/", "rotate/", f"messages/{row.pk}/"):
        where = f"/agents/{other.agent.slug}/webhooks/{hook.endpoint.pk}/{name}"
        assert stranger.get(where).status_code == 404, where
    where = f"/agents/{hook.the.agent.slug}/webhooks/{hook.endpoint.pk}/"
    for name in ("pause/", "remove/", "redrive/", "test/", f"messages/{row.pk}/resend/"):
        assert stranger.post(f"{where}{name}").status_code == 404, name
    assert hook.reread().is_open


def test_only_admins_open_a_network_and_closing_it_bites_at_the_next_attempt(hook: Hook) -> None:
    assert browser(person()).get("/setup/outgoing/").status_code == 403
    boss = browser(admin())
    assert "127.0.0.0/8" in boss.get("/setup/outgoing/").content.decode()
    refused = boss.post(
        "/setup/outgoing/allow/", {"network": "0.0.0.0/0", "purpose": "both", "reason": "all"}
    )
    assert refused.status_code == 422 and "every address" in refused.content.decode()
    boss.post(
        "/setup/outgoing/allow/",
        {"network": "10.20.0.0/16", "purpose": "webhooks", "reason": "Agents run there"},
    )
    for one in OpenNetwork.objects.filter(network__in=["127.0.0.0/8", "10.20.0.0/16"]):
        boss.post(f"/setup/outgoing/{one.pk}/close/")

    hook.the.propose()
    assert hook.send() == 0
    assert hook.server.heard == []
    assert "must be reached by https" in hook.rows()[0].error
    assert kinds()[1:] == ["network.allowed", "network.closed", "network.closed"]


def test_a_network_is_open_for_what_it_was_opened_for(hook: Hook) -> None:
    boss = browser(admin())
    for one in OpenNetwork.objects.all():
        boss.post(f"/setup/outgoing/{one.pk}/close/")
    data = {"network": "127.0.0.0/8", "reason": "The till"}
    refused = boss.post("/setup/outgoing/allow/", data)
    assert refused.status_code == 422, "an admin says what for"
    boss.post("/setup/outgoing/allow/", {**data, "purpose": "executors"})
    assert "Executors" in text_of(boss.get("/setup/outgoing/"))
    assert (
        AuditEvent.objects.filter(kind="network.allowed").latest("pk").data["after"]["purpose"] == "executors"
    )
    hook.the.propose()
    assert (hook.send(), hook.server.heard) == (0, [])
    assert "must be reached by https" in hook.rows()[0].error
    owner = browser(hook.the.agent.owner)
    asked = owner.post(f"/agents/{hook.the.agent.slug}/webhooks/add/", {"url": hook.server.url})
    assert asked.status_code == 422

    OpenNetwork.objects.update(purpose="webhooks")
    hook.later(minutes=1)
    assert hook.send() == 1


def test_a_removed_endpoint_stays_in_sight_and_takes_nothing_any_more(hook: Hook) -> None:
    hook.the.propose()
    [row] = hook.rows()
    owner = browser(hook.the.agent.owner)
    base = f"/agents/{hook.the.agent.slug}/webhooks/"
    where = f"{base}{hook.endpoint.pk}/"
    owner.post(f"{where}remove/")
    assert "removed" in text_of(owner.get(base))
    page = owner.get(where)
    assert page.status_code == 200 and "The endpoint was removed." in text_of(page)
    message = owner.get(f"{where}messages/{row.pk}/")
    assert "The endpoint was removed." in text_of(message)
    for shown in (page, message):
        main = shown.content.decode().partition("<main")[2].partition("</main>")[0]
        assert 'method="post"' not in main and f"{where}edit/" not in main
    for name in ("edit/", "rotate/"):
        assert owner.get(f"{where}{name}").status_code == 404, name
    for name in ("resume/", "redrive/", "test/", f"messages/{row.pk}/resend/"):
        assert owner.post(f"{where}{name}").status_code == 404, name

    WebhookDelivery.objects.all().delete()  # as after a month
    assert owner.get(where).status_code == 404
    assert "Nobody is told" in owner.get(base).content.decode()


def test_an_agent_has_so_many_endpoints_at_most(hook: Hook) -> None:
    owner = browser(hook.the.agent.owner)
    base = f"/agents/{hook.the.agent.slug}/webhooks/"
    answers = [owner.post(f"{base}add/", {"url": hook.server.url}).status_code for _ in range(10)]
    assert answers == [200] * 9 + [409]
    assert "Add an endpoint" not in owner.get(base).content.decode()
