from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0002_evidence_latest'),
        ('approvals', '0004_lists'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(
                condition=models.Q(
                    (
                        'state__in',
                        [
                            'approved',
                            'executing',
                            'succeeded',
                            'failed',
                            'unknown',
                            'rolled_back',
                            'lapsed',
                            'revoked',
                        ],
                    ),
                    models.Q(('subject_id', ''), _negated=True),
                ),
                fields=['agent', 'action_type', 'subject_id', 'created_at'],
                name='proposal_approved_subject',
            ),
        ),
    ]
