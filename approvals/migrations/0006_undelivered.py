from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("approvals", "0005_approved_by_subject"),
    ]

    operations = [
        # What no attempt could deliver is looked for among everything that ever was delivered.
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(condition=models.Q(("state", "dead")), fields=["-id"], name="delivery_dead"),
        ),
    ]
