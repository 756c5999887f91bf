"""Lambda functions for tests of the host and the gateway: they show what they were given, or misbehave as asked."""

import base64
import json
import os
import time
from pathlib import Path
from unittest import mock


def echo(event, context):
    """Answer with the event, or as the query's ``do`` says."""
    asked = (event.get("queryStringParameters") or {}).get("do")
    if asked:
        return MISDEEDS[asked](event)
    shown = {"event": event, "trace": os.environ.get("_X_AMZN_TRACE_ID"), "function": context.function_name}
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(shown)}


def fail(_event):
    raise ValueError("secret detail")


MISDEEDS = {
    "fail": fail,
    "exit": lambda _event: os._exit(3),
    "sleep": lambda _event: time.sleep(30),
    "text": lambda _event: "no answer",
    "no-status": lambda _event: {"body": "x"},
    "odd-status": lambda _event: {"statusCode": 1000},
    "split-header": lambda _event: {"statusCode": 200, "headers": {"X-One": "1\r\nX-Two: 2"}},
    "korean-header": lambda _event: {"statusCode": 200, "headers": {"X-One": "가"}},
    "number": lambda _event: {"statusCode": 200, "body": 5},
    "base64": lambda _event: {
        "statusCode": 200,
        "body": base64.b64encode(b"\xff\x00").decode(),
        "isBase64Encoded": True,
    },
    "many": lambda _event: {
        "statusCode": 201,
        "headers": {"X-One": "1", "Connection": "close", "Transfer-Encoding": "chunked"},
        "multiValueHeaders": {"X-Two": ["a", "b"]},
    },
    "large": lambda _event: {"statusCode": 200, "body": "x" * (6 * 1024 * 1024)},
}


def policy(event, context):
    """Answer for the token ``Bearer WORD``."""
    word = event["headers"]["Authorization"].removeprefix("Bearer ")
    if word == "unauthorized":
        raise RuntimeError("Unauthorized")
    if word == "fail":
        raise ValueError("secret detail")
    if word == "nothing":
        return {"principalId": "someone"}
    if word == "nested":
        return answer("Allow", "*", {"a": {"b": 1}})
    if word == "elsewhere":
        return answer("Allow", event["methodArn"] + "/more", {})
    if word == "both":
        allowed = answer("Allow", "*", {"message": "Invalid session", "code": "invalid_session"})
        allowed["policyDocument"]["Statement"] += answer("Deny", event["methodArn"], {})["policyDocument"]["Statement"]
        return allowed
    if word == "deny":
        return answer("Deny", event["methodArn"], {"message": "Session expired", "code": "session_expired"})
    return answer(
        "Allow", event["methodArn"], {"accountId": "a-1", "userId": "u@x.co", "role": word, "flag": True, "n": 7}
    )


def answer(effect, resource, context):
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
    return {
        "principalId": "someone",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": context,
    }


def plain(event, context):
    """Answer with what the runtime says of this invocation."""
    return {
        "event": event,
        "pid": os.getpid(),
        "request_id": context.aws_request_id,
        "left_ms": context.get_remaining_time_in_millis(),
        "memory": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn,
        "environment": dict(os.environ),
    }


def misbehave(event, context):
    return MISDEEDS[event["do"]](event)


def slow(event, context):
    """Hold the child until as many others have begun as there are to be; say which child, and when."""
    started, begun = time.time(), Path(event["folder"])
    (begun / str(os.getpid())).touch()
    while len(list(begun.iterdir())) < event["children"]:
        time.sleep(0.01)
    return {"pid": os.getpid(), "started": started, "ended": time.time()}


def failing_worker(event, context):
    """Work as the notifications' worker does, but fail for the order that the file ``FAULT`` names."""
    from notifications import store, worker

    add = store.add

    def add_or_fail(account_id, notification):
        if notification["order_id"] in Path(os.environ["FAULT"]).read_text():
            raise RuntimeError("a fault that was asked for")
        return add(account_id, notification)

    with mock.patch.object(store, "add", add_or_fail):
        return worker.lambda_handler(event, context)


def batch(event, context):
    """Finish the records whose body is not ``bad``; fail as a whole for ``broken``, answer nonsense for ``odd``."""
    bodies = [record["body"] for record in event["Records"]]
    if "broken" in bodies:
        raise ValueError("broken")
    if "odd" in bodies:
        return {"batchItemFailures": [{"itemIdentifier": "nobody's"}]}
    bad = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in bad]} if bad else None
