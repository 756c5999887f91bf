# ---------------------------------------------------------------------------------------------------------------------
# What makes an environment
# ---------------------------------------------------------------------------------------------------------------------

variable "environment" {
  description = "Name of the environment; prod has the plain names."
  type        = string
  default     = "prod"

  validation {
    # A target group's name has at most 32 characters.
    condition     = can(regex("^[a-z][a-z0-9]{1,5}$", var.environment))
    error_message = "environment must be 2 to 6 lower-case letters and digits that begin with a letter."
  }
}

variable "region" {
  description = "AWS region of everything but what CloudFront keeps in us-east-1."
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be a region such as us-east-1."
  }
}

variable "zones" {
  description = "Two availability zones of the region; their letters mean other zones in another account."
  type        = list(string)
  default     = ["us-east-1a", "us-east-1b"]

  validation {
    condition     = length(var.zones) == 2 && length(distinct(var.zones)) == 2 && alltrue([for zone in var.zones : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$", zone))])
    error_message = "zones must be two availability zones such as us-east-1a and us-east-1b."
  }
}

variable "bucket_suffix" {
  description = "End of the buckets' names, which are unique in the world."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,18}[a-z0-9]$", var.bucket_suffix))
    error_message = "bucket_suffix must be 3 to 20 lower-case letters, digits and hyphens within."
  }
}

variable "domain_name" {
  description = "Domain of the shop, of which a public hosted zone is made; empty for CloudFront's own name."
  type        = string
  default     = ""

  validation {
    condition     = var.domain_name == "" || can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain_name))
    error_message = "domain_name must be a domain such as shop.example.com, or empty."
  }
}

variable "origin_secret" {
  description = "Header's value by which the API knows CloudFront; whoever has it reaches the API beside CloudFront."
  type        = string
  sensitive   = true

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{32,128}$", var.origin_secret))
    error_message = "origin_secret must be 32 to 128 letters, digits, _ and -: long and random."
  }
}

variable "api_account" {
  description = "Set the role by which API Gateway logs, of which an account has one in each region; false where another environment sets it."
  type        = bool
  default     = true
}

# ---------------------------------------------------------------------------------------------------------------------
# What is deployed
# ---------------------------------------------------------------------------------------------------------------------

variable "image_digests" {
  description = "Digests of the images in ECR that run: of products and of orders."
  type        = object({ products = string, orders = string })

  validation {
    condition     = alltrue([for digest in values(var.image_digests) : can(regex("^sha256:[0-9a-f]{64}$", digest))])
    error_message = "image_digests must be digests such as sha256:…, with 64 hexadecimal digits."
  }
}

variable "zip_folder" {
  description = "Folder of the functions' zips, which deploy/package_lambda.py writes."
  type        = string
  default     = "../../instance/zips"
}

variable "lambda_runtime" {
  description = "Python of the functions, python3.11 or newer."
  type        = string
  default     = "python3.13"

  validation {
    condition     = contains(["python3.11", "python3.12", "python3.13", "python3.14"], var.lambda_runtime)
    error_message = "lambda_runtime must be python3.11, python3.12, python3.13 or python3.14."
  }
}

variable "lambda_architecture" {
  description = "Processor of the functions: arm64, which costs less, or x86_64."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.lambda_architecture)
    error_message = "lambda_architecture must be arm64 or x86_64."
  }
}

variable "task_architecture" {
  description = "Processor that the images are built for: X86_64 or ARM64."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["ARM64", "X86_64"], var.task_architecture)
    error_message = "task_architecture must be ARM64 or X86_64."
  }
}

variable "session_ttl_seconds" {
  description = "Life of a session after its login, in seconds."
  type        = number
  default     = 86400

  validation {
    condition     = var.session_ttl_seconds == floor(var.session_ttl_seconds) && var.session_ttl_seconds > 0
    error_message = "session_ttl_seconds must be a whole number above 0."
  }
}

variable "authorizer_ttl_seconds" {
  description = "Life of an authorizer's answer in the gateway's cache, in seconds; 0 revokes at once."
  type        = number
  default     = 0

  validation {
    condition     = var.authorizer_ttl_seconds == floor(var.authorizer_ttl_seconds) && var.authorizer_ttl_seconds >= 0 && var.authorizer_ttl_seconds <= 3600
    error_message = "authorizer_ttl_seconds must be a whole number from 0 to 3600."
  }
}

variable "cors_origin" {
  description = "Origin whose pages may read the answers."
  type        = string
  default     = "*"

  validation {
    condition     = var.cors_origin == "*" || can(regex("^https?://[a-z0-9.:-]+$", var.cors_origin))
    error_message = "cors_origin must be * or an origin such as https://shop.example.com."
  }
}

variable "log_level" {
  description = "Least level of the lines that the services log."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "log_level must be DEBUG, INFO, WARNING or ERROR."
  }
}

# ---------------------------------------------------------------------------------------------------------------------
# How much of it
# ---------------------------------------------------------------------------------------------------------------------

variable "cheap" {
  description = "Save where an outage is no harm: one NAT gateway, one task a service, a database in one zone, no web firewall, no Container Insights."
  type        = bool
  default     = false
}

variable "protect" {
  description = "Tables, databases and buckets refuse to be deleted; set to false by an apply of its own before a clean-up."
  type        = bool
  default     = true
}

variable "final_snapshot" {
  description = "Keep a last snapshot of the database when it is destroyed."
  type        = bool
  default     = true
}

variable "database_version" {
  description = "Major version of PostgreSQL; AWS takes the newest minor one, and keeps it so."
  type        = string
  default     = "17"

  validation {
    condition     = contains(["15", "16", "17"], var.database_version)
    error_message = "database_version must be 15, 16 or 17."
  }
}

variable "database_class" {
  description = "Class of the database's machine."
  type        = string
  default     = "db.t3.micro"

  validation {
    condition     = can(regex("^db\\.[a-z0-9]+\\.[a-z0-9]+$", var.database_class))
    error_message = "database_class must be a class such as db.t3.micro."
  }
}

variable "lambda_concurrency" {
  description = "Executions at once that are kept for a function, and its limit, by the function's key; the others share the account's."
  type        = map(number)
  default     = {}
}

variable "tasks_max" {
  description = "Most tasks of a service that scaling starts; the database must have connections for them (autoscaling.tf)."
  type        = number
  default     = 3

  validation {
    condition     = var.tasks_max == floor(var.tasks_max) && var.tasks_max >= 2 && var.tasks_max <= 100
    error_message = "tasks_max must be a whole number from 2 to 100."
  }
}

variable "log_days" {
  description = "How many days logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_days)
    error_message = "log_days must be a number of days that CloudWatch Logs offers: 30, 60, 90, …, 365, …"
  }
}

variable "alarm_emails" {
  description = "Addresses that alarms are sent to; each has to confirm once."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@\\s]+@[^@\\s]+$", address))])
    error_message = "alarm_emails must be e-mail addresses."
  }
}

# ---------------------------------------------------------------------------------------------------------------------
# Names
# ---------------------------------------------------------------------------------------------------------------------

locals {
  name = var.environment == "prod" ? "microservices" : "microservices-${var.environment}"

  has_domain = var.domain_name != ""
  tasks_min  = var.cheap ? 1 : 2
}
