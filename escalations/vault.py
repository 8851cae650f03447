"""Secrets: sealed at rest with keys of their own, minted once, compared without leaking time.

What is sealed (signing secrets) has to be read again, so it is encrypted with `ENCRYPTION_KEYS`, which are not
`SECRET_KEY`: a leaked session key opens no secret, and either can be rotated alone. What is only ever compared (API
keys, people's tokens) is kept as a hash. Keys are 43 random characters, so a fast hash is right: there is nothing to
guess.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

PREFIXES = ("cs_live", "cs_test", "cs_person")
KEY_ID_LENGTH = 12
SECRET_LENGTH = 43  # base62, about 256 bits

_ALPHABET = string.digits + string.ascii_letters
_KEY = re.compile(r"(cs_live|cs_test|cs_person)_([0-9A-Za-z]{6,24})_([0-9A-Za-z]{32,64})")


class CannotUnseal(Exception):
    """None of the ENCRYPTION_KEYS opens this: a key was removed too early, or the bytes were changed."""


@dataclass(frozen=True)
class Minted:
    """A new key. `text` is shown once; `key_id` and `secret_hash` are what is stored."""

    key_id: str
    secret: str
    secret_hash: str
    text: str

    def __repr__(self) -> str:
        """Name the key without its secret, so that no traceback or log line shows one."""
        return f"Minted({self.key_id})"


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except (ValueError, binascii.Error) as error:
        raise ImproperlyConfigured(f"ENCRYPTION_KEYS: {error}") from error


def _open_box() -> MultiFernet:
    keys = tuple(key.decode() if isinstance(key, bytes) else key for key in settings.ENCRYPTION_KEYS)
    if not keys:
        raise ImproperlyConfigured("ENCRYPTION_KEYS is empty; nothing can be sealed.")
    return _box(keys)


def seal(plain: bytes) -> bytes:
    """Return `plain` encrypted and authenticated under the first of ENCRYPTION_KEYS."""
    return _open_box().encrypt(plain)


def unseal(sealed: bytes | memoryview) -> bytes:
    """Return what was sealed under any of ENCRYPTION_KEYS. Raises CannotUnseal."""
    try:
        return _open_box().decrypt(bytes(sealed))
    except InvalidToken as error:
        raise CannotUnseal("None of the ENCRYPTION_KEYS opens this.") from error


def mint(prefix: str) -> Minted:
    """Return a new key that begins with `prefix` (one of PREFIXES)."""
    if prefix not in PREFIXES:
        raise ValueError(f"unknown key prefix {prefix!r}")
    key_id, secret = _random(KEY_ID_LENGTH), _random(SECRET_LENGTH)
    return Minted(key_id, secret, hash_of(secret), f"{prefix}_{key_id}_{secret}")


def parse_key(text: str) -> tuple[str, str, str] | None:
    """Return (prefix, key_id, secret) of a key as it was handed out, None for anything else.

    Asks nobody whether it is known.
    """
    match = _KEY.fullmatch(text)
    return (match[1], match[2], match[3]) if match else None


def matches(secret: str, secret_hash: str) -> bool:
    """Say whether `secret` is the one that was hashed, in a time that does not depend on where they differ."""
    return hmac.compare_digest(hash_of(secret), secret_hash)


def hash_of(secret: str) -> str:
    """Return what is stored of a key's secret: 64 hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def new_signing_secret() -> str:
    """Return a Standard Webhooks secret: `whsec_` and the base64 of 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
