"""Rights of an earlier release become role assignments: admins' flags, auditors' permissions, reviewers, managers.

Each is carried by the object permission it was, in the new tables; what was given on something that is gone is left."""

from django.db import migrations

NAMES = {
    ('accounts', 'installation'): ('administer', 'read_record'),
    ('approvals', 'queue'): ('review_queue',),
    ('agents', 'agent'): ('manage_agent',),
}


def adopt(apps, schema_editor):
    ContentType = apps.get_model('contenttypes', 'ContentType')
    Permission = apps.get_model('auth', 'Permission')
    Group = apps.get_model('auth', 'Group')
    User = apps.get_model('accounts', 'User')
    Installation = apps.get_model('accounts', 'Installation')
    Installation.objects.get_or_create(pk=1)
    permissions = {}
    for (app, model), codenames in NAMES.items():
        content_type, _ = ContentType.objects.get_or_create(app_label=app, model=model)
        for codename in codenames:
            permissions[codename], _ = Permission.objects.get_or_create(
                content_type=content_type, codename=codename,
                defaults={'name': codename.replace('_', ' ').capitalize()},
            )
    audits = Permission.objects.filter(content_type__app_label='audit', codename='view_auditevent')
    for person in User.objects.filter(is_superuser=True):
        _give(apps, 'admin', permissions['administer'], 'everything', '', person=person)
    for person in User.objects.filter(user_permissions__in=audits).distinct():
        _give(apps, 'auditor', permissions['read_record'], 'everything', '', person=person)
    for team in Group.objects.filter(permissions__in=audits).distinct():
        _give(apps, 'auditor', permissions['read_record'], 'everything', '', team=team)
    for codename, role, scope, app, model in (
        ('review_queue', 'reviewer', 'queue', 'approvals', 'Queue'),
        ('manage_agent', 'agent_owner', 'agent', 'agents', 'Agent'),
    ):
        there = {str(pk) for pk in apps.get_model(app, model).objects.values_list('pk', flat=True)}
        for table, holder in (('UserObjectPermission', 'user'), ('GroupObjectPermission', 'group')):
            rows = apps.get_model('guardian', table).objects.filter(
                permission__codename=codename, content_type__app_label=app, object_pk__in=there
            )
            for row in rows:
                to = {'person_id': row.user_id} if holder == 'user' else {'team_id': row.group_id}
                _give(apps, role, permissions[codename], scope, row.object_pk, **to)


def _give(apps, role, permission, scope, scope_id, **to):
    RoleAssignment = apps.get_model('accounts', 'RoleAssignment')
    assignment, made = RoleAssignment.objects.get_or_create(
        role=role, scope=scope, scope_id=scope_id, ended_at=None, **to, defaults={'source': 'earlier'}
    )
    if not made:
        return
    carried = {
        'permission': permission, 'content_type': permission.content_type,
        'object_pk': scope_id or '1', 'assignment': assignment,
    }
    if assignment.person_id is not None:
        apps.get_model('accounts', 'PersonPermission').objects.create(user_id=assignment.person_id, **carried)
    else:
        apps.get_model('accounts', 'TeamPermission').objects.create(group_id=assignment.team_id, **carried)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_access'),
        ('agents', '0006_domain_and_systems'),
        ('approvals', '0013_duties_on_queues'),
        ('audit', '0001_initial'),
        ('guardian', '0001_initial'),
    ]

    operations = [migrations.RunPython(adopt, migrations.RunPython.noop)]
