variable "environment" {
  description = "Name of the environment; prod has the plain names."
  type        = string
  default     = "prod"
}

variable "region" {
  description = "AWS region of everything but what CloudFront keeps in us-east-1."
  type        = string
  default     = "us-east-1"
}

variable "session_ttl_seconds" {
  description = "Life of a session after its login, in seconds."
  type        = number
  default     = 86400
}

variable "log_level" {
  description = "Least level of the lines that the services log."
  type        = string
  default     = "INFO"
}

variable "lambda_runtime" {
  description = "Python of the functions, python3.11 or newer."
  type        = string
  default     = "python3.13"
}

variable "lambda_architecture" {
  description = "Processor of the functions: arm64, which costs less, or x86_64."
  type        = string
  default     = "arm64"
}

variable "authorizer_ttl_seconds" {
  description = "Life of an authorizer's answer in the gateway's cache, in seconds; 0 revokes at once."
  type        = number
  default     = 0
}

variable "cors_origin" {
  description = "Origin whose pages may read the answers."
  type        = string
  default     = "*"
}

variable "bucket_suffix" {
  description = "End of the buckets' names, which are unique in the world."
  type        = string
}

variable "protect" {
  description = "Tables and databases refuse to be deleted; set to false before a clean-up."
  type        = bool
  default     = true
}

locals {
  name = var.environment == "prod" ? "microservices" : "microservices-${var.environment}"
}
