"""A real Cognito client: moto's server signs the tokens, boto3 gets them, the service runs under gunicorn."""

import boto3
import pytest
import requests
from botocore.config import Config

from tests.servers import moto_server, running_service

REGION = "ap-northeast-2"
PASSWORD = "Passw0rd!"


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
    client = cognito.create_user_pool_client(UserPoolId=pool_id, ClientName="web", GenerateSecret=False)
    return pool_id, client["UserPoolClient"]["ClientId"]


def sign_up(cognito, pool, name: str) -> dict[str, str]:
    """Sign a user up, confirm and log in; returns Cognito's tokens."""
    _pool_id, client_id = pool
    cognito.sign_up(ClientId=client_id, Username=name, Password=PASSWORD)
    cognito.confirm_sign_up(ClientId=client_id, Username=name, ConfirmationCode="123456")
    login = {"USERNAME": name, "PASSWORD": PASSWORD}
    answer = cognito.initiate_auth(ClientId=client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=login)
    return answer["AuthenticationResult"]


@pytest.fixture(scope="module")
def service(aws, pool, tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    settings = {
        "FLASK_ENV": "production",
        "SECRET_KEY": "a-secret-of-the-tests",
        "DATABASE_URL": f"sqlite:///{folder}/postdb.sqlite3",
        "COGNITO_USER_POOL_ID": pool[0],
        "COGNITO_REGION": REGION,
        "COGNITO_CLIENT_ID": pool[1],
        "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": aws,
        "HOST": "127.0.0.1",
    }
    with running_service(folder, **settings) as running:
        yield running.url


@pytest.mark.parametrize("token", ["AccessToken", "IdToken"])
def test_cognitos_tokens_create_edit_like_and_delete_posts(cognito, pool, service, token):
    name = f"ana-{token}"
    tokens = sign_up(cognito, pool, name)
    headers = {"Authorization": f"Bearer {tokens[token]}"}
    body = {"title": "제목", "content": "내용"}

    created = requests.post(f"{service}/api/v1/posts", json=body, headers=headers, timeout=10)
    url = service + created.headers["Location"]
    edited = requests.patch(url, json={"title": "새 제목"}, headers=headers, timeout=10)
    liked = requests.post(f"{url}/like", headers=headers, timeout=10)
    deleted = requests.delete(url, headers=headers, timeout=10)

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

    answer = requests.post(f"{service}/api/v1/categories", json={"name": "x"}, headers=headers, timeout=10)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "token_invalid"


def test_production_has_no_local_issuer(service):
    answer = requests.post(f"{service}/dev/token", json={"username": "ana"}, timeout=10)

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
