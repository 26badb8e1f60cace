"""Calls of executors: what Countersign itself has carried out."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0017_webhooks'),
    ]

    operations = [
        migrations.CreateModel(
            name='ExecutorCall',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('url', models.CharField(max_length=2000)),
                ('repeats', models.BooleanField()),
                ('attempts', models.IntegerField(default=0)),
                ('not_before', models.DateTimeField()),
                ('leased_until', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('sent', models.BooleanField(default=False)),
                ('status', models.IntegerField(null=True)),
                ('said', models.TextField(blank=True)),
                ('proposal', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='executor_call', to='approvals.proposal')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('ended_at', None)), fields=['not_before'], name='executor_call_due')],
            },
        ),
    ]
