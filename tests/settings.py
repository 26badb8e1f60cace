"""The real settings on the tests' own servers. What differs from production is listed here and nowhere else."""

from tests import services

services.prepare()

from config.settings import *  # noqa: E402, F403  the environment has to be set before it is read

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a test suite makes hundreds of people
REFUSALS_EACH = 10**9  # tests share addresses, and none must count another's refusals
