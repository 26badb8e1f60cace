"""Settings for static checks, which read models and never a database: no server is started for them."""

import os

os.environ["SECRET_KEY"] = "for static checks only"
os.environ["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
os.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"

from config.settings import *  # noqa: F403  the environment has to be set before it is read
