# What the platform's files make of their variables, planned against the provider's schema alone. By hand:
# ../shared/tools/terraform-validate --test microservices/terraform microservices

mock_provider "archive" {
  mock_data "archive_file" {
    defaults = { output_base64sha256 = "aGFzaA==" }
  }
}

# What AWS makes up is said here, so that the plan has it: the body of the API, the tasks, the dashboard.
mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_availability_zone" {
    defaults = { zone_id = "use1-az1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:mock" }
  }

  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:us-east-1:123456789012:task-definition/mock:1" }
  }

  override_data {
    target = data.aws_cloudfront_cache_policy.optimized
    values = { id = "Managed-CachingOptimized" }
  }

  override_data {
    target = data.aws_cloudfront_cache_policy.disabled
    values = { id = "Managed-CachingDisabled" }
  }

  override_data {
    target = data.aws_cloudfront_origin_request_policy.all_but_host
    values = { id = "Managed-AllViewerExceptHostHeader" }
  }

  override_resource {
    target = aws_cloudfront_origin_access_control.static
    values = { id = "static-oac" }
  }

  override_resource {
    target = aws_security_group.vpc_link
    values = { id = "sg-vpc_link" }
  }

  override_resource {
    target = aws_security_group.alb
    values = { id = "sg-alb" }
  }

  override_resource {
    target = aws_security_group.ecs
    values = { id = "sg-ecs" }
  }

  override_resource {
    target = aws_security_group.rds
    values = { id = "sg-rds" }
  }

  override_resource {
    target = aws_subnet.public["a"]
    values = { id = "subnet-public-a" }
  }

  override_resource {
    target = aws_subnet.public["b"]
    values = { id = "subnet-public-b" }
  }

  override_resource {
    target = aws_subnet.private["a"]
    values = { id = "subnet-private-a" }
  }

  override_resource {
    target = aws_subnet.private["b"]
    values = { id = "subnet-private-b" }
  }

  override_resource {
    target = aws_nat_gateway.main["a"]
    values = { id = "nat-a" }
  }

  override_resource {
    target = aws_nat_gateway.main["b"]
    values = { id = "nat-b" }
  }

  override_resource {
    target = aws_dynamodb_table.users
    values = { arn = "arn:aws:dynamodb:us-east-1:123456789012:table/users" }
  }

  override_resource {
    target = aws_dynamodb_table.sessions
    values = { arn = "arn:aws:dynamodb:us-east-1:123456789012:table/sessions" }
  }

  override_resource {
    target = aws_s3_bucket.static
    values = { id = "static", arn = "arn:aws:s3:::static", bucket_regional_domain_name = "static.s3.us-east-1.amazonaws.com" }
  }

  override_resource {
    target = aws_s3_bucket.notifications
    values = { id = "notifications", arn = "arn:aws:s3:::notifications", bucket_regional_domain_name = "notifications.s3.us-east-1.amazonaws.com" }
  }

  override_resource {
    target = aws_s3_bucket.logs
    values = { id = "logs", arn = "arn:aws:s3:::logs", bucket_regional_domain_name = "logs.s3.us-east-1.amazonaws.com" }
  }

  override_resource {
    target = aws_sns_topic.order_events
    values = { arn = "arn:aws:sns:us-east-1:123456789012:order_events" }
  }

  override_resource {
    target = aws_sns_topic.alarms
    values = { arn = "arn:aws:sns:us-east-1:123456789012:alarms" }
  }

  override_resource {
    target = aws_sqs_queue.notifications
    values = { id = "https://sqs.us-east-1.amazonaws.com/123456789012/notifications", url = "https://sqs.us-east-1.amazonaws.com/123456789012/notifications", arn = "arn:aws:sqs:us-east-1:123456789012:notifications" }
  }

  override_resource {
    target = aws_sqs_queue.notifications_dlq
    values = { id = "https://sqs.us-east-1.amazonaws.com/123456789012/notifications_dlq", url = "https://sqs.us-east-1.amazonaws.com/123456789012/notifications_dlq", arn = "arn:aws:sqs:us-east-1:123456789012:notifications_dlq" }
  }

  override_resource {
    target = aws_secretsmanager_secret.role["products_owner"]
    values = { arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:products_owner" }
  }

  override_resource {
    target = aws_secretsmanager_secret.role["products_app"]
    values = { arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:products_app" }
  }

  override_resource {
    target = aws_secretsmanager_secret.role["orders_owner"]
    values = { arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders_owner" }
  }

  override_resource {
    target = aws_secretsmanager_secret.role["orders_app"]
    values = { arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders_app" }
  }

  override_resource {
    target = aws_ecr_repository.service["products"]
    values = { arn = "arn:aws:ecr:us-east-1:123456789012:repository/products", repository_url = "123456789012.dkr.ecr.us-east-1.amazonaws.com/microservices/products" }
  }

  override_resource {
    target = aws_lb_target_group.service["products"]
    values = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/products/1", arn_suffix = "targetgroup/products/1" }
  }

  override_resource {
    target = aws_ecr_repository.service["orders"]
    values = { arn = "arn:aws:ecr:us-east-1:123456789012:repository/orders", repository_url = "123456789012.dkr.ecr.us-east-1.amazonaws.com/microservices/orders" }
  }

  override_resource {
    target = aws_lb_target_group.service["orders"]
    values = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/orders/1", arn_suffix = "targetgroup/orders/1" }
  }

  override_resource {
    target = aws_lambda_function.service["auth"]
    values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:microservices-auth", invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:microservices-auth/invocations" }
  }

  override_resource {
    target = aws_lambda_function.service["authorizer"]
    values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:microservices-authorizer", invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:microservices-authorizer/invocations" }
  }

  override_resource {
    target = aws_lambda_function.service["users"]
    values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:microservices-users", invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:microservices-users/invocations" }
  }

  override_resource {
    target = aws_lambda_function.service["notifications"]
    values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:microservices-notifications", invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:microservices-notifications/invocations" }
  }

  override_resource {
    target = aws_lambda_function.service["notifications-worker"]
    values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:microservices-notifications-worker", invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:microservices-notifications-worker/invocations" }
  }

  override_resource {
    target = aws_lambda_alias.live["auth"]
    values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:microservices-auth:live", invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:microservices-auth:live/invocations" }
  }

  override_resource {
    target = aws_lambda_alias.live["authorizer"]
    values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:microservices-authorizer:live", invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:microservices-authorizer:live/invocations" }
  }

  override_resource {
    target = aws_lambda_alias.live["users"]
    values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:microservices-users:live", invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:microservices-users:live/invocations" }
  }

  override_resource {
    target = aws_lambda_alias.live["notifications"]
    values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:microservices-notifications:live", invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:microservices-notifications:live/invocations" }
  }

  override_resource {
    target = aws_lambda_alias.live["notifications-worker"]
    values = { arn = "arn:aws:lambda:us-east-1:123456789012:function:microservices-notifications-worker:live", invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:microservices-notifications-worker:live/invocations" }
  }

  override_resource {
    target = aws_lambda_function.restore_challenge
    values = { qualified_arn = "arn:aws:lambda:us-east-1:123456789012:function:microservices-restore-challenge:1" }
  }

  override_resource {
    target = aws_db_instance.main
    values = { address = "db.example.us-east-1.rds.amazonaws.com", arn = "arn:aws:rds:us-east-1:123456789012:db:main", master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:master" }] }
  }

  override_resource {
    target = aws_lb.main
    values = { id = "alb", arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/alb/1", arn_suffix = "app/alb/1", dns_name = "alb.us-east-1.elb.amazonaws.com" }
  }

  override_resource {
    target = aws_apigatewayv2_vpc_link.main
    values = { id = "link" }
  }

  override_resource {
    target = aws_api_gateway_rest_api.main
    values = { id = "api", execution_arn = "arn:aws:execute-api:us-east-1:123456789012:api" }
  }

  override_resource {
    target = aws_cloudfront_distribution.main
    values = { id = "distribution", arn = "arn:aws:cloudfront::123456789012:distribution/distribution", domain_name = "d.cloudfront.net", hosted_zone_id = "Z2FDTNDATAQYW2" }
  }

  override_resource {
    target = aws_kms_key.main
    values = { arn = "arn:aws:kms:us-east-1:123456789012:key/main", key_id = "main" }
  }
}

variables {
  bucket_suffix = "a1b2c3"
  origin_secret = "0123456789012345678901234567890123456789"
  zip_folder    = "tests/zips"
  image_digests = {
    products = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
    orders   = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
  }
}

run "production" {
  command = plan

  assert {
    condition     = aws_vpc.main.cidr_block == "10.0.0.0/16"
    error_message = "the network is another"
  }

  assert {
    condition     = length(aws_nat_gateway.main) == 2
    error_message = "the loss of a zone takes the other's way out"
  }

  assert {
    condition     = alltrue([for zone, route in aws_route.nat : route.nat_gateway_id == aws_nat_gateway.main[zone].id])
    error_message = "a zone leaves by another zone"
  }

  assert {
    condition     = aws_dynamodb_table.users.name == "microservices-users" && aws_dynamodb_table.sessions.name == "microservices-sessions"
    error_message = "the tables have other names"
  }

  assert {
    condition     = aws_db_instance.main.manage_master_user_password == true && aws_db_instance.main.password == null
    error_message = "the master's password is somebody's"
  }

  assert {
    condition     = aws_db_instance.main.multi_az && aws_db_instance.main.deletion_protection && !aws_db_instance.main.publicly_accessible
    error_message = "the database is in one zone, unprotected or public"
  }

  assert {
    condition     = contains([for one in aws_db_parameter_group.main.parameter : "${one.name}=${one.value}"], "rds.force_ssl=1")
    error_message = "the database speaks without TLS"
  }

  assert {
    condition     = toset(keys(aws_lambda_function.service)) == toset(["auth", "authorizer", "users", "notifications", "notifications-worker"])
    error_message = "the functions are others"
  }

  assert {
    condition     = aws_lambda_function.service["auth"].memory_size == 1024 && aws_lambda_function.service["auth"].timeout == 10
    error_message = "argon2 has too little memory or time"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.notifications.function_name == "${aws_lambda_alias.live["notifications-worker"].function_name}:live"
    error_message = "the queue leads to a function that is not there"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.notifications.redrive_policy).maxReceiveCount == 5
    error_message = "an event is tried another number of times"
  }

  assert {
    condition     = aws_lb.main.internal && aws_lb.main.enable_deletion_protection
    error_message = "the load balancer is public, or unprotected"
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.service["products"].container_definitions)[0].image == "123456789012.dkr.ecr.us-east-1.amazonaws.com/microservices/products@${var.image_digests.products}"
    error_message = "products does not run the image of the digest"
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.service["orders-relay"].container_definitions)[0].command == ["python", "-m", "orders.relay"]
    error_message = "the relay runs something else"
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.database.container_definitions)[0].secrets[0].valueFrom == "${aws_db_instance.main.master_user_secret[0].secret_arn}:password::"
    error_message = "the task that prepares the database has not the master's password"
  }

  assert {
    condition     = alltrue([for service in [aws_ecs_service.products, aws_ecs_service.orders] : service.desired_count == 2 && service.deployment_circuit_breaker[0].rollback])
    error_message = "a service has other than two tasks, or keeps a bad rollout"
  }

  assert {
    condition     = aws_api_gateway_stage.prod.stage_name == "prod" && aws_api_gateway_stage.prod.description == "Production stage" && aws_api_gateway_stage.prod.xray_tracing_enabled
    error_message = "the stage is another, or is not traced"
  }

  assert {
    condition     = jsondecode(aws_api_gateway_rest_api.main.body).paths["/orders"].post["x-amazon-apigateway-integration"].integrationTarget == aws_lb.main.arn
    error_message = "orders is reached by another way than the load balancer"
  }

  assert {
    condition     = jsondecode(aws_api_gateway_rest_api.main.body).paths["/orders"].post["x-amazon-apigateway-integration"].uri == "http://alb.us-east-1.elb.amazonaws.com/orders"
    error_message = "without a domain, API Gateway speaks of another host"
  }

  assert {
    condition     = aws_lb_listener.main.port == 80 && aws_lb_listener.main.protocol == "HTTP" && length(aws_route53_zone.main) == 0
    error_message = "without a domain there is a certificate or a zone"
  }

  assert {
    condition     = alltrue([for settings in concat(values(aws_api_gateway_method_settings.main), [aws_api_gateway_method_settings.all]) : settings.settings[0].data_trace_enabled == false])
    error_message = "passwords are logged"
  }

  assert {
    condition     = length(aws_wafv2_web_acl.api) == 1
    error_message = "no web firewall stands before the API"
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.service : group.retention_in_days == 365 && group.kms_key_id == aws_kms_key.main.arn])
    error_message = "a log is kept for another time, or not by the key"
  }

  assert {
    condition     = alltrue([for target in aws_appautoscaling_target.service : target.min_capacity == 2 && target.max_capacity == 3])
    error_message = "scaling has other bounds"
  }

  assert {
    condition     = length(aws_sns_topic_subscription.alarms) == 0
    error_message = "an alarm is sent to somebody"
  }
}

run "a_second_environment_is_a_second_set_of_variables" {
  command = plan

  variables {
    environment  = "review" # as long as one may be
    domain_name  = "shop.example.com"
    cheap        = true
    protect      = false
    api_account  = false
    log_days     = 30
    alarm_emails = ["ana@example.com"]
  }

  assert {
    condition = alltrue([for name in concat(
      [aws_dynamodb_table.users.name, aws_dynamodb_table.sessions.name, aws_db_instance.main.identifier, aws_lb.main.name],
      [aws_s3_bucket.static.bucket, aws_s3_bucket.notifications.bucket, aws_s3_bucket.logs.bucket],
      [aws_api_gateway_rest_api.main.name, aws_ecs_cluster.main.name, aws_sns_topic.order_events.name],
      [aws_cloudwatch_dashboard.main.dashboard_name, aws_service_discovery_private_dns_namespace.main.name],
      [for one in aws_lambda_function.service : one.function_name],
      [for one in aws_ecs_task_definition.service : one.family],
      [for one in [aws_ecs_service.products, aws_ecs_service.orders] : one.name],
      [for one in aws_ecr_repository.service : one.name],
      [for one in aws_iam_role.lambda : one.name],
      [for one in aws_iam_role.task : one.name],
      [for one in aws_iam_role.execution : one.name],
      [for one in aws_secretsmanager_secret.role : one.name],
      [for one in aws_cloudwatch_metric_alarm.main : one.alarm_name],
    ) : startswith(name, "microservices-review")])
    error_message = "something has the other environment's name"
  }

  # AWS allows them 32 characters.
  assert {
    condition     = alltrue([for name in concat([aws_lb.main.name], [for one in aws_lb_target_group.service : one.name]) : length(name) <= 32])
    error_message = "the load balancer's name or a target group's is too long"
  }

  assert {
    condition     = length(aws_nat_gateway.main) == 1 && alltrue([for route in aws_route.nat : route.nat_gateway_id == aws_nat_gateway.main["a"].id])
    error_message = "a cheap environment has other than one NAT gateway for both zones"
  }

  assert {
    condition     = !aws_db_instance.main.multi_az && length(aws_wafv2_web_acl.api) == 0 && alltrue([for service in [aws_ecs_service.products, aws_ecs_service.orders] : service.desired_count == 1])
    error_message = "a cheap environment pays for what it was told to save"
  }

  assert {
    condition = alltrue([
      !aws_db_instance.main.deletion_protection, !aws_lb.main.enable_deletion_protection,
      !aws_dynamodb_table.users.deletion_protection_enabled, !aws_dynamodb_table.sessions.deletion_protection_enabled,
      aws_s3_bucket.static.force_destroy, aws_s3_bucket.notifications.force_destroy, aws_s3_bucket.logs.force_destroy,
    ])
    error_message = "something refuses to be deleted"
  }

  assert {
    condition     = aws_lb_listener.main.port == 443 && aws_lb_listener.main.protocol == "HTTPS"
    error_message = "with a domain, the load balancer speaks without TLS"
  }

  assert {
    condition     = jsondecode(aws_api_gateway_rest_api.main.body).paths["/products"].get["x-amazon-apigateway-integration"].uri == "https://internal.shop.example.com/products"
    error_message = "API Gateway looks for another name in the load balancer's certificate"
  }

  assert {
    condition     = aws_cloudfront_distribution.main.aliases == toset(["shop.example.com", "api.shop.example.com"]) && aws_cloudfront_distribution.main.viewer_certificate[0].minimum_protocol_version == "TLSv1.2_2021"
    error_message = "the distribution has other names, or an older TLS"
  }

  assert {
    condition     = toset(keys(aws_route53_record.public)) == toset(["shop.example.com A", "shop.example.com AAAA", "api.shop.example.com A", "api.shop.example.com AAAA"])
    error_message = "the zone has other records"
  }

  assert {
    condition     = aws_acm_certificate.public[0].region == "us-east-1"
    error_message = "CloudFront takes certificates of us-east-1 alone"
  }

  assert {
    condition     = length(aws_api_gateway_account.main) == 0
    error_message = "two environments set the account's one role"
  }

  assert {
    condition     = aws_sns_topic_subscription.alarms["ana@example.com"].protocol == "email"
    error_message = "an alarm reaches nobody"
  }
}

run "what_does_not_fit_is_refused" {
  command = plan

  variables {
    tasks_max = 4
  }

  override_data {
    target = data.aws_availability_zone.main
    values = { zone_id = "use1-az3" }
  }

  expect_failures = [data.aws_availability_zone.main, aws_appautoscaling_target.service]
}

run "wrong_variables_are_refused" {
  command = plan

  variables {
    environment            = "staging"
    region                 = "Seoul"
    zones                  = ["us-east-1a", "us-east-1a"]
    bucket_suffix          = "A_"
    domain_name            = "shop"
    origin_secret          = "short"
    lambda_runtime         = "python3.9"
    lambda_architecture    = "arm"
    task_architecture      = "arm64"
    session_ttl_seconds    = 0
    authorizer_ttl_seconds = 3601
    cors_origin            = "shop.example.com"
    log_level              = "LOUD"
    database_version       = "15.4"
    database_class         = "t3.micro"
    tasks_max              = 1
    log_days               = 31
    alarm_emails           = ["ana"]
    image_digests          = { products = "latest", orders = "sha256:1" }
  }

  expect_failures = [
    var.environment, var.region, var.zones, var.bucket_suffix, var.domain_name, var.origin_secret, var.lambda_runtime,
    var.lambda_architecture, var.task_architecture, var.session_ttl_seconds, var.authorizer_ttl_seconds, var.cors_origin,
    var.log_level, var.database_version, var.database_class, var.tasks_max, var.log_days, var.alarm_emails,
    var.image_digests,
  ]
}
