"""What is typed about people and teams."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password

from accounts import shortcuts
from accounts.models import User
from accounts.roles import ROLES, Role
from accounts.services.preferences import NOT_CHOSEN


class PersonForm(forms.Form):
    """A person's particulars, as an admin gives them."""

    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"}))


class InviteForm(PersonForm):
    """A new person, with the first roles and teams. The address is what he signs in with and stays."""

    email = forms.EmailField(
        label="E-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    teams = forms.ModelMultipleChoiceField(
        queryset=Group.objects.order_by("name"),
        required=False,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "choices"}),
        help_text="What a team may do, its members may.",
    )
    is_admin = forms.BooleanField(required=False, label="Admin", help_text=ROLES[Role.ADMIN].means)
    is_auditor = forms.BooleanField(
        required=False,
        label="Auditor of everything",
        help_text="Reads everything, the audit log included, and changes nothing.",
    )
    field_order = ("name", "email", "teams", "is_admin", "is_auditor")

    @property
    def roles(self) -> list[Role]:
        """First roles for everything."""
        wanted = ((Role.ADMIN, "is_admin"), (Role.AUDITOR, "is_auditor"))
        return [role for role, name in wanted if self.cleaned_data[name]]

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email__iexact=email).exists():
            raise forms.ValidationError("There is a person with this address already.")
        return email


def time_zones() -> list[tuple[str, Any]]:
    """Every zone of this machine's list, grouped by its first part as a select shows it."""
    grouped: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(available_timezones()):
        region, _, place = name.partition("/")
        if place and region not in ("Etc", "posix", "right", "SystemV", "US"):
            grouped.setdefault(region, []).append((name, place.replace("_", " ")))
    return [("", "Like the device"), ("Etc/UTC", "UTC"), *grouped.items()]


class PreferencesForm(forms.Form):
    """How this person wants to see and use the pages. One field per key, named after its place in the list: a key's
    own name may be a sign that an id cannot hold."""

    theme = forms.ChoiceField(
        required=False,
        choices=[("", "Like the device"), ("light", "Light"), ("dark", "Dark")],
        label="Light or dark",
    )
    time_zone = forms.ChoiceField(required=False, choices=time_zones, label="Times are shown in")
    advance = forms.BooleanField(
        required=False,
        label="After a decision go on to the next by itself",
        help_text="The next most urgent proposal opens as soon as you have decided one.",
    )
    keys = forms.ChoiceField(
        choices=[("on", "Act"), ("alt", "Act only while Alt is held"), ("off", "Do nothing")],
        label="Single keys",
        help_text="Keys never act while you type in a field. Switch them off if you dictate.",
    )

    def __init__(self, data: Any = None, *, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        for place, action in enumerate(shortcuts.ACTIONS):
            self.fields[f"key_{place}"] = forms.CharField(
                label=action.words[:1].upper() + action.words[1:],
                max_length=1,
                strip=True,
                required=False,
                initial=action.key,
                widget=forms.TextInput(
                    attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
                ),
            )

    @staticmethod
    def initial_of(person: User) -> dict[str, Any]:
        """What is stored, as the form shows it."""
        chosen = shortcuts.key_map(person.preferences)
        keys = {f"key_{place}": chosen[action.key] for place, action in enumerate(shortcuts.ACTIONS)}
        return {
            "theme": person.preferences.get("theme", ""),
            "time_zone": "" if person.time_zone == NOT_CHOSEN else person.time_zone,
            "advance": bool(person.preferences.get("advance")),
            "keys": shortcuts.way(person.preferences),
            **keys,
        }

    @property
    def general(self) -> list[forms.BoundField]:
        return [self[name] for name in ("theme", "time_zone", "advance", "keys")]

    @property
    def keys_table(self) -> list[tuple[shortcuts.Action, forms.BoundField]]:
        """Each action with the field that holds its key."""
        return [(action, self[f"key_{place}"]) for place, action in enumerate(shortcuts.ACTIONS)]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        chosen = {
            action.key: str(cleaned.pop(f"key_{place}", "")).lower()
            for place, action in enumerate(shortcuts.ACTIONS)
        }
        for name, text in shortcuts.faults(chosen).items():
            place = next(i for i, action in enumerate(shortcuts.ACTIONS) if action.key == name)
            self.add_error(f"key_{place}", text)
        cleaned["key_map"] = chosen
        return cleaned


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
