# Buckets: the static site, which CloudFront alone reads, and the notifications, which never leave but by their service.

resource "aws_s3_bucket" "static" {
  bucket = "${local.name}-static-${var.bucket_suffix}"
}

resource "aws_s3_bucket" "notifications" {
  bucket = "${local.name}-notifications-${var.bucket_suffix}"
}
