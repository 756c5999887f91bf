# The REST API: openapi.yaml is its body, so that what is deployed is what the local gateway serves.

# Limits of the stage, by method path: requests a second, and how many may come at once. The local gateway keeps them
# where PLATFORM_THROTTLE=1.
locals {
  throttle = {
    "*/*"                  = { rate_limit = 100, burst_limit = 200 }
    "auth/register/POST"   = { rate_limit = 5, burst_limit = 10 }
    "auth/login/POST"      = { rate_limit = 5, burst_limit = 10 }
    "auth/verify/GET"      = { rate_limit = 5, burst_limit = 10 }
    "auth/logout/POST"     = { rate_limit = 5, burst_limit = 10 }
    "auth/logout-all/POST" = { rate_limit = 5, burst_limit = 10 }
    "auth/password/PUT"    = { rate_limit = 5, burst_limit = 10 }
  }

  # By its scheme, API Gateway speaks HTTPS to the load balancer, and looks for this name in its certificate.
  alb_url = local.has_domain ? "https://${local.internal_name}" : "http://${aws_lb.main.dns_name}"

  api_body = jsonencode(yamldecode(templatefile("${path.module}/../openapi.yaml", {
    auth_uri               = aws_lambda_alias.live["auth"].invoke_arn
    users_uri              = aws_lambda_alias.live["users"].invoke_arn
    notifications_uri      = aws_lambda_alias.live["notifications"].invoke_arn
    authorizer_uri         = aws_lambda_alias.live["authorizer"].invoke_arn
    authorizer_ttl_seconds = var.authorizer_ttl_seconds
    products_url           = local.alb_url
    orders_url             = local.alb_url
    alb_arn                = aws_lb.main.arn
    vpc_link_id            = aws_apigatewayv2_vpc_link.main.id
    cors_origin            = var.cors_origin
  })))
}

resource "aws_api_gateway_rest_api" "main" {
  name        = "${local.name}-api"
  description = "Microservices API Gateway"
  body        = local.api_body

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_deployment" "main" {
  rest_api_id = aws_api_gateway_rest_api.main.id

  triggers = {
    body = sha256(local.api_body)
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_stage" "prod" {
  #checkov:skip=CKV_AWS_120:Answers are each caller's own, and products are kept by ETag; nothing is cached here.
  #checkov:skip=CKV2_AWS_77:Its firewall has AWS's list of known bad inputs, unless the variable cheap is set.
  #checkov:skip=CKV2_AWS_51:Callers have sessions; the header of CloudFront tells it from others.
  rest_api_id          = aws_api_gateway_rest_api.main.id
  deployment_id        = aws_api_gateway_deployment.main.id
  stage_name           = "prod"
  description          = "Production stage"
  xray_tracing_enabled = true

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.service["api"].arn
    format = jsonencode({
      requestId         = "$context.requestId"
      extendedRequestId = "$context.extendedRequestId"
      traceId           = "$context.xrayTraceId"
      time              = "$context.requestTimeEpoch"
      method            = "$context.httpMethod"
      resource          = "$context.resourcePath"
      status            = "$context.status"
      error             = "$context.error.responseType"
      accountId         = "$context.authorizer.accountId"
      latency           = "$context.responseLatency"
      authorizerLatency = "$context.authorizer.latency"
      integration       = "$context.integration.status"
      integrationTime   = "$context.integration.latency"
      responseLength    = "$context.responseLength"
    })
  }

  depends_on = [aws_api_gateway_account.main]
}

# Paths have ids of people, and bodies have passwords: neither is logged.
resource "aws_api_gateway_method_settings" "all" {
  #checkov:skip=CKV_AWS_225:Answers are each caller's own; nothing is cached here.
  rest_api_id = aws_api_gateway_rest_api.main.id
  stage_name  = aws_api_gateway_stage.prod.stage_name
  method_path = "*/*"

  settings {
    throttling_rate_limit  = local.throttle["*/*"].rate_limit
    throttling_burst_limit = local.throttle["*/*"].burst_limit
    metrics_enabled        = true
    logging_level          = "ERROR"
    data_trace_enabled     = false
  }
}

# In a method's key each slash of the path is ~1: ~1auth~1login/POST ("update-stage", AWS CLI Command Reference).
resource "aws_api_gateway_method_settings" "main" {
  #checkov:skip=CKV_AWS_225:As above.
  for_each = { for path, limits in local.throttle : path => limits if path != "*/*" }

  rest_api_id = aws_api_gateway_rest_api.main.id
  stage_name  = aws_api_gateway_stage.prod.stage_name
  method_path = replace(replace("/${each.key}", "/", "~1"), "/~1([A-Z]+)$/", "/$1")

  settings {
    throttling_rate_limit  = each.value.rate_limit
    throttling_burst_limit = each.value.burst_limit
    metrics_enabled        = true
    logging_level          = "ERROR"
    data_trace_enabled     = false
  }

  # Beside it in one apply, a method's settings may be lost.
  depends_on = [aws_api_gateway_method_settings.all]
}

# By this role API Gateway logs, in all APIs of the account's region.

data "aws_iam_policy_document" "api_account_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["apigateway.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "api_account" {
  count = var.api_account ? 1 : 0

  name               = "${local.name}-api-log-role"
  assume_role_policy = data.aws_iam_policy_document.api_account_trust.json
}

# API Gateway takes no role with less than AWS's own policy for it.
resource "aws_iam_role_policy_attachment" "api_account" {
  count = var.api_account ? 1 : 0

  role       = aws_iam_role.api_account[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "main" {
  count = var.api_account ? 1 : 0

  cloudwatch_role_arn = aws_iam_role.api_account[0].arn

  depends_on = [aws_iam_role_policy_attachment.api_account]
}

# The web firewall: nobody beside CloudFront, nobody too often. The address is the one that the edge function sets,
# whatever a client says.
resource "aws_wafv2_web_acl" "api" {
  count = var.cheap ? 0 : 1

  name        = "${local.name}-api"
  description = "Before the API of ${local.name}"
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  rule {
    name     = "not-by-cloudfront"
    priority = 0

    action {
      block {}
    }

    statement {
      not_statement {
        statement {
          byte_match_statement {
            search_string         = var.origin_secret
            positional_constraint = "EXACTLY"

            field_to_match {
              single_header {
                name = "x-origin-secret"
              }
            }

            text_transformation {
              priority = 0
              type     = "NONE"
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${local.name}-not-by-cloudfront"
      sampled_requests_enabled   = false # a sample would have tokens
    }
  }

  rule {
    name     = "too-often"
    priority = 1

    action {
      block {
        custom_response {
          response_code = 429
        }
      }
    }

    statement {
      rate_based_statement {
        limit                 = 2000
        evaluation_window_sec = 300
        aggregate_key_type    = "FORWARDED_IP"

        forwarded_ip_config {
          header_name       = "X-Viewer-Address"
          fallback_behavior = "MATCH"
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${local.name}-too-often"
      sampled_requests_enabled   = false
    }
  }

  rule {
    name     = "known-bad-inputs"
    priority = 2

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        name        = "AWSManagedRulesKnownBadInputsRuleSet"
        vendor_name = "AWS"
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${local.name}-known-bad-inputs"
      sampled_requests_enabled   = false
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = "${local.name}-api"
    sampled_requests_enabled   = false
  }
}

resource "aws_wafv2_web_acl_association" "api" {
  count = var.cheap ? 0 : 1

  resource_arn = aws_api_gateway_stage.prod.arn
  web_acl_arn  = aws_wafv2_web_acl.api[0].arn
}

resource "aws_wafv2_web_acl_logging_configuration" "api" {
  count = var.cheap ? 0 : 1

  resource_arn            = aws_wafv2_web_acl.api[0].arn
  log_destination_configs = [aws_cloudwatch_log_group.service["waf"].arn]

  dynamic "redacted_fields" {
    for_each = ["authorization", "x-origin-secret"]

    content {
      single_header {
        name = redacted_fields.value
      }
    }
  }

  logging_filter {
    default_behavior = "DROP"

    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"

      condition {
        action_condition {
          action = "BLOCK"
        }
      }
    }
  }
}
