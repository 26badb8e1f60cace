"""What is typed about people and teams."""

from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password

from accounts.models import User


class PersonForm(forms.Form):
    """A person's particulars, as an admin gives them."""

    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    is_admin = forms.BooleanField(
        required=False,
        label="Admin",
        help_text="Sets up people, queues, policies and agents. Being an admin gives no right to decide proposals.",
    )
    is_auditor = forms.BooleanField(
        required=False,
        label="Auditor",
        help_text="Reads everything, the audit log included, and changes nothing.",
    )


class InviteForm(PersonForm):
    """A new person. The address is what he signs in with and stays."""

    email = forms.EmailField(
        label="E-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    field_order = ("name", "email", "is_admin", "is_auditor")

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email__iexact=email).exists():
            raise forms.ValidationError("There is a person with this address already.")
        return email


class PreferencesForm(forms.Form):
    """How this person wants to see the pages."""

    theme = forms.ChoiceField(
        required=False,
        choices=[("", "Like the device"), ("light", "Light"), ("dark", "Dark")],
        label="Light or dark",
    )
    keys = forms.BooleanField(
        required=False,
        label="Single keys act",
        help_text="For instance n for the next proposal, a to approve. Switch it off if you dictate.",
    )


class SetPasswordForm(forms.Form):
    """A person's own first password, checked against what is known about him."""

    password = forms.CharField(
        label="New password",
        strip=False,
        help_text="At least 10 characters. A sentence only you know is better than a short riddle.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, data: Any, *, person: User) -> None:
        super().__init__(data)
        self.person = person

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        validate_password(password, self.person)
        return password


class TeamForm(forms.Form):
    name = forms.CharField(
        max_length=150, help_text="Policies can ask for it by this name, so it cannot be changed later."
    )

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        if Group.objects.filter(name__iexact=name).exists():
            raise forms.ValidationError("There is a team of this name already.")
        return name


class MemberForm(forms.Form):
    """Whom to put into a team."""

    person = forms.ModelChoiceField(queryset=User.objects.none(), label="Person")

    def __init__(self, data: Any = None, *, team: Group) -> None:
        super().__init__(data)
        field = self.fields["person"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = User.objects.filter(is_active=True).exclude(groups=team).order_by("name", "email")
        field.label_from_instance = _with_address  # type: ignore[method-assign]


def _with_address(obj: User) -> str:
    """Two people of one name are told apart."""
    return f"{obj} ({obj.email})"
