"""What is typed about notifications: who is told what by which way, when, and chat addresses."""

from collections.abc import Sequence
from typing import Any

from django import forms

from approvals.inbox import Way
from approvals.messages import choices
from approvals.messages.choices import WORDS, Choice, Digest, Topic, Words

_TIME = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")


class ChoiceForm(forms.Form):
    """A person's choice. The ways for each topic stand in one table, drawn from `rows`."""

    quiet_from = forms.TimeField(required=False, label="Quiet from", widget=_TIME)
    quiet_to = forms.TimeField(required=False, label="Quiet until", widget=_TIME)
    urgent_at_once = forms.BooleanField(
        required=False,
        label="What is overdue or escalated comes in quiet hours too",
        help_text="For people on call. Everything else waits until the quiet hours end.",
    )
    digest = forms.ChoiceField(
        choices=[
            (Digest.OFF, "Each on its own, at once"),
            (Digest.HOURLY, "Together, every full hour"),
            (Digest.DAILY, "Together, once a day"),
        ],
        label="E-mails come",
    )
    digest_hour = forms.TypedChoiceField(
        coerce=int, choices=[(hour, f"{hour:02}:00") for hour in range(24)], label="Once a day at"
    )

    def __init__(self, data: Any = None, *, choice: Choice, ways: Sequence[Way]) -> None:
        quiet = choice.quiet or (None, None)
        super().__init__(
            data,
            initial={
                "quiet_from": quiet[0],
                "quiet_to": quiet[1],
                "urgent_at_once": choice.urgent_at_once,
                "digest": str(choice.digest),
                "digest_hour": choice.digest_hour,
                **{f"ways-{topic}": sorted(choice.ways.get(topic, ())) for topic in Topic},
            },
        )
        self.ways = ways
        for topic in Topic:
            self.fields[f"ways-{topic}"] = forms.MultipleChoiceField(
                required=False, choices=[(way.name, way.label) for way in ways], label=WORDS[topic].subject
            )

    @property
    def rows(self) -> list[tuple[Topic, Words, list[tuple[Way, bool]], list[str]]]:
        """Each topic with its words, whether each way is ticked, and what was wrong."""
        found = []
        for topic in Topic:
            field = self[f"ways-{topic}"]
            ticked = {str(value) for value in field.value() or ()}
            errors = [str(error) for error in field.errors]
            found.append((topic, WORDS[topic], [(way, way.name in ticked) for way in self.ways], errors))
        return found

    @property
    def timing(self) -> list[forms.BoundField]:
        return [self[name] for name in ("digest", "digest_hour")]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        start, end = values.get("quiet_from"), values.get("quiet_to")
        if not self.errors and (start is None) != (end is None):
            self.add_error(
                "quiet_from" if start is None else "quiet_to", "Quiet hours need a beginning and an end."
            )
        elif start is not None and start == end:
            self.add_error("quiet_to", "The end must differ from the beginning.")
        return values

    def choice(self) -> Choice:
        values = self.cleaned_data
        quiet = (values["quiet_from"], values["quiet_to"]) if values["quiet_from"] is not None else None
        return Choice(
            ways={topic: frozenset(values[f"ways-{topic}"]) for topic in Topic},
            quiet=quiet,
            urgent_at_once=values["urgent_at_once"],
            digest=choices.Digest(values["digest"]),
            digest_hour=values["digest_hour"],
        )


class ChatAddressForm(forms.Form):
    """A new address. It holds a secret, so it is not echoed, not even when it was refused."""

    label = forms.CharField(
        max_length=80,
        label="Name",
        help_text="For you, such as “Team channel” or “Pager”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    address = forms.CharField(
        max_length=1000,
        label="Address",
        help_text="The web hook that the service gave you, or its apprise address. It is sealed and never shown again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
