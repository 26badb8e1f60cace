"""What is typed about stop switches: which one and why; why one is lifted."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms

from accounts.models import User
from agents import stops
from agents.models import Stop
from approvals import stopping
from approvals.services.stop import MAX_REASON
from approvals.stopping import Switch

_TOO_LONG = f"Write at most {MAX_REASON} characters."


class PullForm(forms.Form):
    """One list of everything this person may stop; what the page he came from is about stands first and is chosen."""

    what = forms.ChoiceField(label="What to stop", error_messages={"required": "Choose what to stop."})
    reason = forms.CharField(
        label="Why",
        max_length=MAX_REASON,
        help_text="The agent, its owner and the admins read it.",
        error_messages={"required": "Say why, in a few words.", "max_length": _TOO_LONG},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        by: User,
        about: Switch | None = None,
        pulled: Iterable[Stop] = (),
    ) -> None:
        offer = stopping.offer(by)
        near = _near(about, by) if about else []
        super().__init__(data, auto_id="stop_%s", initial={"what": near[0].value} if near else {})
        done = {Switch.of(stop).value for stop in pulled}
        named = {one.value for one in near}
        groups = [
            ("From where you came", near),
            ("Agents", [Switch(agent=agent) for agent in offer.agents]),
            ("One kind of action of one agent", [Switch(mandate=mandate) for mandate in offer.mandates]),
            ("One kind of action of all agents", [Switch(action_type=kind) for kind in offer.action_types]),
            ("Everything", [Switch()] if offer.everything else []),
        ]
        choices: list[Any] = [] if near else [("", "Choose")]
        for position, (title, switches) in enumerate(groups):
            lines = [
                (one.value, _label(one))
                for one in switches
                if one.value not in done and (position == 0 or one.value not in named)
            ]
            if lines:
                choices.append((title, lines))
        self.is_empty = not any(isinstance(lines, list) for _, lines in choices)
        field = self.fields["what"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def switch(self) -> Switch | None:
        """What was chosen; None where it is gone by now. Call it when the form is valid."""
        return stopping.switch_named(str(self.cleaned_data["what"]))


class LiftForm(forms.Form):
    """Why what was stopped may begin again."""

    reason = forms.CharField(
        label="Why it may begin again",
        max_length=MAX_REASON,
        error_messages={"required": "Say why, in a few words.", "max_length": _TOO_LONG},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, stop: Stop) -> None:
        super().__init__(data, auto_id=f"lift_{stop.pk}_%s")


def _near(about: Switch, by: User) -> list[Switch]:
    """The switches around what a page is about, the narrowest first, of those this person may pull."""
    near = [about]
    if about.mandate is not None:
        near += [Switch(agent=about.mandate.agent), Switch(action_type=about.mandate.action_type)]
    return [one for one in near if stopping.can_pull(by, one)]


def _label(switch: Switch) -> str:
    stop = Stop(
        scope=switch.scope, agent=switch.agent, action_type=switch.action_type, mandate=switch.mandate
    )
    return stops.what(stop)
