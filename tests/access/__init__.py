"""Who may do what: every address by every role, and nothing of one queue in the pages of another."""
