"""What one agent has open is counted from an index of its own (approvals/open_items.py)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0015_signed_approvals")]

    operations = [
        migrations.AlterModelOptions(
            name="queue",
            options={
                "permissions": [
                    ("review_queue", "Can decide proposals in this queue"),
                    ("lead_queue", "Can hand out others' work and answer appeals in this queue"),
                    ("read_record", "Can read everything in this queue"),
                ]
            },
        ),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(
                fields=["agent"],
                condition=models.Q(("state__in", ["pending", "returned", "scheduled"])),
                name="proposal_open_of_agent",
            ),
        ),
    ]
