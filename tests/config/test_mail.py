"""How e-mail leaves, from the environment; and the folder it goes to while none is set up."""

from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMessage

from config import mail_folder
from config.celery import app
from config.mail import MailProblem, from_environment

URL = "https://countersign.example.com"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ("", 25, "", "", False, False)),
        (
            {"EMAIL_URL": "smtp://mailer:p%40ss@mail.example.com"},
            ("mail.example.com", 587, "mailer", "p@ss", True, False),
        ),
        (
            {"EMAIL_URL": "smtps://m:x@mail.example.com:4465"},
            ("mail.example.com", 4465, "m", "x", False, True),
        ),
        ({"EMAIL_URL": "smtp+plain://localhost"}, ("localhost", 25, "", "", False, False)),
        ({"EMAIL_HOST": "mail", "EMAIL_USE_TLS": "1"}, ("mail", 587, "", "", True, False)),
        ({"EMAIL_HOST": "mail", "EMAIL_USE_SSL": "1"}, ("mail", 465, "", "", False, True)),
        ({"EMAIL_HOST": "mail", "EMAIL_PORT": "2525"}, ("mail", 2525, "", "", False, False)),
    ],
)
def test_from_environment(environment: dict[str, str], expected: tuple[object, ...]) -> None:
    found = from_environment(environment, public_url=URL)
    assert (found.host, found.port, found.user, found.password, found.starttls, found.tls) == expected
    assert found.is_set_up is bool(expected[0])
    assert found.sender == "Countersign <countersign@countersign.example.com>"


@pytest.mark.parametrize(
    "environment",
    [
        {"EMAIL_URL": "mail.example.com"},
        {"EMAIL_URL": "http://user:secret@mail.example.com"},
        {"EMAIL_URL": "smtp://user:secret@mail.example.com:port"},
        {"EMAIL_URL": "smtp+plain://user:secret@mail.example.com"},
        {"EMAIL_HOST": "mail", "EMAIL_PORT": "many"},
        {"EMAIL_HOST": "mail", "EMAIL_USE_TLS": "1", "EMAIL_USE_SSL": "1"},
        {"EMAIL_FROM": "Countersign <a@example.com>\nBcc: thief@example.com"},
    ],
)
def test_what_cannot_be_right_is_refused_without_naming_a_password(environment: dict[str, str]) -> None:
    with pytest.raises(MailProblem) as refused:
        from_environment(environment, public_url=URL)
    assert "secret" not in str(refused.value)


def test_the_folder_keeps_the_newest(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    monkeypatch.setattr(mail_folder, "KEPT", 3)
    folder = mail_folder.MailFolder()
    for number in range(5):
        folder.send_messages([EmailMessage(f"Number {number}", "text", "a@example.com", ["b@example.com"])])
    kept = sorted((tmp_path / "mail").glob("*.eml"))
    assert [f"Number {number}" in path.read_text() for number, path in zip((2, 3, 4), kept, strict=True)] == [
        True
    ] * 3


def test_every_periodic_task_exists() -> None:
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)
