"""Password hashes: argon2id, with its parameters in each hash."""

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP, Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODY = _HASHER.hash(secrets.token_urlsafe())


def hash_password(password: str) -> str:
    """
    Return the hash of a password, with a salt of its own.

    Args:
        password: In NFC.
    """
    return _HASHER.hash(password)


def verify_password(password: str, password_hash: str | None) -> bool:
    """
    Return True if a password is the one of a hash; it takes the same time if there is no hash.

    Args:
        password: In NFC.
        password_hash: Hash from the table; None where there is no such account.
    """
    try:
        return _HASHER.verify(password_hash or _NOBODY, password)
    except InvalidHashError:  # of another kind, such as an unsalted SHA-256
        return verify_password(password, None)
    except VerificationError:
        return False


def needs_rehash(password_hash: str) -> bool:
    """
    Return True if a hash has other parameters than new ones get.

    Args:
        password_hash: Hash that a password has just been verified against.
    """
    return _HASHER.check_needs_rehash(password_hash)
