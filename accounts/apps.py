from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import sign_in  # noqa: F401 - connects its receivers; models are loaded only by now
