# The containers: products and orders behind the load balancer, the relay beside them, and the two tasks that run once
# before a rollout. Cluster and tasks are Fargate's.

resource "aws_ecs_cluster" "main" {
  name = "${local.name}-cluster"

  setting {
    name  = "containerInsights"
    value = var.cheap ? "disabled" : "enabled"
  }

  service_connect_defaults {
    namespace = aws_service_discovery_private_dns_namespace.main.arn
  }
}

locals {
  images = { for key, repository in aws_ecr_repository.service : key => "${repository.repository_url}@${var.image_digests[key]}" }

  log_configurations = {
    for key in ["products", "orders", "orders-relay", "database", "migrations", "otel"] : key => {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.service[key].name
        awslogs-region        = var.region
        awslogs-stream-prefix = "ecs"
      }
    }
  }

  # As the images' tests run them: nobody of the host, with nothing to write to and no rights.
  confined = {
    essential              = true
    user                   = "10001:10001"
    readonlyRootFilesystem = true
    linuxParameters        = { initProcessEnabled = false, capabilities = { drop = ["ALL"] } }
  }

  database_environment = {
    DB_HOST   = aws_db_instance.main.address
    DB_PORT   = 5432
    DB_NAME   = "microservices"
    LOG_LEVEL = var.log_level
  }

  signals_environment = {
    METRICS_NAMESPACE           = local.name
    OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318"
  }

  # More processes than one have no use on a quarter of a processor. A process has as many connections as threads.
  process_environment = {
    WEB_CONCURRENCY = 1
    WEB_THREADS     = 8
  }

  # Of an image's own check ECS takes no notice.
  listening = {
    healthCheck = {
      command     = ["CMD", "python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=2)"]
      interval    = 10
      timeout     = 3
      retries     = 3
      startPeriod = 30
    }
  }

  # What stays up. The keys are the tasks' names.
  services = {
    products = {
      container   = "products-service"
      image       = local.images["products"]
      command     = null
      port        = 8080
      environment = { DB_USER = "products_app", CORS_ORIGIN = var.cors_origin }
    }
    orders = {
      container   = "orders-service"
      image       = local.images["orders"]
      command     = null
      port        = 8080
      environment = { DB_USER = "orders_app", CORS_ORIGIN = var.cors_origin, PRODUCTS_URL = "http://products:8080" }
    }
    orders-relay = {
      container = "orders-relay"
      image     = local.images["orders"]
      command   = ["python", "-m", "orders.relay"]
      port      = null
      environment = {
        DB_USER                = "orders_app"
        PRODUCTS_URL           = "http://products:8080"
        ORDER_EVENTS_TOPIC_ARN = aws_sns_topic.order_events.arn
        AWS_REGION             = var.region
      }
    }
  }

  # What runs once, each command by the role that it needs. The last one waits for all: its end is the task's.
  migrations = {
    products-migrate = { service = "products", role = "products_owner", module = "products.migrate", after = [] }
    orders-migrate   = { service = "orders", role = "orders_owner", module = "orders.migrate", after = [] }
    products-seed    = { service = "products", role = "products_app", module = "products.seed", after = ["products-migrate", "orders-migrate"] }
  }
}

resource "aws_ecs_task_definition" "service" {
  for_each = local.services

  family                   = "${local.name}-${each.key}"
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE"]
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution[each.key].arn
  task_role_arn            = aws_iam_role.task[each.key].arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.task_architecture
  }

  container_definitions = jsonencode([
    merge(
      local.confined,
      {
        name        = each.value.container
        image       = each.value.image
        stopTimeout = 30
        environment = [
          for name, value in merge(local.database_environment, local.signals_environment, local.process_environment, each.value.environment) :
          { name = name, value = tostring(value) }
        ]
        secrets          = [for name, source in local.task_secrets[each.key] : { name = name, valueFrom = source }]
        logConfiguration = local.log_configurations[each.key]
      },
      { for name, value in { command = each.value.command } : name => value if value != null },
      { for name, value in local.listening : name => value if each.value.port != null },
      { for name, value in { portMappings = [{ name = each.key, containerPort = each.value.port, protocol = "tcp", appProtocol = "http" }] } : name => value if each.value.port != null },
    ),
    local.otel_container,
  ])

  depends_on = [aws_iam_role_policy.execution]
}

# The roles, the database and its schemas, by the master; the passwords are made here and go to Secrets Manager alone.
resource "aws_ecs_task_definition" "database" {
  family                   = "${local.name}-database"
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE"]
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution["database"].arn
  task_role_arn            = aws_iam_role.task["database"].arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.task_architecture
  }

  container_definitions = jsonencode([
    merge(local.confined, {
      name    = "database"
      image   = local.images["orders"]
      command = ["python", "-m", "shared.prepare_database"]
      environment = [
        for name, value in merge(local.database_environment, {
          DB_USER          = "postgres"
          AWS_REGION       = var.region
          PASSWORD_SECRETS = jsonencode({ for role, secret in aws_secretsmanager_secret.role : role => secret.name })
        }) : { name = name, value = tostring(value) }
      ]
      secrets          = [for name, source in local.task_secrets["database"] : { name = name, valueFrom = source }]
      logConfiguration = local.log_configurations["database"]
    }),
  ])

  depends_on = [aws_iam_role_policy.execution]
}

# The schemas' newest versions, each by its owner, and the first product.
resource "aws_ecs_task_definition" "migrations" {
  family                   = "${local.name}-migrations"
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE"]
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution["migrations"].arn
  task_role_arn            = aws_iam_role.task["migrations"].arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.task_architecture
  }

  container_definitions = jsonencode([
    for name, migration in local.migrations : merge(local.confined, {
      name             = name
      essential        = length(migration.after) > 0
      image            = local.images[migration.service]
      command          = ["python", "-m", migration.module]
      environment      = [for key, value in merge(local.database_environment, { DB_USER = migration.role }) : { name = key, value = tostring(value) }]
      secrets          = [{ name = "DB_PASSWORD", valueFrom = "${aws_secretsmanager_secret.role[migration.role].arn}:password::" }]
      dependsOn        = [for other in migration.after : { containerName = other, condition = "SUCCESS" }]
      logConfiguration = local.log_configurations["migrations"]
    })
  ])

  depends_on = [aws_iam_role_policy.execution]
}

# Before any service gets a new image, the database is made ready for it; a failure ends the apply, and the services
# stay as they are. On the machine that applies, the AWS CLI is needed.
resource "terraform_data" "migrated" {
  triggers_replace = [aws_ecs_task_definition.database.arn, aws_ecs_task_definition.migrations.arn]

  provisioner "local-exec" {
    command = "${path.module}/../deploy/run_tasks.sh ${aws_ecs_task_definition.database.arn} ${aws_ecs_task_definition.migrations.arn}"

    environment = {
      AWS_REGION      = var.region
      CLUSTER         = aws_ecs_cluster.main.name
      SUBNETS         = join(",", [for subnet in aws_subnet.private : subnet.id])
      SECURITY_GROUPS = aws_security_group.ecs.id
    }
  }

  depends_on = [
    aws_iam_role_policy.execution,
    aws_iam_role_policy.task,
    aws_route.nat,
    aws_vpc_security_group_egress_rule.ecs_to_aws,
    aws_vpc_security_group_egress_rule.ecs_to_rds,
    aws_vpc_security_group_ingress_rule.rds_from_ecs,
  ]
}
