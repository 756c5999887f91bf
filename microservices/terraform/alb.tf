# The load balancer between API Gateway and the containers: within the network, and reached by the link alone.

resource "aws_lb" "main" {
  name                       = "${local.name}-alb"
  internal                   = true
  load_balancer_type         = "application"
  ip_address_type            = "ipv4"
  subnets                    = [for subnet in aws_subnet.private : subnet.id]
  security_groups            = [aws_security_group.alb.id]
  idle_timeout               = 60 # shorter than the containers' 75: it must be the one that closes
  drop_invalid_header_fields = true
  enable_deletion_protection = var.protect

  access_logs {
    bucket  = aws_s3_bucket.logs.id
    prefix  = "alb"
    enabled = true
  }

  depends_on = [aws_s3_bucket_policy.logs]
}

resource "aws_lb_target_group" "service" {
  #checkov:skip=CKV_AWS_378:TLS ends at the load balancer; the containers take requests from its group alone, within the network.
  for_each = toset(["products", "orders"])

  name                 = "${local.name}-${each.key}-tg"
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = 8080
  vpc_id               = aws_vpc.main.id
  deregistration_delay = 30

  health_check {
    path                = "/health"
    matcher             = "200"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

# HTTPS wherever there is a domain; without one nobody signs a certificate, and the request stays in the network.
resource "aws_lb_listener" "main" {
  load_balancer_arn = aws_lb.main.arn
  port              = local.alb_port
  protocol          = local.has_domain ? "HTTPS" : "HTTP"
  ssl_policy        = local.has_domain ? "ELBSecurityPolicy-TLS13-1-2-2021-06" : null
  certificate_arn   = local.has_domain ? aws_acm_certificate_validation.internal[0].certificate_arn : null

  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "application/json"
      status_code  = "404"
      message_body = jsonencode({ error = "Not found", code = "not_found" })
    }
  }
}

# What is under /internal has no rule: orders asks products for it in the network. By AWS's page on private integrations
# the link puts the stage before the path; the rules take both, and the containers never see it.
resource "aws_lb_listener_rule" "service" {
  for_each = aws_lb_target_group.service

  listener_arn = aws_lb_listener.main.arn
  priority     = each.key == "products" ? 10 : 20

  action {
    type             = "forward"
    target_group_arn = each.value.arn
  }

  condition {
    path_pattern {
      values = flatten([for prefix in ["", "/${aws_api_gateway_stage.prod.stage_name}"] : ["${prefix}/${each.key}", "${prefix}/${each.key}/*"]])
    }
  }

  transform {
    type = "url-rewrite"

    url_rewrite_config {
      rewrite {
        regex   = "^/${aws_api_gateway_stage.prod.stage_name}(/.*)$"
        replace = "$1"
      }
    }
  }
}

resource "aws_apigatewayv2_vpc_link" "main" {
  name               = "${local.name}-vpc-link"
  subnet_ids         = [for subnet in aws_subnet.private : subnet.id]
  security_group_ids = [aws_security_group.vpc_link.id]
}
