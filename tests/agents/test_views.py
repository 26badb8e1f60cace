"""Owners set up their agents over HTTP: registration, credentials, mandates, managers, action types."""

import json
import re

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User, assign_role
from accounts.roles import Role
from agents.autonomy import Tier
from agents.models import ActionType, Agent, Credential, Mandate
from agents.tokens import is_well_formed
from audit.models import AuditEvent
from tests.factories import REFUND_SCHEMA, Desk, action_type, admin, desk, person

pytestmark = pytest.mark.django_db(transaction=True)
TERMS = {
    "tier": "in_the_loop",
    "ceiling": "in_the_loop",
    "window_hours": "24",
    "veto_seconds": "300",
    "active": "on",
    "reason": "to begin with",
}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def token_on(page: str) -> str:
    found = re.search(r'id="token">(csgn_\w+)<', page)
    assert found, "no token on the page"
    return found[1]


def me(the: Desk, token: str) -> int:
    return Client().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code


def test_person_registers_an_agent_and_owns_it() -> None:
    owner = person()
    response = signed_in(owner).post(
        "/agents/-/register/",
        {
            "name": "Refunds",
            "slug": "refunds",
            "version": "1",
            "owner": admin().pk,
            "purpose": "",
            "team": "",
        },
    )

    assert (response.status_code, response["Location"]) == (302, "/agents/refunds/")
    assert Agent.objects.get(slug="refunds").owner == owner  # who is no admin is not asked for the owner


def test_admin_registers_an_agent_for_somebody_else() -> None:
    owner = person()
    signed_in(admin()).post(
        "/agents/-/register/", {"name": "Refunds", "slug": "refunds", "version": "1", "owner": owner.pk}
    )

    assert Agent.objects.get(slug="refunds").owner == owner


def test_taken_slug_is_told_at_its_field() -> None:
    the = desk()
    response = signed_in(admin()).post(
        "/agents/-/register/",
        {"name": "Again", "slug": the.agent.slug, "version": "1", "owner": the.agent.owner_id},
    )

    assert response.status_code == 200
    assert response.context["form"].errors == {"slug": ["There is an agent of this short name already."]}


def test_edited_particulars_are_saved_with_one_event() -> None:
    the = desk()
    signed_in(the.agent.owner).post(
        f"/agents/{the.agent.slug}/edit/",
        {"name": "Renamed", "version": "2", "purpose": "Refunds", "team": ""},
    )

    the.agent.refresh_from_db()
    assert (the.agent.name, the.agent.version, the.agent.owner.name) == ("Renamed", "2", "Olga Owner")
    event = AuditEvent.objects.get(kind="agent.changed")
    assert event.data["after"]["version"] == "2"


def test_token_is_shown_once_and_works() -> None:
    the = desk()
    owner = signed_in(the.agent.owner)
    response = owner.post(f"/agents/{the.agent.slug}/credentials/issue/", {"label": "vault", "days": "30"})

    token = token_on(response.content.decode())
    assert is_well_formed(token)
    assert "no-store" in response["Cache-Control"]
    assert me(the, token) == 200
    assert token not in owner.get(f"/agents/{the.agent.slug}/").content.decode()
    assert not any(token in event.content for event in AuditEvent.objects.all())


def test_credential_of_more_than_90_days_is_refused_at_its_field() -> None:
    the = desk()
    response = signed_in(the.agent.owner).post(f"/agents/{the.agent.slug}/credentials/issue/", {"days": "91"})

    assert list(response.context["form"].errors) == ["days"]
    assert Credential.objects.count() == 1


def test_rotated_credential_overlaps_and_then_ends() -> None:
    the = desk()
    owner = signed_in(the.agent.owner)
    address = f"/agents/{the.agent.slug}/credentials/{the.credential.pk}/rotate/"

    token = token_on(owner.post(address, {"overlap": "24"}).content.decode())

    assert (me(the, token), me(the, the.token)) == (200, 200)
    newest = Credential.objects.latest("id")
    token_2 = token_on(
        owner.post(
            f"/agents/{the.agent.slug}/credentials/{newest.pk}/rotate/", {"overlap": "0"}
        ).content.decode()
    )
    assert (me(the, token_2), me(the, token)) == (200, 401)


def test_revoked_credential_is_refused_at_once() -> None:
    the = desk()
    response = signed_in(the.agent.owner).post(
        f"/agents/{the.agent.slug}/credentials/{the.credential.pk}/revoke/"
    )

    assert response.status_code == 302
    assert me(the, the.token) == 401


def test_credential_of_another_agent_is_not_found() -> None:
    the, other = desk(), desk()
    response = signed_in(the.agent.owner).post(
        f"/agents/{the.agent.slug}/credentials/{other.credential.pk}/revoke/"
    )

    assert response.status_code == 404
    assert me(other, other.token) == 200


def test_owner_adds_and_edits_a_mandate() -> None:
    the = desk()
    kind = action_type()
    owner = signed_in(the.agent.owner)

    added = owner.post(
        f"/agents/{the.agent.slug}/mandates/-/add/", {**TERMS, "action_type": kind.name, "max_amount": "50"}
    )
    mandate = Mandate.objects.get(action_type=kind)
    edited = owner.post(
        f"/agents/{the.agent.slug}/mandates/{kind.name}/edit/",
        {**TERMS, "tier": "advisory", "window_count": "9", "reason": "it was careless"},
    )

    assert (added.status_code, edited.status_code) == (302, 302)
    assert mandate.max_amount == 50
    now = Mandate.objects.get(action_type=kind)
    assert (now.tier, now.window_count, now.max_amount is None) == ("advisory", 9, True)
    assert now.tier_changes.get().reason == "it was careless"


def test_owner_cannot_raise_the_ceiling_and_an_admin_can() -> None:
    the = desk()
    address = f"/agents/{the.agent.slug}/mandates/{the.action_type.name}/edit/"
    raised = {**TERMS, "ceiling": "out_of_the_loop"}

    refused = signed_in(the.agent.owner).post(address, raised)
    the.mandate.refresh_from_db()
    assert list(refused.context["form"].errors) == ["ceiling"]
    assert the.mandate.ceiling == "in_the_loop"

    signed_in(admin()).post(address, raised)
    the.mandate.refresh_from_db()
    assert the.mandate.ceiling == "out_of_the_loop"


def test_tier_above_the_ceiling_is_told_at_its_field() -> None:
    the = desk()
    response = signed_in(admin()).post(
        f"/agents/{the.agent.slug}/mandates/{the.action_type.name}/edit/", {**TERMS, "ceiling": "advisory"}
    )

    assert response.context["form"].errors == {"tier": ["It must not be above the ceiling."]}


def test_tier_that_has_to_be_earned_is_not_offered() -> None:
    the = desk()
    response = signed_in(admin()).post(
        f"/agents/{the.agent.slug}/mandates/{the.action_type.name}/edit/",
        {**TERMS, "tier": "on_the_loop", "ceiling": "out_of_the_loop"},
    )

    assert list(response.context["form"].errors) == ["tier"]
    assert Mandate.objects.get(pk=the.mandate.pk).tier == "in_the_loop"


def test_manager_is_added_and_removed() -> None:
    the = desk()
    colleague, owner = person(), signed_in(the.agent.owner)
    address = f"/agents/{the.agent.slug}/"
    assert signed_in(colleague).get(address).status_code == 404

    owner.post(f"{address}managers/add/", {"to": f"person-{colleague.pk}"})
    assert signed_in(colleague).get(address).status_code == 200

    owner.post(f"{address}managers/person/{colleague.pk}/remove/")
    assert signed_in(colleague).get(address).status_code == 404
    assert AuditEvent.objects.filter(kind="agent.owners_assigned").count() == 2


def test_member_of_a_managing_team_may_stop_the_agent() -> None:
    the = desk()
    team = Group.objects.create(name="Operations")
    colleague = person()
    colleague.groups.add(team)
    signed_in(the.agent.owner).post(f"/agents/{the.agent.slug}/managers/add/", {"to": f"team-{team.pk}"})

    response = signed_in(colleague).post(f"/agents/{the.agent.slug}/suspend/", {"reason": "too fast"})

    assert response.status_code == 302
    the.agent.refresh_from_db()
    assert the.agent.state == "suspended"


def test_auditor_looks_and_changes_nothing() -> None:
    the = desk()
    auditor = person()
    assign_role(Role.AUDITOR, to=auditor)
    client = signed_in(auditor)

    page = client.get(f"/agents/{the.agent.slug}/")
    assert page.status_code == 200
    assert "Suspend this agent" not in page.content.decode()
    assert client.post(f"/agents/{the.agent.slug}/suspend/", {"reason": "x"}).status_code == 403
    assert client.get(f"/agents/{the.agent.slug}/credentials/issue/").status_code == 403


def definition(**changes: str) -> dict[str, str]:
    values = {
        "name": "pay_invoice",
        "label": "Pay an invoice",
        "domain": "accounts_payable",
        "risk": "high",
        "schema": json.dumps(REFUND_SCHEMA),
        "title_template": "Pay {amount} for {order_id}",
        "amount_pointer": "/amount",
        "currency": "EUR",
        "material": "/amount\n/iban\n",
        "systems": "",
        "grant_seconds": "300",
        "outcome_minutes": "60",
    }
    return {**values, **changes}


def test_admin_adds_and_edits_an_action_type() -> None:
    client = signed_in(admin())

    added = client.post("/setup/action-types/-/add/", definition())
    saved = ActionType.objects.get()
    edited = client.post(
        "/setup/action-types/pay_invoice/edit/", definition(label="Pay a supplier", reversible_by="")
    )

    assert (added.status_code, edited.status_code) == (302, 302)
    assert (saved.material, saved.schema, saved.version) == (["/amount", "/iban"], REFUND_SCHEMA, 1)
    saved.refresh_from_db()
    assert (saved.label, saved.version, saved.name) == ("Pay a supplier", 2, "pay_invoice")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schema": "{"}, "schema"),
        ({"schema": '{"type": "object", "type": "object"}'}, "schema"),
        ({"schema": '{"type": "array"}'}, "schema"),
        ({"schema": '{"type": "object", "properties": {"a": {"type": "nonsense"}}}'}, "schema"),
        ({"schema": ""}, "schema"),
        ({"amount_pointer": "/nothing"}, "amount_pointer"),
        ({"amount_pointer": "amount"}, "amount_pointer"),
        ({"material": "/amuont"}, "material"),
        ({"title_template": "Pay {amuont}"}, "title_template"),
        ({"currency": "eur"}, "currency"),
        ({"name": "Pay Invoice"}, "name"),
        ({"grant_seconds": "1"}, "grant_seconds"),
    ],
)
def test_fault_of_an_action_type_is_told_at_its_field(changes: dict[str, str], field: str) -> None:
    response = signed_in(admin()).post("/setup/action-types/-/add/", definition(**changes))

    assert response.status_code == 200
    errors = response.context["form"].errors
    assert field in errors
    assert not ActionType.objects.exists()


def test_mandate_line_counts_what_is_left() -> None:
    from approvals.models import Verdict
    from approvals.overview import mandate_lines

    the = desk(tier=Tier.IN_THE_LOOP, window_count=10, window_amount="500")
    the.approved()
    the.decide(the.propose(), Verdict.REJECT)
    the.decide(the.propose(), Verdict.EDIT, arguments={"order_id": "A-1001", "amount": 20})

    line = mandate_lines(the.agent)[0]

    assert (line.left_count, str(line.left_amount)) == (8, "437.50")


def test_use_of_a_credential_is_noted_once_a_minute() -> None:
    from agents import authority

    authority.drop()
    the = desk()
    assert (
        signed_in(the.agent.owner).get(f"/agents/{the.agent.slug}/").content.decode().count("never used") == 1
    )

    me(the, the.token)
    first = Credential.objects.get().last_used_at
    me(the, the.token)

    assert first is not None
    assert Credential.objects.get().last_used_at == first
