"""Password hashes."""

import hashlib
import re

import pytest
from argon2 import PasswordHasher

from auth import passwords
from microservices.tests.callers import PASSWORD, new_email


def stored(aws, email):
    return aws.get_item(TableName="microservices-users", Key={"userId": {"S": email}})["Item"]


def test_a_password_is_kept_as_argon2id_with_owasps_parameters_and_a_salt_of_its_own(api, aws):
    emails = [new_email(), new_email()]
    assert [api.register(email).status for email in emails] == [201, 201]

    hashes = [stored(aws, email)["passwordHash"]["S"] for email in emails]

    assert all(re.match(r"\$argon2id\$v=19\$m=19456,t=2,p=1\$", one) for one in hashes)
    assert hashes[0] != hashes[1]


def test_an_unsalted_sha256_is_never_accepted(api, aws):
    ana = api.person()
    legacy = hashlib.sha256(PASSWORD.encode()).hexdigest()
    aws.update_item(
        TableName="microservices-users",
        Key={"userId": {"S": ana.email}},
        UpdateExpression="SET passwordHash = :hash",
        ExpressionAttributeValues={":hash": {"S": legacy}},
    )

    assert api.log_in(ana.email).error == (401, "invalid_credentials", "Invalid credentials")
    assert api.log_in(ana.email, legacy).status == 401


def test_a_hash_with_older_parameters_is_replaced_at_the_login(api, aws):
    ana = api.person()
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    aws.update_item(
        TableName="microservices-users",
        Key={"userId": {"S": ana.email}},
        UpdateExpression="SET passwordHash = :hash",
        ExpressionAttributeValues={":hash": {"S": old}},
    )

    assert api.log_in(ana.email, "wrong password").status == 401
    assert stored(aws, ana.email)["passwordHash"]["S"] == old
    assert api.log_in(ana.email).status == 200

    new = stored(aws, ana.email)["passwordHash"]["S"]
    assert passwords.needs_rehash(old)
    assert not passwords.needs_rehash(new)
    assert api.log_in(ana.email).status == 200
    assert stored(aws, ana.email)["passwordHash"]["S"] == new


def test_a_rehash_does_not_undo_a_change_of_the_password_meanwhile(api, aws, monkeypatch):
    ana = api.person()
    session = api("GET", "/auth/verify", token=ana.token)
    assert session.status == 200
    hash_password = passwords.hash_password

    def changed_meanwhile(password):
        monkeypatch.undo_change()
        change = {"currentPassword": PASSWORD, "newPassword": "another password"}
        assert api("PUT", "/auth/password", change, token=ana.token).status == 200
        return hash_password(password)

    def once(_):
        monkeypatch.setattr(passwords, "hash_password", changed_meanwhile)
        monkeypatch.setattr(passwords, "needs_rehash", lambda _: False)
        return True

    monkeypatch.undo_change = lambda: monkeypatch.setattr(passwords, "hash_password", hash_password)
    monkeypatch.setattr(passwords, "needs_rehash", once)
    api.log_in(ana.email)

    assert api.log_in(ana.email, "another password").status == 200
    assert api.log_in(ana.email).status == 401


@pytest.mark.parametrize("email", ["known", "unknown", "malformed", "legacy"])
def test_an_account_that_is_not_there_takes_as_long_as_a_wrong_password(api, aws, monkeypatch, email):
    """The work, counted: one verification against a hash of the present parameters."""
    ana = api.person()
    verified = []
    monkeypatch.setattr(passwords, "_HASHER", Counting(passwords._HASHER, verified))
    if email == "legacy":
        aws.update_item(
            TableName="microservices-users",
            Key={"userId": {"S": ana.email}},
            UpdateExpression="SET passwordHash = :hash",
            ExpressionAttributeValues={":hash": {"S": "0" * 64}},
        )
    address = {"unknown": new_email(), "malformed": "nobody"}.get(email, ana.email)

    assert api.log_in(address, "wrong password").error == (401, "invalid_credentials", "Invalid credentials")

    real = [one for one in verified if one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")]
    assert len(real) == 1


class Counting:
    def __init__(self, hasher, verified):
        self._hasher, self._verified = hasher, verified

    def verify(self, password_hash, password):
        self._verified.append(password_hash)
        return self._hasher.verify(password_hash, password)
