# From a push to GitHub to pods in EKS: CodePipeline (Source, Build, Deploy), CodeBuild, ECR, and what these need.
# One environment is one set of variables and one state; docs/deployment.md has both.

terraform {
  required_version = ">= 1.10" # from which on S3 locks its own state

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.99"
    }
  }

  # The bucket, the key and the region are an environment's: terraform init -backend-config=…
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

# ---------------------------------------------------------------------------------------------------------------------
# What makes an environment
# ---------------------------------------------------------------------------------------------------------------------

variable "environment" {
  description = "Name of the environment, part of every name here: prod, staging, …"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment must be 2 to 10 lower-case letters and digits that begin with a letter."
  }
}

variable "region" {
  description = "AWS region of the pipeline, the registry and the cluster."
  type        = string
  default     = "ap-northeast-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be a region such as ap-northeast-2."
  }
}

variable "cluster_name" {
  description = "Name of the EKS cluster, whose authentication mode includes API."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$", var.cluster_name))
    error_message = "cluster_name must be the name of an EKS cluster, of at most 100 characters."
  }
}

variable "repository_name" {
  description = "Name of the ECR repository; two environments in one account need two."
  type        = string
  default     = "post-service"

  validation {
    condition     = can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", var.repository_name))
    error_message = "repository_name must be lower-case letters, digits and single separators, such as post-service."
  }
}

variable "site_bucket_prefix" {
  description = "Name of the site's bucket without its end, the account's id; two environments in one account need two."
  type        = string
  default     = "post-service-site"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,48}[a-z0-9]$", var.site_bucket_prefix))
    error_message = "site_bucket_prefix must be 3 to 50 lower-case letters, digits and hyphens, such as post-service-site."
  }
}

variable "github_repository" {
  description = "The GitHub repository that is built, as owner/name."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-Za-z-]+/[0-9A-Za-z._-]+$", var.github_repository))
    error_message = "github_repository must be owner/name."
  }
}

variable "branch" {
  description = "The branch whose pushes are built and deployed."
  type        = string
  default     = "main"

  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z._/-]*$", var.branch))
    error_message = "branch must be the name of a branch."
  }
}

variable "images_kept" {
  description = "How many images ECR keeps, and so how far back a roll-back can go."
  type        = number
  default     = 50

  validation {
    condition     = var.images_kept == floor(var.images_kept) && var.images_kept >= 10 && var.images_kept <= 1000
    error_message = "images_kept must be a whole number from 10 to 1000."
  }
}

variable "artifact_days" {
  description = "After how many days the pipeline's artifacts, which are copies of the source, are deleted."
  type        = number
  default     = 30

  validation {
    condition     = var.artifact_days == floor(var.artifact_days) && var.artifact_days >= 1 && var.artifact_days <= 365
    error_message = "artifact_days must be a whole number from 1 to 365."
  }
}

variable "log_days" {
  description = "How many days the logs of builds and rollouts are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_days)
    error_message = "log_days must be a number of days that CloudWatch Logs offers: 30, 60, 90, …, 365, …"
  }
}

# ---------------------------------------------------------------------------------------------------------------------
# Names
# ---------------------------------------------------------------------------------------------------------------------

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Service     = "post-service"
      Environment = var.environment
      ManagedBy   = "terraform"
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  name       = "post-service-${var.environment}"
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # Made by hand where the resource itself would close a circle: the key's policy names the log groups it encrypts.
  log_groups     = { for step in ["build", "deploy"] : step => "/aws/codebuild/${local.name}-${step}" }
  log_group_arns = [for name in local.log_groups : "arn:${local.partition}:logs:${var.region}:${local.account_id}:log-group:${name}"]
  cluster_arn    = "arn:${local.partition}:eks:${var.region}:${local.account_id}:cluster/${var.cluster_name}"

  # Made by hand (docs/deployment.md), since it outlives the pipeline.
  site_bucket     = "${var.site_bucket_prefix}-${local.account_id}"
  site_bucket_arn = "arn:${local.partition}:s3:::${local.site_bucket}"

  # With docker, AWS CLI 2 and kubectl. AWS keeps the tag up to date.
  codebuild_image = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
}

# ---------------------------------------------------------------------------------------------------------------------
# One key, for images, artifacts and logs
# ---------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "key" {
  # In a key's policy "*" is that key. Its first statement is AWS's default, without which IAM has no say on it.
  statement {
    sid       = "AccountAdministersByIam"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account_id}:root"]
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
  description             = "Images, artifacts and logs of ${local.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
}

resource "aws_kms_alias" "pipeline" {
  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.pipeline.key_id
}

# ---------------------------------------------------------------------------------------------------------------------
# Images
# ---------------------------------------------------------------------------------------------------------------------

resource "aws_ecr_repository" "service" {
  name                 = var.repository_name
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = aws_kms_key.pipeline.arn
  }

  lifecycle {
    ignore_changes = [image_tag_mutability] # which terraform_data.latest_moves refines
  }
}

# A commit's tag must never move, and `latest` must at each build. ECR can do that (IMMUTABLE_WITH_EXCLUSION), but no
# 5.x release of the provider can say it, so the AWS CLI does (2.28 or newer). Until it has, `latest` is immutable too:
# the second build would fail, and no tag could be overwritten.
resource "terraform_data" "latest_moves" {
  triggers_replace = [aws_ecr_repository.service.arn]

  provisioner "local-exec" {
    command = join(" ", [
      "aws ecr put-image-tag-mutability --region ${var.region} --repository-name ${aws_ecr_repository.service.name}",
      "--image-tag-mutability IMMUTABLE_WITH_EXCLUSION",
      "--image-tag-mutability-exclusion-filters filterType=WILDCARD,filter=latest",
    ])
  }
}

resource "aws_ecr_lifecycle_policy" "service" {
  repository = aws_ecr_repository.service.name

  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "What latest has left behind"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "Enough to roll back"
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.images_kept }
        action       = { type = "expire" }
      },
    ]
  })
}

# ---------------------------------------------------------------------------------------------------------------------
# Artifacts: what the pipeline's stages hand on
# ---------------------------------------------------------------------------------------------------------------------

resource "aws_s3_bucket" "artifacts" {
  #checkov:skip=CKV_AWS_18:It holds copies of the source, which this account's roles alone can read; CloudTrail has who did.
  #checkov:skip=CKV_AWS_144:Whatever is in it can be had from GitHub again, so it needs no second region.
  #checkov:skip=CKV2_AWS_62:Nothing waits for an object here; CodePipeline polls nothing and starts from GitHub's push.
  bucket = "${local.name}-artifacts-${local.account_id}"
}

resource "aws_s3_bucket_public_access_block" "artifacts" {
  bucket                  = aws_s3_bucket.artifacts.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.pipeline.arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.artifact_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.artifacts]
}

data "aws_iam_policy_document" "artifacts" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.artifacts.arn, "${aws_s3_bucket.artifacts.arn}/*"]

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

resource "aws_s3_bucket_policy" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id
  policy = data.aws_iam_policy_document.artifacts.json

  depends_on = [aws_s3_bucket_public_access_block.artifacts] # S3 refuses the two at once
}

# ---------------------------------------------------------------------------------------------------------------------
# Build: tests, image, the site's files, push (buildspec.yml)
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
      values   = [local.account_id]
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
    resources = ["${aws_s3_bucket.artifacts.arn}/*"]
  }

  statement {
    sid       = "SourceBucket"
    actions   = ["s3:GetBucketAcl", "s3:GetBucketLocation"]
    resources = [aws_s3_bucket.artifacts.arn]
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
    resources = [aws_ecr_repository.service.arn]
  }

  # It adds files and deletes none.
  statement {
    sid       = "PublishTheSite"
    actions   = ["s3:PutObject"]
    resources = ["${local.site_bucket_arn}/*"]
  }

  statement {
    sid       = "ListTheSite"
    actions   = ["s3:ListBucket"]
    resources = [local.site_bucket_arn]
  }
}

resource "aws_iam_role" "build" {
  name               = "${local.name}-build"
  assume_role_policy = data.aws_iam_policy_document.codebuild_trust.json
}

resource "aws_iam_role_policy" "build" {
  name   = "build"
  role   = aws_iam_role.build.id
  policy = data.aws_iam_policy_document.build.json
}

resource "aws_codebuild_project" "build" {
  #checkov:skip=CKV_AWS_316:docker build needs a daemon, which CodeBuild runs in privileged projects alone; its role cannot reach the cluster.
  name           = "${local.name}-build"
  description    = "Tests, builds and pushes the image, and publishes the site's files"
  service_role   = aws_iam_role.build.arn
  encryption_key = aws_kms_key.pipeline.arn
  build_timeout  = 60
  queued_timeout = 60

  source {
    type      = "CODEPIPELINE"
    buildspec = "buildspec.yml"
  }

  artifacts {
    type = "CODEPIPELINE"
  }

  environment {
    type            = "LINUX_CONTAINER"
    compute_type    = "BUILD_GENERAL1_MEDIUM"
    image           = local.codebuild_image
    privileged_mode = true

    environment_variable {
      name  = "REPOSITORY_URL"
      value = aws_ecr_repository.service.repository_url
    }

    environment_variable {
      name  = "SITE_BUCKET"
      value = local.site_bucket
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
# Deploy: the rollout (buildspec-deploy.yml). A project of its own, so that what runs tests cannot reach the cluster.
# ---------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "deploy" {
  source_policy_documents = [data.aws_iam_policy_document.codebuild["deploy"].json]

  statement {
    sid       = "FindTheCluster"
    actions   = ["eks:DescribeCluster"]
    resources = [local.cluster_arn]
  }
}

resource "aws_iam_role" "deploy" {
  name               = "${local.name}-deploy"
  assume_role_policy = data.aws_iam_policy_document.codebuild_trust.json
}

resource "aws_iam_role_policy" "deploy" {
  name   = "deploy"
  role   = aws_iam_role.deploy.id
  policy = data.aws_iam_policy_document.deploy.json
}

# None of EKS's own policies: the least that would do lets it read secrets and run commands in pods. What the group may
# do is in k8s/deployment.yaml.
resource "aws_eks_access_entry" "deploy" {
  cluster_name      = var.cluster_name
  principal_arn     = aws_iam_role.deploy.arn
  kubernetes_groups = ["post-service-deploy"]
}

resource "aws_codebuild_project" "deploy" {
  name           = "${local.name}-deploy"
  description    = "Rolls the image out, and back where it does not get ready"
  service_role   = aws_iam_role.deploy.arn
  encryption_key = aws_kms_key.pipeline.arn
  build_timeout  = 60 # a rollout's ROLLOUT_TIMEOUT, and that of going back
  queued_timeout = 60

  source {
    type      = "CODEPIPELINE"
    buildspec = "buildspec-deploy.yml"
  }

  artifacts {
    type = "CODEPIPELINE"
  }

  environment {
    type         = "LINUX_CONTAINER"
    compute_type = "BUILD_GENERAL1_SMALL"
    image        = local.codebuild_image

    environment_variable {
      name  = "CLUSTER_NAME"
      value = var.cluster_name
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
  name          = local.name
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
      values   = [local.account_id]
    }
  }
}

data "aws_iam_policy_document" "pipeline" {
  statement {
    sid       = "Artifacts"
    actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
    resources = ["${aws_s3_bucket.artifacts.arn}/*"]
  }

  statement {
    sid       = "ArtifactBucket"
    actions   = ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"]
    resources = [aws_s3_bucket.artifacts.arn]
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
  name               = "${local.name}-pipeline"
  assume_role_policy = data.aws_iam_policy_document.pipeline_trust.json
}

resource "aws_iam_role_policy" "pipeline" {
  name   = "pipeline"
  role   = aws_iam_role.pipeline.id
  policy = data.aws_iam_policy_document.pipeline.json
}

resource "aws_codepipeline" "service" {
  name           = local.name
  role_arn       = aws_iam_role.pipeline.arn
  pipeline_type  = "V2"
  execution_mode = "SUPERSEDED" # a stage runs one push at a time, and of those that wait the newest alone goes on

  artifact_store {
    type     = "S3"
    location = aws_s3_bucket.artifacts.bucket

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
      name            = "Image"
      category        = "Build"
      owner           = "AWS"
      provider        = "CodeBuild"
      version         = "1"
      namespace       = "image"
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
      category        = "Build" # CodeBuild's; the Deploy category has no provider that waits for a rollout and undoes it
      owner           = "AWS"
      provider        = "CodeBuild"
      version         = "1"
      input_artifacts = ["source"]

      configuration = {
        ProjectName          = aws_codebuild_project.deploy.name
        EnvironmentVariables = jsonencode([{ name = "IMAGE_URI", value = "#{image.IMAGE_URI}", type = "PLAINTEXT" }])
      }
    }
  }

  # Creating it starts it, and without these it would fail.
  depends_on = [
    aws_eks_access_entry.deploy,
    aws_iam_role_policy.build,
    aws_iam_role_policy.deploy,
    aws_iam_role_policy.pipeline,
    terraform_data.latest_moves,
  ]
}

# ---------------------------------------------------------------------------------------------------------------------
# What docs/deployment.md goes on with
# ---------------------------------------------------------------------------------------------------------------------

output "repository_url" {
  description = "Where images are, without a tag."
  value       = aws_ecr_repository.service.repository_url
}

output "connection_arn" {
  description = "The connection to GitHub, pending until it is completed in the console."
  value       = aws_codeconnections_connection.github.arn
}

output "pipeline_name" {
  description = "The pipeline."
  value       = aws_codepipeline.service.name
}

output "log_groups" {
  description = "Where builds and rollouts are logged."
  value       = local.log_groups
}
