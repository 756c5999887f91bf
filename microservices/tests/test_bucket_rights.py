"""The notifications functions' rights to their bucket: what they ask of S3 is what their policies allow, no more."""

import pytest

from microservices.tests.events_of_orders import order_event, sqs_event
from microservices.tests.test_table_rights import policy
from notifications import store, worker

BUCKET = "${aws_s3_bucket.notifications.arn}"
ACTIONS = {"ListObjectsV2": "s3:ListBucket", "GetObject": "s3:GetObject", "PutObject": "s3:PutObject"}


@pytest.fixture
def asked(aws):
    """The actions that the calls from now on need, each with its resource."""
    found = set()

    def note(params, model, **_):
        folder = f"{BUCKET}/{params['Key'].partition('/')[0]}/*" if "Key" in params else BUCKET
        found.add((ACTIONS[model.name], folder))

    events = store.client().meta.events
    events.register("provide-client-params.s3.*", note)
    yield found
    events.unregister("provide-client-params.s3.*", note)


def allowed(name):
    return {
        (action, resource)
        for statement in policy(name)
        for action in statement["actions"]
        for resource in statement["resources"]
        if action.startswith("s3:")
    }


def test_the_worker_may_do_what_it_does(api, asked):
    event = order_event(api.person().account_id)

    worker.lambda_handler(sqs_event(event, event), None)

    assert asked == allowed("notifications_worker")


def test_the_api_may_do_what_it_does(api, asked):
    ana = api.person()
    worker.lambda_handler(sqs_event(order_event(ana.account_id)), None)
    asked.clear()
    [one] = api("GET", "/notifications", token=ana.token).json
    api("GET", f"/notifications/{one['id']}", token=ana.token)
    api("DELETE", f"/notifications/{one['id']}", token=ana.token)

    assert asked == allowed("notifications")
