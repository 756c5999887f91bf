variable "name" {
  description = "Beginning of every name here."
  type        = string
}

variable "region" {
  description = "Region of the pipeline."
  type        = string
}

variable "account_id" {
  description = "The account."
  type        = string
}

variable "partition" {
  description = "Partition of the account: aws, but for China's and the government's."
  type        = string
}

variable "github_repository" {
  description = "GitHub repository that is built, as owner/name."
  type        = string
}

variable "branch" {
  description = "Branch whose pushes are released."
  type        = string
}

variable "rds_bundle_sha256" {
  description = "SHA-256 of the certificates of RDS's authorities."
  type        = string
}

variable "bucket_suffix" {
  description = "End of the buckets' names."
  type        = string
}

variable "protect" {
  description = "Buckets with something in them refuse to be deleted."
  type        = bool
}

variable "log_days" {
  description = "How many days the logs of builds and rollouts are kept."
  type        = number
}

variable "release" {
  description = "Place that releases go to."
  type = object({
    region          = string
    cluster         = string
    repositories    = list(string)
    services        = list(string)
    migrations      = string
    functions       = map(string)
    alias           = string
    releases_bucket = string
    site_bucket     = string
    distribution_id = string
    url             = string
  })
}

variable "repository_arns" {
  description = "Repositories of the images."
  type        = list(string)
}

variable "function_arns" {
  description = "Functions that a release publishes."
  type        = list(string)
}

variable "site_bucket_arn" {
  description = "Bucket of the pages."
  type        = string
}

variable "distribution_arn" {
  description = "Distribution that keeps copies of the pages."
  type        = string
}

variable "task_role_arns" {
  description = "Roles of the tasks, which a new task definition names."
  type        = list(string)
}
