"""For tests of code that uses Countersign: a fake server over real HTTP, and a pytest fixture of it.

With this package installed, `def test_it(countersign_server):` is all it takes (see countersign.testing.plugin)."""

from countersign.testing.server import REVIEWER, TOKEN, FakeServer, wait_until

__all__ = ["REVIEWER", "TOKEN", "FakeServer", "wait_until"]
