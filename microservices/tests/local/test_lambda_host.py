"""The host runs functions as AWS does: boto3 invokes them, and AWS's own runtime client runs them."""

import itertools
import json
import threading
import time

import pytest
from botocore.exceptions import ClientError

from microservices.local import lambda_host
from microservices.tests.running import PATIENCE_SECONDS


def invoke(client, event, **options):
    answer = client.invoke(FunctionName="f", Payload=json.dumps(event), **options)
    return answer.get("FunctionError"), json.load(answer["Payload"])


def test_a_function_gets_its_event_and_its_context(start_host):
    client = start_host("plain", timeout_seconds=3.0, memory_size=512, environment={"TABLE": "t"})

    error, shown = invoke(client, {"가": [1, None]})

    assert error is None
    assert shown["event"] == {"가": [1, None]}
    assert 0 < shown["left_ms"] <= 3000
    assert shown["memory"] == "512"
    assert shown["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert len(shown["request_id"]) == 36
    assert shown["environment"]["TABLE"] == "t"
    assert shown["environment"]["AWS_LAMBDA_FUNCTION_NAME"] == "f"
    assert shown["environment"]["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/f"


def test_a_function_sees_nothing_of_the_hosts_own_environment(start_host, monkeypatch):
    monkeypatch.setenv("PLATFORM_SECRET", "x")

    _, shown = invoke(start_host("plain"), {})

    assert "PLATFORM_SECRET" not in shown["environment"]


def test_a_child_runs_many_events_one_after_the_other(start_host):
    client = start_host("plain")

    shown = [invoke(client, {})[1] for _ in range(20)]

    assert len({one["pid"] for one in shown}) == 1
    assert len({one["request_id"] for one in shown}) == 20


def test_events_at_once_run_in_children_of_their_own_up_to_the_limit(start_host, monkeypatch, tmp_path):
    monkeypatch.setattr(lambda_host, "MAX_CHILDREN", 2)
    client = start_host("slow", timeout_seconds=PATIENCE_SECONDS)
    shown, event = [], {"folder": str(tmp_path / "begun"), "children": 2}
    (tmp_path / "begun").mkdir()
    threads = [threading.Thread(target=lambda: shown.append(invoke(client, event)[1])) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    by_child = {pid: sorted(one["started"] for one in shown if one["pid"] == pid) for pid in {o["pid"] for o in shown}}
    assert len(by_child) == 2
    ends = {(one["pid"], one["started"]): one["ended"] for one in shown}
    for pid, starts in by_child.items():
        for first, second in itertools.pairwise(starts):
            assert ends[pid, first] <= second


def test_an_error_of_the_handler_is_told_as_aws_tells_it(start_host):
    error, shown = invoke(start_host("misbehave"), {"do": "fail"})

    assert error == "Unhandled"
    assert (shown["errorType"], shown["errorMessage"]) == ("ValueError", "secret detail")
    assert shown["stackTrace"]


def test_a_child_that_dies_fails_its_event_and_the_next_one_has_another(start_host):
    client = start_host("misbehave")

    error, shown = invoke(client, {"do": "exit"})

    assert (error, shown["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert shown["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")
    assert invoke(client, {"do": "text"}) == (None, "no answer")


def test_a_late_function_is_ended_at_its_timeout(start_host):
    client = start_host("misbehave", timeout_seconds=2.0)
    invoke(client, {"do": "text"})  # so that no start is measured
    started = time.monotonic()

    error, shown = invoke(client, {"do": "sleep"})

    assert (error, shown["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert shown["errorMessage"].endswith("Task timed out after 2.00 seconds")
    assert time.monotonic() - started >= 2
    assert invoke(client, {"do": "text"}) == (None, "no answer")


def test_a_function_that_cannot_start_fails_each_event_by_name(start_host):
    client = start_host("absent")

    assert [invoke(client, {})[1]["errorType"] for _ in range(2)] == ["Runtime.HandlerNotFound"] * 2


def test_a_child_is_replaced_after_its_share_of_events(start_host, monkeypatch):
    monkeypatch.setattr(lambda_host, "INVOCATIONS_PER_CHILD", 3)
    client = start_host("plain")

    pids = [invoke(client, {})[1]["pid"] for _ in range(7)]

    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


def test_an_answer_larger_than_lambda_takes_is_an_error(start_host):
    error, shown = invoke(start_host("misbehave"), {"do": "large"})

    assert (error, shown["errorType"]) == ("Unhandled", "Function.ResponseSizeTooLarge")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"FunctionName": "g"}, "ResourceNotFoundException"),
        ({"FunctionName": "f", "Payload": b"{"}, "InvalidRequestContentException"),
        ({"FunctionName": "f", "Payload": b'"' + b"x" * 6_291_456}, "RequestTooLargeException"),
        ({"FunctionName": "f", "InvocationType": "Event"}, "InvalidParameterValueException"),
    ],
    ids=["unknown", "not JSON", "too large", "asynchronous"],
)
def test_a_wrong_invocation_is_refused_by_aws_own_codes(start_host, options, code):
    with pytest.raises(ClientError) as refused:
        start_host("plain").invoke(**options)

    assert refused.value.response["Error"]["Code"] == code


def test_a_functions_words_are_in_its_log(start_host, tmp_path):
    invoke(start_host("misbehave"), {"do": "fail"})

    assert "secret detail" in (tmp_path / "aws" / "lambda" / "f").read_text()


def test_functions_are_the_deployed_ones(tmp_path):
    functions = {one.name: one for one in lambda_host.deployed_functions(tmp_path)}

    assert {"microservices-auth", "microservices-authorizer", "microservices-users"} <= set(functions)
    auth = functions["microservices-auth"]
    assert (auth.handler, auth.memory_size, auth.timeout_seconds) == ("auth.handler.lambda_handler", 1024, 10.0)
    assert auth.environment["USERS_TABLE"] == "microservices-users"
    assert auth.log == tmp_path / "aws" / "lambda" / "microservices-auth"
