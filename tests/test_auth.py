"""Authentication: who a token stands for, and which tokens are refused."""

import base64
import hashlib
import hmac
import json
import string
import threading
import time
from collections.abc import Iterator
from datetime import datetime, tzinfo
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from jose import jwk, jwt

from post.auth_utils import tokens as verification
from post.auth_utils.dev_issuer import DevIssuer
from post.auth_utils.jwks import JwksClient, fetch_jwks
from post.auth_utils.tokens import TokenVerifier
from post.errors import AuthUnavailable, ServiceError, TokenExpired, TokenInvalid
from tests.conftest import at_once
from tests.servers import HANG_SECONDS, free_port

REGION = "ap-northeast-2"
POOL = "ap-northeast-2_nneGIIVuJ"
ISSUER = f"https://cognito-idp.{REGION}.amazonaws.com/{POOL}"
CLIENT = "our-client"
SUB = "0b9d7a52-6a4b-4c0e-9d39-2f6a3c1e8d11"
TOKEN_MAX_BYTES = 8192
DEEP = 5_000
API = "/api/v1"
NO_POST = "0" * 32
PUBLIC_READS = [
    f"{API}/posts",
    f"{API}/posts?view=summary",
    f"{API}/categories",
]


class Absent(Enum):
    """Stands for a claim that is not there: by a name that is the same in the ids of every process's tests."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class KeyPair:
    """A key that a pool, or a forger, signs with."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        self.public_pem = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._rs256 = jwk.construct(self.pem, "RS256")
        public = self._rs256.public_key().to_dict()
        self.jwk = public | {"kid": kid, "use": "sig", "alg": "RS256"}

    def sign(self, claims: dict[str, Any], *, algorithm: str = "RS256", **header: Any) -> str:
        signer = self._rs256 if algorithm == "RS256" else self.pem
        return jwt.encode(claims, signer, algorithm=algorithm, headers={"kid": self.kid} | header)

    def sign_bytes(self, payload: bytes, *, header: dict[str, Any] | None = None) -> str:
        """Sign what ``jwt.encode`` would refuse to write."""
        header = {"alg": "RS256", "kid": self.kid} if header is None else header
        signed = f"{b64(json.dumps(header).encode())}.{b64(payload)}"
        return f"{signed}.{b64(self._rs256.sign(signed.encode()))}"


class FakePool:
    """What a pool's JWKS endpoint does, without the network."""

    def __init__(self, *pairs: KeyPair) -> None:
        self.answer: Any = {"keys": [pair.jwk for pair in pairs]}
        self.fetches = 0

    def __call__(self) -> Any:
        self.fetches += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def never_fetched() -> Any:
    pytest.fail("the key set was fetched")


def claims_of(*, token_use: str = "access", **changes: Any) -> dict[str, Any]:
    """Claims of a good token, with some changed or, where ``ABSENT``, left out."""
    now = int(time.time())
    claims = {"sub": SUB, "iss": ISSUER, "iat": now, "exp": now + 3600, "token_use": token_use}
    claims |= {"client_id": CLIENT} if token_use == "access" else {"aud": CLIENT}
    return {name: value for name, value in (claims | changes).items() if value is not ABSENT}


@pytest.fixture(scope="session")
def key() -> KeyPair:
    return KeyPair("pool-key")


@pytest.fixture(scope="session")
def next_key() -> KeyPair:
    return KeyPair("next-pool-key")


@pytest.fixture(scope="session")
def forger() -> KeyPair:
    """A stranger's key, under the name of the pool's."""
    return KeyPair("pool-key")


@pytest.fixture(scope="session")
def verifier(key: KeyPair) -> TokenVerifier:
    return TokenVerifier(JwksClient(FakePool(key)), issuer=ISSUER, client_ids=(CLIENT, "second-client"))


# Who a good token stands for


@pytest.mark.parametrize("token_use", ["access", "id"])
def test_a_good_token_stands_for_its_sub(verifier, key, token_use):
    token = key.sign(claims_of(token_use=token_use, username="ana") | {"cognito:username": "ana"})

    caller = verifier.verify(token)

    assert (caller.user_id, caller.username, caller.is_admin) == (SUB, "ana", False)


@pytest.mark.parametrize(("token_use", "claim"), [("access", "client_id"), ("id", "aud")])
def test_each_of_several_clients_is_ours(verifier, key, token_use, claim):
    token = key.sign(claims_of(token_use=token_use, **{claim: "second-client"}))

    caller = verifier.verify(token)

    assert caller.user_id == SUB


def test_an_id_token_of_a_code_flow_is_accepted_without_its_access_token(verifier, key):
    token = key.sign(claims_of(token_use="id", at_hash="2uKjyJ1JcRLDkVZ7ZQwO3g"))

    assert verifier.verify(token).user_id == SUB


@pytest.mark.parametrize("sub", ["x", "x" * 36, SUB], ids=["1 character", "36 characters", "a UUID"])
def test_a_sub_of_1_to_36_characters_is_accepted(verifier, key, sub):
    assert verifier.verify(key.sign(claims_of(sub=sub))).user_id == sub


def test_the_name_is_the_first_of_the_five_claims(verifier, key):
    in_order = ["nickname", "name", "preferred_username", "cognito:username", "username"]
    names = {claim: f"from {claim}" for claim in in_order}

    seen = []
    for claim in in_order:
        seen.append(verifier.verify(key.sign(claims_of() | names)).username)
        del names[claim]

    assert seen == [f"from {claim}" for claim in in_order]


@pytest.mark.parametrize(
    "nickname",
    ["", "   ", 7, None, ["ana"], "a\x00b", "\u3164", "\u200b\u202e", "\u0301", "a" + "\u0301" * 31],
    ids=ascii,
)
def test_a_nickname_that_names_nobody_is_passed_over(verifier, key, nickname):
    token = key.sign(claims_of(nickname=nickname, name="아나"))

    assert verifier.verify(token).username == "아나"


def test_a_name_has_no_characters_that_make_it_look_like_anothers(verifier, key):
    assert verifier.verify(key.sign(claims_of(nickname="\u202ead\u200bmin"))).username == "admin"


def test_a_long_name_is_cut_to_what_a_post_can_hold(verifier, key):
    token = key.sign(claims_of(nickname="가" * 150))

    assert verifier.verify(token).username == "가" * 100


def test_without_any_name_there_is_still_one(verifier, key):
    assert verifier.verify(key.sign(claims_of())).username


@pytest.mark.parametrize(
    ("groups", "is_admin"),
    [
        (["admin"], True),
        (["users", "admin"], True),
        (["administrators"], False),
        (["Admin"], False),
        ([], False),
        ("admin", False),
        ("administrator", False),
        ({"admin": 1}, False),
        ([["admin"]], False),
        (None, False),
        (ABSENT, False),
    ],
    ids=repr,
)
def test_admins_have_admin_in_their_groups(verifier, key, groups, is_admin):
    token = key.sign(claims_of(**{"cognito:groups": groups}))

    assert verifier.verify(token).is_admin is is_admin


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("post-service/comments.write", ["post-service/comments.write"]),
        ("openid  post-service/comments.write", ["openid", "post-service/comments.write"]),
        ("a,b", ["a,b"]),
        ("", []),
        (["post-service/comments.write"], []),
        ({"post-service/comments.write": True}, []),
        (None, []),
        (ABSENT, []),
    ],
    ids=repr,
)
def test_an_access_tokens_scopes_are_split_at_spaces(verifier, key, scope, scopes):
    token = key.sign(claims_of(scope=scope))

    assert sorted(verifier.verify(token).scopes) == scopes


def test_an_id_token_has_no_scopes_whatever_it_claims(verifier, key):
    token = key.sign(claims_of(token_use="id", scope="post-service/comments.write"))

    assert verifier.verify(token).scopes == set()


def test_a_services_token_has_its_scopes_and_no_user(verifier, key):
    """As Cognito signs it for client credentials: the client is the subject."""
    token = key.sign(claims_of(sub=CLIENT, scope="post-service/comments.write"))

    caller = verifier.verify(token)

    assert (caller.user_id, caller.scopes) == (CLIENT, {"post-service/comments.write"})
    assert not caller.is_admin


@pytest.mark.parametrize(
    ("token_use", "names", "login"),
    [
        pytest.param("access", {"username": "ana"}, "ana", id="access token"),
        pytest.param("id", {"cognito:username": "ana"}, "ana", id="id token"),
        pytest.param("id", {"cognito:username": "ana", "username": "bo"}, "ana", id="both"),
        pytest.param("id", {"cognito:username": "ana", "nickname": "아나", "name": "Ana"}, "ana", id="nickname"),
        pytest.param("id", {"nickname": "아나", "preferred_username": "a"}, SUB, id="other names alone"),
        pytest.param("access", {"username": "a" * 128}, "a" * 128, id="128 characters"),
        pytest.param("access", {"username": "a" * 129}, SUB, id="129 characters"),
        pytest.param("access", {"username": " Ana "}, " Ana ", id="as it is"),
        pytest.param("access", {"username": ""}, SUB, id="empty"),
        pytest.param("access", {"username": 7}, SUB, id="number"),
        pytest.param("access", {"username": "a\x00"}, SUB, id="NUL"),
        pytest.param("access", {}, SUB, id="none"),
    ],
)
def test_the_login_is_the_pools_own_name_of_the_user(verifier, key, token_use, names, login):
    token = key.sign(claims_of(token_use=token_use) | names)

    assert verifier.verify(token).login == login


# Claims that are refused


@pytest.mark.parametrize("claim", ["exp", "iat", "iss", "sub", "token_use", "client_id"])
def test_an_access_token_without_a_required_claim_is_refused(verifier, key, claim):
    with pytest.raises(TokenInvalid):
        verifier.verify(key.sign(claims_of(**{claim: ABSENT})))


@pytest.mark.parametrize(
    "claims",
    [
        {"client_id": "another-client"},
        {"client_id": f"{CLIENT} "},
        {"client_id": [CLIENT]},
        {"client_id": None},
        {"client_id": ABSENT, "aud": CLIENT},
        {"client_id": "another-client", "aud": CLIENT},
        {"token_use": "id", "aud": ABSENT, "client_id": CLIENT},
        {"token_use": "refresh"},
        {"token_use": ""},
        {"token_use": None},
        {"token_use": ["access"]},
        {"token_use": "ACCESS"},
        {"iss": f"{ISSUER}/"},
        {"iss": ISSUER.replace("https", "http")},
        {"iss": ISSUER.replace(POOL, f"{REGION}_another")},
        {"iss": ISSUER[:-1]},
        {"iss": [ISSUER]},
        {"iss": ""},
        {"iss": None},
        {"sub": ""},
        {"sub": "x" * 37},
        {"sub": 7},
        {"sub": None},
        {"sub": [SUB]},
        {"sub": {"id": SUB}},
        {"sub": True},
        {"sub": "ana\x00"},
    ],
    ids=repr,
)
def test_an_access_token_with_a_wrong_claim_is_refused(verifier, key, claims):
    with pytest.raises(TokenInvalid):
        verifier.verify(key.sign_bytes(json.dumps(claims_of(**claims)).encode()))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-client"},
        {"aud": [CLIENT]},
        {"aud": ["another-client", CLIENT]},
        {"aud": None},
        {"aud": ABSENT},
        {"aud": ABSENT, "client_id": CLIENT},
        {"aud": f"{CLIENT} "},
    ],
    ids=repr,
)
def test_an_id_token_with_a_wrong_claim_is_refused(verifier, key, claims):
    with pytest.raises(TokenInvalid):
        verifier.verify(key.sign_bytes(json.dumps(claims_of(token_use="id", **claims)).encode()))


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value",
    ["null", "[]", "[9999999999]", "{}", '""', '"soon"', '"9999999999"', "1e400", "NaN", "1" * 5000],
    ids=["null", "empty list", "list", "object", "empty", "word", "numeric text", "infinity", "NaN", "huge"],
)
def test_a_time_that_is_no_number_of_seconds_is_refused(verifier, key, claim, value):
    """A NumericDate is a JSON number (RFC 7519, section 2)."""
    claims = json.dumps(claims_of(**{claim: "TIME"})).replace('"TIME"', value)

    with pytest.raises(TokenInvalid):
        verifier.verify(key.sign_bytes(claims.encode()))


@pytest.mark.parametrize("seconds_ago", [0, 25], ids=["now", "within the leeway"])
def test_a_token_is_good_until_30_seconds_after_its_end(verifier, key, seconds_ago):
    token = key.sign(claims_of(exp=int(time.time()) - seconds_ago))

    assert verifier.verify(token).user_id == SUB


@pytest.mark.parametrize("seconds_ago", [32, 3600, 10**9], ids=["past the leeway", "an hour", "30 years"])
def test_a_token_is_expired_30_seconds_after_its_end(verifier, key, seconds_ago):
    token = key.sign(claims_of(exp=int(time.time()) - seconds_ago))

    with pytest.raises(TokenExpired):
        verifier.verify(token)


def test_a_token_is_good_from_30_seconds_before_its_beginning(verifier, key):
    token = key.sign(claims_of(nbf=int(time.time()) + 25))

    assert verifier.verify(token).user_id == SUB


@pytest.mark.parametrize("seconds_ahead", [40, 3600], ids=["past the leeway", "an hour"])
def test_a_token_that_is_not_good_yet_is_refused(verifier, key, seconds_ahead):
    token = key.sign(claims_of(nbf=int(time.time()) + seconds_ahead))

    with pytest.raises(TokenInvalid):
        verifier.verify(token)


# Signatures that are refused


def test_an_unsigned_token_is_refused(verifier, key):
    payload = b64(json.dumps(claims_of()).encode())
    headers = [{"alg": alg, "kid": key.kid} for alg in ("none", "None", "NONE", "", None)] + [{"kid": key.kid}]

    for header in headers:
        for signature in ("", "x"):
            with pytest.raises(TokenInvalid):
                verifier.verify(f"{b64(json.dumps(header).encode())}.{payload}.{signature}")


@pytest.mark.parametrize("declared", ["HS256", "RS256"], ids=["declared HS256", "declared RS256"])
def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(verifier, key, declared):
    signed = f"{b64(json.dumps({'alg': declared, 'kid': key.kid}).encode())}.{b64(json.dumps(claims_of()).encode())}"
    secrets = [key.public_pem, key.public_pem.strip(), json.dumps(key.jwk).encode()]

    for secret in secrets:
        signature = b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())
        with pytest.raises(TokenInvalid):
            verifier.verify(f"{signed}.{signature}")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512"])
def test_another_algorithm_is_refused_even_with_the_pools_key(verifier, key, algorithm):
    with pytest.raises(TokenInvalid):
        verifier.verify(key.sign(claims_of(), algorithm=algorithm))


@pytest.mark.parametrize("algorithm", [["RS256"], {"RS256": 1}, 256, True], ids=repr)
def test_an_algorithm_that_is_no_name_is_refused(verifier, key, algorithm):
    token = key.sign_bytes(json.dumps(claims_of()).encode(), header={"alg": algorithm, "kid": key.kid})

    with pytest.raises(TokenInvalid):
        verifier.verify(token)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS384", "RS512", "PS256", "ES256", "rs256"])
def test_another_algorithm_is_refused_without_asking_for_keys(key, algorithm):
    token = key.sign_bytes(json.dumps(claims_of()).encode(), header={"alg": algorithm, "kid": key.kid})
    verifier = TokenVerifier(JwksClient(never_fetched), issuer=ISSUER, client_ids=(CLIENT,))

    with pytest.raises(TokenInvalid):
        verifier.verify(token)


def test_a_strangers_signature_is_refused(verifier, forger):
    with pytest.raises(TokenInvalid):
        verifier.verify(forger.sign(claims_of()))


def test_a_key_that_the_token_brings_along_is_never_used(verifier, forger):
    address = f"http://127.0.0.1:{free_port()}/keys"
    certificate = b64(forger.public_pem)
    brought = [
        {"jwk": forger.jwk},
        {"jku": address},
        {"x5u": address},
        {"x5c": [certificate]},
        {"jwk": forger.jwk, "jku": address, "x5c": [certificate], "kid": "brought"},
    ]

    for header in brought:
        with pytest.raises(TokenInvalid):
            verifier.verify(forger.sign(claims_of(), **header))


def test_changed_claims_are_refused(verifier, key):
    header, _, signature = key.sign(claims_of()).split(".")
    claims = b64(json.dumps(claims_of(**{"cognito:groups": ["admin"]})).encode())

    with pytest.raises(TokenInvalid):
        verifier.verify(f"{header}.{claims}.{signature}")


@pytest.mark.parametrize("kid", [ABSENT, None, 1, True, [], ["pool-key"], {}, {"kid": "pool-key"}], ids=repr)
def test_a_key_id_that_is_no_text_is_refused_without_asking_for_keys(key, kid):
    header = {"alg": "RS256"} | ({} if kid is ABSENT else {"kid": kid})
    token = key.sign_bytes(json.dumps(claims_of()).encode(), header=header)
    verifier = TokenVerifier(JwksClient(never_fetched), issuer=ISSUER, client_ids=(CLIENT,))

    with pytest.raises(TokenInvalid):
        verifier.verify(token)


@pytest.mark.parametrize(
    "kid", ["", "another", "pool-key ", "POOL-KEY", "../pool-key", "x" * 4000], ids=lambda k: k[:9]
)
def test_an_unknown_key_id_is_refused(verifier, key, kid):
    with pytest.raises(TokenInvalid):
        verifier.verify(key.sign(claims_of(), kid=kid))


# Tokens that are no tokens


def padded(key: KeyPair, size: int) -> str:
    """A good token of exactly this many bytes."""
    for extra in ("", "a", "ab"):
        token = key.sign(claims_of(pad=""), typ=f"JWT{extra}")
        room = (size - len(token)) * 3 // 4
        for length in range(max(0, room - 4), room + 4):
            token = key.sign(claims_of(pad="x" * length), typ=f"JWT{extra}")
            if len(token) == size:
                return token
    raise AssertionError(f"no token of {size} bytes can be made")


def test_a_token_of_8_kib_is_read(verifier, key):
    token = padded(key, TOKEN_MAX_BYTES)

    assert verifier.verify(token).user_id == SUB


@pytest.mark.parametrize("size", [TOKEN_MAX_BYTES + 1, 100_000], ids=["one byte over", "far over"])
def test_a_token_over_8_kib_is_refused_unread(key, monkeypatch, size):
    token = padded(key, size) if size < 10_000 else "x" * size
    verifier = TokenVerifier(JwksClient(never_fetched), issuer=ISSUER, client_ids=(CLIENT,))
    for reader in ("get_unverified_header", "decode"):
        monkeypatch.setattr(jwt, reader, lambda *_args, **_options: pytest.fail("the token was read"))

    with pytest.raises(TokenInvalid):
        verifier.verify(token)


def test_the_size_of_a_token_is_counted_in_bytes(monkeypatch):
    verifier = TokenVerifier(JwksClient(never_fetched), issuer=ISSUER, client_ids=(CLIENT,))
    monkeypatch.setattr(jwt, "get_unverified_header", lambda _token: pytest.fail("the token was read"))

    with pytest.raises(TokenInvalid):
        verifier.verify("가" * (TOKEN_MAX_BYTES // 2))


@pytest.mark.parametrize(
    "header",
    [
        b"[" * DEEP,
        b'{"alg":' * (DEEP // 7),
        b'{"alg":"RS256","kid":' + b"[" * DEEP,
        b"[]",
        b"null",
        b'"RS256"',
        b"{",
        b"",
        b"\xff\xfe",
        b'{"alg":"RS256","kid":"pool-key","n":' + b"1" * 5000 + b"}",
    ],
    ids=["lists", "objects", "nested kid", "list", "null", "text", "cut off", "empty", "not UTF-8", "huge int"],
)
def test_a_header_that_is_no_object_is_refused(verifier, key, header):
    payload, signature = key.sign(claims_of()).split(".")[1:]

    with pytest.raises(TokenInvalid):
        verifier.verify(f"{b64(header)}.{payload}.{signature}")


@pytest.mark.parametrize(
    "payload",
    [b"[" * DEEP, b'{"sub":' + b"[" * DEEP, b"[]", b"null", b'"x"', b"7", b"{", b"", b"\xff", b"\xef\xbb\xbf{}"],
    ids=["nested", "nested sub", "list", "null", "text", "number", "cut off", "empty", "not UTF-8", "byte order mark"],
)
def test_claims_that_are_no_object_are_refused_though_signed(verifier, key, payload):
    with pytest.raises(TokenInvalid):
        verifier.verify(key.sign_bytes(payload))


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", "\x00", "é.é.é", "토큰", "null", "e30.e30.e30", " . . "],
    ids=repr,
)
def test_what_is_no_token_is_refused(verifier, token):
    with pytest.raises(TokenInvalid):
        verifier.verify(token)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


def refuses_or_accepts(verifier: TokenVerifier, token: str) -> None:
    try:
        verifier.verify(token)
    except ServiceError:
        return


@settings(deadline=None, database=None, max_examples=300)
@given(token=st.text(max_size=300) | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
def test_random_text_raises_nothing_but_a_refusal(verifier, token):
    refuses_or_accepts(verifier, token)


@settings(deadline=None, database=None, max_examples=300)
@given(parts=st.lists(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()), max_size=4))
def test_random_segments_raise_nothing_but_a_refusal(verifier, parts):
    refuses_or_accepts(verifier, ".".join(b64(part) for part in parts))


@settings(deadline=None, database=None, max_examples=150)
@given(header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "cty", "crit", "b64", "zip", "jwk"]), JSON))
def test_random_headers_raise_nothing_but_a_refusal(verifier, key, header):
    header = {"alg": "RS256", "kid": key.kid} | header

    refuses_or_accepts(verifier, key.sign_bytes(json.dumps(claims_of()).encode(), header=header))


CLAIMS = ["sub", "iss", "exp", "iat", "nbf", "token_use", "client_id", "aud", "jti", "at_hash", "scope", "name"]


@pytest.mark.slow
@settings(deadline=None, database=None, max_examples=150)
@given(claims=st.dictionaries(st.sampled_from([*CLAIMS, "cognito:groups", "cognito:username"]), JSON))
def test_random_signed_claims_raise_nothing_but_a_refusal(verifier, key, claims):
    refuses_or_accepts(verifier, key.sign_bytes(json.dumps(claims_of(**claims)).encode()))


# Tokens that are remembered


class Checks:
    """How many tokens are checked whole, and at which time."""

    def __init__(self) -> None:
        self.count = 0
        self.now = float(int(time.time()))

    def __call__(self) -> float:
        return self.now

    def decode(self, *args: Any, **options: Any) -> Any:
        self.count += 1
        return jwt_decode(*args, **options)


jwt_decode = jwt.decode


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    checks = Checks()
    monkeypatch.setattr(jwt, "decode", checks.decode)

    class LibrarysClock(datetime):
        @classmethod
        def now(cls, zone: tzinfo) -> datetime:
            return datetime.fromtimestamp(checks.now, zone)

    monkeypatch.setattr("jose.jwt.datetime", LibrarysClock)
    return checks


@pytest.fixture
def remembering(key: KeyPair, checks: Checks) -> TokenVerifier:
    """A verifier that has seen no token yet."""
    return TokenVerifier(JwksClient(FakePool(key)), issuer=ISSUER, client_ids=(CLIENT,), clock=checks)


def test_a_good_token_is_checked_once(remembering, key, checks):
    token = key.sign(claims_of(nickname="아나", scope="a b", **{"cognito:groups": ["admin"]}))

    callers = [remembering.verify(token) for _ in range(3)]

    assert checks.count == 1
    assert callers[0] == callers[1] == callers[2]
    assert (callers[2].username, callers[2].scopes, callers[2].is_admin) == ("아나", {"a", "b"}, True)


def other_spellings(token: str) -> list[str]:
    """Return what Python's base64 reads as the same bytes: other characters, padding, other unused bits."""
    parts = token.split(".")
    spelt = [
        f"{token}!",
        f"{token}=",
        f"{token}==",
        f"!{token}",
        f"{token}\xe9",
        token.replace(".", "!."),
        f"{token}\n",
    ]
    for number, part in enumerate(parts):
        unused_bits = {2: 4, 3: 2}.get(len(part) % 4, 0)
        last = BASE64URL.index(part[-1])
        for other in range(1, 2**unused_bits):
            changed = part[:-1] + BASE64URL[last | other]
            spelt.append(".".join([*parts[:number], changed, *parts[number + 1 :]]))
    standard = [part.replace("-", "+").replace("_", "/") for part in parts]
    spelt += [".".join(standard)] if standard != parts else []
    return spelt


BASE64URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


def test_a_token_has_one_spelling(remembering, key):
    token = key.sign(claims_of())
    remembering.verify(token)

    spelt = other_spellings(token)
    for other in spelt:
        with pytest.raises(TokenInvalid):
            remembering.verify(other)

    assert len(set(spelt)) >= 22  # a signature of 256 bytes has 4 unused bits
    assert len(remembering._accepted) == 1
    assert remembering.verify(token).user_id == SUB


def test_each_token_stands_for_its_own_caller(remembering, key):
    tokens = {sub: key.sign(claims_of(sub=sub)) for sub in ("ana", "bo", "cy")}

    seen = [{sub: remembering.verify(token).user_id for sub, token in tokens.items()} for _ in range(2)]

    assert seen == [{sub: sub for sub in tokens}] * 2


def test_a_token_is_remembered_until_the_second_in_which_it_ends(remembering, key, checks):
    token, end = key.sign(claims_of(exp=int(checks.now) + 600)), int(checks.now) + 600
    remembering.verify(token)

    checked = []
    for moment in (end - 1, end - 0.001, end, end + 30):
        checks.now = moment
        before = checks.count
        remembering.verify(token)
        checked.append(checks.count - before)

    assert checked == [0, 0, 1, 1]


def test_a_remembered_token_that_has_ended_is_expired(remembering, key, checks):
    token = key.sign(claims_of(exp=int(checks.now) + 600))
    remembering.verify(token)
    checks.now += 600 + 31

    for _ in range(2):
        with pytest.raises(TokenExpired):
            remembering.verify(token)


def test_a_token_that_lives_by_the_leeway_alone_is_checked_every_time(remembering, key, checks):
    token = key.sign(claims_of(exp=int(checks.now) - 5))

    for _ in range(3):
        remembering.verify(token)

    assert checks.count == 3


def test_a_token_is_not_remembered_before_it_begins(remembering, key, checks):
    begin = int(checks.now) + 600
    token = key.sign(claims_of(nbf=begin, exp=begin + 600))

    for moment in (begin - 60, begin - 31):
        checks.now = moment
        with pytest.raises(TokenInvalid):
            remembering.verify(token)
    checks.now = begin

    assert [remembering.verify(token).user_id for _ in range(2)] == [SUB, SUB]
    assert checks.count == 3


@pytest.mark.parametrize(
    "claims", [{"exp": 1_000_000_000}, {"iss": "another"}, {"client_id": "another"}, {"sub": ""}], ids=repr
)
def test_a_token_that_is_refused_is_checked_every_time(remembering, key, checks, claims):
    token = key.sign(claims_of(**claims))

    for _ in range(3):
        with pytest.raises((TokenInvalid, TokenExpired)):
            remembering.verify(token)

    assert checks.count == 3


def test_a_flood_of_made_up_tokens_pushes_no_good_one_out(remembering, key, forger, checks):
    good = key.sign(claims_of())
    remembering.verify(good)
    forged = forger.sign(claims_of())

    for number in range(verification.ACCEPTED_MAX + 1):
        with pytest.raises(TokenInvalid):
            remembering.verify(f"{forged}{number}" if number else forged)
    before = checks.count
    remembering.verify(good)

    assert checks.count == before
    assert len(remembering._accepted) == 1


def test_so_many_tokens_are_remembered_and_no_more(key, checks, monkeypatch):
    monkeypatch.setattr(verification, "ACCEPTED_MAX", 3)
    verifier = TokenVerifier(JwksClient(FakePool(key)), issuer=ISSUER, client_ids=(CLIENT,), clock=checks)
    tokens = [key.sign(claims_of(sub=f"user-{number}")) for number in range(6)]

    for token in tokens:
        verifier.verify(tokens[0])  # in use, and so kept
        verifier.verify(token)
    checks.count = 0
    for token in (tokens[0], tokens[-1]):
        verifier.verify(token)

    assert len(verifier._accepted) == 3
    assert checks.count == 0


def test_of_a_large_token_its_digest_is_kept_alone(remembering, key):
    remembering.verify(padded(key, TOKEN_MAX_BYTES))

    assert [len(digest) for digest in remembering._accepted] == [32]


def test_a_remembered_tokens_signature_is_no_other_tokens(remembering, key):
    token = key.sign(claims_of())
    remembering.verify(token)
    header, _, signature = token.split(".")
    claims = b64(json.dumps(claims_of(sub="another")).encode())

    for changed in (f"{header}.{claims}.{signature}", token[:-4], f"{token}A", token.upper()):
        with pytest.raises(TokenInvalid):
            remembering.verify(changed)


def test_two_verifiers_remember_apart(key, checks):
    ours, theirs = (
        TokenVerifier(JwksClient(FakePool(key)), issuer=ISSUER, client_ids=(client,), clock=checks)
        for client in (CLIENT, "their-client")
    )
    token = key.sign(claims_of())

    ours.verify(token)

    with pytest.raises(TokenInvalid):
        theirs.verify(token)


def test_a_remembered_token_is_refused_once_its_key_is_withdrawn(key, next_key, checks):
    pool, clock = FakePool(key), Clock()
    verifier = TokenVerifier(JwksClient(pool, clock=clock), issuer=ISSUER, client_ids=(CLIENT,), clock=checks)
    token = key.sign(claims_of())
    verifier.verify(token)
    pool.answer = {"keys": [next_key.jwk]}
    clock.now += 60
    verifier.verify(next_key.sign(claims_of()))

    with pytest.raises(TokenInvalid):
        verifier.verify(token)


def test_a_remembered_token_is_refused_once_its_key_has_another_value(key, next_key, forger, checks):
    """The forger's key has the name of the pool's."""
    pool, clock = FakePool(key), Clock()
    verifier = TokenVerifier(JwksClient(pool, clock=clock), issuer=ISSUER, client_ids=(CLIENT,), clock=checks)
    token = key.sign(claims_of())
    verifier.verify(token)
    pool.answer = {"keys": [forger.jwk, next_key.jwk]}
    clock.now += 60
    verifier.verify(next_key.sign(claims_of()))

    with pytest.raises(TokenInvalid):
        verifier.verify(token)


def test_a_remembered_token_outlives_a_refetch_of_its_key(key, checks):
    pool, clock = FakePool(key), Clock()
    verifier = TokenVerifier(JwksClient(pool, clock=clock), issuer=ISSUER, client_ids=(CLIENT,), clock=checks)
    token = key.sign(claims_of())
    verifier.verify(token)
    clock.now += 60
    with pytest.raises(TokenInvalid):
        verifier.verify(key.sign(claims_of(), kid="made-up"))
    checks.count = 0

    callers = [verifier.verify(token).user_id for _ in range(3)]

    assert callers == [SUB] * 3
    assert checks.count == 1  # by the key as it was fetched last


def test_many_threads_remember_the_same_tokens(remembering, key):
    subs = [f"user-{number % 5}" for number in range(40)]
    tokens = {sub: key.sign(claims_of(sub=sub)) for sub in set(subs)}

    seen = at_once([lambda sub=sub: remembering.verify(tokens[sub]).user_id for sub in subs])

    assert seen == subs
    assert len(remembering._accepted) == 5


def test_a_remembered_token_of_a_deactivated_account_writes_nothing_more(client, as_user):
    ana = as_user("ana")
    before = client.post(f"{API}/posts", json=POST, headers=ana).status_code
    client.post(f"{API}/users/me/deactivate", headers=ana)

    after = client.post(f"{API}/posts", json=POST, headers=ana)

    assert before == 201
    assert (after.status_code, after.json["error"]["code"]) == (403, "account_deactivated")


# The pool's keys


def test_keys_are_fetched_once(key):
    pool = FakePool(key)
    client = JwksClient(pool, clock=Clock())

    for _ in range(10):
        assert client.key(key.kid) is not None

    assert pool.fetches == 1


def test_nothing_is_fetched_before_the_first_token():
    JwksClient(never_fetched, clock=Clock())


def test_an_unknown_key_id_refetches_at_most_once_a_minute(key):
    pool, clock = FakePool(key), Clock()
    client = JwksClient(pool, clock=clock)
    client.key(key.kid)

    fetches = []
    for _ in range(4):
        clock.now += 60
        for number in range(50):
            assert client.key(f"made-up-{number}") is None
        clock.now += 59.9
        client.key("made-up")
        clock.now -= 59.9
        fetches.append(pool.fetches)

    assert fetches == [2, 3, 4, 5]


def test_the_first_fetch_counts_when_it_was_for_an_unknown_key_id(key):
    pool = FakePool(key)
    client = JwksClient(pool, clock=Clock())

    found = [client.key(f"made-up-{number}") for number in range(50)]

    assert found == [None] * 50
    assert pool.fetches == 1


def test_a_flood_of_unknown_key_ids_from_many_threads_fetches_once(key):
    pool, clock = FakePool(key), Clock()
    client = JwksClient(pool, clock=clock)
    client.key(key.kid)
    clock.now += 60

    found = at_once([lambda number=number: client.key(f"made-up-{number}") for number in range(20)])

    assert found == [None] * 20
    assert pool.fetches == 2


def test_the_first_tokens_of_many_threads_fetch_once(key):
    pool = FakePool(key)
    client = JwksClient(pool, clock=Clock())

    found = at_once([lambda: client.key(key.kid)] * 20)

    assert None not in found
    assert pool.fetches == 1


@pytest.mark.parametrize("seconds", [0, 1, 60], ids=["at once", "a second later", "a minute later"])
def test_a_new_key_of_the_pool_is_found(seconds, key, next_key):
    pool, clock = FakePool(key), Clock()
    verifier = TokenVerifier(JwksClient(pool, clock=clock), issuer=ISSUER, client_ids=(CLIENT,))
    verifier.verify(key.sign(claims_of()))
    pool.answer = {"keys": [key.jwk, next_key.jwk]}
    clock.now += seconds

    callers = [verifier.verify(pair.sign(claims_of())).user_id for pair in (next_key, key)]

    assert callers == [SUB, SUB]
    assert pool.fetches == 2


def test_a_key_that_the_pool_has_withdrawn_is_not_used_after_the_next_fetch(key, next_key):
    pool, clock = FakePool(key), Clock()
    verifier = TokenVerifier(JwksClient(pool, clock=clock), issuer=ISSUER, client_ids=(CLIENT,))
    verifier.verify(key.sign(claims_of()))
    pool.answer = {"keys": [next_key.jwk]}
    clock.now += 60
    verifier.verify(next_key.sign(claims_of()))

    with pytest.raises(TokenInvalid):
        verifier.verify(key.sign(claims_of()))


NO_KEY_SETS = [
    requests.ConnectionError("refused"),
    requests.Timeout("slow"),
    requests.HTTPError("500"),
    requests.exceptions.JSONDecodeError("not JSON", "", 0),
    {},
    {"keys": []},
    {"keys": None},
    {"keys": {}},
    {"keys": ["pool-key"]},
    {"keys": [{"kid": "pool-key", "kty": "EC"}]},
    {"keys": [{"kid": "pool-key", "kty": "RSA"}]},
    {"keys": [{"kid": "pool-key", "kty": "RSA", "n": "!", "e": "AQAB"}]},
    {"keys": [{"kid": "pool-key", "kty": "RSA", "n": 7, "e": 3}]},
    {"keys": [{"kid": "pool-key", "kty": "RSA", "n": "AQAB", "e": "AQAB"}]},
    {"keys": [{"kid": None, "kty": "RSA"}]},
    [],
    None,
    "keys",
    7,
]


@pytest.mark.parametrize("answer", NO_KEY_SETS, ids=repr)
def test_with_no_key_ever_fetched_tokens_cannot_be_checked(key, answer):
    pool = FakePool()
    pool.answer = answer
    verifier = TokenVerifier(JwksClient(pool, clock=Clock()), issuer=ISSUER, client_ids=(CLIENT,))

    with pytest.raises(AuthUnavailable):
        verifier.verify(key.sign(claims_of()))


@pytest.mark.parametrize("answer", NO_KEY_SETS, ids=repr)
def test_known_keys_go_on_working_when_the_fetch_fails(key, answer):
    pool, clock = FakePool(key), Clock()
    verifier = TokenVerifier(JwksClient(pool, clock=clock), issuer=ISSUER, client_ids=(CLIENT,))
    verifier.verify(key.sign(claims_of()))
    pool.answer = answer
    clock.now += 60

    with pytest.raises(TokenInvalid):
        verifier.verify(key.sign(claims_of(), kid="made-up"))
    caller = verifier.verify(key.sign(claims_of()))

    assert caller.user_id == SUB
    assert pool.fetches == 2


def test_one_broken_key_of_the_set_does_not_cost_the_others(key):
    """What is not understood in a set is ignored (RFC 7517, section 5)."""
    pool = FakePool(key)
    pool.answer = {"keys": [{"kid": "broken", "kty": "RSA", "n": "!"}, key.jwk, {"kid": "curve", "kty": "EC"}, None]}
    verifier = TokenVerifier(JwksClient(pool, clock=Clock()), issuer=ISSUER, client_ids=(CLIENT,))

    assert verifier.verify(key.sign(claims_of())).user_id == SUB


def test_a_failing_endpoint_is_asked_at_most_once_a_minute_while_keys_are_known(key):
    pool, clock = FakePool(key), Clock()
    client = JwksClient(pool, clock=clock)
    client.key(key.kid)
    pool.answer = requests.ConnectionError("refused")
    clock.now += 60

    for _ in range(50):
        assert client.key("made-up") is None
        clock.now += 1

    assert pool.fetches == 2


def test_the_service_recovers_once_the_endpoint_answers(key):
    pool, clock = FakePool(), Clock()
    client = JwksClient(pool, clock=clock)
    with pytest.raises(AuthUnavailable):
        client.key(key.kid)
    pool.answer = {"keys": [key.jwk]}
    clock.now += 60

    assert client.key(key.kid) is not None


def test_a_known_key_does_not_wait_for_a_fetch(key):
    is_fetching, may_end = threading.Event(), threading.Event()
    clock, answers = Clock(), iter([{"keys": [key.jwk]}])

    def fetch() -> Any:
        first = next(answers, None)
        if first is None:
            is_fetching.set()
            may_end.wait(HANG_SECONDS)
            raise requests.Timeout
        return first

    client = JwksClient(fetch, clock=clock)
    client.key(key.kid)
    clock.now += 60
    slow = threading.Thread(target=client.key, args=("made-up",))
    slow.start()
    is_fetching.wait(HANG_SECONDS)

    found = client.key(key.kid)
    still_fetching = slow.is_alive()
    may_end.set()
    slow.join(HANG_SECONDS)

    assert found is not None
    assert still_fetching


# Over HTTP, with a pool


class JwksServer:
    """A pool's JWKS endpoint on a real port."""

    def __init__(self, *pairs: KeyPair) -> None:
        self.status = 200
        self.body = json.dumps({"keys": [pair.jwk for pair in pairs]}).encode()
        self.paths: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def jwks_server(key: KeyPair) -> Iterator[JwksServer]:
    server = JwksServer(key)
    yield server
    server.close()


@pytest.fixture(scope="module")
def pool_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('pool')}/postdb.sqlite3",
        "COGNITO_USER_POOL_ID": POOL,
        "COGNITO_REGION": REGION,
        "COGNITO_CLIENT_ID": CLIENT,
    }


@pytest.fixture(scope="module")
def pool_app(make_app, pool_settings, jwks_server):
    """The service as it stands in production, with a pool whose keys are served on this machine."""
    own = {"FLASK_ENV": "production", "SECRET_KEY": "a-secret-of-the-tests-and-no-other"}
    return make_app(**pool_settings, **own, AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER=jwks_server.url)


@pytest.fixture
def pool_client(pool_app) -> FlaskClient:
    return pool_app.test_client()


@pytest.fixture(scope="module")
def cut_off_client(make_app, pool_settings) -> FlaskClient:
    """A service whose pool cannot be reached."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    return make_app(**pool_settings, AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER=nowhere).test_client()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


POST = {"title": "제목", "content": "내용"}


@pytest.mark.parametrize("token_use", ["access", "id"])
def test_tokens_of_a_pool_on_another_endpoint_keep_the_issuer_of_aws(pool_client, jwks_server, key, token_use):
    token = key.sign(claims_of(token_use=token_use, nickname="아나"))

    response = pool_client.post(f"{API}/posts", json=POST, headers=bearer(token))

    assert response.status_code == 201
    assert (response.json["data"]["user_id"], response.json["data"]["username"]) == (SUB, "아나")
    assert set(jwks_server.paths) == {f"/{POOL}/.well-known/jwks.json"}


def test_a_token_whose_issuer_is_the_endpoint_itself_is_refused(pool_client, jwks_server, key):
    token = key.sign(claims_of(iss=f"{jwks_server.url}/{POOL}"))

    response = pool_client.post(f"{API}/posts", json=POST, headers=bearer(token))

    assert (response.status_code, response.json["error"]["code"]) == (401, "token_invalid")


def test_a_flood_of_made_up_key_ids_does_not_reach_the_pool(pool_client, jwks_server, key):
    pool_client.post(f"{API}/posts", json=POST, headers=bearer(key.sign(claims_of())))
    before = len(jwks_server.paths)

    statuses = {
        pool_client.post(f"{API}/posts", json=POST, headers=bearer(key.sign(claims_of(), kid=f"k{n}"))).status_code
        for n in range(20)
    }

    assert statuses == {401}
    assert len(jwks_server.paths) - before <= 1


def test_the_author_is_the_tokens_whatever_the_body_says(pool_client, key):
    claims = claims_of(username="ana")
    body = POST | {"user_id": "somebody-else", "username": "somebody else"}

    response = pool_client.post(f"{API}/posts", json=body, headers=bearer(key.sign(claims)))

    assert (response.json["data"]["user_id"], response.json["data"]["username"]) == (SUB, "ana")


def test_an_admin_of_the_pool_may_change_anothers_post(pool_client, key):
    post = pool_client.post(f"{API}/posts", json=POST, headers=bearer(key.sign(claims_of()))).json["data"]
    admin = claims_of(sub="root", **{"cognito:groups": ["admin"]})
    other = claims_of(sub="bo", **{"cognito:groups": ["users"]})

    statuses = [
        pool_client.patch(
            f"{API}/posts/{post['id']}", json={"title": "새"}, headers=bearer(key.sign(claims))
        ).status_code
        for claims in (other, admin)
    ]

    assert statuses == [403, 200]


@pytest.mark.parametrize("kind", ["page", "post", "like status", "categories"])
@pytest.mark.parametrize("bad", ["expired", "garbage", "forged", "oversized", "empty", "basic"])
def test_a_public_read_with_a_bad_token_is_anonymous(pool_client, key, forger, kind, bad):
    post = pool_client.post(f"{API}/posts", json=POST, headers=bearer(key.sign(claims_of()))).json["data"]
    path = {
        "page": f"{API}/posts",
        "post": f"{API}/posts/{post['id']}",
        "like status": f"{API}/posts/{post['id']}/like/status?user_id={SUB}",
        "categories": f"{API}/categories",
    }[kind]
    sent = {
        "expired": f"Bearer {key.sign(claims_of(exp=1_000_000_000))}",
        "garbage": "Bearer garbage",
        "forged": f"Bearer {forger.sign(claims_of())}",
        "oversized": f"Bearer {'x' * 10_000}",
        "empty": "",
        "basic": "Basic YW5hOnNlY3JldA==",
    }[bad]

    response = pool_client.get(path, headers={"Authorization": sent})

    assert response.status_code == 200


def test_a_stale_page_stays_readable_and_its_first_write_is_told_why(pool_client, key):
    stale = bearer(key.sign(claims_of(exp=int(time.time()) - 3600)))

    read = pool_client.get(f"{API}/posts", headers=stale)
    write = pool_client.post(f"{API}/posts", json=POST, headers=stale)

    assert read.status_code == 200
    assert (write.status_code, write.json["error"]["code"]) == (401, "token_expired")


def test_the_author_of_a_hidden_post_is_anonymous_with_a_stale_token(pool_client, key):
    good = bearer(key.sign(claims_of()))
    post = pool_client.post(f"{API}/posts", json=POST, headers=good).json["data"]
    pool_client.patch(f"{API}/posts/{post['id']}", json={"status": "hidden"}, headers=good)
    stale = bearer(key.sign(claims_of(exp=int(time.time()) - 3600)))

    statuses = [
        pool_client.get(f"{API}/posts/{post['id']}", headers=headers).status_code for headers in (good, stale, {})
    ]

    assert statuses == [200, 404, 404]


def test_the_callers_own_like_is_not_known_with_a_stale_token(pool_client, key):
    good = bearer(key.sign(claims_of()))
    post = pool_client.post(f"{API}/posts", json=POST, headers=good).json["data"]
    stale = bearer(key.sign(claims_of(exp=int(time.time()) - 3600)))
    path = f"{API}/posts/{post['id']}/like/status"

    statuses = [pool_client.get(path, headers=headers).status_code for headers in (good, stale, {})]

    assert statuses == [200, 400, 400]


def guarded_rules(app) -> list[tuple[str, str]]:
    """Every write route but the hint, which needs no token, and the reads that are for oneself."""
    rules = []
    for rule in app.url_map.iter_rules():
        path = rule.rule
        for argument in rule.arguments:
            path = path.replace(f"<{argument}>", NO_POST)
        writes = rule.methods & {"POST", "PUT", "PATCH", "DELETE"}
        rules += [
            (method, path)
            for method in sorted(writes)
            if not path.startswith("/dev/") and not path.endswith("/update-comment-count")
        ]
    return [*rules, ("GET", f"{API}/posts/my")]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (None, "token_missing"),
        ("", "token_missing"),
        ("Bearer", "token_missing"),
        ("Bearer  ", "token_missing"),
        ("Basic YW5hOnNlY3JldA==", "token_missing"),
        ("Bearer garbage", "token_invalid"),
        ("Bearer a.b.c", "token_invalid"),
        (f"Bearer {'x' * 10_000}", "token_invalid"),
    ],
    ids=["none", "empty", "scheme alone", "spaces", "basic", "garbage", "segments", "oversized"],
)
def test_everywhere_else_a_missing_or_bad_token_is_401_before_anything_else(pool_app, pool_client, sent, code):
    headers = {} if sent is None else {"Authorization": sent}

    answers = {}
    for method, path in guarded_rules(pool_app):
        # The body would be refused too, for its size and its type; the token comes first.
        body = {"data": b"x" * (1024 * 1024 + 1), "content_type": "text/plain"} if method != "GET" else {}
        response = pool_client.open(path, method=method, headers=headers, **body)
        answers[method, path] = (response.status_code, response.json["error"]["code"])

    assert len(answers) >= 9
    assert set(answers.values()) == {(401, code)}, answers


def test_the_scheme_is_read_in_any_letter_case(pool_client, key):
    token = key.sign(claims_of())

    statuses = [
        pool_client.get(f"{API}/posts/my", headers={"Authorization": f"{scheme} {token}"}).status_code
        for scheme in ("Bearer", "bearer", "BEARER")
    ]

    assert statuses == [200, 200, 200]


def test_a_challenge_names_no_error_when_there_was_no_token(pool_client):
    response = pool_client.post(f"{API}/posts", json=POST)

    assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    assert "error=" not in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize(("exp", "code"), [(1_000_000_000, "token_expired"), (None, "token_invalid")])
def test_a_challenge_names_what_is_wrong_with_a_token(pool_client, key, exp, code):
    token = key.sign_bytes(json.dumps(claims_of(exp=exp)).encode())

    response = pool_client.post(f"{API}/posts", json=POST, headers=bearer(token))

    assert response.json["error"]["code"] == code
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert token not in response.text
    assert token not in str(response.headers)


def test_no_challenge_where_a_token_would_not_help(pool_client):
    responses = [pool_client.get(path) for path in (f"{API}/posts", f"{API}/posts/{NO_POST}", "/nothing")]

    assert all("WWW-Authenticate" not in response.headers for response in responses)


def test_a_write_without_any_key_is_503_and_says_when_to_try_again(cut_off_client, key):
    response = cut_off_client.post(f"{API}/posts", json=POST, headers=bearer(key.sign(claims_of())))

    assert (response.status_code, response.json["error"]["code"]) == (503, "auth_unavailable")
    assert int(response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("path", PUBLIC_READS)
def test_a_public_read_without_any_key_is_anonymous(cut_off_client, key, path):
    response = cut_off_client.get(path, headers=bearer(key.sign(claims_of())))

    assert response.status_code == 200


def test_a_write_with_garbage_is_401_even_without_any_key(cut_off_client):
    response = cut_off_client.post(f"{API}/posts", json=POST, headers=bearer("garbage"))

    assert (response.status_code, response.json["error"]["code"]) == (401, "token_invalid")


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b"{}"), (404, b'{"message": "no such pool"}'), (200, b"<html>"), (200, b""), (200, b"\xff"), (200, b"[]")],
    ids=["500", "404", "a page", "empty", "not UTF-8", "a list"],
)
def test_an_endpoint_that_serves_no_keys_is_as_one_that_is_down(key, status, body):
    server = JwksServer()
    server.status, server.body = status, body
    client = JwksClient(lambda: fetch_jwks(f"{server.url}/jwks.json"), clock=Clock())

    try:
        with pytest.raises(AuthUnavailable):
            client.key(key.kid)
    finally:
        server.close()


# The local issuer


@pytest.mark.parametrize("token", ["access_token", "id_token"])
def test_the_local_issuers_tokens_are_accepted(client, as_user, user_id, token):
    response = client.post(f"{API}/posts", json=POST, headers=as_user("ana", token=token))

    assert response.status_code == 201
    assert (response.json["data"]["user_id"], response.json["data"]["username"]) == (user_id("ana"), "ana")


def test_the_local_issuer_answers_in_the_envelope(client):
    response = client.post("/dev/token", json={"username": "alice"})

    assert response.status_code == 200
    assert response.json["success"] is True
    assert set(response.json["data"]) == {"access_token", "id_token", "token_type", "expires_in", "sub"}
    assert response.json["data"]["token_type"] == "Bearer"
    assert response.json["data"]["expires_in"] > 0


def test_the_local_issuers_token_is_the_callers(client):
    issued = client.post("/dev/token", json={"username": "alice"}).json["data"]

    posts = [
        client.post(f"{API}/posts", json=POST, headers=bearer(issued[token])).json["data"]
        for token in ("access_token", "id_token")
    ]

    assert [(post["user_id"], post["username"]) for post in posts] == [(issued["sub"], "alice")] * 2


def test_the_same_name_has_the_same_sub_and_another_name_another(client):
    subs = [client.post("/dev/token", json={"username": name}).json["data"]["sub"] for name in ("아나", "아나", "bo")]

    assert subs[0] == subs[1] != subs[2]


def test_the_same_name_has_the_same_sub_with_another_key(tmp_path):
    subs = {DevIssuer(tmp_path / f"{n}.pem", issuer="here").issue("ana", [])["sub"] for n in range(2)}

    assert len(subs) == 1


def test_the_local_issuers_key_outlives_a_restart(tmp_path):
    before = DevIssuer(tmp_path / "key.pem", issuer="here")
    after = DevIssuer(tmp_path / "key.pem", issuer="here")

    verifier = TokenVerifier(JwksClient(after.jwks), issuer="here", client_ids=("local",))
    caller = verifier.verify(before.issue("ana", [])["access_token"])

    assert caller.username == "ana"


def test_the_local_issuers_key_is_readable_by_its_owner_alone(tmp_path):
    DevIssuer(tmp_path / "key.pem", issuer="here")

    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0


def test_the_local_issuers_groups_make_an_admin(client, make_post):
    post_id = make_post(author="ana")
    tokens = [
        client.post("/dev/token", json={"username": "bo"} | groups).json["data"]["access_token"]
        for groups in ({}, {"groups": []}, {"groups": ["users"]}, {"groups": ["admin"]})
    ]

    statuses = [
        client.patch(f"{API}/posts/{post_id}", json={"title": "새"}, headers=bearer(token)).status_code
        for token in tokens
    ]

    assert statuses == [403, 403, 403, 200]


@pytest.mark.parametrize(
    ("said", "scope"),
    [({}, "openid"), ({"scope": "openid post-service/comments.write"}, "openid post-service/comments.write")],
    ids=["by default", "as asked for"],
)
def test_the_local_issuers_access_token_alone_has_a_scope(client, said, scope):
    issued = client.post("/dev/token", json={"username": "comment-service"} | said).json["data"]

    claims = {name: jwt.get_unverified_claims(issued[name]) for name in ("access_token", "id_token")}

    assert claims["access_token"]["scope"] == scope
    assert "scope" not in claims["id_token"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "username"),
        ({"username": ""}, "username"),
        ({"username": "  "}, "username"),
        ({"username": 7}, "username"),
        ({"username": "a\x00"}, "username"),
        ({"username": "a", "groups": "admin"}, "groups"),
        ({"username": "a", "groups": [1]}, "groups"),
        ({"username": "a", "scope": None}, "scope"),
        ({"username": "a", "scope": 7}, "scope"),
        ({"username": "a", "scope": ["openid"]}, "scope"),
        ({"username": "a", "scope": "a\x00"}, "scope"),
        pytest.param({"username": "a", "scope": "a" * 1001}, "scope", id="scope of 1001 characters"),
    ],
    ids=repr,
)
def test_the_local_issuer_refuses_what_is_no_name(client, body, field):
    response = client.post("/dev/token", json=body)

    assert (response.status_code, response.json["error"]["code"]) == (400, "validation_error")
    assert [detail["field"] for detail in response.json["error"]["details"]] == [field]


def test_the_local_issuer_publishes_its_public_key_alone(client):
    published = client.get("/dev/.well-known/jwks.json").json["keys"]
    issued = client.post("/dev/token", json={"username": "ana"}).json["data"]

    assert {jwt.get_unverified_header(issued[name])["kid"] for name in ("access_token", "id_token")} <= {
        key["kid"] for key in published
    }
    assert all({"kty", "n", "e", "kid"} <= set(key) <= {"kty", "n", "e", "kid", "use", "alg"} for key in published)


def test_the_local_issuers_tokens_expire(client, as_user, monkeypatch):
    longer_ago = time.time() - 3600 - 35
    monkeypatch.setattr("post.auth_utils.dev_issuer.time", SimpleNamespace(time=lambda: longer_ago))
    stale = as_user("ana")
    monkeypatch.undo()

    response = client.post(f"{API}/posts", json=POST, headers=stale)

    assert (response.status_code, response.json["error"]["code"]) == (401, "token_expired")


def test_a_forgers_token_with_the_local_issuers_claims_is_refused(client, forger):
    issued = client.post("/dev/token", json={"username": "ana"}).json["data"]["access_token"]
    kid = jwt.get_unverified_header(issued)["kid"]
    forged = forger.sign(jwt.get_unverified_claims(issued), kid=kid)

    response = client.post(f"{API}/posts", json=POST, headers=bearer(forged))

    assert (response.status_code, response.json["error"]["code"]) == (401, "token_invalid")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/dev/token"), ("GET", "/dev/token"), ("GET", "/dev/.well-known/jwks.json")]
)
@pytest.mark.parametrize("environment", ["production", "development with a pool"])
def test_the_local_issuer_is_not_there(request, environment, method, path):
    client = request.getfixturevalue("pool_client" if environment == "production" else "cut_off_client")

    response = client.open(path, method=method, json={"username": "ana"} if method == "POST" else None)

    assert (response.status_code, response.json["error"]["code"]) == (404, "not_found")


def test_production_refuses_the_local_issuers_tokens(pool_client, as_user_of_development):
    response = pool_client.post(f"{API}/posts", json=POST, headers=as_user_of_development)

    assert (response.status_code, response.json["error"]["code"]) == (401, "token_invalid")


@pytest.fixture
def as_user_of_development(tmp_path) -> dict[str, str]:
    issuer = DevIssuer(tmp_path / "key.pem", issuer="http://localhost:8082/dev")
    return bearer(issuer.issue("ana", ["admin"])["access_token"])
