# How many tasks there are: as many as keep the processors at 60 %, and the requests of each at what it does with ease.

locals {
  # Connections that tasks may have, by the size of the database's class: RDS offers its memory in bytes / 9531392, some
  # 85 of a micro, and some are the server's own, the preparing tasks' and a person's. Larger sizes have more.
  database_connections = { micro = 70, small = 160, medium = 380, large = 800 }

  connections_allowed = lookup(local.database_connections, reverse(split(".", var.database_class))[0], 1600)
  # Of both services' tasks, and of the relays.
  connections_needed = (length(local.http_services) * var.tasks_max + local.tasks_min) * local.process_environment.WEB_CONCURRENCY * local.process_environment.WEB_THREADS
}

resource "aws_appautoscaling_target" "service" {
  for_each = local.http_services

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.main.name}/${each.value.name}"
  min_capacity       = local.tasks_min
  max_capacity       = var.tasks_max

  lifecycle {
    precondition {
      condition     = local.connections_needed <= local.connections_allowed
      error_message = "tasks_max = ${var.tasks_max} may need ${local.connections_needed} connections, and database_class = ${var.database_class} has ${local.connections_allowed} for them: lower tasks_max, or choose a larger database_class."
    }
  }
}

resource "aws_appautoscaling_policy" "cpu" {
  for_each = aws_appautoscaling_target.service

  name               = "${local.name}-${each.key}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = each.value.service_namespace
  scalable_dimension = each.value.scalable_dimension
  resource_id        = each.value.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = 60
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

resource "aws_appautoscaling_policy" "requests" {
  for_each = aws_appautoscaling_target.service

  name               = "${local.name}-${each.key}-requests"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = each.value.service_namespace
  scalable_dimension = each.value.scalable_dimension
  resource_id        = each.value.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = 1500 # a minute: 25 a second
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ALBRequestCountPerTarget"
      resource_label         = "${aws_lb.main.arn_suffix}/${aws_lb_target_group.service[each.key].arn_suffix}"
    }
  }
}
