"""What a private network may be called for; those that were open stay open for both."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0018_executor_calls'),
    ]

    operations = [
        migrations.AddField(
            model_name='opennetwork',
            name='purpose',
            field=models.CharField(choices=[('executors', 'Executors'), ('webhooks', 'Webhooks'), ('both', 'Executors and webhooks')], default='both', max_length=9),
        ),
    ]
