"""The pages of notifications over HTTP: one's own and nobody else's, read by POST alone, chosen, and dead in sight."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from approvals.messages import choices
from approvals.messages.choices import Digest, Topic
from approvals.models import ChatAddress, Delivery, Notification, Verdict
from approvals.services import deliver, set_up
from audit.models import AuditEvent
from tests.factories import admin, desk, person
from tests.notifying import states, told
from tests.smtp import MailServer

pytestmark = pytest.mark.django_db(transaction=True)
SLACK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def html(client: Client, address: str, **kwargs: Any) -> str:
    return client.get(address, **kwargs).content.decode()


def of(user: User) -> Notification:
    return Notification.objects.get(recipient=user)


def test_a_person_sees_only_his_own() -> None:
    mine, other = person(), person()
    told(mine, text="For me alone")
    told(other, text="For somebody else")
    page = html(signed_in(mine), "/notifications/")
    assert "For me alone" in page and "For somebody else" not in page
    for verb in ("open", "read"):
        assert signed_in(mine).post(f"/notifications/{of(other).pk}/{verb}/").status_code == 404
    assert of(other).read_at is None
    assert Client().get("/notifications/").status_code == 302


def test_reading_is_a_post_and_leads_to_the_proposal() -> None:
    the = desk()
    proposal = the.propose()
    told(the.reviewer, proposal=proposal)
    client, one = signed_in(the.reviewer), of(the.reviewer)
    for address in (
        f"/notifications/{one.pk}/open/",
        f"/notifications/{one.pk}/read/",
        "/notifications/read/",
    ):
        assert client.get(address).status_code == 405
    for address in ("/notifications/", "/notifications/?show=all", f"/proposals/{proposal.pk}/"):
        assert client.get(address).status_code == 200
    assert of(the.reviewer).read_at is None, "looking marks nothing"
    answer = client.post(f"/notifications/{one.pk}/open/")
    assert answer["Location"] == f"/proposals/{proposal.pk}/"
    first = of(the.reviewer).read_at
    assert first is not None
    client.post(f"/notifications/{one.pk}/open/")
    assert of(the.reviewer).read_at == first
    assert "You have read everything" in html(client, "/notifications/")


def test_mark_all_leaves_what_came_after_the_page_was_drawn() -> None:
    user = person()
    told(user, key="1")
    client = signed_in(user)
    found = re.search(r'name="up_to" value="(\d+)"', html(client, "/notifications/"))
    assert found
    told(user, key="2", text="Came later")
    client.post("/notifications/read/", {"up_to": found[1]})
    assert [one.text for one in Notification.objects.filter(read_at=None)] == ["Came later"]


def test_what_an_agent_wrote_is_shown_as_everywhere() -> None:
    user = person()
    told(user, text='x\u202e <img src="https://e.io/p.png"> pay\u200bpal')
    page = html(signed_in(user), "/notifications/")
    assert "U+202E" in page and "U+200B" in page and "<img" not in page


def test_the_list_says_what_is_settled() -> None:
    the = desk()
    proposal = the.propose()
    told(the.second, proposal=proposal)
    client = signed_in(the.second)
    assert "badge--state-" not in html(client, "/notifications/").split("<main")[1]
    the.decide(proposal, Verdict.APPROVE)
    assert "badge--state-approved" in html(client, "/notifications/")


def test_the_text_is_hidden_from_who_may_no_longer_see_the_proposal() -> None:
    the = desk()
    told(the.reviewer, proposal=the.propose(), text="Refund for Mr Miller")
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.reviewer, actor=admin(), allowed=False)
    page = html(signed_in(the.reviewer), "/notifications/")
    assert "Miller" not in page and "You may no longer see the proposal" in page


def test_the_bell_counts_up_to_99_and_costs_one_query() -> None:
    user = person()
    client = signed_in(user)
    assert '<span class="places__count"' not in html(client, "/queues/")
    with CaptureQueriesContext(connection) as without:
        client.get("/queues/")
    for number in range(101):
        told(user, key=str(number))
    with CaptureQueriesContext(connection) as many:
        page = html(client, "/queues/")
    assert '<span class="places__count" aria-hidden="true">99+</span>' in page
    assert "99+ unread notifications" in page
    assert len(many) == len(without)
    assert sum("approvals_notification" in query["sql"] for query in many) == 1
    assert client.get("/notifications/bell/?told=100").status_code == 204
    rung = html(client, "/notifications/bell/?told=3")
    assert rung.strip().startswith('<a class="bell" id="bell"') and "data-announce" in rung


def test_the_list_pages_by_keyset_with_as_many_queries_at_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("approvals.views.notifications.PAGE", 3)
    the = desk()
    client = signed_in(the.reviewer)
    client.get("/notifications/")
    told(the.reviewer, key="first", proposal=the.propose())
    client.get("/notifications/")  # what a process looks up once
    counts = []
    for number in range(7):
        told(the.reviewer, key=str(number), text=f"Thing {number}", proposal=the.propose())
        with CaptureQueriesContext(connection) as queries:
            client.get("/notifications/")
        counts.append(len(queries))
    assert len(set(counts)) == 1
    found, address = [], "/notifications/"
    while address:
        page = html(client, address)
        found += re.findall(r'<bdi dir="auto">(Thing \d)</bdi>', page)
        link = re.search(r'rel="next" href="([^"]+)"', page)
        address = f"/notifications/{link[1].replace('&amp;', '&')}" if link else ""
    assert found == [f"Thing {number}" for number in reversed(range(7))]


def test_arrivals_are_announced_above_the_list() -> None:
    user = person()
    told(user, key="1")
    newest = of(user).pk
    client = signed_in(user)
    assert client.get(f"/notifications/arrived/?after={newest}").status_code == 204
    told(user, key="2")
    fragment = html(client, f"/notifications/arrived/?after={newest}")
    assert "1 new notification." in fragment and fragment.strip().startswith(
        '<div class="arrived" id="arrived"'
    )
    assert client.get(f"/notifications/arrived/?after={newest}&told=1").status_code == 204


def choice_fields(**changed: Any) -> dict[str, Any]:
    return {
        **{f"ways-{topic}": [] for topic in Topic},
        "quiet_from": "",
        "quiet_to": "",
        "digest": "off",
        "digest_hour": "8",
        **changed,
    }


def test_a_choice_is_saved_and_shown_again() -> None:
    user = person(time_zone="Europe/Berlin", preferences={"theme": "dark"})
    client = signed_in(user)
    fields = choice_fields(
        **{"ways-overdue": ["email"]},
        quiet_from="22:00",
        quiet_to="07:00",
        urgent_at_once="on",
        digest="daily",
        digest_hour="9",
    )
    assert client.post("/notifications/settings/", fields).status_code == 302
    saved = User.objects.get(pk=user.pk)
    choice = choices.read(saved.preferences)
    assert saved.preferences["theme"] == "dark"
    assert (choice.digest, choice.digest_hour, choice.urgent_at_once) == (Digest.DAILY, 9, True)
    assert choice.quiet is not None and [f"{moment:%H:%M}" for moment in choice.quiet] == ["22:00", "07:00"]
    assert [topic for topic in Topic if choice.ways[topic]] == [Topic.OVERDUE]
    page = html(client, "/notifications/settings/")
    assert 'value="22:00"' in page and "Europe/Berlin" in page
    assert page.count("checked") == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"quiet_from": "22:00"},
        {"quiet_from": "22:00", "quiet_to": "22:00"},
        {"digest": "weekly"},
        {"digest_hour": "24"},
        {"ways-overdue": ["c99999"]},
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    user = person()
    answer = signed_in(user).post("/notifications/settings/", choice_fields(**wrong))
    assert answer.status_code == 422 and "It was not saved." in answer.content.decode()
    assert User.objects.get(pk=user.pk).preferences == {}


def test_a_chat_address_is_added_never_shown_tried_and_removed() -> None:
    user = person()
    client = signed_in(user)
    answer = client.post(
        "/notifications/settings/chat/add/", {"label": "Team", "address": SLACK}, follow=True
    )
    page = answer.content.decode()
    address = ChatAddress.objects.get()
    assert "Team" in page and "Slack" in page and "TIiajk" not in page
    client.post(f"/notifications/settings/test/c{address.pk}/")
    assert states(user) == [(f"c{address.pk}", "queued")]
    assert "A message goes out" in html(client, "/notifications/settings/ways/")
    client.post(f"/notifications/settings/chat/{address.pk}/remove/")
    assert ChatAddress.objects.count() == 0
    assert states(user) == [(f"c{address.pk}", "dead")]
    assert all("TIiajk" not in event.content for event in AuditEvent.objects.all())


@pytest.mark.parametrize(
    "address", ["json://example.com/secret-abc", "mmosts://127.0.0.1/secretabcsecretabcsecretab"]
)
def test_a_refused_address_is_not_echoed(address: str) -> None:
    user = person()
    answer = signed_in(user).post("/notifications/settings/chat/add/", {"label": "Mine", "address": address})
    page = answer.content.decode()
    assert (
        answer.status_code == 422
        and 'value="Mine"' in page
        and "secret" not in page.split("<main")[1].replace("TEAM_SECRET", "")
    )


def test_what_did_not_arrive_stands_there_until_tried_again(mailbox: MailServer) -> None:
    user, other = person(), person()
    told(user, text="Hurry up")
    mailbox.answer["RCPT TO"] = "550 no such user"
    deliver.send_due()
    dead = Delivery.objects.get(notification__recipient=user)
    client = signed_in(user)
    page = html(client, "/notifications/settings/")
    assert "Hurry up" in page and "550 no such user" in page
    assert "E-mails to you do not arrive" in html(client, "/notifications/")
    signed_in(other).post("/notifications/deliveries/retry/", {"delivery": dead.pk})
    assert states(user) == [("email", "dead")], "another's"
    mailbox.answer.clear()
    client.post("/notifications/deliveries/retry/", {"delivery": dead.pk})
    assert deliver.send_due() == 1 and len(mailbox.raw) == 1


def test_admins_see_everybodys_dead_messages_and_not_what_they_say(mailbox: MailServer) -> None:
    user = person("Paula Person")
    told(user, text="Between us")
    mailbox.answer["RCPT TO"] = "550 no such user"
    deliver.send_due()
    client = signed_in(admin())
    page = html(client, "/setup/undelivered/")
    assert "Paula Person" in page and "550 no such user" in page and "Between us" not in page
    assert signed_in(user).get("/setup/undelivered/").status_code == 403
    pk = Delivery.objects.get(notification__recipient=user).pk
    assert signed_in(user).post("/setup/undelivered/retry/", {"delivery": [pk]}).status_code == 403
    assert states(user) == [("email", "dead")]
    client.post("/setup/undelivered/retry/", {"delivery": [pk, "x"]})
    assert states(user) == [("email", "queued")]


def test_without_a_mail_server_the_page_says_so_and_files_are_written(settings: Any, tmp_path: Any) -> None:
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    settings.EMAIL_BACKEND = "config.mail_folder.MailFolder"
    user = person()
    assert "E-mail is not set up here" in html(signed_in(user), "/notifications/settings/")
    told(user, text="Into a file")
    assert deliver.send_due() == 1
    files = list((tmp_path / "mail").glob("*.eml"))
    assert len(files) == 1 and b"Into a file" in files[0].read_bytes()
    assert files[0].stat().st_mode & 0o077 == 0
