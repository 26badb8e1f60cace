"""The fixture that installing the package brings; from the source tree nobody has registered it."""

from countersign.testing.plugin import countersign_server

__all__ = ["countersign_server"]
