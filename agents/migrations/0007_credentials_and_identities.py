"""Credentials know networks and where they were used from; identities trust an issuer's tokens.

Processes cache an agent with its owner for one authority number. Whichever way a person comes to be deactivated (a page,
a directory, the administration), the number rises with him, so an agent whose owner left works in the loop at once."""

import django.db.models.deletion
from django.db import migrations, models

FUNCTION = """
CREATE FUNCTION countersign_person_came_or_went() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE agents_authorityversion
    SET number = GREATEST(number + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) WHERE id = 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER person_came_or_went AFTER UPDATE OF is_active ON accounts_user FOR EACH ROW
    WHEN (OLD.is_active IS DISTINCT FROM NEW.is_active) EXECUTE FUNCTION countersign_person_came_or_went();
"""
NO_FUNCTION = """
DROP TRIGGER person_came_or_went ON accounts_user;
DROP FUNCTION countersign_person_came_or_went();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0006_domain_and_systems'),
    ]

    operations = [
        migrations.CreateModel(
            name='Identity',
            fields=[
                ('credential', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='identity', serialize=False, to='agents.credential')),
                ('issuer', models.CharField(db_index=True, max_length=300)),
                ('audience', models.CharField(max_length=300)),
                ('subject', models.CharField(max_length=300)),
                ('claims', models.JSONField(blank=True, default=dict)),
            ],
        ),
        migrations.AddField(
            model_name='agent',
            name='ownerless_since',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='credential',
            name='last_used_from',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name='credential',
            name='networks',
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name='credential',
            name='reminded',
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='agent',
            name='state',
            field=models.CharField(choices=[('preparing', 'In preparation'), ('live', 'Live'), ('suspended', 'Suspended'), ('retired', 'Retired')], default='live', max_length=12),
        ),
        migrations.AlterField(
            model_name='credential',
            name='token_hash',
            field=models.BinaryField(max_length=32, null=True, unique=True),
        ),
        migrations.RunSQL(FUNCTION, NO_FUNCTION),
    ]
