"""What is typed, and what browsers send, when somebody shows who he is."""

import json
from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core import signing

from accounts.models import User

_SALT = "countersign.authenticator-app"
_CODE = {
    "autocomplete": "one-time-code",
    "autocapitalize": "none",
    "spellcheck": "false",
    "inputmode": "numeric",
}
SETTING_UP_SECONDS = 900


class CodeForm(forms.Form):
    """A code of the authenticator app, or a recovery code."""

    code = forms.CharField(
        label="Code", max_length=40, widget=forms.TextInput(attrs={**_CODE, "autofocus": "autofocus"})
    )


class PasswordForm(forms.Form):
    """The present password, to show again who is signed in."""

    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": "autofocus"}),
    )


class CredentialForm(forms.Form):
    """What the browser's passkey said, in the JSON of the WebAuthn standard."""

    credential = forms.CharField(max_length=20_000, widget=forms.HiddenInput)
    name = forms.CharField(max_length=60, required=False)

    def clean_credential(self) -> Any:
        try:
            found = json.loads(self.cleaned_data["credential"])
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError("The browser sent no passkey.") from error
        if not isinstance(found, dict):
            raise forms.ValidationError("The browser sent no passkey.")
        return found


class NameForm(forms.Form):
    name = forms.CharField(max_length=60, label="Name", help_text="So that you know it from your others.")


class AppForm(forms.Form):
    """The first code of an authenticator app. Its secret travels in the form, signed: opening the page keeps nothing,
    and nobody can have a secret set that we did not draw."""

    secret = forms.CharField(max_length=400, widget=forms.HiddenInput)
    code = forms.CharField(
        label="Code that the app shows",
        max_length=20,
        widget=forms.TextInput(attrs=_CODE),
    )

    def __init__(self, data: Any = None, *, person: User, secret: str = "") -> None:
        super().__init__(data)
        self._person = person
        if data is None:
            self.drawn = secret
            self.initial["secret"] = signing.dumps({"secret": secret, "person": person.pk}, salt=_SALT)
            return
        self.drawn = self._read(str(data.get("secret", "")))

    def _read(self, sent: str) -> str:
        try:
            found = signing.loads(sent, salt=_SALT, max_age=SETTING_UP_SECONDS)
        except signing.BadSignature:
            return ""
        return str(found["secret"]) if found.get("person") == self._person.pk else ""

    def clean(self) -> dict[str, Any]:
        if not self.drawn:
            raise forms.ValidationError("This page was open too long. Load it again and scan the new code.")
        return super().clean() or {}


class ChangePasswordForm(forms.Form):
    """Names of fields as password managers know them from everywhere."""

    oldpassword = forms.CharField(
        label="Present password",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    password1 = forms.CharField(
        label="New password",
        strip=False,
        max_length=1000,
        help_text="At least 10 characters. A sentence only you know is better than a short riddle.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    password2 = forms.CharField(
        label="New password, again",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, data: Any = None, *, person: User) -> None:
        super().__init__(data)
        self._person = person

    def clean_oldpassword(self) -> str:
        typed = str(self.cleaned_data["oldpassword"])
        if not self._person.check_password(typed):
            raise forms.ValidationError("This is not your present password.")
        return typed

    def clean_password1(self) -> str:
        chosen = str(self.cleaned_data["password1"])
        validate_password(chosen, self._person)
        return chosen

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if "password1" in cleaned and cleaned["password1"] != cleaned.get("password2"):
            self.add_error("password2", "The two are not the same.")
        return cleaned
