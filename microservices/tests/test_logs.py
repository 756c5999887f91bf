"""Lines that the functions log: an event each, its request, and nothing of a person but their account's id."""

from microservices.local.terraform import deployed
from microservices.tests.callers import PASSWORD, SECRETS, Http, new_email
from microservices.tests.secrets_in_logs import found_in


def test_no_log_has_an_address_a_token_or_a_password(platform, aws, platform_logs):
    """Until here; the fixture searches again when every test has asked."""
    api, email = Http(platform), new_email()
    assert api.register(email).status == 201
    account_id = api.log_in(email).json["user"]["accountId"]
    token = api.log_in(email).json["sessionId"]
    api.log_in(email, "wrong password")
    api("GET", f"/users/{email}", token=token, headers={"X-Request-ID": "log-test-1"})
    api("GET", f"/users/{new_email()}", token=token)
    api("GET", "/notifications", token=token)
    change = {"currentPassword": PASSWORD, "newPassword": "a new password"}
    token = api("PUT", "/auth/password", change, token=token).json["sessionId"]
    api("PUT", f"/users/{email}", {"name": "Ana B"}, token=token)
    api("DELETE", f"/users/{email}", token=token)

    text = "".join(path.read_text(errors="replace") for path in platform_logs.rglob("*") if path.is_file())

    assert {email, PASSWORD, "wrong password", "a new password", token} <= SECRETS
    assert found_in(platform_logs) == []
    assert account_id in text
    assert "log-test-1" in text
    assert '"resource":"/users/{userId}"' in (platform_logs / "gateway.log").read_text()
    routed = set(deployed().local("lambdas")) - {"notifications-worker"}  # a queue leads there
    assert all((platform_logs / "aws" / "lambda" / f"microservices-{name}").exists() for name in routed)


def test_a_line_has_its_request_and_its_account(api, log):
    ana = api.person()

    answer = api("GET", f"/users/{ana.email}", token=ana.token, headers={"X-Request-ID": "mine"})

    [line] = [line for line in log() if line["message"] == "request"]
    assert answer.status == 200
    assert {key: line[key] for key in ("method", "resource", "status", "account_id", "request_id")} == {
        "method": "GET",
        "resource": "/users/{userId}",
        "status": 200,
        "account_id": ana.account_id,
        "request_id": "mine",
    }
    assert line["duration_ms"] >= 0
    assert line["timestamp"].endswith("+00:00")


# Lines of every request.
PLAIN = ("request", "session_accepted", "session_refused")


def test_what_happens_to_an_account_is_an_event(api, admin, log):
    email = new_email()
    api.register(email)
    token = api.log_in(email).json["sessionId"]
    api("PUT", f"/users/{email}", {"name": "Ana B"}, token=token)
    api("PUT", f"/users/{email}/role", {"role": "admin"}, token=admin.token)
    change = {"currentPassword": PASSWORD, "newPassword": "a new password"}
    api("PUT", "/auth/password", change, token=token)
    api("DELETE", f"/users/{email}", token=admin.token)

    events = [line["message"] for line in log() if line["message"] not in PLAIN]

    assert events == [
        "user_registered",
        "login_succeeded",
        "user_renamed",
        "role_changed",
        "password_changed",
        "user_deleted",
    ]
