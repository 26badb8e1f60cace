"""The audit log for auditors and admins: search it, follow one thing, check one event, take evidence out."""
