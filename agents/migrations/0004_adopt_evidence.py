"""Evidence and agents from before standings get theirs; each standing's state is folded at its first use."""

from django.db import migrations

STANDINGS = """
INSERT INTO agents_standing (agent_id, action_type_id, agent_version, risk, state, initial, mismatch)
SELECT DISTINCT agent_id, action_type_id, agent_version, risk, '{}'::jsonb, '{}'::jsonb, '' FROM agents_evidence
ON CONFLICT DO NOTHING
"""
EVIDENCE = """
UPDATE agents_evidence AS e
SET standing_id = s.id, counts_at = e.judged_at, key = e.basis || ':' || e.proposal_id || ':' || e.revision
FROM agents_standing AS s
WHERE e.standing_id IS NULL AND s.agent_id = e.agent_id AND s.action_type_id = e.action_type_id
  AND s.agent_version = e.agent_version AND s.risk = e.risk
"""
VERSIONS = """
INSERT INTO agents_agentversion (agent_id, label, evidence_label, model, prompt_digest, tools_digest, began_at)
SELECT id, version, version, '', '', '', created_at FROM agents_agent ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0003_standing")]

    operations = [
        migrations.RunSQL(sql, migrations.RunSQL.noop) for sql in (STANDINGS, EVIDENCE, VERSIONS)
    ]
