"""Conversations move out of the table into encrypted content; what was stored in plain is moved by
`approvals.services.encrypt`, in batches and beside the work, so this changes the catalogue alone."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0011_proposal_by_trace"),
        ("audit", "0002_sealing_and_content"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RenameField("proposal", "context", "plain_context"),
                migrations.AlterField(
                    "proposal", "plain_context", models.JSONField(db_column="context", default=list)
                ),
            ],
        ),
        migrations.AddField(
            "proposal",
            "kept_context",
            models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="audit.content",
            ),
        ),
        migrations.AddField("proposal", "erased_at", models.DateTimeField(null=True)),
        migrations.AddIndex(
            "proposal",
            models.Index(
                condition=models.Q(("plain_context", []), _negated=True),
                fields=["id"],
                name="proposal_context_in_plain",
            ),
        ),
    ]
