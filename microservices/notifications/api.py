"""The notifications service's routes. The gateway's authorizer stands before each; a caller reaches their own alone."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from notifications import store
from shared.errors import Detail, ValidationFailed
from shared.lambda_api import LambdaApi, respond
from shared.paging import next_page_headers, read_cursor, read_limit

app = LambdaApi()


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a proxy event of the gateway."""
    return app.resolve(event, context)


@app.get("/notifications")
def list_notifications() -> Response[str]:
    """List the caller's notifications; 200 with a page."""
    caller, query = app.caller(), app.query()
    found, last = store.list_notifications(caller.account_id, limit=read_limit(query), after=_after(query))
    return respond(200, found, **(next_page_headers(query, [last]) if last else {}))


@app.get("/notifications/{id}")
def get_notification() -> Response[str]:
    """Read one of the caller's notifications; 200."""
    return respond(200, store.get_notification(app.caller().account_id, app.path_parameter("id")))


@app.delete("/notifications/{id}")
def delete_notification() -> Response[str]:
    """Remove one of the caller's notifications; 204."""
    store.delete_notification(app.caller().account_id, app.path_parameter("id"))
    return respond(204)


def _after(query: dict[str, str]) -> str | None:
    cursor = read_cursor(query, parts=1)
    if cursor is None:
        return None
    if not store.is_id(cursor[0]):
        raise ValidationFailed(details=[Detail(field="cursor", message="Not a cursor of this list")])
    return cursor[0]
