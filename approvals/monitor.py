"""What the people who watch see: what is about to run, and what has run of late. Read only."""
