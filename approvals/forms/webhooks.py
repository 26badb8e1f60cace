"""What is typed about webhook endpoints and networks that may be called."""

from typing import Any

from django import forms

from agents import networks
from approvals import outbox
from approvals.models import OpenNetwork, WebhookEndpoint
from approvals.services import webhooks


class EndpointForm(forms.Form):
    """Where messages go, and which."""

    url = forms.CharField(
        max_length=2000,
        label="Address",
        help_text="Where your server takes a POST, for instance https://agents.example.com/hooks/countersign.",
        widget=forms.TextInput(attrs={"inputmode": "url", "autocomplete": "off", "spellcheck": "false"}),
    )
    label = forms.CharField(required=False, max_length=80, label="Name", help_text="For people.")
    events = forms.MultipleChoiceField(
        required=False,
        choices=[(one, one) for one in outbox.TYPES],
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen is all of them.",
    )

    def __init__(self, data: Any = None, *, endpoint: WebhookEndpoint | None = None) -> None:
        kept = ("url", "label", "events")
        super().__init__(data, initial={name: getattr(endpoint, name) for name in kept} if endpoint else None)

    def clean_url(self) -> str:
        url = str(self.cleaned_data["url"])
        if fault := webhooks.url_fault(url):
            raise forms.ValidationError(fault)
        return url


class NetworkForm(forms.Form):
    """A private network that may be called."""

    network = forms.CharField(
        max_length=50, help_text="In CIDR notation, for instance 10.20.0.0/16, or one address."
    )
    purpose = forms.ChoiceField(
        label="For",
        choices=[("", "Choose"), *OpenNetwork.Purpose.choices],
        help_text="Admins name executors. Owners of agents name webhooks, and read what the server answers.",
    )
    reason = forms.CharField(max_length=200, help_text="What stands there. It is kept in the audit log.")

    def clean_network(self) -> str:
        try:
            return networks.checked([str(self.cleaned_data["network"]).strip()])[0]
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
