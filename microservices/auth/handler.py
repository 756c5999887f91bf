"""The auth service's routes. They check the session themselves, so no authorizer stands before them."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from auth import accounts, sessions
from auth.bodies import Credentials, PasswordChange, Registration
from shared.clock import isoformat
from shared.lambda_api import LambdaApi, respond

app = LambdaApi()


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a proxy event of the gateway."""
    return app.resolve(event, context)


@app.post("/auth/register")
def register_user() -> Response[str]:
    """Make an account; 201."""
    body = Registration.read(app.json_body())
    address = app.viewer_address()
    accounts.register_user(email=body.email, password=body.password, name=body.name, address=address)
    return respond(201, {"message": "User created successfully", "userId": body.email})


@app.post("/auth/login")
def log_in() -> Response[str]:
    """Start a session; 200 with its id."""
    body = Credentials.read(app.json_body())
    login = accounts.log_in(email=body.email, password=body.password, address=app.viewer_address())
    account = login.account
    user = {"userId": account.user_id, "name": login.name, "accountId": account.account_id, "role": account.role}
    return respond(200, {**_session_body(login.session), "user": user})


@app.get("/auth/verify")
def verify_session() -> Response[str]:
    """Tell whose session it is; 200."""
    session = sessions.check_session(app.header("authorization"))
    account = session.account
    end = isoformat(session.expires_at)
    return respond(200, {"valid": True, "userId": account.user_id, "role": account.role, "expiresAt": end})


@app.post("/auth/logout")
def log_out() -> Response[str]:
    """End the session; 204."""
    sessions.end_session(sessions.check_session(app.header("authorization")))
    return respond(204)


@app.post("/auth/logout-all")
def log_out_everywhere() -> Response[str]:
    """End every session of the caller; 204."""
    sessions.end_all_sessions(sessions.check_session(app.header("authorization")).account)
    return respond(204)


@app.put("/auth/password")
def change_password() -> Response[str]:
    """Change the caller's password; 200 with the only session that is left."""
    session = sessions.check_session(app.header("authorization"))
    body = PasswordChange.read(app.json_body())
    new_session = accounts.change_password(session, current=body.current, new=body.new, address=app.viewer_address())
    return respond(200, _session_body(new_session))


def _session_body(session: sessions.NewSession) -> dict[str, str]:
    return {"sessionId": session.token, "expiresAt": isoformat(session.expires_at)}
