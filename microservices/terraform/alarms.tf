# What somebody has to look at. Every alarm goes to one topic; alarm_emails subscribes to it.

resource "aws_sns_topic" "alarms" {
  name              = "${local.name}-alarms"
  kms_master_key_id = aws_kms_key.main.arn # AWS's own key would not let CloudWatch publish
}

resource "aws_sns_topic_subscription" "alarms" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.key
}

locals {
  api_dimensions = { ApiName = aws_api_gateway_rest_api.main.name, Stage = aws_api_gateway_stage.prod.stage_name }

  # One line each: of which metric, over how many minutes of five of them, what is too much. A missing figure is none.
  alarms = merge(
    {
      api-5xx         = { namespace = "AWS/ApiGateway", metric = "5XXError", dimensions = local.api_dimensions, statistic = "Average", above = 0.01, description = "More than one answer in a hundred is a 5xx." }
      api-latency     = { namespace = "AWS/ApiGateway", metric = "Latency", dimensions = local.api_dimensions, statistic = "p99", above = 3000, description = "One answer in a hundred takes more than three seconds." }
      dead-letters    = { namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = aws_sqs_queue.notifications_dlq.name }, statistic = "Maximum", above = 0, description = "An event failed five times; see why, then redrive it." }
      events-wait     = { namespace = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", dimensions = { QueueName = aws_sqs_queue.notifications.name }, statistic = "Maximum", above = 600, description = "An event has waited for ten minutes." }
      rds-processor   = { namespace = "AWS/RDS", metric = "CPUUtilization", dimensions = local.rds_dimensions, statistic = "Average", above = 80, description = "The database has little processor left." }
      rds-connections = { namespace = "AWS/RDS", metric = "DatabaseConnections", dimensions = local.rds_dimensions, statistic = "Maximum", above = local.connections_allowed, description = "The database has more connections than its class is to have by autoscaling.tf." }
      rds-full        = { namespace = "AWS/RDS", metric = "FreeStorageSpace", dimensions = local.rds_dimensions, statistic = "Minimum", below = 2147483648, description = "The database has less than 2 GiB left, though its storage grows by itself." }
      rds-memory      = { namespace = "AWS/RDS", metric = "FreeableMemory", dimensions = local.rds_dimensions, statistic = "Minimum", below = 67108864, description = "The database has less than 64 MiB of memory left." }
      outbox-age      = { namespace = local.name, metric = "OutboxAge", dimensions = { service = "orders-relay" }, statistic = "Maximum", above = 60, missing = "breaching", description = "An event waits for SNS, or no relay measures: orders are taken, and nobody hears of them." }
      pending-age     = { namespace = local.name, metric = "PendingAge", dimensions = { service = "orders-relay" }, statistic = "Maximum", above = 300, missing = "breaching", description = "An order is not decided for five minutes, or no relay measures." }
      events-refused  = { namespace = local.name, metric = "EventsRefused", dimensions = { service = "orders-relay" }, statistic = "Sum", above = 0, description = "SNS refuses an event." }
    },
    { for key in ["auth", "users", "notifications", "products", "orders"] : "${key}-failed" => { namespace = local.name, metric = "RequestsFailed", dimensions = { service = key }, statistic = "Sum", above = 0, description = "Answers are 500 by a fault of ours; the log has it." } },
    { for key in ["products", "orders"] : "${key}-database" => { namespace = local.name, metric = "DatabaseUnavailable", dimensions = { service = key }, statistic = "Sum", above = 5, description = "Answers are 503, for the database is away." } },
    { for key, function in aws_lambda_function.service : "${key}-errors" => { namespace = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = function.function_name }, statistic = "Sum", above = 0, description = "The function fails: it raised, ran out of time, or broke." } },
    { for key, function in aws_lambda_function.service : "${key}-throttles" => { namespace = "AWS/Lambda", metric = "Throttles", dimensions = { FunctionName = function.function_name }, statistic = "Sum", above = 0, description = "The function is called more often than it may run." } },
    { for key, group in aws_lb_target_group.service : "${key}-unhealthy" => { namespace = "AWS/ApplicationELB", metric = "UnHealthyHostCount", dimensions = { LoadBalancer = aws_lb.main.arn_suffix, TargetGroup = group.arn_suffix }, statistic = "Maximum", above = 0, description = "A task does not answer its health check." } },
    { for key, group in aws_lb_target_group.service : "${key}-5xx" => { namespace = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", dimensions = { LoadBalancer = aws_lb.main.arn_suffix, TargetGroup = group.arn_suffix }, statistic = "Sum", above = 5, description = "Tasks answer with 5xx." } },
    # ThrottledRequests has the operation as a dimension, too: by the table alone nothing would ever be seen.
    { for key, table in { users = aws_dynamodb_table.users, sessions = aws_dynamodb_table.sessions } : "${key}-reads-throttled" => { namespace = "AWS/DynamoDB", metric = "ReadThrottleEvents", dimensions = { TableName = table.name }, statistic = "Sum", above = 0, description = "The table refuses reads." } },
    { for key, table in { users = aws_dynamodb_table.users, sessions = aws_dynamodb_table.sessions } : "${key}-writes-throttled" => { namespace = "AWS/DynamoDB", metric = "WriteThrottleEvents", dimensions = { TableName = table.name }, statistic = "Sum", above = 0, description = "The table refuses writes." } },
  )

  rds_dimensions = { DBInstanceIdentifier = aws_db_instance.main.identifier }
}

resource "aws_cloudwatch_metric_alarm" "main" {
  for_each = local.alarms

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  comparison_operator = can(each.value.below) ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = try(each.value.below, each.value.above)
  treat_missing_data  = try(each.value.missing, "notBreaching")
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}
