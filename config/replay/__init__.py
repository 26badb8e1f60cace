"""Replaying recorded agent actions through a running server (docs/replay.md)."""
