# The platform on AWS. One environment is one set of variables and one state; docs/deployment.md has the first apply.

terraform {
  required_version = ">= 1.10" # from which on S3 locks its own state

  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = "~> 2.7"
    }

    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.20" # a REST API's way to a load balancer by a VPC link of version 2
    }
  }

  # The bucket, the key and the region are an environment's: terraform init -backend-config=…
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Service     = "microservices"
      Environment = var.environment
      ManagedBy   = "terraform"
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
}
