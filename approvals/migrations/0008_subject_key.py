from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from approvals import subjects

# What `approvals.subjects.key` says of plain ASCII, for the year that the longest window looks back.
PLAIN = r"""
UPDATE approvals_proposal SET subject_key = replace(replace(replace(
    translate(regexp_replace(lower(subject_id), '[^a-z0-9|]', '', 'g'), '01|i', 'olll'),
    'rn', 'm'), 'vv', 'w'), 'cl', 'd')
WHERE subject_id <> '' AND subject_id ~ '^[ -~]+$' AND created_at > now() - interval '366 days'
"""


def others(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    proposals = apps.get_model("approvals", "Proposal").objects
    rest = proposals.filter(subject_key="").exclude(subject_id="").exclude(subject_id__regex=r"^[ -~]+$")
    for proposal in rest.only("subject_id").iterator(chunk_size=1000):
        proposals.filter(pk=proposal.pk).update(subject_key=subjects.key(proposal.subject_id))


class Migration(migrations.Migration):

    dependencies = [
        ("agents", "0004_adopt_evidence"),
        ("approvals", "0007_reviews_and_probes"),
    ]

    operations = [
        migrations.AddField(
            model_name="proposal",
            name="subject_key",
            field=models.CharField(db_default="", default="", max_length=200),
        ),
        migrations.RunSQL(PLAIN, migrations.RunSQL.noop),
        migrations.RunPython(others, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(fields=["agent", "subject_key", "created_at"], name="proposal_by_subject"),
        ),
    ]
