"""The local issuer: in development it signs the tokens that a Cognito pool signs elsewhere."""

import contextlib
import os
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jwk, jwt

from post.auth_utils.jwks import ALGORITHM, Jwks

CLIENT_ID = "local"
EXPIRES_IN_SECONDS = 3600
# A name has the same ``sub`` on every machine, with every key.
_SUBS = uuid.UUID("6f1d5c0e-6c1b-5e0a-9c53-0d4a6d1b7b11")


class DevIssuer:
    """Signs tokens like Cognito's, with a key kept beside the development database."""

    def __init__(self, key_file: Path, *, issuer: str) -> None:
        """
        Load the key, or make it.

        Args:
            key_file: File of the private key, kept so that tokens outlive a restart.
            issuer: The tokens' ``iss``.
        """
        self._issuer = issuer
        self._private_key = jwk.construct(_load_or_create(key_file), ALGORITHM)
        public = self._private_key.public_key().to_dict()
        self._kid = uuid.uuid5(_SUBS, public["n"]).hex
        self._public = public | {"kid": self._kid, "use": "sig", "alg": ALGORITHM}

    def jwks(self) -> Jwks:
        """Return the public key as a key set."""
        return {"keys": [self._public]}

    def issue(self, username: str, groups: list[str], scope: str = "openid") -> dict[str, Any]:
        """
        Return tokens for a name.

        Args:
            username: Any name; the same one always has the same ``sub``.
            groups: ``cognito:groups``; ``admin`` makes an admin.
            scope: The access token's, separated by spaces.

        Returns:
            ``{access_token, id_token, token_type, expires_in, sub}``.
        """
        now = int(time.time())
        sub = str(uuid.uuid5(_SUBS, username))
        shared = {"sub": sub, "iss": self._issuer, "iat": now, "exp": now + EXPIRES_IN_SECONDS, "auth_time": now}
        if groups:
            shared["cognito:groups"] = groups
        access = {"token_use": "access", "client_id": CLIENT_ID, "scope": scope, "username": username}
        identity = {"token_use": "id", "aud": CLIENT_ID, "cognito:username": username}
        return {
            "access_token": self._sign(shared | access),
            "id_token": self._sign(shared | identity),
            "token_type": "Bearer",
            "expires_in": EXPIRES_IN_SECONDS,
            "sub": sub,
        }

    def _sign(self, claims: dict[str, Any]) -> str:
        claims = claims | {"jti": str(uuid.uuid4())}
        token: str = jwt.encode(claims, self._private_key, algorithm=ALGORITHM, headers={"kid": self._kid})
        return token


def _load_or_create(key_file: Path) -> str:
    if not key_file.exists():
        key_file.parent.mkdir(parents=True, exist_ok=True)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with tempfile.NamedTemporaryFile(dir=key_file.parent) as file:  # readable by its owner alone
            file.write(pem)
            file.flush()
            with contextlib.suppress(FileExistsError):  # the first of several processes wins
                os.link(file.name, key_file)
    return key_file.read_text()
