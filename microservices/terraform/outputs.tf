output "url" {
  description = "Where the shop is; its API is under /api."
  value       = "https://${local.has_domain ? var.domain_name : aws_cloudfront_distribution.main.domain_name}"
}

output "name_servers" {
  description = "Name servers that the domain's registrar must be told; empty without a domain."
  value       = flatten(aws_route53_zone.main[*].name_servers)
}

output "repositories" {
  description = "Where the images of products and orders are pushed."
  value       = { for key, repository in aws_ecr_repository.service : key => repository.repository_url }
}

output "static_bucket" {
  description = "Bucket of the site's files."
  value       = aws_s3_bucket.static.bucket
}

output "distribution_id" {
  description = "Distribution whose copies of the site a new one makes old."
  value       = aws_cloudfront_distribution.main.id
}

output "cluster" {
  description = "Cluster of the containers."
  value       = aws_ecs_cluster.main.name
}

output "users_table" {
  description = "Table of the accounts, in which the first admin is made."
  value       = aws_dynamodb_table.users.name
}

output "dead_letters" {
  description = "Queue of events that failed five times."
  value       = aws_sqs_queue.notifications_dlq.url
}

output "dashboard" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.main.dashboard_name
}
