"""Events, leaves and cosignatures are never changed: the database refuses it to everybody, owner and superuser too.

No setting switches this off: `ENABLE ALWAYS` keeps it on even for sessions that play a replica. Whoever owns the
tables can still drop the triggers; what he changes then contradicts the log's files and the checkpoints others hold.
"""

from django.db import migrations

APPEND_ONLY = ("audit_auditevent", "audit_auditleaf", "audit_cosignature")
CONTENT = "audit_content"

FUNCTIONS = """
CREATE FUNCTION countersign_append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused to everybody', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE FUNCTION countersign_content_goes() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    gone record;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.ciphertext IS NOT NULL AND NEW.gone_at IS NOT NULL AND NEW.gone_why <> '' THEN
        gone := OLD;
        gone.ciphertext := NULL;
        gone.gone_at := NEW.gone_at;
        gone.gone_why := NEW.gone_why;
        IF NEW IS NOT DISTINCT FROM gone THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '%: % is refused to everybody; all that may happen to content is that its ciphertext goes, once, '
        'with the time and the reason', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
"""
TRIGGERS = """
CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION countersign_append_only();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only_rows;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only_table;
"""
NO_TRIGGERS = """
DROP TRIGGER append_only_rows ON {table};
DROP TRIGGER append_only_table ON {table};
"""
NO_FUNCTIONS = "DROP FUNCTION countersign_append_only(); DROP FUNCTION countersign_content_goes();"


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_erasures_and_words")]
    operations = [
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        *(
            migrations.RunSQL(
                TRIGGERS.format(table=table, function="countersign_append_only"), NO_TRIGGERS.format(table=table)
            )
            for table in APPEND_ONLY
        ),
        migrations.RunSQL(
            TRIGGERS.format(table=CONTENT, function="countersign_content_goes"),
            NO_TRIGGERS.format(table=CONTENT),
        ),
    ]
