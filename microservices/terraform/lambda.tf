# The Lambda functions: ${local.name}-<key>. The local run reads this table too.

locals {
  lambdas = {
    # argon2 takes 19 MiB and a good part of a processor, which Lambda gives by memory.
    auth = {
      handler     = "auth.handler.lambda_handler"
      memory_size = 1024
      timeout     = 10
      environment = {
        USERS_TABLE             = aws_dynamodb_table.users.name
        SESSIONS_TABLE          = aws_dynamodb_table.sessions.name
        SESSION_TTL_SECONDS     = var.session_ttl_seconds
        CORS_ORIGIN             = var.cors_origin
        LOG_LEVEL               = var.log_level
        METRICS_NAMESPACE       = local.name
        POWERTOOLS_SERVICE_NAME = "auth"
      }
    }
    # Apart from auth, so that logins do not hold up the requests of others.
    authorizer = {
      handler     = "auth.authorizer.lambda_handler"
      memory_size = 512
      timeout     = 10
      environment = {
        USERS_TABLE             = aws_dynamodb_table.users.name
        SESSIONS_TABLE          = aws_dynamodb_table.sessions.name
        LOG_LEVEL               = var.log_level
        METRICS_NAMESPACE       = local.name
        POWERTOOLS_SERVICE_NAME = "authorizer"
      }
    }
    users = {
      handler     = "users.handler.lambda_handler"
      memory_size = 512
      timeout     = 10
      environment = {
        USERS_TABLE             = aws_dynamodb_table.users.name
        CORS_ORIGIN             = var.cors_origin
        LOG_LEVEL               = var.log_level
        METRICS_NAMESPACE       = local.name
        POWERTOOLS_SERVICE_NAME = "users"
      }
    }
    # A page reads each of its objects, side by side: memory is processor here.
    notifications = {
      handler     = "notifications.api.lambda_handler"
      memory_size = 1024
      timeout     = 10
      environment = {
        NOTIFICATIONS_BUCKET    = aws_s3_bucket.notifications.bucket
        CORS_ORIGIN             = var.cors_origin
        LOG_LEVEL               = var.log_level
        METRICS_NAMESPACE       = local.name
        POWERTOOLS_SERVICE_NAME = "notifications"
      }
    }
    notifications-worker = {
      handler     = "notifications.worker.lambda_handler"
      memory_size = 512
      timeout     = 10
      environment = {
        NOTIFICATIONS_BUCKET    = aws_s3_bucket.notifications.bucket
        LOG_LEVEL               = var.log_level
        METRICS_NAMESPACE       = local.name
        POWERTOOLS_SERVICE_NAME = "notifications-worker"
      }
    }
  }
}

resource "aws_lambda_function" "service" {
  #checkov:skip=CKV_AWS_116:Those behind the API are called and waited for; the worker's queue has its dead letters.
  #checkov:skip=CKV_AWS_117:They speak to DynamoDB and S3 alone, whose APIs are outside the network; within it, each would pay for a NAT gateway.
  #checkov:skip=CKV_AWS_173:Names of tables and buckets are in the environment, no secret; AWS's own key encrypts them.
  #checkov:skip=CKV_AWS_272:The zip's hash is in this plan.
  for_each = local.lambdas

  function_name                  = "${local.name}-${each.key}"
  role                           = aws_iam_role.lambda[each.key].arn
  runtime                        = var.lambda_runtime
  architectures                  = [var.lambda_architecture]
  handler                        = each.value.handler
  memory_size                    = each.value.memory_size
  timeout                        = each.value.timeout
  reserved_concurrent_executions = lookup(var.lambda_concurrency, each.key, -1)

  publish          = true # what runs is the version that the alias names (pipeline.tf)
  filename         = "${var.zip_folder}/${split(".", each.value.handler)[0]}.zip"
  source_code_hash = filebase64sha256("${var.zip_folder}/${split(".", each.value.handler)[0]}.zip")

  environment {
    variables = each.value.environment
  }

  logging_config {
    log_format = "Text" # powertools writes JSON itself
    log_group  = aws_cloudwatch_log_group.service[each.key].name
  }

  tracing_config {
    mode = "Active"
  }

  depends_on = [aws_iam_role_policy.lambda_signals]
}

# The API calls these for its routes. auth's package is one, so its authorizer is a function beside it.
resource "aws_lambda_permission" "api" {
  for_each = toset(["auth", "users", "notifications"])

  statement_id  = "api"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.service[each.key].function_name
  qualifier     = aws_lambda_alias.live[each.key].name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.main.execution_arn}/*/*/${each.key}*"
}

resource "aws_lambda_permission" "authorizer" {
  statement_id  = "api"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.service["authorizer"].function_name
  qualifier     = aws_lambda_alias.live["authorizer"].name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.main.execution_arn}/authorizers/*"
}
