# What post-cicd.tf makes of its variables, planned against the provider's schema alone. tests/deploy/test_terraform.py
# runs it; by hand: terraform init -backend=false && terraform test -test-directory=tests/deploy

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  environment       = "prod"
  cluster_name      = "post"
  github_repository = "hhottdogg/post-service"
}

run "production" {
  command = plan

  assert {
    condition     = aws_codepipeline.service.name == "post-service-prod"
    error_message = "names are not the environment's"
  }

  assert {
    condition     = aws_s3_bucket.artifacts.bucket == "post-service-prod-artifacts-123456789012"
    error_message = "the bucket is not the environment's, or not the account's"
  }

  assert {
    condition     = aws_codepipeline.service.stage[*].name == tolist(["Source", "Build", "Deploy"])
    error_message = "the stages are others"
  }

  assert {
    condition     = jsondecode(aws_codepipeline.service.stage[2].action[0].configuration["EnvironmentVariables"])[0] == { name = "IMAGE_URI", value = "#{image.IMAGE_URI}", type = "PLAINTEXT" }
    error_message = "the rollout does not get the image that was built"
  }

  assert {
    condition     = aws_eks_access_entry.deploy.kubernetes_groups == toset(["post-service-deploy"])
    error_message = "the rollout is in another group than k8s/deployment.yaml gives rights to"
  }

  assert {
    condition     = [for one in aws_codebuild_project.build.environment[0].environment_variable : one.value if one.name == "SITE_BUCKET"] == ["post-service-site-123456789012"]
    error_message = "the site's files go to another bucket"
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.codebuild : group.retention_in_days == 365])
    error_message = "logs are not kept for a year"
  }
}

run "a_second_environment_is_a_second_set_of_variables" {
  command = plan

  variables {
    environment        = "staging"
    repository_name    = "post-service-staging"
    site_bucket_prefix = "post-service-staging-site"
    cluster_name       = "post-staging"
    branch             = "develop"
    log_days           = 30
  }

  assert {
    condition = !strcontains(jsonencode([
      aws_codebuild_project.build.name, aws_codebuild_project.deploy.name, aws_codepipeline.service.name,
      aws_codeconnections_connection.github.name, aws_iam_role.build.name, aws_iam_role.deploy.name,
      aws_iam_role.pipeline.name, aws_kms_alias.pipeline.name, aws_s3_bucket.artifacts.bucket,
      [for group in aws_cloudwatch_log_group.codebuild : group.name],
    ]), "prod")
    error_message = "something has the other environment's name"
  }

  assert {
    condition     = aws_codepipeline.service.stage[0].action[0].configuration["BranchName"] == "develop"
    error_message = "the branch is another"
  }
}

run "wrong_variables_are_refused" {
  command = plan

  variables {
    environment        = "Production"
    region             = "Seoul"
    cluster_name       = "my cluster"
    repository_name    = "Post-Service"
    site_bucket_prefix = "Site_"
    github_repository  = "post-service"
    branch             = ""
    images_kept        = 1
    artifact_days      = 0.5
    log_days           = 31
  }

  expect_failures = [
    var.environment, var.region, var.cluster_name, var.repository_name, var.site_bucket_prefix, var.github_repository,
    var.branch, var.images_kept, var.artifact_days, var.log_days,
  ]
}
