# From a push to GitHub to a release: CodePipeline (Source, Build, Deploy), CodeBuild, and what these need.

locals {
  # Made by hand where the resource itself would close a circle: the key's policy names the log groups it encrypts.
  log_groups     = { for step in ["build", "deploy"] : step => "/aws/codebuild/${var.name}-${step}" }
  log_group_arns = [for name in local.log_groups : "arn:${var.partition}:logs:${var.region}:${var.account_id}:log-group:${name}"]

  # With docker and AWS CLI 2; AWS keeps the tag up to date.
  build_image = "aws/codebuild/amazonlinux-x86_64-standard:5.0"

  # Python alone, of the version that the functions and the images have.
  deploy_image = "public.ecr.aws/docker/library/python:3.13-slim-trixie"

  buckets = {
    artifacts = { name = "${var.name}-artifacts-${var.bucket_suffix}", days = 30 }
    releases  = { name = var.release.releases_bucket, days = 365 }
  }

  ecs_arn = "arn:${var.partition}:ecs:${var.region}:${var.account_id}"
}

# ---------------------------------------------------------------------------------------------------------------------
# One key, for artifacts, releases and logs
# ---------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:A key's policy is about that key; this is AWS's default, without which IAM has no say on it.
  #checkov:skip=CKV_AWS_111:As above.
  #checkov:skip=CKV_AWS_356:As above.
  statement {
    sid       = "AccountAdministersByIam"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${var.partition}:iam::${var.account_id}:root"]
    }
  }

  statement {
    sid       = "LogsEncrypt"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${var.region}.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = local.log_group_arns
    }
  }
}

resource "aws_kms_key" "pipeline" {
  description             = "Artifacts, releases and logs of ${var.name}'s pipeline"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
}

resource "aws_kms_alias" "pipeline" {
  name          = "alias/${var.name}-pipeline"
  target_key_id = aws_kms_key.pipeline.key_id
}

# ---------------------------------------------------------------------------------------------------------------------
# What the stages hand on, and what was released
# ---------------------------------------------------------------------------------------------------------------------

resource "aws_s3_bucket" "pipeline" {
  #checkov:skip=CKV_AWS_18:It holds what this account's roles alone can read, made of the repository; CloudTrail has who did.
  #checkov:skip=CKV_AWS_144:Whatever is in it can be made from GitHub again, so it needs no second region.
  #checkov:skip=CKV2_AWS_62:Nothing waits for an object here; CodePipeline polls nothing and starts from GitHub's push.
  for_each = local.buckets

  bucket        = each.value.name
  force_destroy = !var.protect
}

resource "aws_s3_bucket_public_access_block" "pipeline" {
  for_each = aws_s3_bucket.pipeline

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "pipeline" {
  for_each = aws_s3_bucket.pipeline

  bucket = each.value.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "pipeline" {
  for_each = aws_s3_bucket.pipeline

  bucket = each.value.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "pipeline" {
  for_each = aws_s3_bucket.pipeline

  bucket = each.value.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.pipeline.arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "pipeline" {
  for_each = aws_s3_bucket.pipeline

  bucket = each.value.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = local.buckets[each.key].days
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.pipeline]
}

data "aws_iam_policy_document" "tls_only" {
  for_each = aws_s3_bucket.pipeline

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [each.value.arn, "${each.value.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "pipeline" {
  for_each = aws_s3_bucket.pipeline

  bucket = each.value.id
  policy = data.aws_iam_policy_document.tls_only[each.key].json

  depends_on = [aws_s3_bucket_public_access_block.pipeline] # S3 refuses the two at once
}

# ---------------------------------------------------------------------------------------------------------------------
# Build: tests, images, zips (buildspec.yml). Its role can leave a release, and roll none out.
# ---------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "codebuild_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["codebuild.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

# What either project needs, to read its source and to write its log.
data "aws_iam_policy_document" "codebuild" {
  for_each = local.log_groups

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.codebuild[each.key].arn}:*"]
  }

  statement {
    sid       = "Source"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${aws_s3_bucket.pipeline["artifacts"].arn}/*"]
  }

  statement {
    sid       = "SourceBucket"
    actions   = ["s3:GetBucketAcl", "s3:GetBucketLocation"]
    resources = [aws_s3_bucket.pipeline["artifacts"].arn]
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.pipeline.arn]
  }
}

resource "aws_cloudwatch_log_group" "codebuild" {
  for_each = local.log_groups

  name              = each.value
  retention_in_days = var.log_days
  kms_key_id        = aws_kms_key.pipeline.arn
}

data "aws_iam_policy_document" "build" {
  source_policy_documents = [data.aws_iam_policy_document.codebuild["build"].json]

  # It knows no resource (Service Authorization Reference, Amazon ECR).
  statement {
    sid       = "LogInToTheRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid = "PullAndPush"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:CompleteLayerUpload",
      "ecr:DescribeImages",
      "ecr:GetDownloadUrlForLayer",
      "ecr:InitiateLayerUpload",
      "ecr:PutImage",
      "ecr:UploadLayerPart",
    ]
    resources = var.repository_arns
  }

  statement {
    sid       = "Zips"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.pipeline["releases"].arn}/*"]
  }

  statement {
    sid       = "ZipsKey"
    actions   = ["kms:GenerateDataKey"]
    resources = [aws_kms_key.pipeline.arn]
  }
}

resource "aws_iam_role" "build" {
  name               = "${var.name}-build"
  assume_role_policy = data.aws_iam_policy_document.codebuild_trust.json
}

resource "aws_iam_role_policy" "build" {
  name   = "build"
  role   = aws_iam_role.build.id
  policy = data.aws_iam_policy_document.build.json
}

resource "aws_codebuild_project" "build" {
  #checkov:skip=CKV_AWS_316:docker build needs a daemon, which CodeBuild runs in privileged projects alone; its role rolls nothing out.
  name           = "${var.name}-build"
  description    = "Tests, builds and pushes a release"
  service_role   = aws_iam_role.build.arn
  encryption_key = aws_kms_key.pipeline.arn
  build_timeout  = 90
  queued_timeout = 60

  source {
    type      = "CODEPIPELINE"
    buildspec = "microservices/buildspec.yml"
  }

  artifacts {
    type = "CODEPIPELINE"
  }

  environment {
    type            = "LINUX_CONTAINER"
    compute_type    = "BUILD_GENERAL1_MEDIUM"
    image           = local.build_image
    privileged_mode = true

    environment_variable {
      name  = "REPOSITORY_URLS"
      value = join(" ", var.release.repositories)
    }

    environment_variable {
      name  = "RELEASES_BUCKET"
      value = aws_s3_bucket.pipeline["releases"].bucket
    }

    environment_variable {
      name  = "RDS_BUNDLE_SHA256"
      value = var.rds_bundle_sha256
    }
  }

  # On the machine, where it is used again soon enough; nothing depends on it.
  cache {
    type  = "LOCAL"
    modes = ["LOCAL_DOCKER_LAYER_CACHE", "LOCAL_CUSTOM_CACHE"]
  }

  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.codebuild["build"].name
    }
  }
}

# ---------------------------------------------------------------------------------------------------------------------
# Deploy: the rollout (buildspec-deploy.yml). A project of its own, so that what runs tests can reach nothing that runs.
# ---------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "deploy" {
  # A task definition has no resource before it is registered; it does nothing but by the roles below.
  source_policy_documents = [data.aws_iam_policy_document.codebuild["deploy"].json]

  statement {
    sid       = "Images"
    actions   = ["ecr:DescribeImages"]
    resources = var.repository_arns
  }

  statement {
    sid       = "Zips"
    actions   = ["s3:GetObject", "s3:ListBucket"]
    resources = [aws_s3_bucket.pipeline["releases"].arn, "${aws_s3_bucket.pipeline["releases"].arn}/*"]
  }

  statement {
    sid       = "TaskDefinitions"
    actions   = ["ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition"]
    resources = ["*"]
  }

  statement {
    sid       = "TaskRoles"
    actions   = ["iam:PassRole"]
    resources = var.task_role_arns

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }

  statement {
    sid       = "Services"
    actions   = ["ecs:DescribeServices", "ecs:UpdateService"]
    resources = [for service in var.release.services : "${local.ecs_arn}:service/${var.release.cluster}/${service}"]
  }

  statement {
    sid       = "Migrations"
    actions   = ["ecs:RunTask"]
    resources = ["${local.ecs_arn}:task-definition/${var.release.migrations}:*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = ["${local.ecs_arn}:cluster/${var.release.cluster}"]
    }
  }

  statement {
    sid       = "MigrationsEnd"
    actions   = ["ecs:DescribeTasks"]
    resources = ["${local.ecs_arn}:task/${var.release.cluster}/*"]
  }

  statement {
    sid = "Functions"
    actions = [
      "lambda:GetAlias",
      "lambda:GetFunction",
      "lambda:GetFunctionConfiguration",
      "lambda:PublishVersion",
      "lambda:UpdateAlias",
      "lambda:UpdateFunctionCode",
    ]
    resources = flatten([for arn in var.function_arns : [arn, "${arn}:*"]])
  }

  statement {
    sid       = "Site"
    actions   = ["s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"]
    resources = [var.site_bucket_arn, "${var.site_bucket_arn}/*"]
  }

  statement {
    sid       = "SiteCopies"
    actions   = ["cloudfront:CreateInvalidation"]
    resources = [var.distribution_arn]
  }
}

resource "aws_iam_role" "deploy" {
  name               = "${var.name}-deploy"
  assume_role_policy = data.aws_iam_policy_document.codebuild_trust.json
}

resource "aws_iam_role_policy" "deploy" {
  name   = "deploy"
  role   = aws_iam_role.deploy.id
  policy = data.aws_iam_policy_document.deploy.json
}

resource "aws_codebuild_project" "deploy" {
  name           = "${var.name}-deploy"
  description    = "Rolls a release out, and back where it does not work"
  service_role   = aws_iam_role.deploy.arn
  encryption_key = aws_kms_key.pipeline.arn
  build_timeout  = 150 # migrations, three services, and these once more to go back
  queued_timeout = 60

  source {
    type      = "CODEPIPELINE"
    buildspec = "microservices/buildspec-deploy.yml"
  }

  artifacts {
    type = "CODEPIPELINE"
  }

  environment {
    type                        = "LINUX_CONTAINER"
    compute_type                = "BUILD_GENERAL1_SMALL"
    image                       = local.deploy_image
    image_pull_credentials_type = "SERVICE_ROLE"

    environment_variable {
      name  = "RELEASE_TARGET"
      value = jsonencode(var.release)
    }
  }

  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.codebuild["deploy"].name
    }
  }
}

# ---------------------------------------------------------------------------------------------------------------------
# The pipeline
# ---------------------------------------------------------------------------------------------------------------------

# Pending until somebody has given it access to the repository, in the console: docs/deployment.md.
resource "aws_codeconnections_connection" "github" {
  name          = var.name
  provider_type = "GitHub"
}

data "aws_iam_policy_document" "pipeline_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["codepipeline.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

data "aws_iam_policy_document" "pipeline" {
  statement {
    sid       = "Artifacts"
    actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
    resources = ["${aws_s3_bucket.pipeline["artifacts"].arn}/*"]
  }

  statement {
    sid       = "ArtifactBucket"
    actions   = ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"]
    resources = [aws_s3_bucket.pipeline["artifacts"].arn]
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.pipeline.arn]
  }

  statement {
    sid       = "GitHub"
    actions   = ["codeconnections:UseConnection", "codestar-connections:UseConnection"] # the service's two names
    resources = [aws_codeconnections_connection.github.arn]
  }

  statement {
    sid       = "Projects"
    actions   = ["codebuild:BatchGetBuilds", "codebuild:StartBuild"]
    resources = [aws_codebuild_project.build.arn, aws_codebuild_project.deploy.arn]
  }
}

resource "aws_iam_role" "pipeline" {
  name               = "${var.name}-pipeline"
  assume_role_policy = data.aws_iam_policy_document.pipeline_trust.json
}

resource "aws_iam_role_policy" "pipeline" {
  name   = "pipeline"
  role   = aws_iam_role.pipeline.id
  policy = data.aws_iam_policy_document.pipeline.json
}

resource "aws_codepipeline" "release" {
  name           = var.name
  role_arn       = aws_iam_role.pipeline.arn
  pipeline_type  = "V2"
  execution_mode = "SUPERSEDED" # a stage runs one push at a time, and of those that wait the newest alone goes on

  artifact_store {
    type     = "S3"
    location = aws_s3_bucket.pipeline["artifacts"].bucket

    encryption_key {
      type = "KMS"
      id   = aws_kms_key.pipeline.arn
    }
  }

  stage {
    name = "Source"

    action {
      name             = "GitHub"
      category         = "Source"
      owner            = "AWS"
      provider         = "CodeStarSourceConnection"
      version          = "1"
      output_artifacts = ["source"]

      configuration = {
        ConnectionArn    = aws_codeconnections_connection.github.arn
        FullRepositoryId = var.github_repository
        BranchName       = var.branch
      }
    }
  }

  stage {
    name = "Build"

    action {
      name            = "Release"
      category        = "Build"
      owner           = "AWS"
      provider        = "CodeBuild"
      version         = "1"
      input_artifacts = ["source"]

      configuration = {
        ProjectName = aws_codebuild_project.build.name
      }
    }
  }

  stage {
    name = "Deploy"

    action {
      name            = "Rollout"
      category        = "Build" # CodeBuild's; the Deploy category has no provider that rolls all of it out and takes it back
      owner           = "AWS"
      provider        = "CodeBuild"
      version         = "1"
      input_artifacts = ["source"]

      configuration = {
        ProjectName = aws_codebuild_project.deploy.name
      }
    }
  }

  # Creating it starts it, and without these it would fail.
  depends_on = [
    aws_iam_role_policy.build,
    aws_iam_role_policy.deploy,
    aws_iam_role_policy.pipeline,
  ]
}

output "connection_arn" {
  description = "The connection to GitHub."
  value       = aws_codeconnections_connection.github.arn
}

output "pipeline_name" {
  description = "The pipeline."
  value       = aws_codepipeline.release.name
}
