# What ECS keeps running. A rollout that does not become healthy is taken back.

locals {
  http_services = { products = aws_ecs_service.products, orders = aws_ecs_service.orders }
}

resource "aws_ecs_service" "products" {
  name                               = "${local.name}-products-service"
  cluster                            = aws_ecs_cluster.main.id
  task_definition                    = aws_ecs_task_definition.service["products"].arn
  desired_count                      = local.tasks_min
  launch_type                        = "FARGATE"
  platform_version                   = "LATEST"
  health_check_grace_period_seconds  = 60
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = [for subnet in aws_subnet.private : subnet.id]
    security_groups  = [aws_security_group.ecs.id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.service["products"].arn
    container_name   = local.services["products"].container
    container_port   = local.services["products"].port
  }

  service_connect_configuration {
    enabled   = true
    namespace = aws_service_discovery_private_dns_namespace.main.arn

    service {
      port_name      = "products"
      discovery_name = "products"

      client_alias {
        dns_name = "products"
        port     = local.services["products"].port
      }
    }

    log_configuration {
      log_driver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.service["connect"].name
        awslogs-region        = var.region
        awslogs-stream-prefix = "ecs"
      }
    }
  }

  lifecycle {
    ignore_changes = [desired_count] # which scaling sets (autoscaling.tf)
  }

  # ECS refuses a target group that no listener has.
  depends_on = [aws_lb_listener_rule.service, terraform_data.migrated]
}

resource "aws_ecs_service" "orders" {
  name                               = "${local.name}-orders-service"
  cluster                            = aws_ecs_cluster.main.id
  task_definition                    = aws_ecs_task_definition.service["orders"].arn
  desired_count                      = local.tasks_min
  launch_type                        = "FARGATE"
  platform_version                   = "LATEST"
  health_check_grace_period_seconds  = 60
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = [for subnet in aws_subnet.private : subnet.id]
    security_groups  = [aws_security_group.ecs.id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.service["orders"].arn
    container_name   = local.services["orders"].container
    container_port   = local.services["orders"].port
  }

  service_connect_configuration {
    enabled   = true
    namespace = aws_service_discovery_private_dns_namespace.main.arn

    service {
      port_name      = "orders"
      discovery_name = "orders"

      client_alias {
        dns_name = "orders"
        port     = local.services["orders"].port
      }
    }

    log_configuration {
      log_driver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.service["connect"].name
        awslogs-region        = var.region
        awslogs-stream-prefix = "ecs"
      }
    }
  }

  lifecycle {
    ignore_changes = [desired_count] # which scaling sets (autoscaling.tf)
  }

  # As above; and a task of Service Connect knows the services that are there when it starts.
  depends_on = [aws_lb_listener_rule.service, terraform_data.migrated, aws_ecs_service.products]
}

resource "aws_ecs_service" "relay" {
  name                               = "${local.name}-orders-relay-service"
  cluster                            = aws_ecs_cluster.main.id
  task_definition                    = aws_ecs_task_definition.service["orders-relay"].arn
  desired_count                      = local.tasks_min # they share the outbox
  launch_type                        = "FARGATE"
  platform_version                   = "LATEST"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = [for subnet in aws_subnet.private : subnet.id]
    security_groups  = [aws_security_group.ecs.id]
    assign_public_ip = false
  }

  service_connect_configuration {
    enabled   = true
    namespace = aws_service_discovery_private_dns_namespace.main.arn
  }

  depends_on = [terraform_data.migrated, aws_ecs_service.products] # as above
}
