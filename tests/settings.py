"""The real settings on the tests' own servers. What differs from production is listed here and nowhere else."""

from tests import services

services.prepare()

from config import rates  # noqa: E402
from config.settings import *  # noqa: E402, F403  the environment has to be set before it is read

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a test suite makes hundreds of people
ISSUERS_ON_LOOPBACK = True  # the tests' issuer of tokens is a server in the same process
REFUSALS_EACH = 10**9  # tests share addresses, and none must count another's refusals
LIMITS = rates.Limits(  # tests propose and look as fast as they can; those of the limits set them low
    rates.Allowance({kind: rates.Rate(1_000_000, 1_000_000) for kind in rates.KINDS}, open_items=1_000_000)
)
