# What the pipeline's module makes of its variables, planned against the provider's schema alone.
# microservices/tests/deploy/test_pipeline_terraform.py runs it.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:us-east-1:123456789012:key/mock" }
  }

  mock_resource "aws_codeconnections_connection" {
    defaults = { arn = "arn:aws:codeconnections:us-east-1:123456789012:connection/mock" }
  }

  override_resource {
    target = aws_s3_bucket.pipeline["artifacts"]
    values = { arn = "arn:aws:s3:::artifacts", id = "artifacts" }
  }

  override_resource {
    target = aws_s3_bucket.pipeline["releases"]
    values = { arn = "arn:aws:s3:::releases", id = "releases" }
  }

  override_resource {
    target = aws_codebuild_project.build
    values = { arn = "arn:aws:codebuild:us-east-1:123456789012:project/build" }
  }

  override_resource {
    target = aws_codebuild_project.deploy
    values = { arn = "arn:aws:codebuild:us-east-1:123456789012:project/deploy" }
  }
}

variables {
  name              = "microservices"
  region            = "us-east-1"
  account_id        = "123456789012"
  partition         = "aws"
  github_repository = "hhottdogg/shop"
  branch            = "main"
  rds_bundle_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
  bucket_suffix     = "0a1b2c"
  protect           = true
  log_days          = 365
  repository_arns   = ["arn:aws:ecr:us-east-1:123456789012:repository/products", "arn:aws:ecr:us-east-1:123456789012:repository/orders"]
  function_arns     = ["arn:aws:lambda:us-east-1:123456789012:function:microservices-auth"]
  site_bucket_arn   = "arn:aws:s3:::static"
  distribution_arn  = "arn:aws:cloudfront::123456789012:distribution/E2QWRUHAPOMQZL"
  task_role_arns    = ["arn:aws:iam::123456789012:role/microservices-products-task-role"]

  release = {
    region          = "us-east-1"
    cluster         = "microservices-cluster"
    repositories    = ["123456789012.dkr.ecr.us-east-1.amazonaws.com/microservices/products", "123456789012.dkr.ecr.us-east-1.amazonaws.com/microservices/orders"]
    services        = ["microservices-products-service", "microservices-orders-service", "microservices-orders-relay-service"]
    migrations      = "microservices-migrations"
    functions       = { microservices-auth = "auth" }
    alias           = "live"
    releases_bucket = "microservices-releases-0a1b2c"
    site_bucket     = "microservices-static-0a1b2c"
    distribution_id = "E2QWRUHAPOMQZL"
    url             = "https://shop.example.com"
  }
}

run "a_push_is_built_and_rolled_out" {
  command = plan

  assert {
    condition     = aws_codepipeline.release.stage[*].name == tolist(["Source", "Build", "Deploy"])
    error_message = "the stages are others"
  }

  assert {
    condition     = aws_codepipeline.release.stage[0].action[0].configuration["BranchName"] == "main" && aws_codepipeline.release.stage[0].action[0].configuration["FullRepositoryId"] == "hhottdogg/shop"
    error_message = "another branch is built"
  }

  assert {
    condition     = aws_codepipeline.release.execution_mode == "SUPERSEDED"
    error_message = "two releases could be rolled out at once"
  }

  assert {
    condition     = one([for variable in aws_codebuild_project.deploy.environment[0].environment_variable : jsondecode(variable.value) if variable.name == "RELEASE_TARGET"]) == jsondecode(jsonencode(var.release))
    error_message = "the rollout does not get its place"
  }

  assert {
    condition     = one([for variable in aws_codebuild_project.build.environment[0].environment_variable : variable.value if variable.name == "REPOSITORY_URLS"]) == join(" ", var.release.repositories)
    error_message = "the build does not get the repositories"
  }

  assert {
    condition     = aws_codebuild_project.build.environment[0].privileged_mode && !coalesce(aws_codebuild_project.deploy.environment[0].privileged_mode, false)
    error_message = "the build has no daemon, or the rollout has one"
  }

  assert {
    condition     = aws_codebuild_project.build.service_role != null && aws_iam_role.build.name == "microservices-build" && aws_iam_role.deploy.name == "microservices-deploy"
    error_message = "what runs tests could roll out"
  }

  assert {
    condition     = alltrue([for name, bucket in aws_s3_bucket.pipeline : bucket.bucket == "microservices-${name}-0a1b2c" && !bucket.force_destroy])
    error_message = "the buckets have other names, or lose what is in them"
  }

  assert {
    condition     = alltrue([for block in aws_s3_bucket_public_access_block.pipeline : block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets])
    error_message = "a bucket may become public"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.pipeline["artifacts"].rule[0].expiration[0].days == 30 && aws_s3_bucket_lifecycle_configuration.pipeline["releases"].rule[0].expiration[0].days == 365
    error_message = "artifacts or releases are kept for another time"
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.codebuild : group.retention_in_days == 365 && group.kms_key_id == aws_kms_key.pipeline.arn])
    error_message = "logs are not kept for a year, or in clear"
  }

  assert {
    condition     = toset(flatten([for statement in data.aws_iam_policy_document.deploy.statement : statement.resources if statement.sid == "Services"])) == toset([for service in var.release.services : "arn:aws:ecs:us-east-1:123456789012:service/microservices-cluster/${service}"])
    error_message = "the rollout may change other services"
  }

  assert {
    condition     = toset(flatten([for statement in data.aws_iam_policy_document.deploy.statement : statement.resources if statement.sid == "TaskRoles"])) == toset(var.task_role_arns)
    error_message = "the rollout may give tasks other roles"
  }

  assert {
    condition     = toset([for statement in concat(data.aws_iam_policy_document.build.statement, data.aws_iam_policy_document.deploy.statement) : statement.sid if contains(statement.resources, "*")]) == toset(["LogInToTheRegistry", "TaskDefinitions"])
    error_message = "a role reaches everything"
  }
}

run "another_environment_has_other_names" {
  command = plan

  variables {
    name     = "microservices-staging"
    branch   = "develop"
    protect  = false
    log_days = 30
  }

  assert {
    condition     = alltrue([for name in [aws_codebuild_project.build.name, aws_codebuild_project.deploy.name, aws_codepipeline.release.name, aws_codeconnections_connection.github.name, aws_iam_role.pipeline.name, aws_kms_alias.pipeline.name, aws_cloudwatch_log_group.codebuild["build"].name, aws_s3_bucket.pipeline["artifacts"].bucket] : strcontains(name, "microservices-staging")])
    error_message = "something has the other environment's name"
  }

  assert {
    condition     = aws_s3_bucket.pipeline["releases"].force_destroy
    error_message = "a clean-up would stop at the releases"
  }
}
