"""Loading a blueprint: whole or not at all, seen before it happens, harmless to repeat."""

from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from accounts.exceptions import NotAllowed
from accounts.models import User
from agents.autonomy import Tier
from agents.models import ActionType, Agent, Mandate
from agents.services import mandates
from approvals.blueprint import BlueprintRefused
from approvals.models import Policy, PolicyVersion, Queue
from approvals.services import load_blueprint
from audit.models import AuditEvent
from tests import factories
from tests.approvals.test_blueprint import GOOD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def owner() -> None:
    User.objects.create_user("ann@example.com", "a long password", name="Ann")


def load(text: str = GOOD, *, dry_run: bool = False) -> load_blueprint.Plan:
    return load_blueprint.load(data=text.encode(), name="shop.yaml", dry_run=dry_run)


def test_load_creates_everything_and_audits_it() -> None:
    plan = load()

    assert plan.applied
    assert {change.verb for change in plan.changes} == {"created"}
    assert Queue.objects.get(slug="refunds").quorum == 2
    refund = ActionType.objects.get(name="refund_order")
    assert refund.reversible_by is not None and refund.reversible_by.name == "reverse_refund"
    version = Policy.objects.get(domain="shop").current
    assert version is not None and [rule["name"] for rule in version.rules] == ["large"]
    mandate = Mandate.objects.get(agent__slug="refund-bot")
    assert (mandate.tier, mandate.ceiling, str(mandate.max_amount)) == (
        "in_the_loop",
        "on_the_loop",
        "2000.50",
    )
    event = AuditEvent.objects.get(kind="blueprint.loaded")
    assert event.data["detail"]["file"] == "shop.yaml"
    assert "queue refunds created" in event.data["detail"]["changes"]


def test_load_twice_changes_nothing() -> None:
    load()
    events = AuditEvent.objects.count()

    plan = load()

    assert not plan.is_needed and not plan.applied
    assert AuditEvent.objects.count() == events


def test_load_dry_run_only_shows() -> None:
    plan = load(dry_run=True)

    assert plan.is_needed and not plan.applied
    assert not Queue.objects.exists() and not AuditEvent.objects.filter(kind="blueprint.loaded").exists()


def test_load_shows_each_changed_field() -> None:
    load()

    plan = load(GOOD.replace("name: Refunds, quorum: 2", "name: Refunds, quorum: 1").replace("500", "400"))

    changed = {
        (change.thing, change.name): change.fields for change in plan.changes if change.verb == "changed"
    }
    assert changed[("queue", "refunds")] == [("quorum", 2, 1)]
    assert [name for name, _, _ in changed[("policy", "shop")]] == ["rules"]
    assert list(changed) == [("queue", "refunds"), ("policy", "shop")]
    assert PolicyVersion.objects.count() == 2


def test_load_leaves_an_earned_tier_alone_and_lowers_it_to_a_lower_ceiling() -> None:
    load()
    mandate = Mandate.objects.get()
    factories.earned(mandate, Tier.ON_THE_LOOP)

    plan = load()
    assert not plan.is_needed
    assert "stays on_the_loop" in next(change.note for change in plan.changes if change.thing == "mandate")

    load(GOOD.replace("ceiling: on_the_loop", "ceiling: in_the_loop"))
    mandate.refresh_from_db()
    assert (mandate.tier, mandate.ceiling) == ("in_the_loop", "in_the_loop")


def test_load_names_what_is_missing_and_changes_nothing() -> None:
    factories.queue("refunds", domain="elsewhere")
    text = GOOD.replace("Ann@Example.com", "nobody@example.com").replace(
        "    version:", "    team: No such team\n    version:"
    )

    with pytest.raises(BlueprintRefused) as refused:
        load(text)

    assert [str(fault) for fault in refused.value.faults] == [
        "/queues/0/slug (line 5): the queue “refunds” belongs to the domain elsewhere; choose another name",
        "/agents/0/owner (line 34): there is no person nobody@example.com; create the person first",
        "/agents/0/team (line 35): there is no team “No such team”; create the team first",
    ]
    assert not ActionType.objects.exists() and not Agent.objects.exists()


def test_load_is_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the power went out")

    monkeypatch.setattr(mandates, "store", fail)
    with pytest.raises(RuntimeError):
        load()

    assert not Queue.objects.exists() and not ActionType.objects.exists() and not Agent.objects.exists()
    assert not Policy.objects.exists()


def test_load_pairs_that_undo_each_other() -> None:
    text = GOOD.replace(
        "    title: Reverse a refund\n", "    title: Reverse a refund\n    reversible_by: refund_order\n"
    )

    load(text)

    assert not load(text).is_needed
    assert ActionType.objects.get(name="reverse_refund").reversible_by == ActionType.objects.get(
        name="refund_order"
    )


def test_load_in_the_name_of_an_admin_only() -> None:
    with pytest.raises(NotAllowed):
        load_blueprint.load(data=GOOD.encode(), name="shop.yaml", actor=factories.person())

    load_blueprint.load(data=GOOD.encode(), name="shop.yaml", actor=factories.admin())
    assert AuditEvent.objects.get(kind="blueprint.loaded").actor_id == str(factories.admin().pk)


def test_load_changes_owner_and_team_of_an_agent() -> None:
    load()
    Group.objects.create(name="Care")

    plan = load(GOOD.replace("    version:", "    team: Care\n    version:").replace("2026-11", "2026-12"))

    [change] = [change for change in plan.changes if change.verb == "changed"]
    assert change.fields == [("team", "", "Care"), ("version", "2026-11", "2026-12")]
    assert AuditEvent.objects.filter(kind="agent.changed").count() == 1


def said(text: str) -> str:
    return GOOD.replace("    version:", f"    {text}\n    version:")


def test_load_gives_an_agent_the_domain_of_the_file_or_its_own_and_its_systems() -> None:
    load(said("systems: [Shop, ' Bank  of X', Shop]"))
    agent = Agent.objects.get()
    assert (agent.domain, agent.systems) == ("shop", ["Shop", "Bank of X"])
    assert load().is_needed is False, "what the file does not say is left alone"

    plan = load(said("domain: care\n    systems: []"))
    [change] = [change for change in plan.changes if change.verb == "changed"]
    assert change.fields == [("domain", "shop", "care"), ("systems", ["Shop", "Bank of X"], [])]
    assert load().is_needed is False, "it is moved by no file that does not say so"
    agent = Agent.objects.get()
    assert (agent.domain, agent.systems) == ("care", [])


def test_load_gives_an_agent_without_a_domain_the_files() -> None:
    load()
    Agent.objects.update(domain="")

    plan = load()

    assert [change.fields for change in plan.changes if change.verb == "changed"] == [
        [("domain", "", "shop")]
    ]
    assert Agent.objects.get().domain == "shop"
    assert AuditEvent.objects.get(kind="agent.changed").data["after"]["domain"] == "shop"


def test_load_names_systems_that_nobody_can_read() -> None:
    with pytest.raises(BlueprintRefused, match=r"/agents/0/systems.*printable"):
        load(said('systems: ["Sh\\u200bop"]'))
    assert not Agent.objects.exists()


def test_command_prints_differences_and_refusals(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(GOOD, "utf-8")
    out = StringIO()

    call_command("load_blueprint", str(path), stdout=out)
    assert "+ queue refunds: created" in out.getvalue()
    assert "shop.yaml: applied to shop." in out.getvalue()

    out = StringIO()
    call_command("load_blueprint", str(path), stdout=out)
    assert out.getvalue() == "shop.yaml: nothing changed.\n"

    path.write_text(GOOD.replace("risk: medium", "risk: medum"), "utf-8")
    with pytest.raises(
        CommandError, match=r"shop.yaml: /action_types/0/risk \(line 9\).*\n.*Nothing was changed"
    ):
        call_command("load_blueprint", str(path))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("load_blueprint", str(tmp_path / "none.yaml"))
