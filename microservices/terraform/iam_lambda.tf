# What each function's role may do: exact actions, on exact tables, attributes, folders and queues.
# A TransactGetItems needs GetItem; a TransactWriteItems needs the actions of its parts.

data "aws_iam_policy_document" "auth" {
  statement {
    sid       = "Accounts"
    actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    resources = [aws_dynamodb_table.users.arn]
  }

  statement {
    sid       = "Sessions"
    actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
    resources = [aws_dynamodb_table.sessions.arn]
  }
}

data "aws_iam_policy_document" "authorizer" {
  statement {
    sid       = "Accounts"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.users.arn]

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "dynamodb:Attributes"
      values   = ["userId", "accountId", "role", "sessionEpoch"]
    }

    condition {
      test     = "StringEqualsIfExists"
      variable = "dynamodb:Select"
      values   = ["SPECIFIC_ATTRIBUTES"]
    }
  }

  statement {
    sid       = "Sessions"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.sessions.arn]
  }
}

# It cannot name passwordHash: every call has to name its attributes, and may ask for no whole item back.
data "aws_iam_policy_document" "users" {
  statement {
    sid = "Directory"
    actions = [
      "dynamodb:GetItem",
      "dynamodb:Scan",
      "dynamodb:UpdateItem",
      "dynamodb:DeleteItem",
      "dynamodb:ConditionCheckItem",
    ]
    resources = [aws_dynamodb_table.users.arn]

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "dynamodb:Attributes"
      values   = ["userId", "name", "accountId", "role", "createdAt", "updatedAt"]
    }

    condition {
      test     = "StringEqualsIfExists"
      variable = "dynamodb:Select"
      values   = ["SPECIFIC_ATTRIBUTES"]
    }

    condition {
      test     = "StringEqualsIfExists"
      variable = "dynamodb:ReturnValues"
      values   = ["NONE", "UPDATED_OLD", "UPDATED_NEW"]
    }
  }
}

# Without ListBucket, S3 would answer 403 for an object that is not there.
data "aws_iam_policy_document" "notifications" {
  statement {
    sid       = "Lists"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.notifications.arn]
  }

  statement {
    sid       = "Objects"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${aws_s3_bucket.notifications.arn}/notifications/*"]
  }
}

data "aws_iam_policy_document" "notifications_worker" {
  statement {
    sid       = "Objects"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.notifications.arn}/notifications/*"]
  }

  # Lambda takes the messages in the function's name.
  statement {
    sid       = "Events"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.notifications.arn]
  }
}

# The roles

locals {
  lambda_policies = {
    auth                 = data.aws_iam_policy_document.auth.json
    authorizer           = data.aws_iam_policy_document.authorizer.json
    users                = data.aws_iam_policy_document.users.json
    notifications        = data.aws_iam_policy_document.notifications.json
    notifications-worker = data.aws_iam_policy_document.notifications_worker.json
  }
}

data "aws_iam_policy_document" "lambda_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }
}

# Each writes to its own log. Segments of traces have no resource that a policy could name.
data "aws_iam_policy_document" "lambda_signals" {
  for_each = local.lambdas

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.service[each.key].arn}:*"]
  }

  statement {
    sid       = "Trace"
    actions   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    resources = ["*"]
  }
}

resource "aws_iam_role" "lambda" {
  for_each = local.lambdas

  name               = "${local.name}-${each.key}-lambda-role"
  assume_role_policy = data.aws_iam_policy_document.lambda_trust.json
}

resource "aws_iam_role_policy" "lambda" {
  for_each = local.lambda_policies

  name   = "service"
  role   = aws_iam_role.lambda[each.key].id
  policy = each.value
}

resource "aws_iam_role_policy" "lambda_signals" {
  for_each = local.lambdas

  name   = "signals"
  role   = aws_iam_role.lambda[each.key].id
  policy = data.aws_iam_policy_document.lambda_signals[each.key].json
}
