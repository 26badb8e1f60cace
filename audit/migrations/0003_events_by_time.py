"""The explorer walks events in the order of time, between two moments. Events arrive in that order, so an insert touches
the index's last page only."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_sealing_and_content")]

    operations = [
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["recorded_at", "id"], name="audit_by_time"),
        ),
    ]
