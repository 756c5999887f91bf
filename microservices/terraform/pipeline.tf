# How a push becomes a release: the pipeline, where github_repository names what is built, and what releases go to.

variable "github_repository" {
  description = "GitHub repository whose pushes are released, as owner/name; empty for no pipeline."
  type        = string
  default     = ""

  validation {
    condition     = var.github_repository == "" || can(regex("^[0-9A-Za-z-]+/[0-9A-Za-z._-]+$", var.github_repository))
    error_message = "github_repository must be owner/name, or empty."
  }
}

variable "branch" {
  description = "Branch whose pushes are released."
  type        = string
  default     = "main"

  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z._/-]*$", var.branch))
    error_message = "branch must be the name of a branch."
  }
}

variable "rds_bundle_sha256" {
  description = "SHA-256 of the certificates of RDS's authorities, which images are built with; for the pipeline alone."
  type        = string
  default     = ""

  validation {
    condition     = var.github_repository == "" || can(regex("^[0-9a-f]{64}$", var.rds_bundle_sha256))
    error_message = "rds_bundle_sha256 must be 64 hexadecimal digits where there is a pipeline."
  }
}

# The version of a function that is called: a release moves it, and a roll back moves it back. An apply moves it to the
# newest version, which deploy/running.py has made the one that is called.
resource "aws_lambda_alias" "live" {
  for_each = aws_lambda_function.service

  name             = "live"
  function_name    = each.value.function_name
  function_version = each.value.version

  lifecycle {
    ignore_changes = [description] # the commit, which a release writes
  }
}

locals {
  # The place that releases go to, for deploy/release.py. Services are in the order in which they ask each other.
  release = {
    region          = var.region
    cluster         = aws_ecs_cluster.main.name
    repositories    = [for repository in aws_ecr_repository.service : repository.repository_url]
    services        = [aws_ecs_service.products.name, aws_ecs_service.orders.name, aws_ecs_service.relay.name]
    migrations      = aws_ecs_task_definition.migrations.family
    functions       = { for key, function in aws_lambda_function.service : function.function_name => split(".", function.handler)[0] }
    alias           = "live"
    releases_bucket = var.github_repository == "" ? null : "${local.name}-releases-${var.bucket_suffix}"
    site_bucket     = aws_s3_bucket.static.bucket
    distribution_id = aws_cloudfront_distribution.main.id
    url             = "https://${local.has_domain ? var.domain_name : aws_cloudfront_distribution.main.domain_name}"
  }
}

module "pipeline" {
  source = "./pipeline"
  count  = var.github_repository == "" ? 0 : 1

  name              = local.name
  region            = var.region
  account_id        = local.account_id
  partition         = local.partition
  github_repository = var.github_repository
  branch            = var.branch
  rds_bundle_sha256 = var.rds_bundle_sha256
  bucket_suffix     = var.bucket_suffix
  protect           = var.protect
  log_days          = var.log_days
  release           = local.release

  repository_arns  = [for repository in aws_ecr_repository.service : repository.arn]
  function_arns    = [for function in aws_lambda_function.service : function.arn]
  site_bucket_arn  = aws_s3_bucket.static.arn
  distribution_arn = aws_cloudfront_distribution.main.arn

  # What ECS starts the tasks by, and what they have themselves.
  task_role_arns = concat([for role in aws_iam_role.execution : role.arn], [for role in aws_iam_role.task : role.arn])
}

output "release" {
  description = "Place that releases go to, as deploy/release.py reads it from RELEASE_TARGET."
  value       = local.release
}

output "connection_arn" {
  description = "Connection to GitHub, pending until it is completed in the console; empty without a pipeline."
  value       = one(module.pipeline[*].connection_arn)
}

output "pipeline_name" {
  description = "The pipeline; empty without one."
  value       = one(module.pipeline[*].pipeline_name)
}
