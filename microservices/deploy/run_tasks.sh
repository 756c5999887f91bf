#!/bin/sh
# Run tasks of ECS one after the other, and fail where one of their containers does: run_tasks.sh TASK_DEFINITION…
# It needs the AWS CLI, and CLUSTER, SUBNETS and SECURITY_GROUPS (with commas) in its environment. Terraform calls it.
set -eu

network="awsvpcConfiguration={subnets=[${SUBNETS:?}],securityGroups=[${SECURITY_GROUPS:?}],assignPublicIp=DISABLED}"
stopped() { # stopped TASK: wait for ten minutes, which are the CLI's own limit
    aws ecs wait tasks-stopped --cluster "$CLUSTER" --tasks "$1"
}
for definition in "$@"; do
    task=$(aws ecs run-task --cluster "${CLUSTER:?}" --task-definition "$definition" --launch-type FARGATE \
        --network-configuration "$network" --query 'tasks[0].taskArn' --output text)
    if [ "$task" = None ]; then # there was no room for it, of which the answer's failures tell
        echo "$definition was not started" >&2
        exit 1
    fi
    echo "$definition runs as $task"
    stopped "$task" || stopped "$task" || stopped "$task" # half an hour, as a release has it (rollout.py)
    # A container that never started, since another failed, has no exit code: None.
    codes=$(aws ecs describe-tasks --cluster "$CLUSTER" --tasks "$task" \
        --query 'tasks[0].containers[].[exitCode]' --output text)
    for code in $codes; do
        if [ "$code" != 0 ]; then
            aws ecs describe-tasks --cluster "$CLUSTER" --tasks "$task" \
                --query 'tasks[0].[stoppedReason, containers[].[name, exitCode, reason]]' --output json >&2
            exit 1
        fi
    done
done
