"""Secrets at rest: sealed with keys derived from SECRET_KEY, one for each purpose."""

import base64
import hashlib

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


def box(purpose: str) -> Fernet:
    """What was sealed for one purpose opens for no other. Opening raises `cryptography.fernet.InvalidToken` under
    another SECRET_KEY."""
    derived = HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(
        hashlib.sha256(settings.SECRET_KEY.encode()).digest()
    )
    return Fernet(base64.urlsafe_b64encode(derived))
