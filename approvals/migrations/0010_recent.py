from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("approvals", "0009_probe_appeals"),
    ]

    operations = [
        # What has run of late, the latest first: the monitor looks at it once a second while things happen.
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            "approved",
                            "executing",
                            "succeeded",
                            "failed",
                            "unknown",
                            "rolled_back",
                            "lapsed",
                            "revoked",
                        ],
                    )
                ),
                fields=["changed_at"],
                name="proposal_recent",
            ),
        ),
    ]
