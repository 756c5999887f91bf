"""Callers of the services: through the gateway, or straight with its events to the handlers in this process."""

import base64
import http.client
import json
import re
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4

import uuid_utils
from flask import Flask

from auth import authorizer
from auth import handler as auth_handler
from auth.passwords import hash_password
from auth.sessions import Account, start_session
from auth.tables import users
from microservices.tests.running import PATIENCE_SECONDS
from notifications import api as notifications_api
from shared import clock
from users import handler as users_handler

ADDRESSES = count(1)
HANDLERS = (auth_handler, users_handler, notifications_api)
PASSWORD = "password123"
# Texts that this process's callers have sent to a platform, or got from it, and that no log may have.
SECRETS: set[str] = set()
SECRET_FIELDS = ("email", "password", "currentPassword", "newPassword", "sessionId")


def secrets_of(body: Any) -> set[str]:
    """The secrets of a body; short texts are passed over, for other words contain them."""
    values = (body.get(name) for name in SECRET_FIELDS) if isinstance(body, dict) else ()
    return {value for value in values if isinstance(value, str) and len(value.strip()) >= 8}


def new_email() -> str:
    return f"{uuid4().hex}@example.com"


def new_address(network: int = 10) -> str:
    """Return an address that no test has; those of 127 are this machine's own."""
    number = next(ADDRESSES)
    return f"{network}.{number >> 16}.{number >> 8 & 255}.{number & 255}"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]  # names in lower case
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str, str]:
        """The status, code and text of an error."""
        return self.status, self.json["code"], self.json["error"]


@dataclass
class Person:
    email: str
    account_id: str
    token: str
    password: str = PASSWORD


class Client:
    """Somebody at an address, who asks and gets answers."""

    def __call__(self, method: str, target: str, body: Any = None, **options: Any) -> Answer:
        raise NotImplementedError

    def register(self, email: str | None = None, **fields: Any) -> Answer:
        return self(
            "POST", "/auth/register", {"email": email or new_email(), "password": PASSWORD, "name": "Ana"} | fields
        )

    def log_in(self, email: str, password: str = PASSWORD) -> Answer:
        return self("POST", "/auth/login", {"email": email, "password": password})

    def person(self, email: str | None = None, *, role: str = "user") -> Person:
        """Return somebody with a session, straight from the tables: nobody waits for a hash."""
        account = Account(email or new_email(), str(uuid_utils.uuid7()), role, 0)
        users().put(
            {
                "userId": account.user_id,
                "accountId": account.account_id,
                "name": "Ana",
                "role": role,
                "passwordHash": password_hash(),
                "sessionEpoch": 0,
                "createdAt": clock.isoformat(clock.now()),
            }
        )
        person = Person(account.user_id, account.account_id, start_session(account).token)
        SECRETS.update((person.email, person.token, person.password))
        return person


@cache
def password_hash() -> str:
    return hash_password(PASSWORD)


@dataclass
class Direct(Client):
    """Handlers called with proxy events, auth's without the authorizer; ``address`` is this client's own."""

    address: str = field(default_factory=new_address)

    def __call__(self, method: str, target: str, body: Any = None, **options: Any) -> Answer:
        event = self.event(method, target, body, **options)
        handler = next((one for one in HANDLERS if event["resource"] in one.app.routes), auth_handler)
        if handler is auth_handler:
            return answered(auth_handler.lambda_handler(event, None))
        decision = authorizer.lambda_handler(authorizer_event(event), None)
        if decision["policyDocument"]["Statement"][0]["Effect"] == "Deny":
            text = json.dumps({"error": decision["context"]["message"], "code": decision["context"]["code"]})
            return Answer(401, {}, text)
        event["requestContext"]["authorizer"] = decision["context"]
        return answered(handler.lambda_handler(event, None))

    def event(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: Any = None,
        raw: Any = None,
    ) -> dict[str, Any]:
        """Return the event of a request; ``raw`` is a body that is not written as JSON."""
        path, query = urlsplit(target).path, dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
        given = dict(headers or {})
        if body is not None or raw is not None:
            given.setdefault("Content-Type", "application/json")
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        resource, parameters = matched(path)
        is_bytes = isinstance(raw, bytes)
        return {
            "resource": resource,
            "path": path,
            "httpMethod": method,
            "headers": given or None,
            "multiValueHeaders": {name: [value] for name, value in given.items()} or None,
            "queryStringParameters": query or None,
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
            "pathParameters": parameters or None,
            "stageVariables": None,
            "requestContext": {
                "requestId": str(uuid4()),
                "identity": {"sourceIp": self.address},
                "stage": "prod",
                "path": f"/prod{path}",
                "resourcePath": resource,
                "httpMethod": method,
            },
            "body": base64.b64encode(raw).decode() if is_bytes else json.dumps(body) if body is not None else raw,
            "isBase64Encoded": is_bytes,
        }


def caller_headers(role: str | None, account: str) -> dict[str, str]:
    """The headers by which the gateway names the caller to a container; without a role, nobody."""
    return {"X-Account-Id": account if role else "-", "X-User-Role": role or "-"}


@dataclass
class Container(Client):
    """A container's service in this process, asked as the gateway asks it: with the caller's account and role."""

    app: Flask

    def __call__(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        role: str | None = None,
        account: str = "ana",
        headers: Any = None,
        raw: Any = None,
    ) -> Answer:
        given = caller_headers(role, account) | (headers or {})
        content = raw if body is None else json.dumps(body)
        if content is not None:
            given.setdefault("Content-Type", "application/json")
        answer = self.app.test_client().open(target, method=method, data=content, headers=given)
        return Answer(answer.status_code, {name.lower(): value for name, value in answer.headers}, answer.text)


@dataclass
class Http(Client):
    """Requests through the gateway, each on a connection of its own."""

    url: str
    address: str = field(default_factory=lambda: new_address(127))

    def __call__(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: Any = None,
        raw: Any = None,
    ) -> Answer:
        given = dict(headers or {})
        content = raw if body is None else json.dumps(body)
        if content is not None:
            given.setdefault("Content-Type", "application/json")
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
            SECRETS.add(token)
        SECRETS.update(secrets_of(body))
        base = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            base.hostname, base.port, PATIENCE_SECONDS, source_address=(self.address, 0)
        )
        with closing(connection):
            connection.request(method, base.path + target, content, given)
            answer = connection.getresponse()
            text = answer.read().decode()
        if "sessionId" in text:
            SECRETS.update(secrets_of(json.loads(text)))
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)


def answered(answer: dict[str, Any]) -> Answer:
    assert answer["isBase64Encoded"] is False
    headers = {name.lower(): ", ".join(values) for name, values in answer["multiValueHeaders"].items()}
    return Answer(answer["statusCode"], headers, answer["body"])


def authorizer_event(event: dict[str, Any]) -> dict[str, Any]:
    arn = f"arn:aws:execute-api:us-east-1:123456789012:api/prod/{event['httpMethod']}{event['path']}"
    return {**event, "type": "REQUEST", "methodArn": arn}


def matched(path: str) -> tuple[str, dict[str, str]]:
    """Return the resource of a path, as the gateway matches it, and its parameters."""
    for resource in (resource for handler in HANDLERS for resource in handler.app.routes):
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", resource)
        if found := re.fullmatch(pattern, path):
            return resource, {name: unquote(value) for name, value in found.groupdict().items()}
    return path, {}
