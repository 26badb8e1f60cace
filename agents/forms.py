"""What is typed about agents, their credentials, mandates and managers."""

from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.auth.models import Group

from accounts.models import User
from agents import networks, selectors
from agents.autonomy import LADDER, Tier, rank
from agents.models import ActionType, Agent, Credential, Mandate
from agents.services import budgets, identities, mandates, register
from agents.services.budgets import Budget
from agents.services.credentials import MAX_DAYS
from agents.services.identities import Trust
from agents.services.mandates import Terms
from agents.versions import Announced


def _people() -> Any:
    return User.objects.filter(is_active=True).order_by("name", "email")


class AgentForm(forms.Form):
    """An agent's particulars. Only admins are asked for the owner; everybody else owns what he registers."""

    name = forms.CharField(max_length=120)
    purpose = forms.CharField(
        required=False,
        help_text="What it is for, in a sentence or two. Reviewers read this.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    version = forms.CharField(
        max_length=80,
        initial="1",
        help_text="Whatever names the present state of it: model, prompt, build. Evidence is kept by version.",
    )
    owner = forms.ModelChoiceField(
        queryset=User.objects.none(),
        help_text="Answers for the agent, and may never decide its proposals.",
    )
    team = forms.ModelChoiceField(queryset=Group.objects.none(), required=False, empty_label="No team")
    domain = forms.ChoiceField(
        required=False,
        help_text="The part of the business it belongs to. Roles given on it hold for the agent.",
    )
    systems = forms.CharField(
        required=False,
        max_length=2000,
        help_text="What it reads or writes, separated by commas: for instance Shopify, SAP. For people to read.",
    )

    def __init__(self, data: Any = None, *, by: User, agent: Agent | None = None) -> None:
        kept = ("name", "purpose", "version", "owner", "team", "domain")
        initial = (
            {name: getattr(agent, name) for name in kept} | {"systems": ", ".join(agent.systems)}
            if agent
            else {"version": "1", "owner": by}
        )
        super().__init__(data, initial=initial)
        _choose(self.fields["team"], Group.objects.order_by("name"))
        if by.is_admin:
            _choose(self.fields["owner"], _people())
        else:
            del self.fields["owner"]
        domain = self.fields["domain"]
        assert isinstance(domain, forms.ChoiceField)
        known = sorted({*selectors.domains(), *([agent.domain] if agent and agent.domain else [])})
        domain.choices = [("", "None"), *((slug, slug.replace("_", " ").capitalize()) for slug in known)]
        if agent is not None and not by.is_admin:
            del self.fields["domain"]

    def clean_systems(self) -> list[str]:
        names = [name.strip() for name in str(self.cleaned_data["systems"]).split(",") if name.strip()]
        if len(names) > register.MOST_SYSTEMS or any(len(name) > 60 for name in names):
            raise forms.ValidationError(
                f"At most {register.MOST_SYSTEMS} names of at most 60 characters, separated by commas."
            )
        return names


class RegisterForm(AgentForm):
    """A new agent. The slug is its name in digests and in the log, so it stays."""

    slug = forms.SlugField(
        max_length=80,
        label="Short name",
        help_text="a-z, 0-9, - and _, for instance refund-helper. It cannot be changed later.",
    )
    model = forms.CharField(
        required=False,
        max_length=200,
        help_text="What it runs on. It may announce this and the digests by itself.",
    )
    live = forms.BooleanField(
        required=False,
        label="Set it live at once",
        help_text="Without it, the agent is in preparation: it can sign in and read, what it proposes is denied.",
    )
    prompt_digest = forms.CharField(required=False, max_length=200, label="Digest of its prompt")
    tools_digest = forms.CharField(required=False, max_length=200, label="Digest of its tools")
    field_order = (
        "name",
        "slug",
        "purpose",
        "version",
        "model",
        "prompt_digest",
        "tools_digest",
        "owner",
        "team",
        "domain",
        "systems",
        "live",
    )

    def said(self) -> Announced:
        """What the new agent is made of; call it when the form is valid."""
        values = self.cleaned_data
        return Announced(values["model"], values["prompt_digest"], values["tools_digest"])

    def clean_slug(self) -> str:
        slug = str(self.cleaned_data["slug"])
        if slug != slug.lower() or not slug[0].isalnum():
            raise forms.ValidationError("Use a-z, 0-9, - and _, beginning with a letter or digit.")
        if Agent.objects.filter(slug=slug).exists():
            raise forms.ValidationError("There is an agent of this short name already.")
        return slug


class MandateForm(forms.Form):
    """Tier, ceiling and limits. Who may raise the ceiling is asked for in the use case; others are not offered more."""

    tier = forms.ChoiceField(
        help_text="How it works now. You can lower it here; a tier above in the loop is earned by evidence."
    )
    ceiling = forms.ChoiceField(help_text="The highest tier it may earn. Only admins can raise it.")
    max_amount = forms.DecimalField(
        required=False, min_value=Decimal(0), max_digits=18, decimal_places=2, label="Most per action"
    )
    window_count = forms.IntegerField(required=False, min_value=0, label="Most actions in a window")
    window_amount = forms.DecimalField(
        required=False, min_value=Decimal(0), max_digits=18, decimal_places=2, label="Most money in a window"
    )
    subject_count = forms.IntegerField(
        required=False, min_value=0, label="Most actions about one subject in a window"
    )
    subject_amount = forms.DecimalField(
        required=False,
        min_value=Decimal(0),
        max_digits=18,
        decimal_places=2,
        label="Most money about one subject in a window",
    )
    window_hours = forms.IntegerField(min_value=1, label="Length of the window, in hours")
    veto_seconds = forms.IntegerField(
        min_value=0,
        label="Veto window, in seconds",
        help_text="On the loop, an action waits this long for an objection. 0 runs it at once.",
    )
    active = forms.BooleanField(
        required=False,
        label="In force",
        help_text="Without it, the agent's proposals of this type are denied.",
    )
    reason = forms.CharField(
        max_length=300, help_text="Why you set it so. It stays in the tier history and the audit log."
    )

    def __init__(self, data: Any = None, *, by: User, agent: Agent, mandate: Mandate | None) -> None:
        terms = mandates.as_terms(mandate) if mandate else Terms()
        super().__init__(data, initial={name: getattr(terms, name) for name in Terms.__dataclass_fields__})
        highest = Tier.OUT_OF_THE_LOOP if by.is_admin else Tier(terms.ceiling)
        ceiling = self.fields["ceiling"]
        assert isinstance(ceiling, forms.ChoiceField)
        tiers = self.fields["tier"]
        assert isinstance(tiers, forms.ChoiceField)
        most = max(rank(terms.tier), rank(Tier.IN_THE_LOOP))
        tiers.choices = [(tier.value, tier.label) for tier in LADDER if rank(tier) <= most]
        ceiling.choices = [(tier.value, tier.label) for tier in LADDER if rank(tier) <= rank(highest)]
        if mandate is None:
            action_type = forms.ModelChoiceField(
                queryset=ActionType.objects.exclude(mandates__agent=agent).order_by("domain", "label"),
                to_field_name="name",
                label="Action type",
            )
            self.fields = {"action_type": action_type, **self.fields}
        else:
            currency = mandate.action_type.currency
            for name in ("max_amount", "window_amount", "subject_amount"):
                self.fields[name].help_text = f"In {currency}. Empty: no limit." if currency else ""
        self.fields["window_count"].help_text = "Empty: no limit."
        self.fields["subject_count"].help_text = "About the same customer or order, say. Empty: no limit."
        self.fields["subject_amount"].help_text = (
            f"{f'In {currency}, of' if mandate and currency else 'Of'} all this agent does. Empty: the most per action "
            "holds for the sum too, so that one large action does not pass as several small ones."
        )

    def terms(self) -> Terms:
        return Terms(**{name: self.cleaned_data[name] for name in Terms.__dataclass_fields__})

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.errors:
            for fault in mandates.faults(self.terms()):
                self.add_error(fault["field"], f"It {fault['message']}.")
        return values


class BudgetForm(forms.Form):
    """What all mandates of an agent may do together in a rolling window."""

    count = forms.IntegerField(
        required=False, min_value=0, max_value=2**31 - 1, label="Most actions", help_text="Empty: no limit."
    )
    amount = forms.DecimalField(
        required=False,
        min_value=Decimal(0),
        max_digits=18,
        decimal_places=2,
        label="Most money",
        help_text="Empty: no limit. What is in another currency goes to a person.",
    )
    currency = forms.CharField(required=False, max_length=3, help_text="Three letters, for instance EUR.")
    hours = forms.IntegerField(min_value=1, max_value=24 * 366, label="Within so many hours")
    reason = forms.CharField(max_length=300, help_text="Why you set it so. It stays in the audit log.")

    def __init__(self, data: Any = None, *, agent: Agent) -> None:
        super().__init__(data, auto_id="budget_%s", initial=asdict(budgets.of(agent)))

    def budget(self) -> Budget:
        return Budget(**{name: self.cleaned_data[name] for name in Budget.__dataclass_fields__})

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.errors:
            for fault in budgets.faults(self.budget()):
                self.add_error(fault["field"], f"It {fault['message']}.")
        return values


class _Networks(forms.CharField):
    """Networks as CIDR, one a line; the value is a list."""

    def __init__(self) -> None:
        super().__init__(
            required=False,
            label="Allowed networks",
            help_text="One a line, for instance 203.0.113.0/24 or 2001:db8::/32. Requests from elsewhere are refused. "
            "Empty: from everywhere.",
            widget=forms.Textarea(attrs={"rows": 3}),
        )

    def clean(self, value: Any) -> Any:
        try:
            return networks.read(super().clean(value))
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


def _claim(text: str) -> object:
    """true, false and whole numbers as such, everything else as text; quotes make a text of anything."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else text


class CredentialForm(forms.Form):
    label = forms.CharField(
        required=False, max_length=80, help_text="Where it will be kept, for instance “production, vault”."
    )
    days = forms.IntegerField(
        min_value=1,
        max_value=MAX_DAYS,
        initial=MAX_DAYS,
        label="Days until it expires",
        help_text="At most 90.",
    )
    networks = _Networks()


class NetworksForm(forms.Form):
    """From where an existing credential may be used."""

    networks = _Networks()

    def __init__(self, data: Any = None, *, credential: Credential) -> None:
        super().__init__(data, initial={"networks": "\n".join(credential.networks)})


class IdentityForm(forms.Form):
    """Whose tokens are the agent's."""

    issuer = forms.CharField(
        max_length=300,
        help_text="As the token's iss says it, for instance https://token.actions.githubusercontent.com.",
    )
    audience = forms.CharField(
        max_length=300, help_text="The token's aud, exactly. Use one that only Countersign is meant by."
    )
    subject = forms.CharField(
        max_length=300,
        help_text="The token's sub. * stands for any characters but / and :, for instance "
        "repo:acme/agents:environment:*.",
    )
    claims = forms.CharField(
        required=False,
        label="Further claims",
        help_text="One a line, name = value; the token must have each exactly so.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    label = forms.CharField(required=False, max_length=80, help_text="Where it runs, for people.")
    days = forms.IntegerField(
        min_value=1,
        max_value=identities.MAX_DAYS,
        initial=identities.MAX_DAYS,
        label="Days until it ends",
        help_text="At most 365. You are reminded before.",
    )
    networks = _Networks()

    def clean_claims(self) -> dict[str, object]:
        found: dict[str, object] = {}
        for line in filter(None, map(str.strip, str(self.cleaned_data["claims"]).splitlines())):
            name, sign, value = (part.strip() for part in line.partition("="))
            if not sign or not name or not value or name in found:
                raise forms.ValidationError(f"“{line[:60]}” is not name = value, or comes twice.")
            found[name] = _claim(value)
        return found

    def trust(self) -> Trust:
        values = self.cleaned_data
        return Trust(values["issuer"], values["audience"], values["subject"], values["claims"])

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.errors:
            for fault in identities.faults(self.trust()):
                self.add_error(fault["field"], f"It {fault['message']}.")
        return values


class RotateForm(forms.Form):
    """How long the old credential stays good beside its successor."""

    overlap = forms.TypedChoiceField(
        label="The old one stays good for",
        coerce=lambda hours: timedelta(hours=int(hours)),
        choices=[("0", "no time"), ("1", "1 hour"), ("24", "1 day"), ("72", "3 days"), ("168", "7 days")],
        initial="24",
    )


class ManagerForm(forms.Form):
    """A person or a team, in one choice."""

    to = forms.ChoiceField(label="Person or team")

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["to"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            ("", "Choose"),
            ("Teams", [(f"team-{team.pk}", team.name) for team in Group.objects.order_by("name")]),
            ("People", [(f"person-{one.pk}", f"{one} ({one.email})") for one in _people()]),
        ]

    def holder(self) -> User | Group:
        """Whom was chosen; call it when the form is valid."""
        kind, _, pk = str(self.cleaned_data["to"]).partition("-")
        return Group.objects.get(pk=pk) if kind == "team" else User.objects.get(pk=pk)


class StopForm(forms.Form):
    """Why an agent is stopped or resumed; the reason stays with the agent and in the audit log."""

    reason = forms.CharField(max_length=300, label="Reason")


def _choose(field: forms.Field, queryset: Any) -> None:
    assert isinstance(field, forms.ModelChoiceField)
    field.queryset = queryset
