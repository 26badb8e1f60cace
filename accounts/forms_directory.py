"""What is typed about the company's directory."""

from typing import Any

from django import forms
from django.contrib.auth.models import Group

from accounts.services.directory import LONGEST_DAYS


class TokenForm(forms.Form):
    """A new token for SCIM."""

    label = forms.CharField(
        max_length=54,
        label="Name",
        help_text="Who speaks with it, for instance the name of your identity provider. The log names it so.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    days = forms.IntegerField(
        min_value=1, max_value=LONGEST_DAYS, initial=LONGEST_DAYS, label="Days until it ends"
    )


class TeamForm(forms.Form):
    """A team that the directory is to fill, and the group's name in a token."""

    team = forms.ModelChoiceField(queryset=Group.objects.none(), label="Team")
    claim = forms.CharField(
        required=False,
        max_length=200,
        label="Group in the token",
        help_text="As the groups claim names it. Empty: by the team's own name.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["team"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Group.objects.order_by("name")
