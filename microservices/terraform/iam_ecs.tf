# Roles of the tasks. ECS itself starts a task by its execution role, which may read that task's secrets and no other;
# what runs in it has the task's own role.

locals {
  # The secrets that a task is started with, by the names of its environment's variables.
  task_secrets = {
    products     = { DB_PASSWORD = "${aws_secretsmanager_secret.role["products_app"].arn}:password::" }
    orders       = { DB_PASSWORD = "${aws_secretsmanager_secret.role["orders_app"].arn}:password::" }
    orders-relay = { DB_PASSWORD = "${aws_secretsmanager_secret.role["orders_app"].arn}:password::" }
    database     = { DB_PASSWORD = "${aws_db_instance.main.master_user_secret[0].secret_arn}:password::" }
  }

  # What ECS may read of them, and of those of the migrations.
  readable_secrets = {
    products     = [aws_secretsmanager_secret.role["products_app"].arn]
    orders       = [aws_secretsmanager_secret.role["orders_app"].arn]
    orders-relay = [aws_secretsmanager_secret.role["orders_app"].arn]
    database     = [aws_db_instance.main.master_user_secret[0].secret_arn]
    migrations   = [for role in ["products_owner", "products_app", "orders_owner"] : aws_secretsmanager_secret.role[role].arn]
  }

  # The repository of a task's image.
  task_images = {
    products     = ["products"]
    orders       = ["orders"]
    orders-relay = ["orders"]
    database     = ["orders"] # which has AWS's library
    migrations   = ["products", "orders"]
  }

  traced_tasks = ["products", "orders", "orders-relay"]
}

data "aws_iam_policy_document" "task_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }
}

data "aws_iam_policy_document" "execution" {
  for_each = local.task_images

  # The registry's login has no resource that a policy could name.
  statement {
    sid       = "LogInToTheRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid       = "Pull"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [for repository in each.value : aws_ecr_repository.service[repository].arn]
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = [for key in concat([each.key], contains(local.traced_tasks, each.key) ? ["otel", "connect"] : []) : "${aws_cloudwatch_log_group.service[key].arn}:*"]
  }

  statement {
    sid       = "Secrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = local.readable_secrets[each.key]
  }

  statement {
    sid       = "SecretsKey"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.main.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${var.region}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "execution" {
  for_each = local.task_images

  name               = "${local.name}-${each.key}-execution-role"
  assume_role_policy = data.aws_iam_policy_document.task_trust.json
}

resource "aws_iam_role_policy" "execution" {
  for_each = local.task_images

  name   = "start"
  role   = aws_iam_role.execution[each.key].id
  policy = data.aws_iam_policy_document.execution[each.key].json
}

# Segments of traces have no resource that a policy could name.
data "aws_iam_policy_document" "task_signals" {
  statement {
    sid       = "Trace"
    actions   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    resources = ["*"]
  }
}

# AWS's own key of SNS lets everybody use it who may publish.
data "aws_iam_policy_document" "relay" {
  statement {
    sid       = "OrderEvents"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.order_events.arn]
  }
}

# It makes the passwords of the roles, gives them to PostgreSQL, and keeps them where the tasks find them.
data "aws_iam_policy_document" "database" {
  statement {
    sid       = "Passwords"
    actions   = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
    resources = [for secret in aws_secretsmanager_secret.role : secret.arn]
  }

  statement {
    sid       = "PasswordsKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.main.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${var.region}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "task" {
  for_each = local.task_images

  name               = "${local.name}-${each.key}-task-role"
  assume_role_policy = data.aws_iam_policy_document.task_trust.json
}

resource "aws_iam_role_policy" "task_signals" {
  for_each = toset(local.traced_tasks)

  name   = "signals"
  role   = aws_iam_role.task[each.key].id
  policy = data.aws_iam_policy_document.task_signals.json
}

resource "aws_iam_role_policy" "task" {
  for_each = {
    orders-relay = data.aws_iam_policy_document.relay.json
    database     = data.aws_iam_policy_document.database.json
  }

  name   = "service"
  role   = aws_iam_role.task[each.key].id
  policy = each.value
}
