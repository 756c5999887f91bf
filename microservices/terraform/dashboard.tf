# One page with what happens: the API, the functions, the containers, the database, the events.

locals {
  alb_dimensions = { for key, group in aws_lb_target_group.service : key => ["LoadBalancer", aws_lb.main.arn_suffix, "TargetGroup", group.arn_suffix] }

  # Rows of widgets, each with a title and its metrics; a row has as many as it needs.
  widgets = [
    [
      ["API: requests", "Sum", [for metric in ["Count", "4XXError", "5XXError"] : ["AWS/ApiGateway", metric, "ApiName", aws_api_gateway_rest_api.main.name, "Stage", aws_api_gateway_stage.prod.stage_name]]],
      ["API: latency, p99", "p99", [for metric in ["Latency", "IntegrationLatency"] : ["AWS/ApiGateway", metric, "ApiName", aws_api_gateway_rest_api.main.name, "Stage", aws_api_gateway_stage.prod.stage_name]]],
    ],
    [
      ["Lambda: invocations", "Sum", [for function in aws_lambda_function.service : ["AWS/Lambda", "Invocations", "FunctionName", function.function_name]]],
      ["Lambda: errors", "Sum", [for function in aws_lambda_function.service : ["AWS/Lambda", "Errors", "FunctionName", function.function_name]]],
      ["Lambda: duration, p99", "p99", [for function in aws_lambda_function.service : ["AWS/Lambda", "Duration", "FunctionName", function.function_name]]],
    ],
    [
      ["ECS: processor", "Average", [for name in local.service_names : ["AWS/ECS", "CPUUtilization", "ClusterName", aws_ecs_cluster.main.name, "ServiceName", name]]],
      ["ECS: memory", "Average", [for name in local.service_names : ["AWS/ECS", "MemoryUtilization", "ClusterName", aws_ecs_cluster.main.name, "ServiceName", name]]],
      ["ECS: requests", "Sum", [for dimensions in local.alb_dimensions : concat(["AWS/ApplicationELB", "RequestCount"], dimensions)]],
    ],
    [
      ["RDS: processor", "Average", [["AWS/RDS", "CPUUtilization", "DBInstanceIdentifier", aws_db_instance.main.identifier]]],
      ["RDS: connections", "Maximum", [["AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier", aws_db_instance.main.identifier]]],
      ["RDS: free storage", "Minimum", [["AWS/RDS", "FreeStorageSpace", "DBInstanceIdentifier", aws_db_instance.main.identifier]]],
    ],
    [
      ["Shop: orders", "Sum", concat(
        [for metric in ["OrdersConfirmed", "OrdersRejected"] : [local.name, metric, "service", "orders"]],
        [for metric in ["OrdersConfirmed", "OrdersRejected"] : [local.name, metric, "service", "orders-relay"]],
        [[local.name, "OrdersCancelled", "service", "orders"]],
      )],
      ["Shop: accounts", "Sum", [for metric in ["UsersRegistered", "LoginsSucceeded", "LoginsFailed", "AttemptsThrottled"] : [local.name, metric, "service", "auth"]]],
      ["Shop: oldest of what waits", "Maximum", [for metric in ["PendingAge", "OutboxAge"] : [local.name, metric, "service", "orders-relay"]]],
    ],
    [
      ["Events: waiting", "Maximum", [for queue in [aws_sqs_queue.notifications, aws_sqs_queue.notifications_dlq] : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue.name]]],
      ["DynamoDB: throttled", "Sum", [for pair in setproduct([aws_dynamodb_table.users.name, aws_dynamodb_table.sessions.name], ["ReadThrottleEvents", "WriteThrottleEvents"]) : ["AWS/DynamoDB", pair[1], "TableName", pair[0]]]],
    ],
  ]

  service_names = concat([for service in local.http_services : service.name], [aws_ecs_service.relay.name])
}

resource "aws_cloudwatch_dashboard" "main" {
  dashboard_name = "${local.name}-dashboard"

  dashboard_body = jsonencode({
    widgets = flatten([
      for y, row in local.widgets : [
        for x, widget in row : {
          type   = "metric"
          x      = x * floor(24 / length(row))
          y      = y * 6
          width  = floor(24 / length(row))
          height = 6
          properties = {
            title   = widget[0]
            stat    = widget[1]
            metrics = widget[2]
            region  = var.region
            period  = 60
            view    = "timeSeries"
          }
        }
      ]
    ])
  })
}
