# Buckets: the static site, which CloudFront alone reads, and the notifications, which never leave but by their service.

resource "aws_s3_bucket" "static" {
  bucket = "${local.name}-static-${var.bucket_suffix}"
}

resource "aws_s3_bucket" "notifications" {
  bucket = "${local.name}-notifications-${var.bucket_suffix}"
}

# A deleted notification leaves an empty object, which keeps late copies of its event away: SNS tries for 23 days, and
# a queue holds a message for 14 at most.
resource "aws_s3_bucket_lifecycle_configuration" "notifications" {
  bucket = aws_s3_bucket.notifications.id

  rule {
    id     = "deleted"
    status = "Enabled"

    filter {
      and {
        prefix                = "notifications/"
        object_size_less_than = 1
      }
    }

    expiration {
      days = 40
    }
  }
}
