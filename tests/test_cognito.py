"""A real Cognito client: moto's server signs the tokens, boto3 gets them, the service runs under gunicorn."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
import requests
from botocore.config import Config
from jose import jwt

from post.models import db
from tests.answers import fault
from tests.servers import HANG_SECONDS, PROJECT, free_port, moto_server, running_service

REGION = "ap-northeast-2"
PASSWORD = "Passw0rd!"
POSTS = "/api/v1/posts"
DEACTIVATE = "/api/v1/users/me/deactivate"
NEW = {"title": "제목", "content": "내용"}
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKID-OF-THE-SETTINGS",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-settings",
    "AWS_SESSION_TOKEN": "session-of-the-settings",
}


@pytest.fixture(scope="module")
def aws():
    with moto_server() as url:
        yield url


@pytest.fixture(scope="module")
def cognito(aws):
    client = boto3.client(
        "cognito-idp",
        region_name=REGION,
        endpoint_url=aws,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 1}),
    )
    yield client
    client.close()


@pytest.fixture(scope="module")
def pool(cognito):
    pool_id = cognito.create_user_pool(PoolName="site")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool_id, ClientName="web", GenerateSecret=False, ReadAttributes=["nickname"]
    )
    return pool_id, client["UserPoolClient"]["ClientId"]


def sign_up(cognito, pool, name: str, **attributes: str) -> dict[str, str]:
    """Sign a user up, confirm and log in; returns Cognito's tokens."""
    _pool_id, client_id = pool
    said = [{"Name": attribute, "Value": value} for attribute, value in attributes.items()]
    cognito.sign_up(ClientId=client_id, Username=name, Password=PASSWORD, UserAttributes=said)
    cognito.confirm_sign_up(ClientId=client_id, Username=name, ConfirmationCode="123456")
    return log_in(cognito, pool, name)


def log_in(cognito, pool, name: str) -> dict[str, str]:
    login = {"USERNAME": name, "PASSWORD": PASSWORD}
    answer = cognito.initiate_auth(ClientId=pool[1], AuthFlow="USER_PASSWORD_AUTH", AuthParameters=login)
    return answer["AuthenticationResult"]


def can_refresh(cognito, pool, tokens: dict[str, str]) -> bool:
    session = {"REFRESH_TOKEN": tokens["RefreshToken"]}
    try:
        cognito.initiate_auth(ClientId=pool[1], AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters=session)
    except cognito.exceptions.NotAuthorizedException:
        return False
    return True


def is_enabled(cognito, pool, name: str) -> bool:
    return cognito.admin_get_user(UserPoolId=pool[0], Username=name)["Enabled"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def sub_of(tokens: dict[str, str]) -> str:
    return jwt.get_unverified_claims(tokens["AccessToken"])["sub"]


@pytest.fixture(scope="module")
def settings(aws, pool, tmp_path_factory):
    """Of a service in production."""
    return KEYS | {
        "FLASK_ENV": "production",
        "SECRET_KEY": "a-secret-of-the-tests-and-no-other",
        "DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('database')}/postdb.sqlite3",
        "COGNITO_USER_POOL_ID": pool[0],
        "COGNITO_REGION": REGION,
        "COGNITO_CLIENT_ID": pool[1],
        "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": aws,
        "HOST": "127.0.0.1",
    }


@pytest.fixture(scope="module")
def service(settings, tmp_path_factory):
    with running_service(tmp_path_factory.mktemp("service"), **settings) as running:
        yield running.url


@pytest.mark.parametrize("token", ["AccessToken", "IdToken"])
def test_cognitos_tokens_create_edit_like_and_delete_posts(cognito, pool, service, token):
    name = f"ana-{token}"
    tokens = sign_up(cognito, pool, name)
    headers = {"Authorization": f"Bearer {tokens[token]}"}
    body = {"title": "제목", "content": "내용"}

    created = requests.post(f"{service}/api/v1/posts", json=body, headers=headers, timeout=HANG_SECONDS)
    url = service + created.headers["Location"]
    edited = requests.patch(url, json={"title": "새 제목"}, headers=headers, timeout=HANG_SECONDS)
    liked = requests.post(f"{url}/like", headers=headers, timeout=HANG_SECONDS)
    deleted = requests.delete(url, headers=headers, timeout=HANG_SECONDS)

    statuses = [answer.status_code for answer in (created, edited, liked, deleted)]
    assert statuses == [201, 200, 200, 200]
    assert created.json()["data"]["username"] == name
    assert edited.json()["data"]["title"] == "새 제목"
    assert liked.json()["data"] == {"action": "added", "is_liked": True, "like_count": 1}


def test_a_token_of_another_pool_is_refused(cognito, service):
    other_id = cognito.create_user_pool(PoolName="other")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(UserPoolId=other_id, ClientName="web")["UserPoolClient"]
    tokens = sign_up(cognito, (other_id, client["ClientId"]), "eve")
    headers = {"Authorization": f"Bearer {tokens['AccessToken']}"}

    answer = requests.post(f"{service}/api/v1/categories", json={"name": "x"}, headers=headers, timeout=HANG_SECONDS)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "token_invalid"


def test_production_has_no_local_issuer(service):
    answer = requests.post(f"{service}/dev/token", json={"username": "ana"}, timeout=HANG_SECONDS)

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


# Deactivated accounts


@pytest.fixture
def flask(settings):
    """Run a command of ``flask`` in a process of its own, with the service's settings."""

    def run(*arguments):
        command = [sys.executable, "-m", "flask", "--app", str(PROJECT / "app.py"), *arguments]
        return subprocess.run(
            command, env=settings, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=HANG_SECONDS
        )

    return run


def test_a_deactivated_user_is_disabled_and_signed_out_until_reactivated(cognito, pool, service, flask):
    tokens = sign_up(cognito, pool, "leaver")
    headers = bearer(tokens["AccessToken"])

    def write():
        return requests.post(f"{service}{POSTS}", json=NEW, headers=headers, timeout=HANG_SECONDS).status_code

    before = write()
    deactivated = requests.post(f"{service}{DEACTIVATE}", headers=headers, timeout=HANG_SECONDS)
    after = {write() for _ in range(6)}  # whichever worker they meet
    enabled = is_enabled(cognito, pool, "leaver")
    with pytest.raises(cognito.exceptions.NotAuthorizedException, match="disabled"):
        log_in(cognito, pool, "leaver")
    listed = flask("users", "list-deactivated")
    reactivated = flask("users", "reactivate", sub_of(tokens))

    assert (before, deactivated.status_code, after, enabled) == (201, 200, {403}, False)
    assert deactivated.json()["data"] == {"username": "leaver", "deactivated": True}
    assert listed.stdout.endswith(f"Z  {sub_of(tokens)}  leaver\n")
    assert (reactivated.returncode, reactivated.stdout) == (0, f"Reactivated {sub_of(tokens)}.\n"), reactivated.stderr
    assert is_enabled(cognito, pool, "leaver")
    assert write() == 201
    assert not can_refresh(cognito, pool, tokens)
    assert can_refresh(cognito, pool, log_in(cognito, pool, "leaver"))


class Door:
    """Stands before moto: it notes what Cognito is asked, can refuse it, and can be shut."""

    def __init__(self, behind: str) -> None:
        self.asked: list[tuple[str, dict, dict]] = []
        self.refusals: dict[str, tuple[int, str]] = {}
        self._address = ("127.0.0.1", free_port())
        self.url = f"http://127.0.0.1:{self._address[1]}"
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(requests.get(behind + self.path, timeout=HANG_SECONDS))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                action = self.headers["X-Amz-Target"].rpartition(".")[2]
                door.asked.append((action, json.loads(body), dict(self.headers)))
                if action in door.refusals:
                    status, code = door.refusals[action]
                    self._write(status, json.dumps({"__type": code, "message": "for nobody's eyes"}).encode())
                    return
                self._answer(
                    requests.post(behind + self.path, data=body, headers=dict(self.headers), timeout=HANG_SECONDS)
                )

            def _answer(self, answer: requests.Response) -> None:
                self._write(answer.status_code, answer.content)

            def _write(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_args: object) -> None:
                pass

        self._handler = Handler
        self.open()

    def open(self) -> None:
        self._server = ThreadingHTTPServer(self._address, self._handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Leave nobody behind the address while the block runs."""
        self.close()
        try:
            yield
        finally:
            self.open()


@pytest.fixture
def door(aws):
    door = Door(aws)
    yield door
    door.close()


@pytest.fixture
def pool_app(make_app, settings, door, tmp_path):
    """The service before whose pool a door stands."""
    own = {"DATABASE_URL": f"sqlite:///{tmp_path}/postdb.sqlite3", "INSTANCE_PATH": str(tmp_path)}
    app = make_app(**settings | own | {"AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": door.url})
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def pool_client(pool_app):
    return pool_app.test_client()


@pytest.fixture
def flask_of_pool(pool_app):
    """Run a command of that service's ``flask``; returns click's result."""
    return lambda *arguments: pool_app.test_cli_runner().invoke(args=arguments)


def test_the_pool_is_asked_with_the_settings_credentials_to_disable_and_then_to_sign_out(
    cognito, pool, pool_client, door
):
    headers = bearer(sign_up(cognito, pool, "signed")["AccessToken"])

    pool_client.post(POSTS, json=NEW, headers=headers)
    pool_client.post(DEACTIVATE, headers=headers)
    pool_client.post(POSTS, json=NEW, headers=headers)

    assert [action for action, _body, _headers in door.asked] == ["AdminDisableUser", "AdminUserGlobalSignOut"]
    for _action, body, sent in door.asked:
        assert body == {"UserPoolId": pool[0], "Username": "signed"}
        assert sent["Authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={KEYS['AWS_ACCESS_KEY_ID']}/")
        assert f"/{REGION}/cognito-idp/aws4_request" in sent["Authorization"]
        assert sent["X-Amz-Security-Token"] == KEYS["AWS_SESSION_TOKEN"]


@pytest.mark.parametrize(
    ("token", "login", "shown"),
    [("AccessToken", "minsu", "minsu"), ("IdToken", "jiyeon", "별명")],
    ids=["access", "id"],
)
def test_the_user_is_found_by_their_login_whatever_name_they_show(cognito, pool, pool_client, *, token, login, shown):
    headers = bearer(sign_up(cognito, pool, login, nickname="별명")[token])

    response = pool_client.post(DEACTIVATE, headers=headers)

    assert response.json["data"] == {"username": shown, "deactivated": True}
    assert not is_enabled(cognito, pool, login)


def test_a_second_call_is_no_error_for_the_pool_either(cognito, pool, pool_client):
    headers = bearer(sign_up(cognito, pool, "twice")["AccessToken"])

    statuses = [pool_client.post(DEACTIVATE, headers=headers).status_code for _ in range(2)]

    assert statuses == [200, 200]
    assert not is_enabled(cognito, pool, "twice")


def test_while_the_pool_is_away_the_account_is_refused_here_and_another_call_completes_it(
    cognito, pool, pool_client, door
):
    tokens = sign_up(cognito, pool, "early")
    headers = bearer(tokens["AccessToken"])
    written = pool_client.post(POSTS, json=NEW, headers=headers)  # the pool's keys are known from then on

    with door.shut():
        calls = [pool_client.post(DEACTIVATE, headers=headers) for _ in range(2)]
        refused = pool_client.post(POSTS, json=NEW, headers=headers)
    enabled_meanwhile = is_enabled(cognito, pool, "early")
    completed = pool_client.post(DEACTIVATE, headers=headers)

    assert written.status_code == 201
    assert [fault(call) for call in calls] == [(503, "auth_unavailable")] * 2
    assert all(int(call.headers["Retry-After"]) > 0 for call in calls)
    assert fault(refused) == (403, "account_deactivated")
    assert enabled_meanwhile
    assert (completed.status_code, completed.json["data"]) == (200, {"username": "early", "deactivated": True})
    assert not is_enabled(cognito, pool, "early")
    assert not can_refresh(cognito, pool, tokens)


@pytest.mark.parametrize(
    ("action", "refusal"),
    [
        pytest.param("AdminDisableUser", (400, "NotAuthorizedException"), id="not-allowed-to-disable"),
        pytest.param("AdminDisableUser", (400, "ResourceNotFoundException"), id="no-such-pool"),
        pytest.param("AdminUserGlobalSignOut", (400, "TooManyRequestsException"), id="sign-out-throttled"),
        pytest.param("AdminUserGlobalSignOut", (500, "InternalErrorException"), id="sign-out-failed"),
    ],
)
def test_what_the_pool_refuses_is_told_as_its_absence_and_can_be_completed(
    cognito, pool, pool_client, door, *, action, refusal
):
    name = f"half-{action}-{refusal[1]}"
    tokens = sign_up(cognito, pool, name)
    headers = bearer(tokens["AccessToken"])
    door.refusals[action] = refusal

    refused = pool_client.post(DEACTIVATE, headers=headers)
    written = pool_client.post(POSTS, json=NEW, headers=headers)
    door.refusals.clear()
    completed = pool_client.post(DEACTIVATE, headers=headers)

    assert fault(refused) == (503, "auth_unavailable")
    assert "nobody's eyes" not in refused.text
    assert refusal[1] not in refused.text
    assert fault(written) == (403, "account_deactivated")
    assert completed.status_code == 200
    assert not is_enabled(cognito, pool, name)
    assert not can_refresh(cognito, pool, tokens)


def test_a_user_whom_the_pool_has_deleted_is_deactivated_and_reactivated_here(
    cognito, pool, pool_client, flask_of_pool
):
    tokens = sign_up(cognito, pool, "gone")
    headers = bearer(tokens["AccessToken"])
    cognito.admin_delete_user(UserPoolId=pool[0], Username="gone")

    deactivated = pool_client.post(DEACTIVATE, headers=headers)
    refused = pool_client.post(POSTS, json=NEW, headers=headers)
    reactivated = flask_of_pool("users", "reactivate", sub_of(tokens))

    assert deactivated.status_code == 200
    assert fault(refused) == (403, "account_deactivated")
    assert reactivated.exit_code == 0, reactivated.output
    assert pool_client.post(POSTS, json=NEW, headers=headers).status_code == 201


def test_while_the_pool_is_away_nobody_is_reactivated(cognito, pool, pool_client, door, *, flask_of_pool):
    tokens = sign_up(cognito, pool, "patient")
    headers = bearer(tokens["AccessToken"])
    pool_client.post(DEACTIVATE, headers=headers)

    with door.shut():
        failed = flask_of_pool("users", "reactivate", sub_of(tokens))
    refused = pool_client.post(POSTS, json=NEW, headers=headers)
    reactivated = flask_of_pool("users", "reactivate", sub_of(tokens))

    assert failed.exit_code == 1
    assert failed.output == "Error: The authentication service is not available. Please try again later.\n"
    assert fault(refused) == (403, "account_deactivated")
    assert reactivated.exit_code == 0
    assert is_enabled(cognito, pool, "patient")
    assert pool_client.post(POSTS, json=NEW, headers=headers).status_code == 201
