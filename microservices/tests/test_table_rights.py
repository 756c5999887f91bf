"""
The functions' rights to the tables: what the services ask of DynamoDB is held against the policies of their roles.

The judge knows what the policies use: actions, tables, and the conditions on attributes, as DynamoDB documents them.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from auth import authorizer
from microservices.local.terraform import deployed
from microservices.tests.callers import PASSWORD, authorizer_event, new_email
from shared import dynamodb
from users import directory

ACTIONS = {
    "get_item": "GetItem",
    "put_item": "PutItem",
    "update_item": "UpdateItem",
    "delete_item": "DeleteItem",
    "scan": "Scan",
    "query": "Query",
}
PARTS = {"Get": "GetItem", "Update": "UpdateItem", "ConditionCheck": "ConditionCheckItem"}
READS = {"GetItem", "Scan", "Query"}


def policy(name: str) -> list[dict[str, Any]]:
    [block] = [
        block["aws_iam_policy_document"][name]
        for file in deployed()._files
        for block in file.get("data", [])
        if name in block.get("aws_iam_policy_document", {})
    ]
    return block["statement"]


def asked(operation: str, arguments: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the actions that a call needs, each with its own arguments."""
    if operation not in ("transact_get_items", "transact_write_items"):
        yield ACTIONS[operation], arguments
        return
    for item in arguments["TransactItems"]:
        for part, inner in item.items():
            yield PARTS[part], inner


def conditions_of(action: str, arguments: dict[str, Any]) -> dict[str, set[str]]:
    """Return the condition keys of a call."""
    attributes = set(arguments.get("ExpressionAttributeNames", {}).values())
    attributes |= set(arguments.get("Key", {})) | set(arguments.get("Item", {}))
    keys = {"dynamodb:Attributes": attributes}
    if action in READS:
        keys["dynamodb:Select"] = {"SPECIFIC_ATTRIBUTES" if "ProjectionExpression" in arguments else "ALL_ATTRIBUTES"}
    else:
        returned = {arguments.get("ReturnValues", "NONE"), arguments.get("ReturnValuesOnConditionCheckFailure", "NONE")}
        keys["dynamodb:ReturnValues"] = returned
    return keys


def allows(statement: dict[str, Any], action: str, arguments: dict[str, Any]) -> bool:
    tables = {deployed().value(table["name"]): key for key, table in deployed().resources("aws_dynamodb_table").items()}
    resource = f"${{aws_dynamodb_table.{tables[arguments['TableName']]}.arn}}"
    if f"dynamodb:{action}" not in statement["actions"] or resource not in statement["resources"]:
        return False
    keys = conditions_of(action, arguments)
    return all(keys.get(one["variable"], set()) <= set(one["values"]) for one in statement.get("condition", []))


def refused(statements: list[dict[str, Any]], calls: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    """Return what the calls need and no statement allows."""
    return [
        (action, arguments)
        for operation, given in calls
        for action, arguments in asked(operation, given)
        if not any(allows(statement, action, arguments) for statement in statements)
    ]


class Recorded:
    def __init__(self, client, calls):
        self._client, self._calls = client, calls

    def __getattr__(self, name):
        found = getattr(self._client, name)
        if name == "exceptions":
            return found

        def call(**arguments):
            self._calls.append((name, arguments))
            return found(**arguments)

        return call


@pytest.fixture
def calls(monkeypatch, aws):
    """Calls of DynamoDB from now on."""
    recorded, client = [], dynamodb.client()
    monkeypatch.setattr(dynamodb, "client", lambda: Recorded(client, recorded))
    return recorded


def test_auth_may_do_what_it_does(api, calls, later):
    ana = api.person()
    calls.clear()
    api.register(ana.email)
    for _ in range(11):
        api.log_in(ana.email, "wrong password")
    later(15 * 60)
    api.log_in(ana.email, "wrong password")
    change = {"currentPassword": PASSWORD, "newPassword": "a new password"}
    token = api("PUT", "/auth/password", change, token=ana.token).json["sessionId"]
    api("GET", "/auth/verify", token=token)
    api("POST", "/auth/logout-all", token=token)
    api("POST", "/auth/logout", token=api.log_in(ana.email, "a new password").json["sessionId"])

    assert refused(policy("auth"), calls) == []
    assert unused(policy("auth"), calls) == set()


def test_the_authorizer_may_do_what_it_does(api, calls):
    ana = api.person()
    calls.clear()

    authorizer.lambda_handler(authorizer_event(api.event("GET", "/users", token=ana.token)), None)

    assert len(calls) == 2
    assert refused(policy("authorizer"), calls) == []
    assert unused(policy("authorizer"), calls) == set()


def test_users_may_do_what_it_does(api, admin, calls, monkeypatch):
    ana, bo = api.person(), api.person()
    authorize = authorizer.lambda_handler

    def unrecorded(event, context):
        before = len(calls)
        decision = authorize(event, context)
        del calls[before:]
        return decision

    monkeypatch.setattr(authorizer, "lambda_handler", unrecorded)
    calls.clear()
    for email in (ana.email, new_email()):
        for token in (ana.token, bo.token, admin.token):
            api("GET", f"/users/{email}", token=token)
            api("PUT", f"/users/{email}", {"name": "Bo"}, token=token)
            api("PUT", f"/users/{email}/role", {"role": "user"}, token=token)
    api("GET", "/users?limit=1", token=admin.token)
    api("DELETE", f"/users/{bo.email}", token=admin.token)
    api("DELETE", f"/users/{ana.email}", token=ana.token)

    assert len(calls) >= 10
    assert refused(policy("users"), calls) == []
    assert unused(policy("users"), calls) == set()


def unused(statements, calls):
    """Return the actions that the policy allows and nothing needs."""
    needed = {f"dynamodb:{action}" for operation, given in calls for action, _ in asked(operation, given)}
    return {action for statement in statements for action in statement["actions"]} - needed


@pytest.mark.parametrize(
    "read",
    [
        lambda users: users.get("a@b", "userId", "passwordHash"),
        lambda users: users.get("a@b"),
        lambda users: users.scan("passwordHash", limit=1, after=None),
        lambda users: users.scan(limit=1, after=None),
        lambda users: users.delete("a@b", condition="#passwordHash = :guess", guess="x"),
        lambda users: users.update("a@b", "SET #passwordHash = :new", condition="attribute_exists(#userId)", new="x"),
        lambda users: users.update("a@b", "SET #name = #passwordHash", condition="attribute_exists(#userId)"),
        lambda users: users.update("a@b", "SET #name = :n", condition="#role = :n", n="x", return_old=True),
        lambda users: users.put({"userId": "a@b"}),
    ],
)
def test_users_cannot_name_a_password_hash(aws, calls, read):
    with suppress(dynamodb.ConditionFailed):
        read(directory.users())
    aws.delete_item(TableName="microservices-users", Key={"userId": {"S": "a@b"}})

    assert refused(policy("users"), calls[:1]) != []


def test_no_policy_has_a_star():
    for name in ("auth", "authorizer", "users"):
        for statement in policy(name):
            assert not re.search(r"\*", "".join(statement["actions"] + statement["resources"]))
            assert all(resource.endswith(".arn}") for resource in statement["resources"])
