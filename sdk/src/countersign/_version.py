"""The version of this client, also in its User-Agent; a test holds it against the package's."""

VERSION = "0.1.0"
