"""Template tags: how things look, never what they mean."""
