"""
Roles, database and schemas, made by the database's master: ``python -m shared.prepare_database``, before migrations.

The password of each role is in a secret of its own, by which its tasks are started. It is made here, and no file, state
or log ever has it. ``--rotate`` makes new ones; tasks that run must then be started anew.
"""

import argparse
import json
import secrets
from typing import Any

import boto3
import psycopg
from botocore.config import Config

from shared import database_roles, postgres, settings
from shared.container_log import logger, start_log

LIMITS = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "max_attempts": 3})
PASSWORD_BYTES = 32


def secret_names() -> dict[str, str]:
    """
    Return the names of the roles' secrets, by role.

    Raises:
        SettingInvalid: ``PASSWORD_SECRETS`` is not set, or does not name each role's secret.
    """
    try:
        found: dict[str, str] = json.loads(settings.text("PASSWORD_SECRETS"))
        return {role: found[role] for role in database_roles.ROLES}
    except (ValueError, KeyError, TypeError) as exc:
        raise settings.SettingInvalid("PASSWORD_SECRETS is no JSON object with a name for each role") from exc


def password_of(client: Any, role: str, secret: str, *, renew: bool = False) -> str:
    """
    Return the password of a role; make it where its secret has no value yet.

    Args:
        client: Client of Secrets Manager.
        role: The role.
        secret: Name of its secret.
        renew: True for a new one in any case.

    Raises:
        ClientError: There is no such secret, or it may not be used.
    """
    if not renew:
        try:
            kept: str = json.loads(client.get_secret_value(SecretId=secret)["SecretString"])["password"]
        except client.exceptions.ResourceNotFoundException:  # it has no value, or does not exist: then this fails, too
            logger.info("password_made", extra={"role": role})
        else:
            return kept
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    client.put_secret_value(SecretId=secret, SecretString=json.dumps({"username": role, "password": password}))
    return password


def prepare(passwords: dict[str, str]) -> None:
    """
    Make what is missing of roles, database and schemas.

    Args:
        passwords: Passwords by role.

    Raises:
        OperationalError: The database is away.
    """
    address = postgres.address()
    with psycopg.connect(**{**address, "dbname": "postgres"}, autocommit=True) as connection:
        database_roles.make_database(connection, address["dbname"], passwords)
    with psycopg.connect(**address, autocommit=True) as connection:
        database_roles.make_schemas(connection)


def main() -> None:
    """
    Prepare the database.

    Raises:
        SettingInvalid: A setting is missing or wrong.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rotate", action="store_true", help="give every role a new password")
    options = parser.parse_args()
    start_log("database")
    names = secret_names()
    client = boto3.client("secretsmanager", region_name=settings.text("AWS_REGION"), config=LIMITS)
    prepare({role: password_of(client, role, name, renew=options.rotate) for role, name in names.items()})
    logger.info("database_prepared", extra={"roles": list(names), "rotated": options.rotate})


if __name__ == "__main__":
    main()
