"""The script that runs tasks of ECS before a rollout; an ``aws`` of ours stands in for the AWS CLI."""

import os
import subprocess

import pytest

from microservices.tests.running import PATIENCE_SECONDS, PROJECT

SCRIPT = PROJECT / "microservices" / "deploy" / "run_tasks.sh"
# What AWS's own would write as text: a task's ARN, or the exit codes of its containers, one a line.
AWS = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$2 $*" in
    run-task*" first "*) echo "$FIRST" ;;
    run-task*) echo task-2 ;;
    wait*) [ "$(grep -c "^ecs wait" "$CALLS")" -gt "${UNSTOPPED:-0}" ] ;;
    describe-tasks*exitCode]*text) printf '%b' "$CODES" ;;
esac
"""


@pytest.fixture
def run_tasks(tmp_path):
    """Run the script; its exit status, what it says, and the calls of AWS."""
    (tmp_path / "aws").write_text(AWS)
    (tmp_path / "aws").chmod(0o755)
    calls = tmp_path / "calls"

    def run(*definitions, codes="0\\n", first="task-1", **settings):
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "CODES": codes,
            "FIRST": first,
            "CLUSTER": "shop",
            "SUBNETS": "subnet-1,subnet-2",
            "SECURITY_GROUPS": "sg-1",
            **settings,
        }
        done = subprocess.run(
            [SCRIPT, *definitions],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        return done.returncode, done.stdout + done.stderr, calls.read_text().splitlines() if calls.exists() else []

    return run


def test_tasks_run_one_after_the_other_in_the_private_subnets(run_tasks):
    status, said, calls = run_tasks("first", "second", codes="0\\n0\\n0\\n")

    assert (status, said.splitlines()) == (0, ["first runs as task-1", "second runs as task-2"])
    assert [call.split()[1] for call in calls] == ["run-task", "wait", "describe-tasks"] * 2
    assert "subnets=[subnet-1,subnet-2],securityGroups=[sg-1],assignPublicIp=DISABLED" in calls[0]
    assert "--tasks task-1" in calls[2]
    assert "--tasks task-2" in calls[5]


@pytest.mark.parametrize("codes", ["1\\n", "0\\n0\\n137\\n", "0\\nNone\\n"], ids=["failed", "killed", "never started"])
def test_a_container_that_fails_ends_all(run_tasks, codes):
    status, _, calls = run_tasks("first", "second", codes=codes)

    assert status == 1
    assert not any(" second " in call for call in calls)


def test_a_task_may_take_half_an_hour(run_tasks):
    """The CLI looks for ten minutes, and its status says that the task still runs."""
    status, _, calls = run_tasks("first", UNSTOPPED="2")

    assert status == 0
    assert [call.split()[1] for call in calls] == ["run-task", "wait", "wait", "wait", "describe-tasks"]


def test_a_task_that_takes_longer_ends_all(run_tasks):
    status, _, calls = run_tasks("first", "second", UNSTOPPED="3")

    assert status != 0
    assert [call.split()[1] for call in calls] == ["run-task", "wait", "wait", "wait"]


def test_a_task_that_is_not_started_ends_all(run_tasks):
    status, said, calls = run_tasks("first", first="None")

    assert (status, said) == (1, "first was not started\n")
    assert len(calls) == 1


def test_a_setting_that_is_missing_is_named(run_tasks):
    status, said, calls = run_tasks("first", SUBNETS="")

    assert status != 0
    assert "SUBNETS" in said
    assert calls == []
