"""The users service's routes. The gateway's authorizer stands before each of them."""

from typing import Any, Literal

from aws_lambda_powertools.event_handler import Response

from shared.http import check_body
from shared.lambda_api import LambdaApi, respond
from shared.paging import next_page_headers, read_cursor, read_limit
from shared.people import Name, StrictModel, normalized_email
from users import directory

app = LambdaApi()
UPDATED = {"message": "User updated successfully"}


class Profile(StrictModel):
    """Body of ``PUT /users/{userId}``."""

    name: Name


class Role(StrictModel):
    """Body of ``PUT /users/{userId}/role``."""

    role: Literal["user", "admin"]


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a proxy event of the gateway."""
    return app.resolve(event, context)


@app.get("/users")
def list_users() -> Response[str]:
    """List users, for admins; 200 with a page."""
    directory.require_admin(app.caller())
    query = app.query()
    after = read_cursor(query, parts=1)
    found, more = directory.list_users(limit=read_limit(query), after=after[0] if after else None)
    return respond(200, found, **(next_page_headers(query, [found[-1]["userId"]]) if more else {}))


@app.get("/users/{userId}")
def get_user() -> Response[str]:
    """Read a profile; 200."""
    caller, user_id = app.caller(), _user_id()
    directory.require_self_or_admin(caller, user_id)
    return respond(200, directory.get_user(caller, user_id))


@app.put("/users/{userId}")
def rename_user() -> Response[str]:
    """Change a name; 200."""
    caller, user_id = app.caller(), _user_id()
    directory.require_self_or_admin(caller, user_id)
    directory.rename_user(caller, user_id, check_body(Profile, app.json_body()).name)
    return respond(200, UPDATED)


@app.put("/users/{userId}/role")
def set_role() -> Response[str]:
    """Change another user's role, for admins; 200."""
    caller, user_id = app.caller(), _user_id()
    directory.require_admin(caller)
    directory.set_role(caller, user_id, check_body(Role, app.json_body()).role)
    return respond(200, UPDATED)


@app.delete("/users/{userId}")
def delete_user() -> Response[str]:
    """Remove a user; 204."""
    caller, user_id = app.caller(), _user_id()
    directory.require_self_or_admin(caller, user_id)
    directory.delete_user(caller, user_id)
    return respond(204)


def _user_id() -> str:
    user_id = app.path_parameter("userId")
    return normalized_email(user_id) or user_id
