"""The agents' registry: which agents are listed, and who takes over those of somebody who leaves."""

from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.db.models import QuerySet

from accounts.models import User
from agents.models import Agent, AgentState
from approvals.readiness import Heir

OWNERLESS = "ownerless"


class FilterForm(forms.Form):
    """Which agents. Offered is only what occurs among those that this person sees; what is odd filters nothing."""

    state = forms.ChoiceField(required=False)
    owner = forms.TypedChoiceField(required=False, coerce=int, empty_value=None)
    team = forms.TypedChoiceField(required=False, coerce=int, empty_value=None)
    domain = forms.ChoiceField(required=False)

    def __init__(self, data: Any, *, visible: QuerySet[Agent]) -> None:
        super().__init__(data, auto_id="filter_%s")
        plain = visible.order_by().values_list
        owners = User.objects.filter(pk__in=plain("owner")).order_by("name", "email")
        teams = Group.objects.filter(pk__in=plain("team")).order_by("name")
        domains = visible.exclude(domain="").order_by("domain").values_list("domain", flat=True).distinct()
        self._offer("state", "Any state", [*AgentState.choices, (OWNERLESS, "Without a live owner")])
        self._offer("owner", "Anybody", [(str(one.pk), str(one)) for one in owners])
        self._offer("team", "Any team", [(str(one.pk), one.name) for one in teams])
        self._offer("domain", "Any domain", [(one, one.replace("_", " ").capitalize()) for one in domains])

    def _offer(self, name: str, nothing: str, choices: list[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", nothing), *choices]

    def chosen(self, visible: QuerySet[Agent]) -> QuerySet[Agent]:
        self.is_valid()
        values = self.cleaned_data
        state = values.get("state")
        if state == OWNERLESS:
            visible = visible.filter(owner__is_active=False).exclude(state=AgentState.RETIRED)
        elif state:
            visible = visible.filter(state=state)
        for name in ("owner", "team", "domain"):
            if values.get(name):
                visible = visible.filter(**{name: values[name]})
        return visible

    @property
    def is_used(self) -> bool:
        return any(self.cleaned_data.values()) if self.is_bound and self.is_valid() else False


class LeavingForm(forms.Form):
    """A new owner for each agent of somebody who is deactivated, or nobody for the moment."""

    def __init__(self, data: Any = None, *, agents: list[Agent], heirs: dict[int, list[Heir]]) -> None:
        super().__init__(data)
        for agent in agents:
            self.fields[f"agent-{agent.pk}"] = _owner(heirs[agent.pk], label=agent.name, required=False)

    def heirs(self) -> dict[int, int]:
        """Agent to person; call it when the form is valid."""
        return {
            int(name.removeprefix("agent-")): person for name, person in self.cleaned_data.items() if person
        }


class TransferForm(forms.Form):
    """A new owner for one agent."""

    def __init__(self, data: Any = None, *, heirs: list[Heir]) -> None:
        super().__init__(data)
        self.fields["owner"] = _owner(heirs, label="New owner", required=True)


def _owner(heirs: list[Heir], *, label: str, required: bool) -> forms.TypedChoiceField:
    nobody = "Choose" if required else "Nobody yet: it works in the loop"
    return forms.TypedChoiceField(
        label=label,
        required=required,
        coerce=int,
        empty_value=None,
        choices=[("", nobody), *((str(heir.person.pk), heir.words) for heir in heirs)],
    )
