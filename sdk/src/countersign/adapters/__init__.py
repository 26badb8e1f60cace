"""Countersign inside agent frameworks, each in its own types: import `countersign.adapters.<framework>`."""
