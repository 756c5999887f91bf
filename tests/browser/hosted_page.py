"""
A stand-in for a Cognito pool with its hosted page: sign-in, codes with PKCE, tokens, refresh, sign-out, keys.

moto has the pool's API and keys, but no hosted page. This one keeps to Cognito's answers ("User pool endpoints and
managed login reference"): a code is good once, a refresh brings no new refresh token, redirects go to registered URLs.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jwk, jwt

from tests.servers import running_in_thread

REGION = "ap-northeast-2"
POOL_ID = f"{REGION}_browser1"
CLIENT_ID = "site-client"
LIFETIME_SECONDS = 3600
_SUBS = uuid.UUID("5b0d2f6c-62a3-4c6e-9d3b-0e4a8f1c7d55")
_PAGE = """<!doctype html><html lang="en"><title>Hosted page</title><link rel="icon" href="data:,">
<main><h1>Sign in to the pool</h1><form method="post" action="/login?{query}">
<label>Username <input name="username"></label> <button>Continue</button></form>
<a href="{cancel}">Cancel</a></main></html>"""


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()


@dataclass
class Pool:
    """
    A pool's users, codes and sessions.

    Attributes:
        origin: The site's, to which redirects are allowed.
        admins: The names in the group ``admin``.
        asked: The paths that were asked for, in order, ``/oauth2/token`` with its grant.
        age_seconds: Tokens are signed as if that long ago; beyond their lifetime the service takes none of them.
    """

    origin: str
    admins: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    age_seconds: int = 0

    def __post_init__(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        self._key = jwk.construct(pem, "RS256")
        self._lock = threading.Lock()
        self._codes: dict[str, tuple[str, dict[str, str]]] = {}  # of a name, with the request's fields
        self._refresh: dict[str, str] = {}
        self._sessions: dict[str, str] = {}
        self._disabled: set[str] = set()

    def end_sessions(self) -> None:
        """End all sessions at the hosted page: the next visitor is asked for a name."""
        self._sessions.clear()

    def revoke_all(self) -> None:
        """Make all refresh tokens useless."""
        self._refresh.clear()

    def end_codes(self) -> None:
        """Make the codes that were not used yet useless, as five minutes do."""
        self._codes.clear()

    def jwks(self) -> dict[str, Any]:
        """Return the public key as a key set."""
        return {"keys": [self._key.public_key().to_dict() | {"kid": "one", "use": "sig", "alg": "RS256"}]}

    def id_token(self, name: str) -> str:
        """Return an id token, as the API takes it."""
        now = int(time.time()) - self.age_seconds
        claims: dict[str, Any] = {"sub": str(uuid.uuid5(_SUBS, name)), "iat": now, "exp": now + LIFETIME_SECONDS}
        claims |= {"iss": f"https://cognito-idp.{REGION}.amazonaws.com/{POOL_ID}", "token_use": "id"}
        claims |= {"aud": CLIENT_ID, "cognito:username": name, "nickname": name, "jti": str(uuid.uuid4())}
        if name in self.admins:
            claims["cognito:groups"] = ["admin"]
        token: str = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": "one"})
        return token

    def checked(self, fields: dict[str, str]) -> dict[str, str]:
        """Return an authorization request that may be answered by a redirect; ValueError for another."""
        wanted = {"client_id": CLIENT_ID, "redirect_uri": f"{self.origin}/signed-in", "response_type": "code"}
        wanted |= {"code_challenge_method": "S256", "scope": "openid"}
        for name, value in wanted.items():
            if fields.get(name) != value:
                raise ValueError(f"{name} is {fields.get(name)!r}")
        if len(fields.get("code_challenge", "")) != 43 or len(fields.get("state", "")) < 16:
            raise ValueError("code_challenge or state is too short")
        return fields

    def answer_to(self, request: dict[str, str], **answer: str) -> str:
        """Return the URL that takes an answer to the site."""
        return f"{request['redirect_uri']}?{urlencode({**answer, 'state': request['state']})}"

    def code_for(self, name: str, request: dict[str, str]) -> str:
        """Return the URL that takes a new code to the site."""
        code = str(uuid.uuid4())
        with self._lock:
            self._codes[code] = (name, request)
        return self.answer_to(request, code=code)

    def log_in(self, name: str) -> str:
        """Return the cookie of a new session of a user."""
        cookie = secrets.token_urlsafe(16)
        self._sessions[cookie] = name
        return cookie

    def user_of(self, cookie: str | None) -> str | None:
        """Return who is logged in at the hosted page; None for nobody."""
        name = self._sessions.get(cookie or "")
        return None if name in self._disabled else name

    def log_out(self, cookie: str | None) -> None:
        """End one session."""
        self._sessions.pop(cookie or "", None)

    def tokens(self, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Answer a request of the token endpoint."""
        if fields.get("client_id") != CLIENT_ID:
            return 400, {"error": "invalid_client"}
        if fields["grant_type"] == "refresh_token":
            name = self._refresh.get(fields["refresh_token"])
            return (400, {"error": "invalid_grant"}) if name is None else (200, self._answer(name))
        with self._lock:
            name, request = self._codes.pop(fields["code"], (None, {}))
        is_proven = request.get("code_challenge") == challenge_of(fields["code_verifier"])
        if name is None or not is_proven or request["redirect_uri"] != fields["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        refresh = secrets.token_urlsafe(32)
        self._refresh[refresh] = name
        return 200, {**self._answer(name), "refresh_token": refresh}

    def revoke(self, token: str) -> None:
        """End a refresh token."""
        self._refresh.pop(token, None)

    def disable(self, name: str) -> None:
        """Disable a user (AdminDisableUser), and end all that they have (AdminUserGlobalSignOut)."""
        self._disabled.add(name)
        self._refresh = {token: owner for token, owner in self._refresh.items() if owner != name}

    def can_refresh(self, name: str) -> bool:
        """Return whether a user has a refresh token."""
        return name in self._refresh.values()

    def _answer(self, name: str) -> dict[str, Any]:
        return {"id_token": self.id_token(name), "token_type": "Bearer", "expires_in": LIFETIME_SECONDS}


class _Handler(BaseHTTPRequestHandler):
    """One request to the pool: the hosted page, its endpoints, and the part of AWS's API that the service calls."""

    protocol_version = "HTTP/1.1"
    pool: Pool

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        fields = dict(parse_qsl(url.query))
        if url.path == f"/{POOL_ID}/.well-known/jwks.json":
            self._send(200, self.pool.jwks())
            return
        self.pool.asked.append(url.path)
        if url.path == "/oauth2/authorize":
            self._authorize(fields)
        elif url.path == "/logout":
            self._log_out(fields)
        else:
            self._send(404, {"error": "not_found"})

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if url.path == "/login":
            self._log_in(self.pool.checked(dict(parse_qsl(url.query))), dict(parse_qsl(body)))
        elif url.path == "/oauth2/token":
            fields = dict(parse_qsl(body))
            self.pool.asked.append(f"{url.path} {fields['grant_type']}")
            self._send(*self.pool.tokens(fields), {"Access-Control-Allow-Origin": "*"})
        elif url.path == "/oauth2/revoke":
            self.pool.asked.append(url.path)
            self.pool.revoke(dict(parse_qsl(body))["token"])
            self._send(200, {}, {"Access-Control-Allow-Origin": "*"})
        elif url.path == "/":
            self._call_api(json.loads(body))
        else:
            self._send(404, {"error": "not_found"})

    def _authorize(self, fields: dict[str, str]) -> None:
        try:
            request = self.pool.checked(fields)
        except ValueError as error:
            self._send(400, {"error": str(error)})
            return
        name = self.pool.user_of(self._cookie())
        if name is not None:
            self._redirect(self.pool.code_for(name, request))
        elif request.get("prompt") == "none":
            self._redirect(self.pool.answer_to(request, error="login_required"))
        else:
            denied = self.pool.answer_to(request, error="access_denied", error_description="cancelled")
            page = _PAGE.format(query=escape(urlencode(request)), cancel=escape(denied))
            self._send_bytes(200, page.encode(), {"Content-Type": "text/html; charset=utf-8"})

    def _log_in(self, request: dict[str, str], form: dict[str, str]) -> None:
        name = form["username"]
        cookie = f"cognito={self.pool.log_in(name)}; Path=/; HttpOnly; SameSite=Lax"
        self._redirect(self.pool.code_for(name, request), cookie)

    def _log_out(self, fields: dict[str, str]) -> None:
        if fields.get("client_id") != CLIENT_ID or fields.get("logout_uri") != f"{self.pool.origin}/":
            self._send(400, {"error": "invalid_request"})
            return
        self.pool.log_out(self._cookie())
        self._redirect(fields["logout_uri"], "cognito=; Path=/; Max-Age=0")

    def _call_api(self, body: dict[str, str]) -> None:
        action = self.headers["X-Amz-Target"].rpartition(".")[2]
        self.pool.asked.append(action)
        if action in ("AdminDisableUser", "AdminUserGlobalSignOut"):
            self.pool.disable(body["Username"])
            self._send(200, {})
        else:
            self._send(400, {"__type": "InvalidAction"})

    def _cookie(self) -> str | None:
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("cognito")
        return None if cookie is None else cookie.value

    def _redirect(self, url: str, cookie: str | None = None) -> None:
        self._send_bytes(302, b"", {"Location": url} | ({"Set-Cookie": cookie} if cookie else {}))

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(body).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def _send_bytes(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # browsers keep connections open


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], port: int = 0) -> Iterator[str]:
    """Serve in a thread; yields the URL, on ``localhost``, where browsers have the cryptography of HTTPS pages."""
    server = _Server(("127.0.0.1", port), handler)
    with running_in_thread(server):
        yield f"http://localhost:{server.server_port}"


@contextmanager
def hosted_page(origin: str) -> Iterator[tuple[str, Pool]]:
    """Serve a pool for a site; yields its base URL, which is its API's and its keys', too, and the pool."""
    pool = Pool(origin)
    with serving(type("Handler", (_Handler,), {"pool": pool})) as url:
        yield url, pool
