"""What every page knows about the installation and about how the person wants to see it."""

from django.conf import settings
from django.http import HttpRequest

from accounts import sessions, shortcuts
from config.demo import people

THEMES = ("light", "dark")


def installation(request: HttpRequest) -> dict[str, object]:
    preferences = getattr(getattr(request, "user", None), "preferences", None) or {}
    theme = preferences.get("theme")
    left = sessions.left(request) if hasattr(request, "session") else None
    return {
        "DEMO": settings.DEMO,
        "demo_people": people.PEOPLE if settings.DEMO else (),
        "demo_password": people.PASSWORD if settings.DEMO else "",
        "ui_theme": theme if theme in THEMES else "",
        "session_seconds": left.seconds if left else settings.SESSION_IDLE_SECONDS,
        "ui_keys": shortcuts.way(preferences),
        "ui_key_map": shortcuts.key_map(preferences),
    }
