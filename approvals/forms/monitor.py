"""A reason in a few words, for what is recalled, rolled back or paused."""

from django import forms


class WhyForm(forms.Form):
    reason = forms.CharField(
        max_length=300,
        error_messages={"required": "Say why in a few words.", "max_length": "Say it in 300 characters."},
    )
