"""Action types may name an address that Countersign itself calls (approvals/services/execute.py)."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0007_credentials_and_identities'),
    ]

    operations = [
        migrations.AddField(
            model_name='actiontype',
            name='executor_repeats',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='actiontype',
            name='executor_url',
            field=models.CharField(blank=True, db_default='', max_length=2000),
        ),
    ]
