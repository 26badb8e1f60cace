"""Being told: rows, deliveries by choice, e-mails over a socket, at least once, and never a decision."""

import os
import re
import signal
import subprocess
import sys
import threading
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.conf import settings
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from approvals.messages import choices
from approvals.messages.choices import EMAIL, Choice, Digest, Topic
from approvals.models import Delivery, Notification, Proposal, Verdict
from approvals.notifications import tell
from approvals.services import amend, choose_notifications, deliver, set_up
from audit.models import AuditEvent
from tests.factories import admin, desk, person
from tests.notifying import chose, later, states, told
from tests.smtp import MailServer

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime.fromisoformat("2026-06-10T12:00:00+00:00")


# ----- telling


def test_telling_writes_a_row_for_each_person_once() -> None:
    first, second, gone = person(), person(), person()
    gone.is_active = False
    gone.save(update_fields=["is_active"])
    with transaction.atomic():
        assert tell([second.pk, first.pk, second.pk, gone.pk], topic=Topic.ASSIGNED, text="x", key="a") == 2
        assert tell([first.pk, second.pk], topic=Topic.ASSIGNED, text="x", key="a") == 0
        third = person()
        assert tell([first.pk, third.pk], topic=Topic.ASSIGNED, text="x", key="a") == 1
    assert sorted(Notification.objects.values_list("recipient", flat=True)) == [first.pk, second.pk, third.pk]
    assert Delivery.objects.count() == 3, "repeating a notification sends nothing again"


def test_what_is_rolled_back_was_never_told() -> None:
    user = person()
    with pytest.raises(RuntimeError), transaction.atomic():
        tell([user.pk], topic=Topic.ASSIGNED, text="x", key="a")
        raise RuntimeError
    assert (Notification.objects.count(), Delivery.objects.count()) == (0, 0)


def test_telling_many_costs_as_many_statements_as_telling_one() -> None:
    people = [person().pk for _ in range(12)]
    counts = []
    for those in (people[:1], people[1:]):
        with (
            transaction.atomic(),
            CaptureQueriesContext(
                connection,
            ) as queries,
        ):
            assert tell(those, topic=Topic.ASSIGNED, text="x", key="a") == len(those)
        counts.append(len(queries))
    assert counts[0] == counts[1] == 4


def test_a_link_leads_nowhere_else() -> None:
    user = person()
    for link in ("https://evil.example/", "//evil.example/"):
        with pytest.raises(AssertionError), transaction.atomic():
            tell([user.pk], topic=Topic.ASSIGNED, text="x", key="a", link=link)


@pytest.mark.parametrize(
    ("topic", "choice", "expected"),
    [
        (Topic.ASSIGNED, Choice(), "12:00"),
        (Topic.DUE_SOON, Choice(), None),
        (Topic.ASSIGNED, Choice(ways={}), None),
        (Topic.ASSIGNED, Choice(quiet=(time(13), time(15))), "13:00"),
        (Topic.ASSIGNED, Choice(digest=Digest.HOURLY), "13:00"),
        (Topic.ASSIGNED, Choice(digest=Digest.HOURLY, quiet=(time(13), time(16, 30))), "14:30"),
        (Topic.OVERDUE, Choice(digest=Digest.DAILY, quiet=(time(13), time(15))), "13:00"),
        (Topic.OVERDUE, Choice(quiet=(time(13), time(15)), urgent_at_once=True), "12:00"),
    ],
)
def test_deliveries_follow_the_choice_in_the_persons_own_time(
    topic: Topic, choice: Choice, expected: str | None
) -> None:
    """Noon in UTC is two in the afternoon in Berlin."""
    user = person(time_zone="Europe/Berlin")
    choose_notifications.save_choice(person=user, choice=choice)
    with time_machine.travel(NOON, tick=False):
        told(user, topic)
    moments = [f"{moment:%H:%M}" for moment in Delivery.objects.values_list("not_before", flat=True)]
    assert moments == ([expected] if expected else [])
    assert Notification.objects.filter(recipient=user).count() == 1, "in the page everything is told"


def test_who_asked_hears_of_the_answer() -> None:
    the = desk()
    proposal = the.propose()
    the.decide(proposal, Verdict.RETURN)
    amend.revise(
        proposal_id=proposal.pk,
        agent=the.agent,
        arguments={"order_id": "A-9", "amount": 5},
        reply="It is A-9",
    )
    found = Notification.objects.get(kind=Topic.ANSWERED)
    assert (found.recipient, found.proposal_id) == (the.reviewer, proposal.pk)
    assert found.text.endswith("answered your question: Refund 5 for order A-9")


# ----- e-mail over a socket


def test_an_email_names_what_and_where_and_links_to_the_page(mailbox: MailServer) -> None:
    the = desk()
    proposal = the.propose(
        {"order_id": "A-7", "amount": 41.5, "iban": "DE89370400440532013000"}, summary="Secret summary"
    )
    told(the.reviewer, proposal=proposal, text=f"Ravi gave you {proposal.title}")
    assert deliver.send_due() == 1
    message = mailbox.messages[0]
    text = message.get_content()
    assert message["Subject"] == "[Countersign] Assigned to you: Refund 41.5 for order A-7"
    assert message["To"] == the.reviewer.email
    assert message["Auto-Submitted"] == "auto-generated"
    assert f"{settings.PUBLIC_URL}/proposals/{proposal.pk}/" in text
    assert the.queue.name in text and the.agent.name in text and "high risk" not in text
    assert "DE89" not in text and "Secret summary" not in text
    assert states(the.reviewer) == [("email", "sent")]
    assert deliver.send_due() == 0 and len(mailbox.raw) == 1


def test_what_an_agent_wrote_arrives_clean(mailbox: MailServer) -> None:
    the = desk()
    order = "A\u202e1\u200b\r\nBcc: thief@evil.example\r\n\r\nhttps://evil.example/pay"
    proposal = the.propose({"order_id": order[:40], "amount": 1})
    told(the.reviewer, proposal=proposal, text=f"Look:\n{proposal.title} https://evil.example/")
    deliver.send_due()
    message = mailbox.messages[0]
    assert message["Bcc"] is None and message.get_all("To") == [the.reviewer.email]
    assert "\n" not in message["Subject"] and "[U+202E]" in message["Subject"]
    text = message.get_content()
    assert "[U+200B]" in text and "https[:]//evil[.]example" in text
    links = re.findall(r"\w+://[^\s]+", text)
    assert {urlsplit(link).netloc for link in links} == {urlsplit(settings.PUBLIC_URL).netloc}


def test_a_scanner_that_opens_every_link_changes_nothing(mailbox: MailServer) -> None:
    the = desk()
    proposal = the.propose()
    told(the.reviewer, proposal=proposal)
    deliver.send_due()
    links = re.findall(r"http://[^\s]+", mailbox.texts[0])
    assert len(links) == 2

    def everything() -> list[Any]:
        return [
            list(Proposal.objects.values()),
            list(Notification.objects.values()),
            list(User.objects.filter(pk=the.reviewer.pk).values("preferences")),
            AuditEvent.objects.exclude(kind="person.signed_in").count(),
        ]

    signed_in = Client()
    signed_in.force_login(the.reviewer)
    before = everything()
    for client in (Client(), signed_in):
        for link in links:
            parts = urlsplit(link)
            assert client.get(parts.path).status_code in (200, 302)
            assert client.head(parts.path).status_code in (200, 302)
    assert everything() == before


def test_a_digest_is_one_message(mailbox: MailServer) -> None:
    user = person()
    chose(user, digest=Digest.HOURLY)
    with time_machine.travel(NOON, tick=False):  # an hour that begins between two lines would send the digest
        for number in range(3):
            told(user, key=str(number), text=f"Thing {number}")
        told(user, Topic.OVERDUE, key="urgent", text="Hurry")
        assert deliver.send_due() == 1
        assert "Hurry" in mailbox.texts[0] and "Thing" not in mailbox.texts[0]
        assert deliver.send_due(now=later(61)) == 1
    assert mailbox.messages[1]["Subject"] == "[Countersign] 3 notifications"
    assert all(f"Thing {number}" in mailbox.texts[1] for number in range(3))
    assert states(user) == [("email", "sent")] * 4


def test_a_digest_says_what_has_been_settled_meanwhile(mailbox: MailServer) -> None:
    the = desk()
    open_one, settled = the.propose(), the.propose()
    told(the.reviewer, key="1", proposal=open_one, text="Open")
    told(the.reviewer, key="2", proposal=settled, text="Settled")
    the.decide(settled, Verdict.APPROVE)
    deliver.send_due()
    assert "Assigned to you: Open\n" in mailbox.texts[0]
    assert "Assigned to you: Settled (meanwhile approved)\n" in mailbox.texts[0]


def test_a_long_digest_lists_the_first_and_counts_the_rest(mailbox: MailServer) -> None:
    user = person()
    for number in range(60):
        told(user, key=str(number), text=f"Thing {number};")
    assert deliver.send_due() == 1
    assert "Thing 49;" in mailbox.texts[0] and "Thing 50;" not in mailbox.texts[0]
    assert "And 10 more" in mailbox.texts[0]


def test_a_refused_address_is_dead_at_once_and_its_person_told(mailbox: MailServer) -> None:
    mailbox.answer["RCPT TO"] = "550 no such user"
    user = person()
    told(user)
    assert deliver.send_due() == 0
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("dead", 1)
    assert "550 no such user" in delivery.error
    news = Notification.objects.get(kind=choices.UNDELIVERED)
    assert news.recipient == user and "do not arrive" in news.text
    assert Delivery.objects.filter(notification=news).count() == 0


def test_a_busy_server_is_tried_again_with_growing_pauses_until_dead(mailbox: MailServer) -> None:
    mailbox.answer["MAIL FROM"] = "451 try later"
    user = person()
    told(user)
    now, pauses = timezone.now(), []
    for _ in range(deliver.MOST_ATTEMPTS):
        assert deliver.send_due(now=now) == 0
        due = Delivery.objects.get().not_before
        pauses.append((due - now) / deliver.FIRST_PAUSE)
        assert deliver.send_due(now=due - timedelta(seconds=1)) == 0, "not before the pause is over"
        now = due
    assert all(
        1 <= pause / expected <= 1.2
        for pause, expected in zip(pauses, (1, 2, 4, 8, 16, 32, 64, 120, 120), strict=False)
    )
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("dead", deliver.MOST_ATTEMPTS)
    assert "451 try later" in delivery.error
    mailbox.answer.clear()
    assert deliver.retry(delivery_ids=[delivery.pk], by=user, person=person()) == 0, "another's"
    assert deliver.retry(delivery_ids=[delivery.pk], by=user, person=user) == 1
    assert deliver.send_due() == 1 and len(mailbox.raw) == 1


def test_a_server_that_is_away_costs_the_others_no_attempt(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    for _ in range(3):
        told(person())
    assert deliver.send_due() == 0
    assert sorted(Delivery.objects.values_list("attempts", flat=True)) == [0, 0, 1]
    assert set(Delivery.objects.values_list("state", flat=True)) == {"queued"}


def test_killed_between_sending_and_noting_it_down_sends_again(mailbox: MailServer) -> None:
    """I5: a real process, killed with the message handed over and not yet marked."""
    user = person()
    told(user)
    url = urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    code = "import django; django.setup(); from approvals.services import deliver; deliver.send_due()"
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "EMAIL_URL": f"smtp+plain://127.0.0.1:{mailbox.port}",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=settings.BASE_DIR)
    mailbox.on_message = lambda: os.kill(process.pid, signal.SIGKILL)
    assert process.wait(100) == -signal.SIGKILL
    mailbox.on_message = None
    assert len(mailbox.raw) == 1
    assert states(user) == [("email", "queued")]
    assert deliver.send_due() == 0, "it is leased for a while"
    assert deliver.send_due(now=later(10)) == 1
    assert states(user) == [("email", "sent")]
    assert len(mailbox.raw) == 2
    assert len({message["Message-ID"] for message in mailbox.messages}) == 1, "mail programs show it once"


def test_interrupted_every_time_is_dead_at_last(mailbox: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    user = person()
    told(user)
    monkeypatch.setattr(deliver, "_deliver", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    now = timezone.now()
    for _ in range(deliver.MOST_ATTEMPTS):
        with pytest.raises(KeyboardInterrupt):
            deliver.send_due(now=now)
        now = Delivery.objects.get().not_before
    monkeypatch.undo()
    assert deliver.send_due(now=now) == 0
    assert states(user) == [("email", "dead")]


def test_two_senders_at_once_send_nothing_twice(mailbox: MailServer) -> None:
    for _ in range(12):
        told(person())
    counts: list[int] = []

    def work() -> None:
        try:
            counts.append(deliver.send_due())
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(counts) == 12 and len(mailbox.raw) == 12
    assert len({message["To"] for message in mailbox.messages}) == 12


def test_who_may_no_longer_see_it_gets_no_title(mailbox: MailServer) -> None:
    the = desk()
    told(the.reviewer, proposal=the.propose())
    told(the.second, proposal=the.propose())
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.reviewer, actor=admin(), allowed=False)
    User.objects.filter(pk=the.second.pk).update(is_active=False)
    assert deliver.send_due() == 0
    assert mailbox.raw == []
    assert states(the.reviewer) == states(the.second) == [("email", "dead")]


def test_a_test_message_goes_at_once_and_once_a_minute(mailbox: MailServer) -> None:
    user = person()
    chose(user, ways={}, quiet=(time(0), time(23, 59)), digest=Digest.DAILY)
    with time_machine.travel(NOON, tick=False):
        assert choose_notifications.send_test(person=user, way=EMAIL)
        assert not choose_notifications.send_test(person=user, way=EMAIL)
        assert deliver.send_due() == 1
    assert "This is a test" in mailbox.texts[0]
    assert Notification.objects.filter(recipient=user, read_at=None).count() == 0
