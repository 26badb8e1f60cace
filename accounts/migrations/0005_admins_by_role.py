"""Being an admin is a role from here on; the two flags said it before."""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [('accounts', '0004_adopt_rights')]

    operations = [
        migrations.RemoveField(model_name='user', name='is_staff'),
        migrations.RemoveField(model_name='user', name='is_superuser'),
    ]
