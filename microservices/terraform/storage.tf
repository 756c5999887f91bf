# Buckets: the static site, which CloudFront alone reads, the notifications, which never leave but by their service, and
# the logs that AWS writes into a bucket.

resource "aws_s3_bucket" "static" {
  #checkov:skip=CKV_AWS_144:The site's files are in the repository, so they need no second region.
  #checkov:skip=CKV_AWS_145:Its files are the public's; a key would only cost a call for each.
  #checkov:skip=CKV2_AWS_62:Nothing waits for a file of the site.
  bucket        = "${local.name}-static-${var.bucket_suffix}"
  force_destroy = !var.protect
}

resource "aws_s3_bucket" "notifications" {
  #checkov:skip=CKV_AWS_18:Who reads is in the notifications function's log, by account; a second log would have the keys as well.
  #checkov:skip=CKV_AWS_21:A notification that its owner deletes must be gone, not an earlier version.
  #checkov:skip=CKV_AWS_144:Notifications follow from orders, whose database is kept; the queue and its dead letters hold what is under way.
  #checkov:skip=CKV_AWS_145:AES-256 by S3's own keys; one role writes and one reads, each by its policy.
  #checkov:skip=CKV2_AWS_62:Nothing waits for a notification here; its owner asks for it.
  bucket        = "${local.name}-notifications-${var.bucket_suffix}"
  force_destroy = !var.protect
}

resource "aws_s3_bucket" "logs" {
  #checkov:skip=CKV_AWS_21:A log is written once and never changed.
  #checkov:skip=CKV_AWS_144:Logs are kept for a time, not against the loss of a region.
  #checkov:skip=CKV_AWS_145:The load balancer writes its log to buckets with S3's own keys alone.
  #checkov:skip=CKV2_AWS_62:Nothing waits for a log.
  bucket        = "${local.name}-logs-${var.bucket_suffix}"
  force_destroy = !var.protect
}

locals {
  buckets = {
    static        = aws_s3_bucket.static
    notifications = aws_s3_bucket.notifications
    logs          = aws_s3_bucket.logs
  }
}

resource "aws_s3_bucket_public_access_block" "all" {
  for_each = local.buckets

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "all" {
  for_each = local.buckets

  bucket = each.value.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "all" {
  for_each = local.buckets

  bucket = each.value.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

# A file that an upload has replaced can be had back for a month.
resource "aws_s3_bucket_versioning" "static" {
  bucket = aws_s3_bucket.static.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_logging" "static" {
  bucket        = aws_s3_bucket.static.id
  target_bucket = aws_s3_bucket.logs.id
  target_prefix = "s3/static/"
}

resource "aws_s3_bucket_lifecycle_configuration" "static" {
  bucket = aws_s3_bucket.static.id

  rule {
    id     = "replaced"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 30
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.static]
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    id     = "old"
    status = "Enabled"

    filter {}

    expiration {
      days = var.log_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
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

  rule {
    id     = "cut-off-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

data "aws_iam_policy_document" "tls_only" {
  for_each = local.buckets

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

# ListBucket makes a file that is not there a 404; without it S3 answers 403.
data "aws_iam_policy_document" "static" {
  source_policy_documents = [data.aws_iam_policy_document.tls_only["static"].json]

  statement {
    sid       = "CloudFrontReads"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.static.arn}/*"]

    principals {
      type        = "Service"
      identifiers = ["cloudfront.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "AWS:SourceArn"
      values   = [aws_cloudfront_distribution.main.arn]
    }
  }

  statement {
    sid       = "CloudFrontLooks"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.static.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudfront.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "AWS:SourceArn"
      values   = [aws_cloudfront_distribution.main.arn]
    }
  }
}

data "aws_iam_policy_document" "logs" {
  source_policy_documents = [data.aws_iam_policy_document.tls_only["logs"].json]

  statement {
    sid       = "LoadBalancerWrites"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.logs.arn}/alb/AWSLogs/${local.account_id}/*"]

    principals {
      type        = "Service"
      identifiers = ["logdelivery.elasticloadbalancing.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }

  statement {
    sid       = "StorageWrites"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.logs.arn}/s3/*"]

    principals {
      type        = "Service"
      identifiers = ["logging.s3.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }

  statement {
    sid       = "CloudFrontWrites"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.logs.arn}/cloudfront/*"]

    principals {
      type        = "Service"
      identifiers = ["delivery.logs.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }
}

# One by one: the site's policy names the distribution, before which the logs' must be there.

resource "aws_s3_bucket_policy" "static" {
  bucket = aws_s3_bucket.static.id
  policy = data.aws_iam_policy_document.static.json

  depends_on = [aws_s3_bucket_public_access_block.all] # S3 refuses the two at once
}

resource "aws_s3_bucket_policy" "notifications" {
  bucket = aws_s3_bucket.notifications.id
  policy = data.aws_iam_policy_document.tls_only["notifications"].json

  depends_on = [aws_s3_bucket_public_access_block.all]
}

resource "aws_s3_bucket_policy" "logs" {
  bucket = aws_s3_bucket.logs.id
  policy = data.aws_iam_policy_document.logs.json

  depends_on = [aws_s3_bucket_public_access_block.all]
}
