"""The transparency log as files: RFC 6962 hashing, C2SP tiles and signed notes.

Nothing in here knows Django, a database or the settings, so that the verifier on an auditor's laptop is the same code
that the sealer runs. The one dependency is `cryptography`."""
