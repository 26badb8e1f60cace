from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("approvals", "0003_workbench"),
    ]

    operations = [
        # Decided proposals keep whom they were assigned to; only open ones are looked for by it.
        migrations.RemoveIndex(model_name="proposal", name="proposal_assigned"),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(
                condition=models.Q(("assigned_to__isnull", False), ("state", "pending")),
                fields=["assigned_to"],
                name="proposal_assigned",
            ),
        ),
        # What may be vetoed and what waits for its agent, by queue and in the list's order.
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(
                condition=models.Q(("state", "scheduled")),
                fields=["queue", "priority", "effective_at", "id"],
                name="proposal_vetoable",
            ),
        ),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(
                condition=models.Q(("state", "returned")),
                fields=["queue", "priority", "due_at", "id"],
                name="proposal_returned",
            ),
        ),
    ]
