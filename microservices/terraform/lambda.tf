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
        POWERTOOLS_SERVICE_NAME = "notifications-worker"
      }
    }
  }
}
