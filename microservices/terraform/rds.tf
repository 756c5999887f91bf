# PostgreSQL of products and orders. RDS makes the master's password itself and changes it each week; the roles of the
# services have secrets of their own, whose values a task makes in the network (ecs.tf): no password is in this state.

resource "aws_db_subnet_group" "main" {
  name        = "${local.name}-db-subnet-group"
  description = "Both private subnets"
  subnet_ids  = [for subnet in aws_subnet.private : subnet.id]
}

resource "aws_db_parameter_group" "main" {
  name        = "${local.name}-db-${var.database_version}"
  family      = "postgres${var.database_version}"
  description = "TLS alone, and a log of what changes the schema or is slow"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name  = "log_statement"
    value = "ddl"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "main" {
  #checkov:skip=CKV_AWS_118:Database Insights and the container's own figures tell what is slow; enhanced monitoring would add the machine's.
  #checkov:skip=CKV_AWS_157:In two zones unless the variable cheap is set.
  identifier = "${local.name}-db"

  engine                      = "postgres"
  engine_version              = var.database_version
  auto_minor_version_upgrade  = true
  allow_major_version_upgrade = false
  instance_class              = var.database_class
  parameter_group_name        = aws_db_parameter_group.main.name
  ca_cert_identifier          = "rds-ca-rsa2048-g1"

  storage_type          = "gp3"
  allocated_storage     = 20
  max_allocated_storage = 100
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.main.arn

  username                            = "postgres"
  manage_master_user_password         = true
  master_user_secret_kms_key_id       = aws_kms_key.main.key_id
  iam_database_authentication_enabled = true

  db_subnet_group_name   = aws_db_subnet_group.main.name
  vpc_security_group_ids = [aws_security_group.rds.id]
  publicly_accessible    = false
  multi_az               = !var.cheap
  port                   = 5432

  backup_retention_period   = 7
  backup_window             = "07:00-08:00"
  maintenance_window        = "sun:08:30-sun:09:30"
  copy_tags_to_snapshot     = true
  deletion_protection       = var.protect
  delete_automated_backups  = !var.protect
  skip_final_snapshot       = !var.final_snapshot
  final_snapshot_identifier = "${local.name}-db-final"

  enabled_cloudwatch_logs_exports       = ["postgresql", "upgrade"]
  database_insights_mode                = "standard" # what Performance Insights is now, whose names below the API has kept
  performance_insights_enabled          = true
  performance_insights_kms_key_id       = aws_kms_key.main.arn
  performance_insights_retention_period = 7

  depends_on = [aws_cloudwatch_log_group.service]
}

locals {
  # The owner of a schema migrates it, the other reads and writes its rows.
  database_roles = ["products_owner", "products_app", "orders_owner", "orders_app"]
}

resource "aws_secretsmanager_secret" "role" {
  #checkov:skip=CKV2_AWS_57:The task that makes the values also changes them (README.md); RDS changes the master's by itself.
  for_each = toset(local.database_roles)

  name                    = "${local.name}/database/${each.key}"
  description             = "Password of the database's role ${each.key}"
  kms_key_id              = aws_kms_key.main.arn
  recovery_window_in_days = var.protect ? 30 : 0
}
