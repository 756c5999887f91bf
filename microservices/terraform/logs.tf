# Every log group, before what writes to it: one key, one life. What AWS writes into a bucket is in storage.tf.

locals {
  log_groups = merge(
    { for key in keys(local.lambdas) : key => "/aws/lambda/${local.name}-${key}" },
    { for key in ["products", "orders", "orders-relay", "database", "migrations", "otel", "connect"] : key => "/ecs/${local.name}-${key}" },
    {
      api     = "/aws/apigateway/${local.name}-api"
      flow    = "/aws/vpc/${local.name}-flow"
      rds     = "/aws/rds/instance/${local.name}-db/postgresql"
      upgrade = "/aws/rds/instance/${local.name}-db/upgrade"
      waf     = "aws-waf-logs-${local.name}" # the beginning is WAF's
    },
  )

  # Made by hand where the resource itself would close a circle: the key's policy names the log groups it encrypts.
  log_group_arns = [for name in values(local.log_groups) : "arn:${local.partition}:logs:${var.region}:${local.account_id}:log-group:${name}"]
}

resource "aws_cloudwatch_log_group" "service" {
  for_each = local.log_groups

  name              = each.value
  retention_in_days = var.log_days
  kms_key_id        = aws_kms_key.main.arn
}

# One key, for logs, images, the database, its passwords and what alarms say

data "aws_iam_policy_document" "key" {
  # In a key's policy "*" is that key. Its first statement is AWS's default, without which IAM has no say on it.
  statement {
    sid       = "AccountAdministersByIam"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account_id}:root"]
    }
  }

  statement {
    sid       = "LogsEncrypt"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${var.region}.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = local.log_group_arns
    }
  }

  statement {
    sid       = "AlarmsPublish"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }
}

resource "aws_kms_key" "main" {
  description             = "Logs, images, database and secrets of ${local.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
}

resource "aws_kms_alias" "main" {
  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.main.key_id
}
